//! The `Date` header: formatted once a second, copied into every response of that second.

use crate::sys::time::coarse_unix_seconds;
use std::cell::RefCell;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// The line with an IMF-fixdate, which always has 29 bytes: `Date: Sun, 06 Nov 1994 08:49:37 GMT` CR LF.
const LENGTH: usize = 6 + 29 + 2;

struct Cached {
    second: u64,
    line: [u8; LENGTH],
}

thread_local! {
    static CACHE: RefCell<Cached> = const { RefCell::new(Cached { second: u64::MAX, line: [0; LENGTH] }) };
}

/// Appends the header line with the current date.
#[inline]
pub(crate) fn write_now(out: &mut Vec<u8>) {
    let now = coarse_unix_seconds();
    CACHE.with_borrow_mut(|cached| {
        if cached.second != now {
            *cached = Cached { second: now, line: format(now) };
        }
        out.extend_from_slice(&cached.line);
    });
}

#[cold]
fn format(second: u64) -> [u8; LENGTH] {
    let mut line = [0; LENGTH];
    let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
    write!(&mut line[..], "Date: {date}\r\n").expect("an IMF-fixdate has 29 bytes");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_an_imf_fixdate_in_english_and_gmt() {
        assert_eq!(&format(784_111_777), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    }

    #[test]
    fn the_same_text_serves_a_whole_second() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        write_now(&mut a);
        write_now(&mut b);
        assert_eq!((a.len(), b.len()), (LENGTH, LENGTH));
        assert!(a.ends_with(b" GMT\r\n"));
    }
}
