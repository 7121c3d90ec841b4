//! Compressed messages: permessage-deflate (RFC 7692), which tungstenite does not know, on either side of it.
//!
//! ```text
//!   read  ◀── tungstenite ◀── plain frames ◀── incoming ◀── frames, of a compressed message with RSV1
//!                                                 │ inflate, a piece at a time
//!
//!   send  ──▶ outgoing: deflate a piece ──▶ tungstenite: a frame with RSV1 ──▶
//! ```
//!
//! * `extensions` reads the header in which both sides say what they can do, `agreement` draws the conclusion.
//! * `incoming` makes plain frames of compressed ones, only as fast as they are taken: the limits of a plain message hold for what comes out,
//!   and a bomb is refused before it has grown.
//! * Every message begins with an empty window, in both directions: both sides say `no_context_takeover`. So the memory to inflate and to
//!   deflate belongs to a message in progress, and idle connections have none. What was used last is kept for the next message of the thread.

mod agreement;
mod extensions;
mod incoming;
mod inflate;
mod outgoing;

pub(super) use self::agreement::{Agreement, OFFER, accept, check_answer};
pub(super) use self::incoming::{Fault, Incoming};
pub(super) use self::outgoing::Deflating;
