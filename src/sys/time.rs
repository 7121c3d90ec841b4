//! Clocks.

/// Nanoseconds on the system's monotonic clock; 584 years fit.
///
/// By libc: `Instant::elapsed` computes more, which is felt where a timer is armed and cancelled, and rustix looks for the
/// kernel's vDSO in a way that does not work under Valgrind.
#[inline]
pub(crate) fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec of ours that lives over the call; the call writes it and nothing else. It does not fail:
    // every Unix that this compiles for has the monotonic clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Seconds since 1970, as of the system's last tick: some milliseconds old, and a quarter of the price.
#[cfg(feature = "http")]
#[inline]
pub(crate) fn coarse_unix_seconds() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_REALTIME_COARSE;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: libc::clockid_t = libc::CLOCK_REALTIME;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec of ours that lives over the call; the call writes it and nothing else. It does not fail: every
    // system has its clock.
    unsafe { libc::clock_gettime(CLOCK, &raw mut time) };
    time.tv_sec as u64
}
