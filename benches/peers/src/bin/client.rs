//! The load client: one thread, raw epoll, nothing of greenloop.
//!
//! ```text
//! client echo   --addr A --conns N --dur SECONDS [--depth D] [--pid SERVER]   D messages of 64 bytes under way on each
//! client stream --addr A --conns N --timeout SECONDS              N requests at once, each on a connection of its own
//! ```

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use peers::measure::{Stopwatch, cpu_time_of, line};
use peers::sockets::{self, EventFlags, Poll};
use peers::{Arguments, fail};
use rustix::io::{Errno, read, write};

/// The size of a message of `echo`.
const SIZE: usize = 64;
/// What `echo` does before it begins to measure.
const WARM_UP: Duration = Duration::from_millis(400);
/// Connections of `echo` that are begun and not yet made.
const CONNECTING: usize = 256;

fn main() {
    sockets::raise_file_limit();
    let arguments = Arguments::new();
    let Some(address) = arguments.option("addr") else { fail("--addr is needed, as in 127.0.0.1:8080") };
    let connections = arguments.option("conns").unwrap_or(50);
    match arguments.command() {
        "echo" => {
            let time = Duration::from_secs_f64(arguments.option("dur").unwrap_or(3.0));
            let depth = arguments.option("depth").unwrap_or(1);
            Echo::new(&address, connections, depth).run(time, arguments.option("pid"));
        }
        "stream" => {
            let time = Duration::from_secs_f64(arguments.option("timeout").unwrap_or(30.0));
            Stream::new(&address, connections).run(time);
        }
        _ => fail("commands: echo stream"),
    }
}

fn begin(address: &SocketAddrV4) -> OwnedFd {
    sockets::connect(address).unwrap_or_else(|error| fail(&format!("cannot connect to {address}: {error}")))
}

/// Prints the distribution of times, in `unit`s of which a second has `per_second`.
fn report(times: &mut [Duration], per_second: f64, unit: &str) {
    times.sort();
    let in_unit = |time: &Duration| time.as_secs_f64() * per_second;
    let (Some(max), Some(p50), Some(p99)) =
        (times.last(), times.get(times.len() / 2), times.get(times.len() * 99 / 100))
    else {
        return;
    };
    line("mean", times.iter().sum::<Duration>().as_secs_f64() * per_second / times.len() as f64, unit);
    line("p50", in_unit(p50), unit);
    line("p99", in_unit(p99), unit);
    line("max", in_unit(max), unit);
}

/// The closed loop: on each connection, as many messages under way as its depth.
struct Echo {
    poll: Poll,
    callers: Vec<Caller>,
    /// Room for all that one connection may have under way.
    scratch: Vec<u8>,
    errors: u64,
}

/// Messages carry the number of their connection and a number of their own, so that each answer can be checked.
struct Caller {
    socket: OwnedFd,
    number: u64,
    sent: u64,
    received: u64,
    /// The beginning of an answer that is not whole yet.
    part: Vec<u8>,
    /// When the last messages were sent.
    since: Instant,
}

impl Caller {
    fn message(&self, serial: u64) -> [u8; SIZE] {
        let mut message = [0x5a; SIZE];
        message[..8].copy_from_slice(&self.number.to_le_bytes());
        message[8..16].copy_from_slice(&serial.to_le_bytes());
        message
    }

    /// Sends so many messages in one piece.
    fn send(&mut self, count: usize, scratch: &mut [u8], now: Instant) -> bool {
        let block = &mut scratch[..count * SIZE];
        for (message, serial) in block.chunks_exact_mut(SIZE).zip(self.sent..) {
            message.copy_from_slice(&self.message(serial));
        }
        self.sent += count as u64;
        self.since = now;
        write(&self.socket, &*block) == Ok(block.len())
    }

    /// Reads what has come; gives the number of whole answers.
    fn receive(&mut self, scratch: &mut [u8]) -> Result<usize, Errno> {
        let begun = self.part.len();
        scratch[..begun].copy_from_slice(&self.part);
        let count = match read(&self.socket, &mut scratch[begun..]) {
            Ok(0) => return Err(Errno::PIPE),
            Ok(count) => begun + count,
            Err(Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(error),
        };
        let answers = scratch[..count].chunks_exact(SIZE);
        self.part.clear();
        self.part.extend_from_slice(answers.remainder());
        let whole = answers.len();
        let is_right = answers.zip(self.received..).all(|(answer, serial)| *answer == self.message(serial));
        self.received += whole as u64;
        if is_right { Ok(whole) } else { Err(Errno::BADMSG) }
    }
}

impl Echo {
    fn new(address: &SocketAddrV4, count: usize, depth: usize) -> Echo {
        let mut poll = Poll::new();
        let mut callers: Vec<Caller> = Vec::with_capacity(count);
        let mut made = 0;
        while made < count {
            while callers.len() < count && callers.len() - made < CONNECTING {
                let (socket, number) = (begin(address), callers.len() as u64);
                poll.add(&socket, number, EventFlags::OUT);
                let (sent, received, since) = (0, 0, Instant::now());
                callers.push(Caller { socket, number, sent, received, part: Vec::new(), since });
            }
            for (key, _) in poll.wait(None) {
                if !sockets::is_connected(&callers[key as usize].socket) {
                    fail(&format!("{address} refuses connections"));
                }
                made += 1;
            }
        }
        // Events of writing are of no interest from here on.
        let poll = Poll::new();
        for (key, caller) in callers.iter().enumerate() {
            // The client is to cost little beside the server: it is not woken for each answer.
            sockets::wake_at(&caller.socket, depth.div_ceil(2) * SIZE);
            poll.add(&caller.socket, key as u64, EventFlags::IN);
        }
        let mut scratch = vec![0; (depth + 1) * SIZE];
        let now = Instant::now();
        let errors = callers.iter_mut().map(|caller| u64::from(!caller.send(depth, &mut scratch, now))).sum();
        Echo { poll, callers, scratch, errors }
    }

    fn run(mut self, time: Duration, server: Option<i32>) {
        self.turn_until(Instant::now() + WARM_UP);
        if self.errors > 0 {
            fail(&format!("{} errors before the measurement began", self.errors));
        }
        let server_cpu = || server.map_or(Duration::ZERO, cpu_time_of);
        let (watch, before) = (Stopwatch::start(), server_cpu());
        let (mut times, count) = self.turn_until(Instant::now() + time);
        let (wall, after) = (watch.wall().as_secs_f64(), server_cpu());
        let client = watch.cpu().0 + watch.cpu().1;
        let count = count as f64;
        line("rps", count / wall, "req/s");
        if server.is_some() {
            let used = (after - before).as_secs_f64();
            line("server.cpu", used * 1e6 / count, "us/req");
            line("server.util", used * 100.0 / wall, "%");
        }
        line("client.util", client.as_secs_f64() * 100.0 / wall, "%");
        report(&mut times, 1e6, "us");
        line("errors", self.errors as f64, "n");
    }

    /// Keeps all connections busy until `end`; gives the time from each sending to the next answers, and the number of answers.
    fn turn_until(&mut self, end: Instant) -> (Vec<Duration>, usize) {
        let mut times = Vec::with_capacity(1 << 20);
        let mut count = 0;
        while Instant::now() < end {
            for (key, _) in self.poll.wait(Some(Duration::from_millis(100))) {
                let caller = &mut self.callers[key as usize];
                match caller.receive(&mut self.scratch) {
                    Ok(0) => {}
                    Ok(answers) => {
                        let now = Instant::now();
                        times.push(now - caller.since);
                        count += answers;
                        self.errors += u64::from(!caller.send(answers, &mut self.scratch, now));
                    }
                    Err(_) => self.errors += 1,
                }
            }
        }
        (times, count)
    }
}

/// Many slow answers at once.
struct Stream {
    poll: Poll,
    callers: Vec<Request>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Connecting,
    Reading,
    Done,
    Failed,
}

struct Request {
    socket: Option<OwnedFd>,
    state: State,
    begun: Instant,
    answer: Vec<u8>,
    first_byte: Duration,
    whole: Duration,
}

impl Stream {
    fn new(address: &SocketAddrV4, count: usize) -> Stream {
        let poll = Poll::new();
        let mut callers = Vec::with_capacity(count);
        for key in 0..count {
            let begun = Instant::now();
            let socket = begin(address);
            poll.add(&socket, key as u64, EventFlags::IN | EventFlags::OUT);
            callers.push(Request {
                socket: Some(socket),
                state: State::Connecting,
                begun,
                answer: Vec::new(),
                first_byte: Duration::ZERO,
                whole: Duration::ZERO,
            });
        }
        Stream { poll, callers }
    }

    fn run(mut self, limit: Duration) {
        let watch = Stopwatch::start();
        let mut left = self.callers.len();
        while left > 0 && watch.wall() < limit {
            for (key, flags) in self.poll.wait(Some(Duration::from_millis(50))) {
                let request = &mut self.callers[key as usize];
                if request.socket.is_some() && request.advance(flags) {
                    request.socket = None;
                    left -= 1;
                }
            }
        }
        let count = self.callers.len();
        let with = |state| self.callers.iter().filter(move |request| request.state == state);
        let mut whole: Vec<_> = with(State::Done).map(|request| request.whole).collect();
        line("ok", whole.len() as f64 * 100.0 / count as f64, "%");
        line("failed", with(State::Failed).count() as f64, "n");
        line("timedout", left as f64, "n");
        if !whole.is_empty() {
            let first: Duration = with(State::Done).map(|request| request.first_byte).sum();
            line("first.mean", first.as_secs_f64() * 1e3 / whole.len() as f64, "ms");
            report(&mut whole, 1e3, "ms");
        }
    }
}

impl Request {
    const TEXT: &'static [u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";

    /// Does what the events allow; true if the request is over.
    fn advance(&mut self, flags: EventFlags) -> bool {
        let Some(socket) = &self.socket else { return true };
        if self.state == State::Connecting {
            if !flags.intersects(EventFlags::OUT | EventFlags::ERR | EventFlags::HUP) {
                return false;
            }
            let is_sent = sockets::is_connected(socket) && write(socket, Self::TEXT) == Ok(Self::TEXT.len());
            self.state = if is_sent { State::Reading } else { State::Failed };
            return !is_sent;
        }
        let mut place = [0; 4096];
        loop {
            match read(socket, &mut place) {
                Ok(0) | Err(Errno::CONNRESET) => self.state = State::Failed,
                Ok(count) => {
                    if self.answer.is_empty() {
                        self.first_byte = self.begun.elapsed();
                    }
                    self.answer.extend_from_slice(&place[..count]);
                    continue;
                }
                Err(Errno::AGAIN) if self.answer.ends_with(b"0\r\n\r\n") => {
                    self.whole = self.begun.elapsed();
                    self.state = if self.is_right() { State::Done } else { State::Failed };
                }
                Err(Errno::AGAIN) => return false,
                Err(error) => fail(&format!("cannot read: {error}")),
            }
            return true;
        }
    }

    fn is_right(&self) -> bool {
        let answer = String::from_utf8_lossy(&self.answer).to_ascii_lowercase();
        answer.starts_with("http/1.1 200 ")
            && answer.contains("transfer-encoding: chunked\r\n")
            && answer.contains("\r\n5\r\nhello\r\n")
            && answer.contains("\r\n5\r\nworld\r\n0\r\n\r\n")
    }
}
