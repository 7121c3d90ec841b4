//! The limits of the system which stack memory runs into.

#[cfg(not(target_os = "openbsd"))]
use std::mem::MaybeUninit;

/// How many areas of memory a process may have, where the system counts them: `vm.max_map_count` of Linux.
pub(crate) fn max_map_count() -> Option<usize> {
    setting("/proc/sys/vm/max_map_count")
}

/// How many areas of memory this process has now, where the system tells it.
pub(crate) fn map_count() -> Option<usize> {
    let maps = std::fs::read("/proc/self/maps").ok()?;
    Some(maps.iter().filter(|&&byte| byte == b'\n').count())
}

/// Whether the system counts reserved memory as used: `vm.overcommit_memory` of Linux is 2.
pub(crate) fn counts_reserved_memory() -> bool {
    setting("/proc/sys/vm/overcommit_memory") == Some(2)
}

/// The address space that this process may have: `RLIMIT_AS`, unless it is unlimited.
#[cfg(not(target_os = "openbsd"))]
pub(crate) fn address_space() -> Option<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the call fills the structure it is given, or fails.
    let limit = unsafe {
        if libc::getrlimit(libc::RLIMIT_AS, limit.as_mut_ptr()) != 0 {
            return None;
        }
        limit.assume_init()
    };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur as u64)
}

/// OpenBSD does not limit the address space.
#[cfg(target_os = "openbsd")]
pub(crate) fn address_space() -> Option<u64> {
    None
}

/// A number in a file of the kernel.
fn setting(path: &str) -> Option<usize> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
