//! Many greenlets, a limited number at a time.

mod map;
#[expect(clippy::module_inception, reason = "one idea per file, named after it")]
mod pool;

pub use map::{Imap, ImapUnordered};
pub use pool::{Pool, PoolFull};
