//! TLS over any stream, by rustls.
//!
//! A [`ClientConfig`] or a [`ServerConfig`] is made once; it turns each connected stream into a [`TlsStream`], which reads and
//! writes like the stream below it. Certificates are always verified: a server's against [`Roots`] and the name that was asked for,
//! a client's where the server demands one.
//!
//! Needs the feature `tls`. What is not offered here can be set in a configuration of [`rustls`] itself, which converts into
//! one of these.
//!
//! # Examples
//! ```
//! # let (certificate, key) = {
//! #     let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
//! #     (made.cert.pem(), made.signing_key.serialize_pem())
//! # };
//! use greenloop::net::{TcpListener, TcpStream};
//! use greenloop::{spawn, tls};
//! use std::io::{Read, Write};
//!
//! let identity = tls::Identity::from_pem(&certificate, &key)?; // or `from_files`
//! let server = tls::ServerConfig::builder().identity(identity).build()?;
//! let client = tls::ClientConfig::builder().roots(tls::Roots::from_pem(&certificate)?).build()?;
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let greeter = spawn(move || -> std::io::Result<()> {
//!     let mut stream = server.accept(listener.accept()?.0)?;
//!     stream.write_all(b"hello")?;
//!     stream.close_notify()
//! });
//! let mut text = String::new();
//! client.connect("localhost", TcpStream::connect(address)?)?.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # greeter.join().unwrap()?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod choice;
mod client;
mod handshake;
mod pem;
mod protocols;
mod sending;
mod server;
mod session;
mod shared;
mod stream;

pub use client::{ClientBuilder, ClientConfig};
pub use pem::{Identity, Roots};
/// The crate under this module, in the version that its types belong to.
pub use rustls;
pub use server::{ServerBuilder, ServerConfig};
pub use shared::SharedStream;
pub use stream::TlsStream;
