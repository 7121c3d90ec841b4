//! Threads.

/// Is this the thread whose end is the end of the process? Elsewhere than on Linux it cannot be told: no.
pub(crate) fn is_main() -> bool {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: neither call has a precondition.
        unsafe { libc::getpid() == libc::gettid() }
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn another_thread_is_not_the_main_one() {
        assert!(!std::thread::spawn(super::is_main).join().unwrap());
    }
}
