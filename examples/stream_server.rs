//! A server that tells each client its address. Try `nc localhost 1234`.
//!
//! Prints where it listens; the client gets `Your address is 127.0.0.1`. An argument is another address to listen on.

use greenloop::server::StreamServer;
use std::io::Write;

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1234".into());
    let server = StreamServer::bind(address)?
        .max_connections(10_000)
        .handle(|mut socket, peer| writeln!(socket, "Your address is {}", peer.ip()));
    server.start()?;
    println!("listening on {}", server.local_addr()?);
    server.serve_forever()
}
