//! The names under which users look for what belongs to a hub. They are made by layers above it, which this module lends its name to
//! and does not use.

pub use crate::sync::remote;
pub use crate::threadpool::threadpool;
