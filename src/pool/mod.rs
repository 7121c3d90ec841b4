//! Many greenlets: together in a [`Group`], and a limited number at a time in a [`Pool`].

mod group;
mod map;
mod members;
#[expect(clippy::module_inception, reason = "one idea per file, named after it")]
mod pool;

use std::panic::{RefUnwindSafe, UnwindSafe};

pub use group::Group;
pub use map::{Imap, ImapUnordered};
pub use pool::{Pool, PoolFull};

// A panic finds nothing half done in here, and those of the members stay with them.
impl UnwindSafe for Group {}
impl RefUnwindSafe for Group {}
impl UnwindSafe for Pool {}
impl RefUnwindSafe for Pool {}
