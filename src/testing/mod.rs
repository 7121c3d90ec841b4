//! For tests of programs that use this crate: time that jumps, orders that can be replayed, streams without sockets.
//!
//! Needs the feature `testing`, which belongs into `[dev-dependencies]`.
//!
//! # Examples
//! ```
//! use greenloop::{sleep, testing};
//! use std::time::Duration;
//!
//! testing::virtual_time(|| {
//!     sleep(Duration::from_secs(600)); // takes no time
//!     assert_eq!(testing::elapsed(), Duration::from_secs(600));
//! });
//! ```

mod duplex;
mod guard;
mod seed;
mod time;

pub use duplex::{Duplex, duplex};
pub use guard::{assert_no_switch, assert_switches, wait_all_parked};
pub use seed::{for_each_seed, with_seed};
pub use time::{elapsed, virtual_time};
