//! Ten thousand connections that come, talk, stall and vanish at random, for a minute: nothing of them is left behind.
//!
//! `cargo test --release --test soak -- --ignored`; `GREENLOOP_SOAK` is the time in seconds, if not 60.
#![cfg(all(feature = "http", target_os = "linux"))]

use std::cell::Cell;
use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenloop::http::{Limits, Request, Server};
use greenloop::net::TcpStream;
use greenloop::process::Command;
use greenloop::server::StreamServer;
use greenloop::{join_all, sleep, spawn, timeout};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const CONNECTIONS: u64 = 10_000;
/// The length of the first round, in seconds.
const ROUND: u64 = 12;
/// In the environment: what clients are to do.
const ORDERS: &str = "GREENLOOP_SOAK_ORDERS";

/// A xorshift generator: the same story for the same number.
struct Dice(Cell<u64>);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
    }

    fn below(&self, limit: u64) -> u64 {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        state % limit
    }

    fn millis(&self, limit: u64) -> Duration {
        Duration::from_millis(self.below(limit))
    }
}

/// How many times clients did what they came for, and how many connections broke in the middle of that.
#[derive(Default)]
struct Books {
    answers: Cell<u64>,
    broken: Cell<u64>,
}

/// One client: connection after connection until the time is over.
fn client(echo: SocketAddr, web: SocketAddr, dice: &Dice, books: &Books, end: Instant) {
    sleep(dice.millis(2_000));
    while Instant::now() < end {
        let done = match dice.below(2) {
            0 => talk(echo, dice, books),
            _ => browse(web, dice, books),
        };
        if done.is_err() {
            books.broken.set(books.broken.get() + 1);
        }
        sleep(dice.millis(200));
    }
}

/// What comes back must be what was sent, as long as it comes back.
fn talk(address: SocketAddr, dice: &Dice, books: &Books) -> io::Result<()> {
    let mut socket = TcpStream::connect(address)?;
    for _ in 0..dice.below(6) {
        let sent: Vec<u8> = (0..1 + dice.below(5_000)).map(|n| (n % 251) as u8).collect();
        socket.write_all(&sent)?;
        match dice.below(8) {
            0 => return Ok(()), // vanishes with bytes on their way: the kernel sends a reset
            1 => socket.shutdown(std::net::Shutdown::Write)?,
            2 => sleep(dice.millis(1_000)),
            _ => {}
        }
        let mut got = vec![0; sent.len()];
        socket.read_exact(&mut got)?;
        assert!(got == sent, "other bytes came back than were sent");
        books.answers.set(books.answers.get() + 1);
        sleep(dice.millis(600));
    }
    Ok(())
}

fn browse(address: SocketAddr, dice: &Dice, books: &Books) -> io::Result<()> {
    let mut socket = TcpStream::connect(address)?;
    for _ in 0..dice.below(6) {
        let request: &[u8] = match dice.below(8) {
            0 => b"GET / HT",
            1 => b"GET\0/ HTTP/1.1\r\n\r\n",
            2 => b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nnot all of it",
            _ => b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        };
        socket.write_all(request)?;
        if dice.below(8) == 0 {
            return Ok(());
        }
        let mut answer = [0; 512];
        let Ok(count) = timeout(Duration::from_secs(1), || socket.read(&mut answer)) else { return Ok(()) };
        match count? {
            0 => return Ok(()),
            count => assert!(answer[..count].starts_with(b"HTTP/1.1 "), "no answer in HTTP"),
        }
        books.answers.set(books.answers.get() + 1);
        sleep(dice.millis(600));
    }
    Ok(())
}

/// All clients: how many answers, how many broken connections.
fn round(echo: SocketAddr, web: SocketAddr, length: Duration, number: u64) -> (u64, u64) {
    let end = Instant::now() + length;
    let books = Rc::new(Books::default());
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|n| {
            let (books, dice) = (books.clone(), Dice::new(number << 32 | n));
            spawn(move || client(echo, web, &dice, &books, end))
        })
        .collect();
    for result in join_all(clients) {
        result.unwrap();
    }
    (books.answers.get(), books.broken.get())
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory of this process, in MiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// Waits until all handlers have ended, and free stacks have given their memory back.
fn settled(server: &StreamServer, before: usize) -> (usize, usize) {
    let patience = Instant::now() + Duration::from_secs(30);
    while (server.connections() > 0 || descriptors() > before) && Instant::now() < patience {
        sleep(Duration::from_millis(50));
    }
    for _ in 0..200 {
        sleep(Duration::from_millis(11)); // an idle turn gives back some of them
    }
    (descriptors(), resident())
}

/// Ten thousand connections and some more.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    assert!(limit.maximum.is_none_or(|most| most >= 10_500), "the hard limit of descriptors is below 10,500");
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

/// In a process of their own, so that the server's memory can be told from theirs.
#[test]
#[ignore = "the other test starts it"]
fn the_clients() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Vec<&str> = orders.split(' ').collect();
    let [echo, web, length, number] = orders[..] else { panic!("four words: {orders:?}") };
    raise_limit();
    let length = Duration::from_secs(length.parse().unwrap());
    let (answers, broken) =
        round(echo.parse().unwrap(), web.parse().unwrap(), length, number.parse().unwrap());
    println!("\nbooks: {answers} {broken}");
}

#[test]
#[ignore = "takes more than a minute, and 20,000 descriptors; `.ci/run` runs it"]
fn ten_thousand_connections_leave_nothing_behind() {
    raise_limit();
    let length = std::env::var("GREENLOOP_SOAK").map_or(60, |seconds| seconds.parse().unwrap());

    let echo = StreamServer::bind("127.0.0.1:0").unwrap().handle(|mut socket, _| -> io::Result<()> {
        socket.set_read_timeout(Some(Duration::from_millis(700)))?;
        let mut bytes = [0; 2048];
        loop {
            match socket.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(count) => socket.write_all(&bytes[..count])?,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    });
    echo.start().unwrap();
    let second = Some(Duration::from_secs(1));
    let limits = Limits::new().head_timeout(second).idle_timeout(second).body_timeout(second);
    let web = Server::bind("127.0.0.1:0").unwrap().limits(limits);
    let web = web.start(|_: &mut Request<'_>| "Hello, World!").unwrap();
    let (echo_address, web_address) = (echo.local_addr().unwrap(), web.local_addr().unwrap());

    let round = |length: u64, number: u64| {
        let orders = format!("{echo_address} {web_address} {length} {number}");
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "the_clients", "--nocapture"])
            .env(ORDERS, orders)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "the clients failed: {text}");
        let line = text.lines().find_map(|line| line.strip_prefix("books: ")).expect("the clients' books");
        line.split(' ').map(|number| number.parse().unwrap()).collect::<Vec<u64>>()
    };
    // The first round brings the allocator, the stacks and the thread pools to their size.
    round(ROUND, 1);
    let (descriptors_before, memory_before) = settled(&echo, 0);
    let books = round(length, 2);
    let (descriptors_after, memory_after) = settled(&echo, descriptors_before);
    let (answers, broken) = (books[0], books[1]);
    println!(
        "{answers} answers, {broken} broken connections, descriptors {descriptors_before} and {descriptors_after}, \
         {memory_before} and {memory_after} MiB"
    );
    assert_eq!(echo.connections(), 0, "handlers that have not ended");
    assert_eq!(descriptors_after, descriptors_before, "descriptors");
    assert!(
        memory_after <= memory_before + memory_before / 4 + 8,
        "{memory_before} MiB became {memory_after}"
    );
    assert!(answers > CONNECTIONS, "hardly anybody was served: {answers} answers");
    echo.stop(Duration::ZERO);
    web.stop(Duration::ZERO);
}
