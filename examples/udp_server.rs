//! Tells the sender of each datagram how long it was. `cargo run --example udp_client -- Hello` talks to it.
//!
//! An argument is another address than `127.0.0.1:9000` to receive at.

use greenloop::server::DatagramServer;

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9000".into());
    let server = DatagramServer::bind(address)?.handle(|data, peer| {
        println!("{}: got {:?}", peer.addr(), String::from_utf8_lossy(data));
        peer.reply(format!("Received {} bytes", data.len()).as_bytes())
    });
    println!("receiving datagrams at {}", server.local_addr()?);
    server.serve_forever()
}
