//! Points in time by which something has to be done, and how fast it is done. The only place of this module that reads the
//! monotonic clock.

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

/// How long something takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// How many bytes come while somebody waits for them. What the reader does between its reads does not count.
#[derive(Debug)]
pub(crate) struct Pace {
    /// What has to come in one window.
    least: u64,
    window: Duration,
    waited: Duration,
    came: u64,
}

impl Pace {
    /// At least so many bytes a second, on average over a window. `None` where any pace will do.
    pub(crate) fn new(bytes_per_second: u32, window: Duration) -> Option<Pace> {
        let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let least = millis.saturating_mul(u64::from(bytes_per_second)) / 1000;
        (least > 0).then_some(Pace { least, window, waited: Duration::ZERO, came: 0 })
    }

    /// How much of the window is left.
    pub(crate) fn left(&self) -> Duration {
        self.window.saturating_sub(self.waited)
    }

    /// Counts a wait that has brought so many bytes. False if a window has passed with fewer than there had to be.
    pub(crate) fn note(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.came = self.came.saturating_add(bytes);
        if self.waited < self.window {
            return true;
        }
        let is_enough = self.came >= self.least;
        (self.waited, self.came) = (Duration::ZERO, 0);
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_or_not_in_each_window() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(10, 2 * second).unwrap();
        assert!(pace.note(second, 5) && pace.left() == second);
        assert!(pace.note(second, 15) && pace.left() == 2 * second);
        assert!(pace.note(second, 0));
        assert!(!pace.note(second, 19));
        assert!(Pace::new(0, second).is_none() && Pace::new(10, Duration::ZERO).is_none());
        assert!(Pace::new(u32::MAX, Duration::MAX).unwrap().note(second, 0));
    }

    #[test]
    fn no_time_never_passes_and_no_time_left_has_passed() {
        assert_eq!(Deadline::after(None).left().unwrap(), None);
        assert_eq!(Deadline::after(Some(Duration::MAX)).left().unwrap(), None);
        assert!(Deadline::after(Some(Duration::ZERO)).left().is_err());
        assert!(Deadline::after(Some(Duration::from_secs(60))).left().unwrap().is_some());
    }
}
