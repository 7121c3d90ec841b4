//! tokio, with its scheduler for one thread.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use peers::measure::{Delays, Memory, Stopwatch, lateness, report_idle};
use peers::{Arguments, CHANNEL, ECHO_BUFFER, FAR, PENDING, fail, sockets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::sleep;

fn main() -> std::io::Result<()> {
    let arguments = Arguments::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = |task: &mut dyn FnMut() -> Task| LocalSet::new().block_on(&runtime, task());
    let number = |default| arguments.number(1, default);
    match arguments.command() {
        "switch" => {
            run(&mut || Box::pin(switch("tokio: wake_by_ref", number(10_000_000), yield_by_waking)));
            run(&mut || Box::pin(switch("tokio: yield_now", number(10_000_000) / 2, yield_now)));
        }
        "spawn" => run(&mut || Box::pin(spawning(number(1_000_000), arguments.number(2, 1000)))),
        "idle" => run(&mut || Box::pin(idle(number(100_000)))),
        "chan" => run(&mut || Box::pin(chan(number(10_000_000)))),
        "pingpong" => run(&mut || Box::pin(pingpong(number(1_000_000)))),
        "timers" => run(&mut || Box::pin(timers(number(100_000), arguments.number(2, 1000)))),
        "timeouts" => run(&mut || Box::pin(timeouts(number(10_000_000)))),
        "echo" => runtime.block_on(echo(arguments.port()))?,
        _ => fail("commands: switch spawn idle chan pingpong timers timeouts echo"),
    }
    Ok(())
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Goes to the end of the run queue. `yield_now` of tokio also visits the driver.
async fn yield_by_waking() {
    let mut has_yielded = false;
    poll_fn(move |context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

async fn switch<F: Future<Output = ()> + 'static>(name: &str, count: u64, give_way: fn() -> F) {
    let watch = Stopwatch::start();
    let task = |_| {
        spawn_local(async move {
            for _ in 0..count / 2 {
                give_way().await;
            }
        })
    };
    for task in (0..2).map(task).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    watch.report(&format!("switch/{name}"), count);
}

async fn spawning(count: u64, window: u64) {
    let ran = Rc::new(Cell::new(0));
    let mut tasks = Vec::with_capacity(window as usize);
    let watch = Stopwatch::start();
    for _ in 0..count / window {
        for _ in 0..window {
            let ran = ran.clone();
            tasks.push(spawn_local(async move { ran.set(ran.get() + 1) }));
        }
        for task in tasks.drain(..) {
            task.await.unwrap();
        }
    }
    watch.report("spawn/tokio", count);
    assert_eq!(ran.get(), count);
}

async fn idle(count: u64) {
    let before = Memory::now();
    let watch = Stopwatch::start();
    let event = Rc::new(Notify::new());
    let parked = Rc::new(Cell::new(0));
    let task = |_| {
        let (event, parked) = (event.clone(), parked.clone());
        spawn_local(async move {
            parked.set(parked.get() + 1);
            event.notified().await;
        })
    };
    let tasks: Vec<_> = (0..count).map(task).collect();
    while parked.get() < count {
        yield_now().await;
    }
    let (parking, after) = (watch.wall(), Memory::now());
    let watch = Stopwatch::start();
    event.notify_waiters();
    for task in tasks {
        task.await.unwrap();
    }
    report_idle(&format!("idle/tokio-{count}"), count, [before, after], parking, watch.wall());
}

async fn chan(count: u64) {
    let (sender, mut receiver) = mpsc::channel(CHANNEL);
    let watch = Stopwatch::start();
    let putter = spawn_local(async move {
        for item in 0..count {
            sender.send(item).await.unwrap();
        }
    });
    let getter = spawn_local(async move {
        let mut sum = 0_u64;
        while let Some(item) = receiver.recv().await {
            sum = sum.wrapping_add(item);
        }
        sum
    });
    putter.await.unwrap();
    let sum = getter.await.unwrap();
    watch.report("chan/tokio", count);
    assert_eq!(sum, (0..count).fold(0, u64::wrapping_add));
}

async fn pingpong(count: u64) {
    let (ping, mut pinged) = mpsc::channel(1);
    let (pong, mut ponged) = mpsc::channel(1);
    let watch = Stopwatch::start();
    let caller = spawn_local(async move {
        for item in 0..count {
            ping.send(item).await.unwrap();
            assert_eq!(ponged.recv().await, Some(item));
        }
    });
    let answerer = spawn_local(async move {
        while let Some(item) = pinged.recv().await {
            pong.send(item).await.unwrap();
        }
    });
    caller.await.unwrap();
    answerer.await.unwrap();
    watch.report("pingpong/tokio", count);
}

async fn timers(count: u64, limit_ms: u64) {
    let watch = Stopwatch::start();
    let late = Rc::new(RefCell::new(Vec::with_capacity(count as usize)));
    let mut delays = Delays::new(limit_ms);
    let task = |_| {
        let (late, delay) = (late.clone(), delays.draw());
        spawn_local(async move {
            let deadline = Instant::now() + delay;
            sleep(delay).await;
            late.borrow_mut().push(lateness(deadline));
        })
    };
    for task in (0..count).map(task).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    watch.report_lateness("timers/tokio", late.take());
}

async fn timeouts(count: u64) {
    let pending: Vec<_> = (0..PENDING).map(|_| spawn_local(sleep(2 * FAR))).collect();
    yield_now().await;
    let watch = Stopwatch::start();
    for _ in 0..count {
        // A timer is armed when it is first polled, and cancelled when it is dropped.
        let mut timer = pin!(sleep(FAR));
        poll_fn(|context| {
            assert!(timer.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        // Each poll takes from the budget of the task; without more of it timers would no longer be armed.
        tokio::task::coop::consume_budget().await;
    }
    watch.report("timeouts/tokio", count);
    pending.iter().for_each(|task| task.abort());
}

async fn echo(port: u16) -> std::io::Result<()> {
    sockets::raise_file_limit();
    let listener = std::net::TcpListener::from(sockets::listen(port));
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(async move {
            // An error is the end of the connection.
            let _ = echo_one(socket).await;
        });
    }
}

async fn echo_one(mut socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = [0; ECHO_BUFFER];
    loop {
        match socket.read(&mut buffer).await? {
            0 => return Ok(()),
            count => socket.write_all(&buffer[..count]).await?,
        }
    }
}
