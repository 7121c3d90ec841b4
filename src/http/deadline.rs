//! A point in time by which something has to be done. The only place of this module that reads the monotonic
//! clock.

use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

/// The deadline has passed.
#[derive(Debug)]
pub(crate) struct Passed;

impl Deadline {
    /// `None`, or a time too far away to be counted, means never.
    pub(crate) fn after(time: Option<Duration>) -> Deadline {
        Deadline(time.and_then(|time| Instant::now().checked_add(time)))
    }

    /// The time left, as a timeout for the next read.
    pub(crate) fn left(&self) -> Result<Option<Duration>, Passed> {
        let Some(at) = self.0 else { return Ok(None) };
        match at.checked_duration_since(Instant::now()) {
            None | Some(Duration::ZERO) => Err(Passed),
            left => Ok(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_never_passes_and_no_time_left_has_passed() {
        assert_eq!(Deadline::after(None).left().unwrap(), None);
        assert_eq!(Deadline::after(Some(Duration::MAX)).left().unwrap(), None);
        assert!(Deadline::after(Some(Duration::ZERO)).left().is_err());
        assert!(Deadline::after(Some(Duration::from_secs(60))).left().unwrap().is_some());
    }
}
