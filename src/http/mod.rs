//! An HTTP/1.1 server: a function from request to response, written as if every call blocked.
//!
//! ```no_run
//! use greenloop::http::{Body, Request, Server};
//!
//! # fn main() -> std::io::Result<()> {
//! Server::bind("127.0.0.1:8080")?.serve(|request: &mut Request<'_>| match request.path() {
//!     "/" => Body::from("Hello, World!"),
//!     _ => Body::stream((1..=3).map(|n| format!("line {n}\n"))),
//! })
//! # }
//! ```
//!
//! Each connection has its greenlet; a handler reads the body of its [`Request`] like a file and returns
//! anything that is a [`Response`] or becomes one ([`IntoResponse`]). Keep-alive, pipelining, chunked bodies
//! in both directions and `Expect: 100-continue` are taken care of, and [`Limits`] bound what a client may
//! cost.
//!
//! # Layers
//!
//! ```text
//!   router, test_client, workers             what is made of handlers and servers
//!   server, running                          listeners, from the start to the stop
//!   socket, stream, secure, gate, keeper     the library's sockets, TLS, greenlets that rest between requests
//!   connection, failure, deliver,            the exchange, over any `Transport`
//!   request_body
//!   io, desk                                 buffers: output before input, one read per wake-up
//!   file, static_files, sse, pairs           responses and requests of certain kinds
//!   head, framing, chunked, encode, date,    the protocol: bytes in, verdict out; no I/O
//!   ranges, conditions, percent
//! ```
//!
//! # Strictness
//!
//! What two readers of a message could understand differently is refused: lines must end with CR LF, header
//! lines must not be folded, `Content-Length` must be one decimal number and exclude `Transfer-Encoding`,
//! which must be `chunked`. A request without `Host` is accepted. After a fault the client gets one answer,
//! and nothing more that it has sent is interpreted.

mod access;
mod admission;
mod chunked;
mod conditions;
mod config;
mod connection;
mod date;
mod deadline;
mod deliver;
mod desk;
mod duplex_stream;
mod encode;
mod error;
mod failure;
mod file;
mod framing;
mod gate;
mod head;
mod io;
mod keeper;
mod limits;
mod media_type;
mod owned_body;
mod pairs;
mod params;
mod percent;
mod pieces;
mod ranges;
mod request;
mod request_body;
mod response;
mod response_body;
mod router;
mod running;
#[cfg(feature = "tls")]
mod secure;
mod server;
mod socket;
pub mod sse;
mod static_files;
mod stream;
mod test_client;
mod testing;
mod trailers;
mod transport;
mod upgrade;
#[cfg(feature = "websocket")]
mod websocket;
#[cfg(feature = "tls")]
mod whole_read;
mod workers;

pub use self::access::Access;
pub use self::config::Config;
pub use self::connection::serve_connection;
pub use self::duplex_stream::DuplexStream;
pub use self::error::{Error, Result};
pub use self::limits::Limits;
pub use self::owned_body::OwnedBody;
pub use self::pairs::Pairs;
pub use self::pieces::BodyWriter;
pub use self::request::Request;
pub use self::request_body::RequestBody;
pub use self::response::{Handler, IntoResponse, Response};
pub use self::response_body::Body;
pub use self::router::{Middleware, Router};
pub use self::running::RunningServer;
pub use self::server::Server;
pub use self::static_files::StaticFiles;
pub use self::test_client::{TestClient, TestRequest, TestResponse};
pub use self::testing::exchange;
pub use self::transport::{TlsInfo, Transport};
pub use self::upgrade::{UpgradeOutcome, Upgraded};
#[cfg(feature = "websocket")]
pub use self::websocket::{Close, Message, Messages, WebSocket, WebSocketError, WebSocketOptions};
pub use self::workers::workers;
pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
