//! The system calls: the only folder that talks to the kernel.
#![allow(unsafe_code)]

mod altstack;
pub(crate) mod descriptor;
pub(crate) mod driver;
pub(crate) mod file;
pub(crate) mod limits;
pub(crate) mod listen;
pub(crate) mod memory;
pub(crate) mod overflow;
pub(crate) mod poll_set;
pub(crate) mod process;
pub(crate) mod shared;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod thread;
pub(crate) mod time;
pub(crate) mod transfer;
pub(crate) mod unix_socket;
