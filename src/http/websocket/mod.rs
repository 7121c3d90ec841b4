//! WebSocket (RFC 6455), by tungstenite, on a connection that a handler has taken over or a client has opened.
//!
//! tungstenite turns bytes into messages and messages into bytes; here it does no input or output (`engine.rs`). A call on the stream may
//! switch greenlets, so nothing of the engine is borrowed meanwhile:
//!
//! ```text
//!   read  ◀── messages ◀── engine ◀── incoming ◀──────── stream.read       one greenlet at a time
//!                            │ pong, close
//!                            ▼
//!   send  ──▶ frames ────▶ outgoing ───────────────────▶ stream.write      whoever has the turn; many may want it
//! ```
//!
//! * A message is cut into frames of 64 KiB, and what the reader has to say (a pong, a close) goes between them. The greenlet that has the
//!   turn sends that as well; only if nobody has it does the reader write itself.
//! * A message that has begun is sent whole: who is killed while it writes leaves the rest in `outgoing`, and the next one who sends
//!   goes on there.
//! * Answers that cannot leave are bounded. A reader with too many of them waits for them to leave, which makes the peer wait.
//! * Compressed messages are plain ones to the engine: `deflate` is on either side of it.

mod client;
mod deflate;
mod engine;
mod error;
mod handshake;
mod message;
mod options;
mod session;
mod socket;

pub use self::error::WebSocketError;
pub use self::message::{Close, Message};
pub use self::options::WebSocketOptions;
pub use self::socket::{Messages, WebSocket};
