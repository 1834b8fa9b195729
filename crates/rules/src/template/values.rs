//! Where a template's values come from.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use crate::captures::Captures;

/// Values by name.
///
/// Maps, slices of pairs and [`Captures`] are values. A pair asks its second
/// half where the first has none:
///
/// ```
/// use kabar_rules::{Missing, Template};
///
/// let captured = [("item", "teh")];
/// let contact = [("item", "overridden"), ("name", "Sari")];
/// let text = Template::parse("{name}: {item}")?.render(&(captured, contact), Missing::Error)?;
/// assert_eq!(text, "Sari: teh");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Values {
    /// The value of this name, if there is one.
    fn value(&self, name: &str) -> Option<Cow<'_, str>>;
}

impl<T: Values + ?Sized> Values for &T {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        (**self).value(name)
    }
}

/// No values.
impl Values for () {
    fn value(&self, _name: &str) -> Option<Cow<'_, str>> {
        None
    }
}

impl<A: Values, B: Values> Values for (A, B) {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.value(name).or_else(|| self.1.value(name))
    }
}

impl Values for Captures<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(Cow::Borrowed)
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Values for [(N, V)] {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.iter()
            .find(|(own, _)| own.as_ref() == name)
            .map(|(_, value)| Cow::Borrowed(value.as_ref()))
    }
}

impl<N: AsRef<str>, V: AsRef<str>, const COUNT: usize> Values for [(N, V); COUNT] {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.as_slice().value(name)
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Values for Vec<(N, V)> {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.as_slice().value(name)
    }
}

impl<N: Borrow<str> + Ord, V: AsRef<str>> Values for BTreeMap<N, V> {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(|value| Cow::Borrowed(value.as_ref()))
    }
}

impl<N: Borrow<str> + Hash + Eq, V: AsRef<str>, S: BuildHasher> Values for HashMap<N, V, S> {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(|value| Cow::Borrowed(value.as_ref()))
    }
}
