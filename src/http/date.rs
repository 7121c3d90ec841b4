//! The `Date` header: formatted once a second, copied into every response of that second.

use crate::sys::time::coarse_unix_seconds;
use std::cell::Cell;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// An IMF-fixdate, as in `Sun, 06 Nov 1994 08:49:37 GMT`.
const LENGTH: usize = 29;

thread_local! {
    static CACHE: Cell<(u64, [u8; LENGTH])> = const { Cell::new((u64::MAX, [0; LENGTH])) };
}

/// Appends the current date.
pub(crate) fn write_now(out: &mut Vec<u8>) {
    let now = coarse_unix_seconds();
    let (second, mut text) = CACHE.get();
    if second != now {
        text = format(now);
        CACHE.set((now, text));
    }
    out.extend_from_slice(&text);
}

fn format(second: u64) -> [u8; LENGTH] {
    let mut text = [0; LENGTH];
    let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
    write!(&mut text[..], "{date}").expect("an IMF-fixdate has 29 bytes");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_an_imf_fixdate_in_english_and_gmt() {
        assert_eq!(&format(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn the_same_text_serves_a_whole_second() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        write_now(&mut a);
        write_now(&mut b);
        assert_eq!((a.len(), b.len()), (LENGTH, LENGTH));
        assert!(a.ends_with(b" GMT"));
    }
}
