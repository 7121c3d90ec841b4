//! Forwards connections to another address: `port_forwarder 127.0.0.1:8080 example.org:80`.
//!
//! On SIGTERM or Ctrl-C it stops listening, lets the connections that live go on until they end, and then ends itself. A
//! second signal ends them at once.

use greenloop::net::TcpStream;
use greenloop::server::StreamServer;
use greenloop::{scope, signal, spawn};
use std::io;
use std::net::Shutdown;
use std::time::Duration;

/// Copies until `from` ends, and tells `to` so.
fn pump(mut from: &TcpStream, mut to: &TcpStream) {
    let how = match io::copy(&mut from, &mut to) {
        Ok(_) => Shutdown::Write,
        // One of them is broken, so the other direction ends as well.
        Err(_) => {
            let _ = from.shutdown(Shutdown::Both);
            Shutdown::Both
        }
    };
    let _ = to.shutdown(how);
}

fn forward(client: &TcpStream, target: &str) -> io::Result<()> {
    let target = TcpStream::connect(target)?;
    scope(|scope| {
        scope.spawn(|| pump(client, &target));
        pump(&target, client);
    });
    Ok(())
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, target] = &arguments[..] else {
        eprintln!("usage: port_forwarder ADDRESS TARGET");
        std::process::exit(2);
    };
    let stop = signal::on_termination()?;
    let server = StreamServer::bind(address)?.handle({
        let target = target.clone();
        move |client, _| forward(&client, &target)
    });
    server.start()?;
    println!("listening on {}", server.local_addr()?);
    spawn({
        let server = server.clone();
        move || {
            let signal = stop.wait()?;
            println!("{signal}: no more connections, {} left", server.connections());
            let draining = server.clone();
            spawn(move || draining.stop(Duration::MAX));
            stop.wait()?;
            server.stop(Duration::ZERO);
            io::Result::Ok(())
        }
    });
    server.serve_forever()
}
