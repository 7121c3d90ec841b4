//! Which part of a thing a `Range` header asks for (RFC 9110, 14). No I/O.
//!
//! | header                                     | answer              |
//! |--------------------------------------------|---------------------|
//! | one range that begins within the thing     | that part           |
//! | ranges of which one begins within it       | that part           |
//! | ranges of which none does                  | 416                 |
//! | several that do                            | the whole           |
//! | malformed, or another unit than bytes      | the whole           |
//!
//! Several parts in one answer are a `multipart/byteranges`, which hardly a client asks for and which has let small requests cost
//! large answers; a server may always send the whole instead.

use std::ops::Range;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// Not empty, and within the thing.
    Range(Range<u64>),
    Nothing,
}

/// Reads the value of a `Range` header that is about a thing of `length` bytes.
pub(crate) fn parse(value: &str, length: u64) -> Part {
    let specs = match value.split_once('=') {
        Some((unit, specs)) if unit.eq_ignore_ascii_case("bytes") => specs,
        _ => return Part::Whole,
    };
    let blank = |c| matches!(c, ' ' | '\t');
    let mut parts = Vec::new();
    let mut any = false;
    for spec in specs.split(',').map(|spec| spec.trim_matches(blank)).filter(|spec| !spec.is_empty()) {
        any = true;
        match parse_one(spec, length) {
            Some(Part::Range(range)) => parts.push(range),
            Some(Part::Nothing) => {}
            Some(Part::Whole) | None => return Part::Whole,
        }
        if parts.len() > 1 {
            // Whatever follows, the whole is the answer.
            return Part::Whole;
        }
    }
    match parts.pop() {
        Some(range) => Part::Range(range),
        None if any => Part::Nothing,
        None => Part::Whole,
    }
}

/// `None` if it is malformed.
fn parse_one(spec: &str, length: u64) -> Option<Part> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        return Some(match number(last)? {
            0 => Part::Nothing,
            // The last bytes of an empty thing are the whole, and there is no other way to say so.
            _ if length == 0 => Part::Whole,
            count => Part::Range(length.saturating_sub(count)..length),
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    match last < first {
        true => None,
        false if first >= length => Some(Part::Nothing),
        false => Some(Part::Range(first..last.saturating_add(1).min(length))),
    }
}

/// A number of decimal digits; the largest one if it is larger than that.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_part_follows_the_table() {
        let huge = "9".repeat(40);
        let cases = [
            ("bytes=0-0", Part::Range(0..1)),
            ("bytes=2-4", Part::Range(2..5)),
            ("BYTES=2-", Part::Range(2..10)),
            ("bytes=9-100", Part::Range(9..10)),
            ("bytes=-3", Part::Range(7..10)),
            ("bytes=-100", Part::Range(0..10)),
            (&format!("bytes=0-{huge}"), Part::Range(0..10)),
            (&format!("bytes=-{huge}"), Part::Range(0..10)),
            ("bytes= ,\t1-2 , 20-30", Part::Range(1..3)),
            ("bytes=10-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=10-12, 20-", Part::Nothing),
            (&format!("bytes={huge}-"), Part::Nothing),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=4-2", Part::Whole),
            ("bytes=1-2,x", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=,", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=1", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=1 -2", Part::Whole),
            ("bytes=--1", Part::Whole),
            ("bytes 1-2", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("", Part::Whole),
        ];
        for (value, expected) in cases {
            assert_eq!(parse(value, 10), expected, "{value}");
        }
        assert_eq!(parse("bytes=0-", 0), Part::Nothing);
        assert_eq!(parse("bytes=-5", 0), Part::Whole);
    }

    proptest! {
        #[test]
        fn a_range_is_never_empty_and_never_outside(value in "(bytes=)?[-0-9, x=]{0,24}", length: u64) {
            if let Part::Range(range) = parse(&value, length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }

        #[test]
        fn a_well_formed_range_gives_its_bytes(first: u64, last: u64, length: u64) {
            let expected = match () {
                () if last < first => Part::Whole,
                () if first >= length => Part::Nothing,
                () => Part::Range(first..last.saturating_add(1).min(length)),
            };
            prop_assert_eq!(parse(&format!("bytes={first}-{last}"), length), expected);
        }
    }
}
