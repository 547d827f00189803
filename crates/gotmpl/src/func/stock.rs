//! Functions that are made when a template names them.
//!
//! A library of some hundred functions would cost each start of the program the time to register all of
//! them, for templates that call a few. So a [`Stock`] is asked only for a name that no registered
//! function has, and what it makes is kept.

use std::sync::OnceLock;

use super::{Body, Failure, Known, Native, Signature};
use crate::value::Value;

/// A function with its Go signature, which is not registered yet.
pub struct Definition<C: ?Sized> {
    signature: Signature,
    body: Box<Body<C>>,
}

impl<C: ?Sized> Definition<C> {
    /// The function of a closure. The closure's types give the signature.
    pub fn new<P, F: Native<C, P>>(function: F) -> Definition<C> {
        let body =
            Box::new(move |context: &C, arguments: &mut [Value]| function.call(context, arguments));
        Definition { signature: F::signature(), body }
    }

    /// The Go signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Calls the function with as many arguments as the signature says, each of its type.
    ///
    /// # Errors
    ///
    /// The failure of the function.
    pub fn call(&self, context: &C, arguments: &mut [Value]) -> Result<Value, Failure> {
        (self.body)(context, arguments)
    }

    pub(super) fn into_parts(self) -> (Signature, Box<Body<C>>) {
        (self.signature, self.body)
    }
}

impl<C: ?Sized + 'static> Definition<C> {
    /// The same function over another context, which `adapt` calls it with.
    pub fn adapted<D: ?Sized>(
        self,
        adapt: impl Fn(&Definition<C>, &D, &mut [Value]) -> Result<Value, Failure>
        + Send
        + Sync
        + 'static,
    ) -> Definition<D> {
        let signature = self.signature.clone();
        let body =
            Box::new(move |context: &D, arguments: &mut [Value]| adapt(&self, context, arguments));
        Definition { signature, body }
    }
}

/// Functions that are made when a template names them.
pub trait Stock<C: ?Sized>: Send + Sync {
    /// The names of all functions.
    fn names(&self) -> Vec<&'static str>;

    /// The function called `name`, which is one of the names.
    fn make(&self, name: &str) -> Definition<C>;
}

/// What the table of names needs of a [`Shelf`], whatever the context of its functions is.
pub(super) trait Shelved: Send + Sync {
    /// The names of all functions, sorted.
    fn names(&self) -> &[&'static str];

    /// The index of the function called `name`.
    fn find(&self, name: &[u8]) -> Option<usize>;

    /// The function at an index that came from [`find`](Shelved::find).
    fn known(&self, place: usize) -> &Known;
}

/// A stock, and the functions that it has made.
pub(super) struct Shelf<C: ?Sized> {
    stock: Box<dyn Stock<C>>,
    /// The names, and a place for each function. Only used once a name was looked up.
    places: OnceLock<(Vec<&'static str>, Vec<Place<C>>)>,
}

type Place<C> = OnceLock<(Known, Box<Body<C>>)>;

impl<C: ?Sized> Shelf<C> {
    pub(super) fn new(stock: impl Stock<C> + 'static) -> Shelf<C> {
        Shelf { stock: Box::new(stock), places: OnceLock::new() }
    }

    /// Calls the function at an index that came from [`find`](Shelved::find).
    pub(super) fn call(
        &self,
        place: usize,
        context: &C,
        arguments: &mut [Value],
    ) -> Result<Value, Failure> {
        (self.made(place).1)(context, arguments)
    }

    fn made(&self, place: usize) -> &(Known, Box<Body<C>>) {
        let (names, places) = self.places();
        places[place].get_or_init(|| {
            let (signature, body) = self.stock.make(names[place]).into_parts();
            (Known { name: names[place].to_owned(), signature, builtin: None }, body)
        })
    }

    fn places(&self) -> &(Vec<&'static str>, Vec<Place<C>>) {
        self.places.get_or_init(|| {
            let mut names = self.stock.names();
            names.sort_unstable();
            let places = names.iter().map(|_| OnceLock::new()).collect();
            (names, places)
        })
    }
}

impl<C: ?Sized> Shelved for Shelf<C> {
    fn names(&self) -> &[&'static str] {
        &self.places().0
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.names().binary_search_by(|known| known.as_bytes().cmp(name)).ok()
    }

    fn known(&self, place: usize) -> &Known {
        &self.made(place).0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{Functions, Template};

    /// Counts how many functions it made, and how often it was asked for the names.
    #[derive(Clone, Default)]
    struct Counting(Arc<AtomicUsize>, Arc<AtomicUsize>);

    impl Stock<i64> for Counting {
        fn names(&self) -> Vec<&'static str> {
            self.1.fetch_add(1, Ordering::Relaxed);
            vec!["twice", "plus", "hidden"]
        }

        fn make(&self, name: &str) -> Definition<i64> {
            self.0.fetch_add(1, Ordering::Relaxed);
            match name {
                "twice" => Definition::new(|_: &i64, n: i64| n * 2),
                _ => Definition::new(|context: &i64, n: i64| context + n),
            }
        }
    }

    #[test]
    fn a_function_of_the_stock_is_made_once_and_only_if_a_template_names_it() {
        let mut functions: Functions<i64> = Functions::new();
        functions.add("hidden", |_: &i64| 1_i64);
        let stock = Counting::default();
        let (made, asked) = (Arc::clone(&stock.0), Arc::clone(&stock.1));
        functions.set_stock(stock);
        let functions = Arc::new(functions);
        let rendered = |source: &'static str| {
            let template = Template::parse("t", source, &functions).unwrap();
            let mut out = Vec::new();
            template.execute(&5, Value::Nil, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        // A template that names no function of the stock does not even need the names.
        assert_eq!(rendered("{{hidden | print}}{{define `x`}}{{end}}"), "1");
        assert_eq!((made.load(Ordering::Relaxed), asked.load(Ordering::Relaxed)), (0, 0));
        assert_eq!(rendered("{{plus (twice 3)}} {{twice 4}}"), "11 8");
        assert_eq!(rendered("{{twice 5}}"), "10");
        assert_eq!((made.load(Ordering::Relaxed), asked.load(Ordering::Relaxed)), (2, 1));
        let names = functions.names().filter(|name| *name == "hidden" || *name == "plus");
        assert_eq!(names.count(), 2);
    }

    #[test]
    fn an_unknown_name_is_an_error_that_knows_the_names_of_the_stock() {
        let mut functions: Functions<i64> = Functions::new();
        functions.set_stock(Counting::default());
        let error = Template::parse("t", "{{twize 1}}", &Arc::new(functions)).unwrap_err();
        assert!(error.unknown().unwrap().known.iter().any(|known| known == "twice"));
    }
}
