//! Waiting for several unlike things at once.

mod iwait;
pub mod select;
mod waitable;

pub use iwait::{Iwait, iwait, wait, wait_any, wait_any_timeout, wait_timeout};
pub use waitable::Waitable;
pub(crate) use waitable::sealed::Listed;
