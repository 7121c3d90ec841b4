//! Values that greenlets have for themselves, and values that they inherit: what
//! [`greenlet_local!`](crate::greenlet_local) and [`inherited!`](crate::inherited) declare.

mod inherited;
mod own;

pub use inherited::Inherited;
pub use own::{AccessError, LocalKey};
