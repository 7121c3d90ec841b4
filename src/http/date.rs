//! The `Date` header: formatted once a second, copied into every response of that second.

use crate::sys::time::coarse_unix_seconds;
use std::cell::RefCell;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// The line with an IMF-fixdate, which always has 29 bytes: `Date: Sun, 06 Nov 1994 08:49:37 GMT` CR LF.
const LENGTH: usize = 6 + 29 + 2;
/// The same between two ends of lines: of the one before it and of the head.
const AMONG: usize = 2 + LENGTH + 2;

struct Cached {
    second: u64,
    text: [u8; AMONG],
}

thread_local! {
    static CACHE: RefCell<Cached> = const { RefCell::new(Cached { second: u64::MAX, text: [0; AMONG] }) };
}

/// Appends the header line with the current date.
pub(crate) fn write_now(out: &mut Vec<u8>) {
    with_text(|text| out.extend_from_slice(&text[2..2 + LENGTH]));
}

/// Ends the line before, and appends the header line with the current date and the end of the head.
#[inline]
pub(crate) fn write_now_and_end(out: &mut Vec<u8>) {
    with_text(|text| out.extend_from_slice(text));
}

#[inline]
fn with_text(write: impl FnOnce(&[u8; AMONG])) {
    let now = coarse_unix_seconds();
    CACHE.with_borrow_mut(|cached| {
        if cached.second != now {
            *cached = Cached { second: now, text: format(now) };
        }
        write(&cached.text);
    });
}

#[cold]
fn format(second: u64) -> [u8; AMONG] {
    let mut text = [0; AMONG];
    let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
    write!(&mut text[..], "\r\nDate: {date}\r\n\r\n").expect("an IMF-fixdate has 29 bytes");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_an_imf_fixdate_in_english_and_gmt() {
        assert_eq!(&format(784_111_777), b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
    }

    #[test]
    fn the_same_text_serves_a_whole_second() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        write_now(&mut a);
        write_now_and_end(&mut b);
        assert_eq!((a.len(), b.len()), (LENGTH, AMONG));
        assert!(a.starts_with(b"Date: ") && a.ends_with(b" GMT\r\n"));
    }
}
