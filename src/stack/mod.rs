//! Stack memory: where the frames of greenlets live.
//!
//! A *slab* is one mapping that holds many stacks of one size, side by side. The lowest page of each stack is
//! its guard, which nothing can touch: a frame that grows past the end of its stack meets the guard, never the
//! neighbour. The whole slab is mapped at once, without reserving memory, so that a stack costs what it has
//! touched; its guard is set when the stack is first handed out.
//!
//! ```text
//!             slab (one mapping)
//!  lower ┌───────┬───────────────────┬───────┬───────────────────┬─ ─ ─┬─────────────────┐ higher
//!        │ guard │ <── frames        │ guard │ <── frames        │     │ not carved yet  │ addresses
//!        └───────┴───────────────────┴───────┴───────────────────┴─ ─ ─┴─────────────────┘
//!        ^                         ^ ^
//!        limit                  base │ top of the stack: the base lies 0 to 15 times 64 bytes below it
//!        └──────────── size ─────────┘
//! ```
//!
//! The *colour*, the distance of the base from the top, keeps the hot frames of many parked greenlets from
//! falling into the same few sets of the processor's cache. For the same reason, as to its translation buffer,
//! stacks of an even number of pages have a page between them. Nothing else is written to a stack: what must be
//! known about it lives in its [`Stack`], so that a free stack costs no memory of its own.
//!
//! The invariants, and who keeps them:
//!
//! - A [`Stack`] is the only owner of its memory: `slab` hands out each part of a mapping once, and a `Stack`
//!   cannot be copied.
//! - A mapping outlives its stacks: each `Stack` holds a share of its slab, and the last share unmaps it. So a
//!   pool may go before its stacks, and a stack that is forgotten keeps its slab for ever.
//! - Every stack has a guard. Where none can be had, there is no stack, but an error that says what to do.
#![allow(unsafe_code)]

mod class;
mod guard;
mod pool;
mod shortage;
mod size;
mod slab;
#[cfg(test)]
mod tests;

pub(crate) use pool::StackPool;
pub(crate) use size::DEFAULT_STACK_SIZE;
#[cfg(test)]
pub(crate) use size::MIN_STACK_SIZE;
pub(crate) use slab::Stack;
