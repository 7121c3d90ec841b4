//! The floors: what is left when everything is taken away that makes a library.
//!
//! `switch` and `spawn` are bare coroutines: no kills, no deadlines, no panics, no reports. `echo` and `http` are one
//! epoll loop without tasks, `workers` several of them in threads; `http` finds the ends of heads and does not parse them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};
use memchr::memmem::Finder;
use peers::measure::Stopwatch;
use peers::sockets::{self, EventFlags, Poll};
use peers::{Arguments, fail};
use rustix::io::{Errno, read, write};

type Bare = Coroutine<(), (), ()>;

fn main() {
    let arguments = Arguments::new();
    match arguments.command() {
        "switch" => {
            switch(arguments.number(1, 10_000_000));
            switch_through_queue(arguments.number(1, 10_000_000));
        }
        "spawn" => spawn(arguments.number(1, 1_000_000), arguments.number(2, 1000)),
        "echo" => serve(sockets::listen(arguments.port()), Echo, ROOM),
        "workers" => {
            let room = arguments.number(3, ROOM as u64) as usize;
            workers(arguments.port(), arguments.number(2, 2), room);
        }
        "http" => serve(sockets::listen(arguments.port()), Http::new(), ROOM),
        _ => fail("commands: switch spawn echo workers http"),
    }
}

fn workers(port: u16, count: u64, room: usize) {
    std::thread::scope(|scope| {
        for listener in sockets::listen_together(port, count) {
            scope.spawn(move || serve(listener, Echo, room));
        }
    });
}

fn stack() -> DefaultStack {
    DefaultStack::new(64 * 1024).expect("there is memory for a few stacks")
}

fn switch(count: u64) {
    let mut coroutine = Bare::with_stack(stack(), move |yielder, ()| {
        for _ in 0..count {
            yielder.suspend(());
        }
    });
    let watch = Stopwatch::start();
    while let CoroutineResult::Yield(()) = coroutine.resume(()) {}
    watch.report("switch/floor: coroutine", count);
}

fn switch_through_queue(count: u64) {
    let task = |_| {
        Bare::with_stack(stack(), move |yielder, ()| {
            for _ in 0..count / 2 {
                yielder.suspend(());
            }
        })
    };
    let mut queue: VecDeque<Bare> = (0..2).map(task).collect();
    let watch = Stopwatch::start();
    while let Some(mut coroutine) = queue.pop_front() {
        if let CoroutineResult::Yield(()) = coroutine.resume(()) {
            queue.push_back(coroutine);
        }
    }
    watch.report("switch/floor: run queue", count);
}

fn spawn(count: u64, window: u64) {
    let ran = Rc::new(Cell::new(0));
    let mut stacks: Vec<DefaultStack> = (0..window).map(|_| stack()).collect();
    let mut queue: VecDeque<Bare> = VecDeque::with_capacity(window as usize);
    let watch = Stopwatch::start();
    for _ in 0..count / window {
        for _ in 0..window {
            let ran = ran.clone();
            let stack = stacks.pop().unwrap_or_else(stack);
            queue.push_back(Coroutine::with_stack(stack, move |_, ()| ran.set(ran.get() + 1)));
        }
        while let Some(mut coroutine) = queue.pop_front() {
            coroutine.resume(());
            stacks.push(coroutine.into_stack());
        }
    }
    watch.report("spawn/floor: pooled stacks", count);
    assert_eq!(ran.get(), count);
}

/// A protocol: what is answered to the bytes of a connection.
trait Protocol {
    /// Appends to `answer` what `input` asks for; gives how much of `input` has been used.
    fn answer(&self, input: &[u8], answer: &mut Vec<u8>) -> usize;
}

struct Echo;

impl Protocol for Echo {
    fn answer(&self, input: &[u8], answer: &mut Vec<u8>) -> usize {
        answer.extend_from_slice(input);
        input.len()
    }
}

struct Http {
    end_of_head: Finder<'static>,
}

impl Http {
    const RESPONSE: &'static [u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

    fn new() -> Http {
        Http { end_of_head: Finder::new(b"\r\n\r\n") }
    }
}

impl Protocol for Http {
    fn answer(&self, input: &[u8], answer: &mut Vec<u8>) -> usize {
        let mut used = 0;
        while let Some(end) = self.end_of_head.find(&input[used..]) {
            used += end + 4;
            answer.extend_from_slice(Http::RESPONSE);
        }
        used
    }
}

struct Connection {
    socket: OwnedFd,
    /// Input that is no whole request yet.
    input: Vec<u8>,
    /// Output that the socket did not take.
    output: Vec<u8>,
    /// The peer has closed its side: read until the end.
    is_closing: bool,
}

/// The buffers that all connections share.
struct Scratch {
    input: Vec<u8>,
    output: Vec<u8>,
}

const LISTENER: u64 = u64::MAX;
/// How much a server reads at once.
const ROOM: usize = 64 * 1024;

fn serve(listener: OwnedFd, protocol: impl Protocol, room: usize) {
    sockets::raise_file_limit();
    let mut poll = Poll::new();
    poll.add(&listener, LISTENER, EventFlags::IN);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut scratch = Scratch { input: vec![0; room], output: Vec::new() };
    let mut has_clients = false;
    loop {
        for (key, flags) in poll.wait(None) {
            if key == LISTENER {
                has_clients = true;
                continue;
            }
            let Some(Some(connection)) = connections.get_mut(key as usize) else { continue };
            if connection.is_ready(flags, &protocol, &mut scratch).is_err() {
                connections[key as usize] = None;
            }
        }
        if std::mem::take(&mut has_clients) {
            while let Some(socket) = sockets::accept(&listener) {
                let key = adopt(&mut connections, socket);
                let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP;
                poll.add(
                    &connections[key].as_ref().expect("it was just put there").socket,
                    key as u64,
                    interest,
                );
            }
        }
    }
}

/// Puts a new connection where its descriptor points.
fn adopt(connections: &mut Vec<Option<Connection>>, socket: OwnedFd) -> usize {
    let key = std::os::fd::AsRawFd::as_raw_fd(&socket) as usize;
    if connections.len() <= key {
        connections.resize_with(key + 1, || None);
    }
    let (input, output) = (Vec::new(), Vec::new());
    connections[key] = Some(Connection { socket, input, output, is_closing: false });
    key
}

impl Connection {
    /// Takes what has come and answers it. An error ends the connection.
    fn is_ready(
        &mut self,
        flags: EventFlags,
        protocol: &impl Protocol,
        scratch: &mut Scratch,
    ) -> Result<(), Errno> {
        if !self.output.is_empty() {
            let sent = send(&self.socket, &self.output)?;
            self.output.drain(..sent);
        }
        let closed = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        self.is_closing |= flags.intersects(closed);
        if !flags.intersects(EventFlags::IN | closed) {
            return Ok(());
        }
        loop {
            let room = scratch.input.len();
            let count = match read(&self.socket, &mut scratch.input[..]) {
                Ok(0) => return Err(Errno::PIPE),
                Ok(count) => count,
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error),
            };
            self.answer(count, protocol, scratch)?;
            // A short read has taken all there was; the end of the input makes another event.
            if count < room && !self.is_closing {
                return Ok(());
            }
        }
    }

    fn answer(&mut self, count: usize, protocol: &impl Protocol, scratch: &mut Scratch) -> Result<(), Errno> {
        let Scratch { input, output } = scratch;
        let input = &input[..count];
        output.clear();
        if self.input.is_empty() {
            let used = protocol.answer(input, output);
            self.input.extend_from_slice(&input[used..]);
        } else {
            self.input.extend_from_slice(input);
            let used = protocol.answer(&self.input, output);
            self.input.drain(..used);
        }
        if output.is_empty() {
            return Ok(());
        }
        let sent = if self.output.is_empty() { send(&self.socket, output)? } else { 0 };
        self.output.extend_from_slice(&output[sent..]);
        Ok(())
    }
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    match write(socket, bytes) {
        Err(Errno::AGAIN) => Ok(0),
        result => result,
    }
}
