//! The states of resources in each mode.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use crate::{
    Kind, State,
    tests::site::{Mode, Site, beside, until},
};

#[tokio::test]
async fn a_onetime_run_leaves_the_state_of_each_resource() {
    let site = Site::new();
    site.resource("good", "");
    site.resource("bad", "");
    site.resource("owed", "reload_cmd = 'false'");
    let revision = {
        site.store.put("/owed", "1");
        site.store.put("/good", "1")
    };
    let mut agent = site.agent();
    let handle = agent.handle();
    assert!(handle.statuses().is_empty());
    assert!(agent.onetime().await.is_err());

    let good = handle.status("good").unwrap();
    assert_eq!(good.state, State::InSync);
    assert_eq!(good.applied.unwrap().revision, revision);
    assert!(good.pending.is_none() && good.error.is_none());

    let bad = handle.status("bad").unwrap();
    assert_eq!((bad.state, bad.applied), (State::Failed, None));
    assert_eq!(bad.error.unwrap().failure.kind(), Kind::Render);
    assert!(!bad.pending.unwrap().only_reload);

    let owed = handle.status("owed").unwrap();
    assert_eq!((owed.state, owed.applied), (State::Failed, None));
    assert_eq!(owed.error.unwrap().failure.kind(), Kind::Reload);
    let pending = owed.pending.unwrap();
    assert!(pending.only_reload && pending.next_try.is_none());
    assert_eq!(site.written("owed").as_deref(), Some("1"));
}

#[tokio::test]
async fn the_state_follows_a_change_a_failure_and_a_fix_in_interval_and_watch_mode() {
    for mode in [Mode::Interval, Mode::Watch] {
        let site = Site::new();
        site.resource("app", "check_cmd = '! grep -q bad {{.src}}'");
        let first = site.store.put("/app", "1");
        beside(site.agent(), mode, async |handle| {
            let status = until(&handle, "app", |status| status.state == State::InSync).await;
            assert_eq!(status.applied.unwrap().revision, first, "{mode:?}");

            site.store.put("/app", "bad");
            let status = until(&handle, "app", |status| status.error.is_some()).await;
            assert_eq!(status.error.unwrap().failure.kind(), Kind::Check, "{mode:?}");
            // The data applied before is still applied.
            assert_eq!(status.applied.unwrap().revision, first, "{mode:?}");
            assert!(status.pending.is_some(), "{mode:?}");
            assert_eq!(site.written("app").as_deref(), Some("1"));

            let last = site.store.put("/app", "2");
            let has_applied = |revision| {
                move |status: &crate::Status| {
                    status.applied.is_some_and(|applied| applied.revision == revision)
                }
            };
            let status = until(&handle, "app", has_applied(last)).await;
            assert!(status.error.is_none() && status.pending.is_none(), "{mode:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_failed_pass_says_when_it_is_tried_again_in_watch_mode() {
    let site = Site::new();
    site.resource("app", "reload_cmd = 'false'");
    site.store.put("/app", "1");
    beside(site.agent(), Mode::Watch, async |handle| {
        let status = until(&handle, "app", |status| status.state == State::Failed).await;
        let pending = status.pending.unwrap();
        assert!(pending.only_reload);
        assert!(pending.next_try.unwrap() > status.since);
    })
    .await;
}

#[tokio::test]
async fn all_resources_wait_for_a_source_that_is_down_and_keep_what_was_applied() {
    for mode in [Mode::Interval, Mode::Watch] {
        let site = Site::new();
        site.resource("a", "");
        site.store.break_down(Some("/down"));
        beside(site.agent(), mode, async |handle| {
            let status = until(&handle, "a", |status| status.error.is_some()).await;
            assert_eq!(status.state, State::WaitingForKeys, "{mode:?}");
            assert_eq!(status.error.unwrap().failure.kind(), Kind::Source, "{mode:?}");

            site.store.put("/a", "1");
            site.store.break_down(None);
            until(&handle, "a", |status| status.applied.is_some() && status.error.is_none()).await;

            site.store.break_down(Some("/down"));
            let is_down =
                |status: &crate::Status| status.error.is_some() && status.state == State::InSync;
            let status = until(&handle, "a", is_down).await;
            assert!(status.applied.is_some() && status.behind_since.is_none(), "{mode:?}");
            let overview = handle.overview();
            assert!(overview.is_ready() && overview.source_error.is_some(), "{mode:?}");
            assert!(handle.is_ready(), "{mode:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn an_outage_of_one_of_several_backends_is_no_failure_of_its_resources() {
    for mode in [Mode::Interval, Mode::Watch] {
        let site = Site::new();
        for name in ["a", "b"] {
            site.resource(name, "");
            site.store.put(&format!("/{name}"), "1");
        }
        beside(site.agent(), mode, async |handle| {
            for name in ["a", "b"] {
                until(&handle, name, |status| status.state == State::InSync).await;
            }
            site.store.cut_off(Some("/b"));
            let status = until(&handle, "b", |status| status.error.is_some()).await;
            assert_eq!(status.error.unwrap().failure.kind(), Kind::Source, "{mode:?}");
            assert_eq!((status.state, status.behind_since), (State::InSync, None), "{mode:?}");
            assert!(handle.is_ready(), "{mode:?}");
            assert!(handle.overview().source_error.is_some(), "{mode:?}");
            // The resource of the other backend goes on.
            let last = site.store.put("/a", "2");
            let is_new = |status: &crate::Status| {
                status.applied.is_some_and(|applied| applied.revision == last)
            };
            until(&handle, "a", is_new).await;
            assert!(handle.overview().source_error.is_some(), "{mode:?}");

            site.store.cut_off(None);
            until(&handle, "b", |status| status.error.is_none()).await;
            let begun = std::time::Instant::now();
            while handle.overview().source_error.is_some() {
                assert!(begun.elapsed() < Duration::from_secs(20), "{mode:?}");
                tokio::task::yield_now().await;
            }
            assert!(handle.is_ready(), "{mode:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_resource_is_behind_from_the_first_failure_until_a_pass_succeeds() {
    for mode in [Mode::Interval, Mode::Watch] {
        let site = Site::new();
        site.resource("a", "check_cmd = 'grep -q 1 {{.src}}'");
        site.store.put("/a", "1");
        beside(site.agent(), mode, async |handle| {
            until(&handle, "a", |status| status.obstacle().is_none()).await;
            site.store.put("/a", "2");
            let failed = |status: &crate::Status| status.state == State::Failed;
            let first = until(&handle, "a", failed).await;
            assert_eq!(first.obstacle().as_deref(), Some("Config check failed: exit status 1"));
            let since = first.behind_since;
            assert!(since.is_some() && !handle.overview().is_ready(), "{mode:?}");
            assert!(!handle.is_ready(), "{mode:?}");
            let next = |status: &crate::Status| failed(status) && status.since > first.since;
            if let Mode::Interval = mode {
                assert_eq!(until(&handle, "a", next).await.behind_since, since);
            }
            site.store.put("/a", "11");
            until(&handle, "a", |status| status.obstacle().is_none()).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_resource_with_a_hanging_command_is_working_in_interval_and_watch_mode() {
    for mode in [Mode::Interval, Mode::Watch] {
        let site = Site::new();
        let go = site.path("go");
        let command = format!("until test -e {}; do sleep 0.01; done", go.display());
        site.resource("app", &format!("reload_cmd = '{command}'"));
        site.store.put("/app", "1");
        beside(site.agent(), mode, async |handle| {
            until(&handle, "app", |_| site.written("app").is_some()).await;
            let status = handle.status("app").unwrap();
            assert_eq!((status.state, status.applied), (State::Working, None), "{mode:?}");
            fs::write(&go, "").unwrap();
            until(&handle, "app", |status| status.state == State::InSync).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_fixed_template_is_rendered_before_the_next_try() {
    let site = Site::new();
    site.resource("app", "");
    let good = fs::read(site.path("templates/app")).unwrap();
    fs::write(site.path("templates/app"), "{{broken").unwrap();
    site.store.put("/app", "1");
    beside(site.agent(), Mode::Watch, async |handle| {
        let far = Duration::from_millis(1500);
        let next_try = |status: &crate::Status| status.pending.as_ref().and_then(|p| p.next_try);
        let is_far = |status: &crate::Status| {
            next_try(status).is_some_and(|next| next > SystemTime::now() + far)
        };
        let status = until(&handle, "app", is_far).await;
        fs::write(site.path("templates/app"), &good).unwrap();
        until(&handle, "app", |status| status.state == State::InSync).await;
        assert!(SystemTime::now() < next_try(&status).unwrap());
    })
    .await;
}

#[tokio::test]
async fn new_keys_that_are_refused_too_are_named() {
    let site = Site::new();
    site.resource("app", "");
    site.resource("secret", "");
    site.store.put("/app", "1");
    site.store.forbid(Some("/secret"));
    beside(site.agent(), Mode::Watch, async |handle| {
        let names_app = |status: &crate::Status| {
            let error = status.error.as_ref();
            error.is_some_and(|error| error.failure.to_string().contains("/app"))
        };
        let status = until(&handle, "secret", |status| status.error.is_some()).await;
        assert!(!names_app(&status), "{status:?}");
        let path = site.path("conf.d/secret.toml");
        let table = fs::read_to_string(&path).unwrap();
        fs::write(&path, table.replace("['/secret']", "['/secret', '/app']")).unwrap();
        until(&handle, "secret", names_app).await;
    })
    .await;
}

#[tokio::test]
async fn refused_keys_fail_their_resource_until_they_are_allowed() {
    for mode in [Mode::Interval, Mode::Watch] {
        let site = Site::new();
        site.resource("app", "");
        site.resource("secret", "");
        site.store.put("/app", "1");
        site.store.put("/secret", "1");
        site.store.forbid(Some("/secret"));
        beside(site.agent(), mode, async |handle| {
            let status = until(&handle, "secret", |status| status.error.is_some()).await;
            assert_eq!(status.error.unwrap().failure.kind(), Kind::Refused, "{mode:?}");
            until(&handle, "app", |status| status.state == State::InSync).await;
            site.store.forbid(None);
            until(&handle, "secret", |status| status.state == State::InSync).await;
            site.store.forbid(Some("/secret"));
            until(&handle, "secret", |status| status.error.is_some()).await;
            site.store.forbid(None);
            // No value has changed, but the resource is in sync again.
            until(&handle, "secret", |status| status.state == State::InSync).await;
        })
        .await;
    }
}
