//! Sends a datagram to `udp_server` and prints the answer.
//!
//! `cargo run --example udp_client -- Hello there`; with `--to 127.0.0.1:9001` in front it goes elsewhere.

use greenloop::net::{UdpSocket, lookup_host};
use std::net::SocketAddr;
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let address = match words.first().map(String::as_str) {
        Some("--to") if words.len() > 1 => words.drain(..2).nth(1),
        _ => None,
    };
    let (address, message) = (address.unwrap_or_else(|| "127.0.0.1:9000".into()), words.join(" "));

    let addresses = lookup_host(address)?;
    // Of the family of the one that answers: a socket has one.
    let local = if addresses.iter().all(SocketAddr::is_ipv6) { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(local)?;
    socket.connect(&*addresses)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let peer = socket.peer_addr()?;
    println!("sending {} bytes to {peer}", message.len());
    socket.send(message.as_bytes())?;
    let mut answer = [0; 8192];
    let count = socket.recv(&mut answer)?;
    println!("{peer}: got {:?}", String::from_utf8_lossy(&answer[..count]));
    Ok(())
}
