//! Child processes.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;

/// A descriptor that becomes readable when the child ends. None where the system has no such thing, or has none to give.
pub(crate) fn descriptor(child: &Child) -> Option<OwnedFd> {
    #[cfg(all(target_os = "linux", not(greenloop_sigchld)))]
    {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        // Nobody else has reaped the child, so the number is its own. One that has ended can be opened as well.
        pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok()
    }
    #[cfg(not(all(target_os = "linux", not(greenloop_sigchld))))]
    {
        let _ = child;
        None
    }
}

/// Sends a signal to a child that has not been reaped: its number is its own until then.
pub(crate) fn send(child: &Child, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved.
    match unsafe { libc::kill(child.id() as libc::pid_t, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
