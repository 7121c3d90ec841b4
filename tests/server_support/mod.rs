//! What the tests of servers share.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use crate::net_support::{PROMPT, ms};
use greenloop::event::Event;
use greenloop::net::TcpStream;
use greenloop::server::{Listener, Outcome, StreamServer};
use greenloop::{Handle, SpawnHook, on_spawn, sleep};

/// Answers each byte with the next one, until the peer ends.
pub(crate) fn next_byte(mut stream: TcpStream, _: SocketAddr) -> io::Result<()> {
    let mut byte = [0];
    while stream.read(&mut byte)? > 0 {
        stream.write_all(&[byte[0] + 1])?;
    }
    Ok(())
}

pub(crate) fn serve<R: Outcome>(
    handler: impl Fn(TcpStream, SocketAddr) -> R + 'static,
) -> (StreamServer, SocketAddr) {
    let server = StreamServer::bind("127.0.0.1:0").unwrap().handle(handler);
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PROMPT)).unwrap();
    client
}

pub(crate) fn ask(mut client: &TcpStream, byte: u8) -> io::Result<u8> {
    client.write_all(&[byte])?;
    answer(client)
}

pub(crate) fn answer(mut client: &TcpStream) -> io::Result<u8> {
    let mut answer = [0];
    client.read_exact(&mut answer)?;
    Ok(answer[0])
}

/// Does nobody answer? What was asked stays asked.
pub(crate) fn is_left_waiting(client: &TcpStream) -> bool {
    client.set_read_timeout(Some(ms(30))).unwrap();
    let nothing = answer(client).is_err_and(|error| error.kind() == ErrorKind::TimedOut);
    client.set_read_timeout(Some(PROMPT)).unwrap();
    nothing
}

pub(crate) fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Waits until `happened`, which must be soon.
#[track_caller]
pub(crate) fn until(happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PROMPT, "it does not happen");
        sleep(ms(1));
    }
}

/// The acceptors that are spawned while it lives; the last one is kept.
pub(crate) struct Acceptors {
    last: Rc<Cell<Option<Handle>>>,
    _hook: SpawnHook,
}

impl Acceptors {
    pub(crate) fn watch() -> Acceptors {
        let last = Rc::new(Cell::new(None));
        let hook = on_spawn({
            let last = last.clone();
            move |greenlet| {
                if greenlet.name().as_deref() == Some("acceptor") {
                    last.set(Some(greenlet.clone()));
                }
            }
        });
        Acceptors { last, _hook: hook }
    }

    pub(crate) fn last(&self) -> Handle {
        let last = self.last.take().expect("an acceptor was spawned");
        self.last.set(Some(last.clone()));
        last
    }
}

/// Gives numbered connections without any socket, as `next` says, and waits for ever when that gives `None`.
pub(crate) struct Script<F> {
    next: F,
    asked: Cell<u32>,
}

impl<F: Fn(u32) -> Option<io::Result<()>> + 'static> Script<F> {
    pub(crate) fn new(next: F) -> Script<F> {
        Script { next, asked: Cell::new(0) }
    }
}

impl<F: Fn(u32) -> Option<io::Result<()>> + 'static> Listener for Script<F> {
    type Stream = u32;
    type Addr = &'static str;

    fn accept(&self) -> io::Result<(u32, &'static str)> {
        let number = self.asked.get();
        match (self.next)(number) {
            Some(outcome) => {
                self.asked.set(number + 1);
                outcome.map(|()| (number, "a script"))
            }
            None => {
                Event::new().wait();
                unreachable!("nobody sets this event")
            }
        }
    }

    fn local_addr(&self) -> io::Result<&'static str> {
        Ok("nowhere")
    }
}
