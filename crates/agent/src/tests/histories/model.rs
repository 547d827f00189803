//! What the files and the services must be when everything is at rest.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    resources::{self, FILES, Files, ITEMS, POOL, Service},
    services::{Services, Step},
};
use crate::tests::site::Site;

/// The values of the keys in the store, and whether the store shows them.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    pub(super) a: Option<u8>,
    pub(super) b: Option<u8>,
    pub(super) guard: bool,
    pub(super) single: Option<u8>,
    pub(super) pool: [Option<u8>; POOL],
    pub(super) items: [Option<u8>; ITEMS],
    /// Whether an item has a key that is not the one its template needs.
    pub(super) others: [bool; ITEMS],
    pub(super) shared: Option<u8>,
    pub(super) is_broken: bool,
    /// Whether the store refuses to show a key of the group.
    pub(super) is_refused: bool,
}

/// What becomes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Becomes {
    /// It gets this content.
    Has(String),
    /// It is removed.
    Gone,
    /// It stays as it is.
    Stays,
}

impl Keys {
    /// What becomes of each file in this state of the store, if every command succeeds that does not
    /// refuse the content, and no guard trips.
    fn ask_for(&self) -> [Becomes; FILES.len()] {
        let mut files = [const { Becomes::Stays }; FILES.len()];
        if self.is_broken {
            return files;
        }
        if let (Some(a), Some(b), true, false) = (self.a, self.b, self.guard, self.is_refused) {
            let content = format!("{a} {b}");
            if !resources::is_bad(&content) && !resources::is_bad_group(&content) {
                files[0] = Becomes::Has(content.clone());
                files[1] = Becomes::Has(content);
            }
        }
        if let Some(single) = self.single {
            files[2] = Becomes::Has(single.to_string());
        }
        let pairs = self.pool.iter().enumerate();
        let pairs = pairs.filter_map(|(key, value)| Some(format!("{key}={} ", (*value)?)));
        let pool: String = pairs.collect();
        if !resources::trips(0, resources::keys_in(&pool)) {
            files[3] = Becomes::Has(pool);
        }
        let shared = self.shared.map_or("-".to_owned(), |shared| shared.to_string());
        let item = |nth: usize| match (self.items[nth], self.others[nth]) {
            (Some(value), _) => Becomes::Has(format!("{value} {shared}")),
            (None, true) => Becomes::Stays,
            (None, false) => Becomes::Gone,
        };
        let items: [Becomes; ITEMS] = std::array::from_fn(item);
        let is_bad = |becomes: &Becomes| match becomes {
            Becomes::Has(content) => resources::is_bad(content),
            Becomes::Gone | Becomes::Stays => false,
        };
        // An item whose file fails its check delays no other.
        for (file, becomes) in files[4..].iter_mut().zip(items) {
            if !is_bad(&becomes) {
                *file = becomes;
            }
        }
        files
    }

    /// The content of the file that is rolled back.
    fn single(&self) -> Option<String> {
        self.single.filter(|_| !self.is_broken).map(|single| single.to_string())
    }
}

/// The model of a history.
pub(super) struct Model {
    pub(super) keys: Keys,
    /// What each file may hold, or that it may not exist: what it was at the last rest, and whatever the
    /// store has asked for since then. A pass may have seen any of these states.
    seen: [BTreeSet<Option<String>>; FILES.len()],
    /// The files that another program has changed and that confd may not have restored yet.
    edited: [bool; FILES.len()],
}

impl Model {
    /// The model of a folder without files.
    pub(super) fn new() -> Self {
        let seen = [const { BTreeSet::new() }; FILES.len()].map(|_: BTreeSet<()>| [None].into());
        Model { keys: Keys::default(), seen, edited: [false; FILES.len()] }
    }

    /// Notes that another program has changed a file.
    pub(super) fn edited(&mut self, file: usize) {
        self.edited[file] = true;
    }

    /// Notes the state of the store, and says to the services what they have to know of it.
    pub(super) fn note(&mut self, services: &Services) {
        // What was set while the store was away can be seen, for a moment, when it is back.
        let keys = Keys { is_broken: false, is_refused: false, ..self.keys.clone() };
        for (seen, becomes) in self.seen.iter_mut().zip(keys.ask_for()) {
            match becomes {
                Becomes::Has(content) => _ = seen.insert(Some(content)),
                Becomes::Gone => _ = seen.insert(None),
                Becomes::Stays => {}
            }
        }
        let edited = FILES.iter().zip(self.edited).filter(|(_, is_edited)| *is_edited);
        services.set_edited(edited.map(|(file, _)| PathBuf::from(file)).collect());
        services.set_wanted(self.keys.single());
    }

    /// Compares the files and the services with the model, now that everything is at rest.
    pub(super) fn check(&mut self, site: &Site, services: &Services) {
        let faults = services.faults();
        assert!(faults.is_empty(), "{faults:#?}");
        let written = FILES.map(|name| site.written(name));
        let asked_for = self.keys.ask_for();
        for (file, content) in written.iter().enumerate() {
            let context = || format!("{}: {:?}", FILES[file], self.keys);
            let due = match &asked_for[file] {
                Becomes::Has(content) => Some(Some(content.clone())),
                Becomes::Gone => Some(None),
                Becomes::Stays => None,
            };
            let stays = || self.may_stay(file, &due, content.as_deref(), services);
            match due {
                Some(due) if *content == due => {
                    self.edited[file] = false;
                    self.seen[file] = BTreeSet::from([due]);
                }
                Some(due) if !stays() => {
                    panic!("{content:?} is in place, {due:?} is due: {}", context());
                }
                // A file that was edited while it cannot be made may stay so.
                Some(_) | None if self.edited[file] => {}
                Some(_) | None => {
                    let seen = &self.seen[file];
                    assert!(seen.contains(content), "{content:?}, not {seen:?}: {}", context());
                    // While the store is away, what was seen before is still tried again.
                    if !self.keys.is_broken && !self.keys.is_refused {
                        self.seen[file] = BTreeSet::from([content.clone()]);
                    }
                }
            }
        }
        if let Becomes::Has(content) = &asked_for[2] {
            services.passed_with(content);
        }
        for service in Service::ALL {
            self.check_service(service, site, services);
        }
    }

    /// Whether a file may stay as it is, although other content is due.
    fn may_stay(
        &self,
        file: usize,
        due: &Option<Option<String>>,
        content: Option<&str>,
        services: &Services,
    ) -> bool {
        let fails = |step| services.is_failing(step);
        let due = due.as_ref().and_then(Option::as_deref);
        match resources::service_of(FILES[file]) {
            Service::Web => fails(Step::Check) || fails(Step::GroupCheck),
            Service::Items => {
                // The file of an item that is gone stays if another program has made it its own.
                let checks = self.keys.items.iter().any(Option::is_some);
                (fails(Step::Check) && checks) || (due.is_none() && self.edited[file])
            }
            Service::Single => due.is_some_and(|due| services.has_refused(due)),
            Service::Pool => {
                let keys = due.map_or(0, resources::keys_in);
                self.edited[file] || resources::trips(content.map_or(0, resources::keys_in), keys)
            }
        }
    }

    /// Compares what a service has accepted last with the files in place: these get their reload, whether
    /// newer content can be made or not.
    fn check_service(&self, service: Service, site: &Site, services: &Services) {
        let mut of_service =
            (0..FILES.len()).filter(|file| resources::service_of(FILES[*file]) == service);
        let is_edited = of_service.any(|file| self.edited[file]);
        if is_edited || services.is_failing(Step::Reload(service)) {
            return;
        }
        let files: Files = resources::files_of(service, &site.path("out"));
        // Without a former file, one that is refused stays in place.
        if resources::is_refused(service, &files) && services.accepted(service).is_empty() {
            return;
        }
        let accepted = services.accepted(service);
        assert_eq!(accepted, files, "{service:?} has not seen its files: {:?}", self.keys);
    }
}
