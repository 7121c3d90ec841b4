//! What a route has taken out of a path.

use super::percent;
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

/// The most parameters of a route. They are noted without an allocation.
pub(super) const MOST: usize = 8;

/// The names of a route's parameters, and where their values stand in the path of one request.
#[derive(Debug, Clone)]
pub(super) struct Params {
    names: Rc<[Box<str>]>,
    places: [(usize, usize); MOST],
}

impl Params {
    /// The parameters with these names, whose values are parts of `path`, in the same order.
    pub(super) fn new<'p>(
        names: &Rc<[Box<str>]>,
        path: &'p str,
        values: impl Iterator<Item = &'p str>,
    ) -> Params {
        let mut places = [(0, 0); MOST];
        for (place, value) in places.iter_mut().zip(values) {
            let start = value.as_ptr().addr() - path.as_ptr().addr();
            *place = (start, start + value.len());
        }
        Params { names: names.clone(), places }
    }

    /// Where the value with this name stands.
    pub(super) fn place(&self, name: &str) -> Option<Range<usize>> {
        let (_, &(start, end)) =
            self.names.iter().zip(&self.places).find(|(known, _)| known.as_ref() == name)?;
        Some(start..end)
    }
}

/// Undoes percent-encoding. `None` if a `%` is not followed by two hex digits, or if the result is not UTF-8.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    String::from_utf8(percent::decode(text)?).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_strictly() {
        assert_eq!(decode("a+b").unwrap(), "a+b");
        assert_eq!(decode("%D1%8f%20x%2F").unwrap(), "\u{44f} x/");
        for malformed in ["%", "%g0", "%ff", "a%c3"] {
            assert_eq!(decode(malformed), None, "{malformed}");
        }
    }
}
