//! Many greenlets: together in a [`Group`], and a limited number at a time in a [`Pool`].

mod group;
mod map;
mod members;
#[expect(clippy::module_inception, reason = "one idea per file, named after it")]
mod pool;

pub use group::Group;
pub use map::{Imap, ImapUnordered};
pub use pool::{Pool, PoolFull};
