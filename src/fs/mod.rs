//! Files with the names and shapes of `std::fs`, whose calls park the greenlet instead of blocking the thread.
//!
//! No system has files that say when they are ready: a call on one blocks its thread. So calls here run on a thread of the
//! default [pool](crate::threadpool()), at most ten at a time, and only the greenlet waits. That costs some microseconds per call, so
//! `std::io::BufReader` and `BufWriter` are worth even more than elsewhere. The exception: a [`File`]'s `read`, `read_exact`, `read_at` and
//! `read_exact_at` of up to 128 KiB first ask Linux for what is in memory (`preadv2` with `RWF_NOWAIT`), and go to the pool for the rest.
//!
//! A greenlet that is killed, or out of time, while it waits for a call that only *looks* (opening a file is one, also if it
//! makes the file) goes at once, and the call is left to itself. One that waits for a call that reads into its memory, writes from it,
//! or changes the file system, learns of it when the call is done and has given its result: so no byte is lost. A thread
//! that blocks for ever, as on a FIFO whose other end nobody opens, is lost to the pool.
//!
//! In a destructor run by a panic or a kill, which does not wait, the calls are made at once and block the thread.
//!
//! **Switches**: all that ask the system for something; reads of what is in memory only now and then, so that others get their turn; not
//! `drop`, which closes the file at once.
//!
//! # Errors
//! Those of `std::fs`, with their kind; the text names the path.
//!
//! # Examples
//! ```
//! use greenloop::fs;
//! # let folder = std::env::temp_dir().join(format!("greenloop-fs-{}", std::process::id()));
//!
//! fs::create_dir_all(&folder)?;
//! fs::write(folder.join("greeting"), "hello")?;
//! assert_eq!(fs::read_to_string(folder.join("greeting"))?, "hello");
//! fs::remove_dir_all(&folder)?;
//!
//! let error = fs::read(folder.join("greeting")).unwrap_err();
//! assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
//! assert!(error.to_string().contains("greeting"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod builder;
mod cached;
mod directory;
mod file;
mod hop;
mod lock;
mod options;
mod path;
mod places;
mod position;

pub use builder::DirBuilder;
pub use directory::{DirEntry, ReadDir, read_dir};
pub use file::File;
#[cfg(feature = "http")]
pub(crate) use hop::{cannot, look};
pub use lock::TryLockError;
pub use options::OpenOptions;
pub use path::{
    canonicalize, copy, create_dir, create_dir_all, exists, hard_link, metadata, read, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions, symlink,
    symlink_metadata, write,
};
pub use std::fs::{FileTimes, FileType, Metadata, Permissions};
