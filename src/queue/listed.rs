//! What `select!` and `wait` need of queues of all kinds.

#![allow(private_interfaces, reason = "nobody outside can name the lists, nor reach these traits")]

use std::fmt::Debug;

use super::{GetError, PutError};
use crate::waitlist::WaitList;

/// Something that items are got from.
pub trait Source: Debug {
    type Item;

    /// Would a `get` succeed, or find that nothing will ever come?
    fn is_ready(&self) -> bool;

    fn try_get(&self) -> Result<Self::Item, GetError>;

    fn getters(&self) -> &WaitList;
}

/// Something with room for items.
pub trait Sink: Debug {
    type Item;

    /// Would a `put` succeed, or find that nothing will ever be taken?
    fn has_room(&self) -> bool;

    fn try_put(&self, item: Self::Item) -> Result<(), PutError<Self::Item>>;

    fn putters(&self) -> &WaitList;
}
