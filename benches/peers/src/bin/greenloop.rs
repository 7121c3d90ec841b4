//! greenloop.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Instant;

use greenloop::event::Event;
use greenloop::http::{Body, IntoResponse, Request, Server, StatusCode};
use greenloop::net::TcpStream;
use greenloop::queue::Queue;
use greenloop::server::StreamServer;
use greenloop::{join_all, sleep, spawn, timeout, yield_now};
use peers::measure::{Delays, Memory, Stopwatch, lateness, report_idle};
use peers::{Arguments, CHANNEL, ECHO_BUFFER, FAR, HELLO, PAUSE, PENDING, fail, sockets};

fn main() -> std::io::Result<()> {
    let arguments = Arguments::new();
    match arguments.command() {
        "switch" => switch(arguments.number(1, 10_000_000)),
        "spawn" => spawning(arguments.number(1, 1_000_000), arguments.number(2, 1000)),
        "idle" => idle(arguments.number(1, 100_000)),
        "chan" => chan(arguments.number(1, 10_000_000)),
        "pingpong" => pingpong(arguments.number(1, 1_000_000)),
        "timers" => timers(arguments.number(1, 100_000), arguments.number(2, 1000)),
        "timeouts" => timeouts(arguments.number(1, 10_000_000)),
        "echo" => echo(arguments.port())?,
        "workers" => {
            let room = arguments.number(3, ECHO_BUFFER as u64) as usize;
            workers(arguments.port(), arguments.number(2, 2), room)?;
        }
        "http" => http(arguments.port())?,
        "stream" => stream(arguments.port())?,
        _ => fail("commands: switch spawn idle chan pingpong timers timeouts echo workers http stream"),
    }
    Ok(())
}

fn switch(count: u64) {
    let watch = Stopwatch::start();
    join_all((0..2).map(|_| spawn(move || (0..count / 2).for_each(|_| yield_now()))));
    watch.report("switch/greenloop", count);
}

fn spawning(count: u64, window: u64) {
    let ran = Rc::new(Cell::new(0));
    let watch = Stopwatch::start();
    for _ in 0..count / window {
        let greenlet = |_| {
            let ran = ran.clone();
            spawn(move || ran.set(ran.get() + 1))
        };
        join_all((0..window).map(greenlet));
    }
    watch.report("spawn/greenloop", count);
    assert_eq!(ran.get(), count);
}

fn idle(count: u64) {
    let before = Memory::now();
    let watch = Stopwatch::start();
    let event = Event::new();
    let parked = Rc::new(Cell::new(0));
    let greenlet = |_| {
        let (event, parked) = (event.clone(), parked.clone());
        spawn(move || {
            parked.set(parked.get() + 1);
            event.wait();
        })
    };
    let greenlets: Vec<_> = (0..count).map(greenlet).collect();
    while parked.get() < count {
        yield_now();
    }
    let (parking, after) = (watch.wall(), Memory::now());
    let watch = Stopwatch::start();
    event.set();
    join_all(greenlets);
    report_idle(&format!("idle/greenloop-{count}"), count, [before, after], parking, watch.wall());
}

fn chan(count: u64) {
    let queue = Queue::bounded(CHANNEL);
    let watch = Stopwatch::start();
    let putter = spawn({
        let queue = queue.clone();
        move || {
            (0..count).for_each(|item| queue.put(item).unwrap());
            queue.close();
        }
    });
    let getter = spawn(move || queue.into_iter().fold(0, u64::wrapping_add));
    putter.join().unwrap();
    let sum = getter.join().unwrap();
    watch.report("chan/greenloop", count);
    assert_eq!(sum, (0..count).fold(0, u64::wrapping_add));
}

fn pingpong(count: u64) {
    let (ping, pong) = (Queue::bounded(1), Queue::bounded(1));
    let watch = Stopwatch::start();
    let caller = spawn({
        let (ping, pong) = (ping.clone(), pong.clone());
        move || {
            for item in 0..count {
                ping.put(item).unwrap();
                assert_eq!(pong.get().unwrap(), item);
            }
            ping.close();
        }
    });
    let answerer = spawn(move || ping.into_iter().for_each(|item| pong.put(item).unwrap()));
    caller.join().unwrap();
    answerer.join().unwrap();
    watch.report("pingpong/greenloop", count);
}

fn timers(count: u64, limit_ms: u64) {
    let watch = Stopwatch::start();
    let late = Rc::new(RefCell::new(Vec::with_capacity(count as usize)));
    let mut delays = Delays::new(limit_ms);
    join_all((0..count).map(|_| {
        let (late, delay) = (late.clone(), delays.draw());
        spawn(move || {
            let deadline = Instant::now() + delay;
            sleep(delay);
            late.borrow_mut().push(lateness(deadline));
        })
    }));
    watch.report_lateness("timers/greenloop", late.take());
}

fn timeouts(count: u64) {
    let pending: Vec<_> = (0..PENDING).map(|_| spawn(|| sleep(2 * FAR))).collect();
    yield_now();
    let watch = Stopwatch::start();
    for _ in 0..count {
        timeout(FAR, || black_box(())).unwrap();
    }
    watch.report("timeouts/greenloop", count);
    greenloop::kill_all(&pending);
}

fn echo(port: u16) -> std::io::Result<()> {
    sockets::raise_file_limit();
    StreamServer::bind(("127.0.0.1", port))?.handle(echo_one).serve_forever()
}

/// The same on several threads, where `room` is what is read at once.
fn workers(port: u16, count: u64, room: usize) -> std::io::Result<()> {
    sockets::raise_file_limit();
    greenloop::server::workers(("127.0.0.1", port), count as usize, move |worker| {
        let echo = move |socket, _| echo_by(socket, &mut vec![0; room]);
        worker.serve(&StreamServer::from_listener(worker.listener()?)?.handle(echo))
    })?
    .join()?;
    Ok(())
}

fn echo_one(socket: TcpStream, _: std::net::SocketAddr) -> std::io::Result<()> {
    echo_by(socket, &mut [0; ECHO_BUFFER])
}

#[inline(always)]
fn echo_by(mut socket: TcpStream, buffer: &mut [u8]) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    loop {
        match socket.read(buffer)? {
            0 => return Ok(()),
            count => socket.write_all(&buffer[..count])?,
        }
    }
}

fn http(port: u16) -> std::io::Result<()> {
    sockets::raise_file_limit();
    Server::bind(("127.0.0.1", port))?.serve(|request: &mut Request<'_>| match request.path() {
        "/" => HELLO.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
}

fn stream(port: u16) -> std::io::Result<()> {
    sockets::raise_file_limit();
    Server::bind(("127.0.0.1", port))?.serve(|_: &mut Request<'_>| {
        Body::stream(["Hello", "World"].into_iter().enumerate().map(|(place, word)| {
            if place > 0 {
                sleep(PAUSE);
            }
            word
        }))
    })
}
