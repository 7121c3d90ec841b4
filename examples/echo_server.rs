//! Sends back every line, until a client says `quit`: `echo_server [ADDRESS [PATH]]`, on a port and on a Unix socket.
//!
//! Try `nc localhost 16000`, and `socat - UNIX-CONNECT:PATH`. Ctrl-C or SIGTERM stop it; clients have a second to finish.

use greenloop::net::{UnixListener, UnixStream};
use greenloop::server::StreamServer;
use greenloop::{signal, spawn};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Duration;

/// One client. Reading and writing go through references, so both can be used at once.
fn echo<S>(stream: &S) -> io::Result<()>
where
    for<'a> &'a S: Read + Write,
{
    let mut writer = stream;
    writer.write_all(b"Welcome to the echo server! Type quit to exit.\r\n")?;
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        if line.trim_ascii().eq_ignore_ascii_case(b"quit") {
            return writer.write_all(b"Bye.\r\n");
        }
        writer.write_all(&line)?;
        line.clear();
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:16000".into());
    let stop = signal::on_termination()?;
    let server = StreamServer::bind(address)?.handle(|socket, _| echo(&socket));
    server.start()?;
    println!("listening on {}", server.local_addr()?);
    let local = match arguments.next() {
        None => None,
        Some(path) => {
            let listener = UnixListener::bind(&path)?;
            let server = StreamServer::from_listener(listener)?.handle(|socket: UnixStream, _| echo(&socket));
            server.start()?;
            println!("listening on {path}");
            Some((server, path))
        }
    };
    let signal = stop.wait()?;
    println!("{signal}: no more clients, {} left", server.connections());
    let stopping = spawn(move || server.stop(Duration::from_secs(1)));
    if let Some((server, path)) = local {
        server.stop(Duration::from_secs(1));
        std::fs::remove_file(path)?;
    }
    let _ = stopping.join();
    Ok(())
}
