//! The life of a server: listeners that are given, pauses, batches, failures, ends; and what a kill leaves, wherever it comes.

mod net_support;
mod server_support;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenloop::event::Event;
use greenloop::net::{TcpListener, TcpStream};
use greenloop::pool::Pool;
use greenloop::queue::Queue;
use greenloop::server::{Listener, StreamServer};
use greenloop::{on_spawn, shield, sleep, spawn, testing, timeout, wait_all_timeout, yield_now};
use net_support::{Flag, LONG, OnDrop, PROMPT, SHORT, in_a_child, ms, panic_of, spawn_parked};
use server_support::{
    Acceptors, Script, answer, ask, connect, is_left_waiting, is_refused, next_byte, serve, until,
};

fn given() -> (StreamServer, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = StreamServer::from_listener(listener).unwrap().handle(next_byte);
    assert_eq!(server.local_addr().unwrap(), address);
    (server, address)
}

fn emfile() -> io::Error {
    io::Error::from_raw_os_error(libc::EMFILE)
}

// SV03, SV04; SV01: such a server has no backlog to set, which a doctest of `from_listener` shows.
#[test]
fn a_given_listener_lets_clients_wait_serves_pauses_and_is_closed() {
    let (server, address) = given();
    let early = connect(address);
    (&early).write_all(&[1]).unwrap();
    assert!(is_left_waiting(&early) && !server.is_started() && !server.is_accepting());
    server.start().unwrap();
    assert_eq!(answer(&early).unwrap(), 2);
    assert_eq!(ask(&connect(address), 5).unwrap(), 6);
    server.stop_accepting();
    let late = connect(address);
    (&late).write_all(&[7]).unwrap();
    assert!(is_left_waiting(&late) && server.is_started() && !server.is_accepting());
    // Who was there already is still served.
    assert_eq!(ask(&early, 3).unwrap(), 4);
    server.start_accepting().unwrap();
    assert_eq!(answer(&late).unwrap(), 8);
    server.stop(SHORT);
    assert!(is_refused(address) && !server.is_started() && !server.is_accepting());
}

// SV03, SV20
#[test]
fn a_given_listener_is_closed_by_a_stop_before_the_start_and_by_dropping_the_server() {
    let (server, address) = given();
    server.stop(LONG);
    assert!(is_refused(address));
    server.stop(LONG);
    let (server, address) = given();
    drop(server);
    assert!(is_refused(address));
}

// SV02
#[test]
fn a_bound_server_accepts_again_after_a_pause() {
    let (server, address) = serve(next_byte);
    for resume in [StreamServer::start_accepting, StreamServer::start] {
        server.stop_accepting();
        let client = connect(address);
        (&client).write_all(&[1]).unwrap();
        assert!(is_left_waiting(&client));
        resume(&server).unwrap();
        assert_eq!(answer(&client).unwrap(), 2);
    }
    server.stop(SHORT);
    assert!(is_refused(address));
}

#[test]
fn pausing_and_resuming_twice_is_harmless_and_neither_starts_nor_revives_a_server() {
    let (server, address) = given();
    server.stop_accepting();
    assert!(server.start_accepting().unwrap_err().to_string().contains("is not started"));
    server.start().unwrap();
    for _ in 0..2 {
        server.stop_accepting();
        server.stop_accepting();
        server.start_accepting().unwrap();
        server.start_accepting().unwrap();
    }
    assert_eq!(ask(&connect(address), 1).unwrap(), 2);
    server.stop(SHORT);
    server.stop_accepting();
    let error = server.start_accepting().unwrap_err();
    assert!(error.to_string().contains("was stopped") && error.to_string().contains(&address.to_string()));
}

#[test]
fn no_client_is_lost_over_many_pauses() {
    net_support::raise_descriptor_limit();
    let (server, address) = serve(next_byte);
    let clients: Vec<_> = (0..200_u32)
        .map(|n| {
            spawn(move || {
                sleep(ms(u64::from(n % 20)));
                ask(&connect(address), (n % 100) as u8).unwrap()
            })
        })
        .collect();
    while clients.iter().any(|client| !client.is_finished()) {
        server.stop_accepting();
        yield_now();
        server.start_accepting().unwrap();
        sleep(ms(1));
    }
    for (n, client) in clients.into_iter().enumerate() {
        assert_eq!(client.join().unwrap(), (n % 100) as u8 + 1);
    }
    server.stop(LONG);
}

/// Orders come over a queue; its `get` loses nothing when it is killed.
struct Orders(Queue<u32>);

impl Listener for Orders {
    type Stream = u32;
    type Addr = ();

    fn accept(&self) -> io::Result<(u32, ())> {
        Ok((self.0.get().map_err(io::Error::other)?, ()))
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_connection_is_handled_once_in_whatever_order_pauses_and_rivals_for_the_pool_come() {
    testing::for_each_seed(300, |_| {
        let (orders, pool, handled) = (Queue::unbounded(), Pool::new(2), Rc::new(RefCell::new(Vec::new())));
        let server = StreamServer::from_listener(Orders(orders.clone())).unwrap();
        let server = server.pool(pool.clone()).max_accept(3).handle({
            let handled = handled.clone();
            move |number, ()| {
                yield_now();
                handled.borrow_mut().push(number);
            }
        });
        server.start().unwrap();
        let clients = spawn(move || {
            for number in 0..20 {
                orders.put(number).unwrap();
                yield_now();
            }
        });
        let rival = spawn(move || {
            for _ in 0..10 {
                pool.spawn(yield_now);
                yield_now();
            }
        });
        let pauses = spawn({
            let server = server.clone();
            move || {
                for n in 0..10 {
                    if n % 3 == 0 {
                        // Interrupted, and started again before the acceptor of before has ended.
                        spawn_parked({
                            let server = server.clone();
                            move || server.stop_accepting()
                        })
                        .kill_nowait();
                    } else {
                        server.stop_accepting();
                    }
                    yield_now();
                    server.start_accepting().unwrap();
                }
            }
        });
        for greenlet in [clients, rival, pauses] {
            greenlet.join().unwrap();
        }
        until(|| handled.borrow().len() == 20);
        let mut handled = handled.take();
        handled.sort_unstable();
        assert!(handled.into_iter().eq(0..20));
        server.stop(LONG);
        assert_eq!(server.connections(), 0);
    });
}

// SV21
#[test]
fn a_bad_setting_closes_the_given_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let text = panic_of(|| StreamServer::from_listener(listener).unwrap().max_accept(0));
    assert!(text.contains("max_accept(0)") && is_refused(address), "{text}");

    struct Nameless(#[expect(dead_code, reason = "dropped")] TcpListener);
    impl Listener for Nameless {
        type Stream = ();
        type Addr = ();
        fn accept(&self) -> io::Result<((), ())> {
            unreachable!("it is never started")
        }
        fn local_addr(&self) -> io::Result<()> {
            Err(io::Error::other("no name"))
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(StreamServer::from_listener(Nameless(listener)).unwrap_err().to_string(), "no name");
    assert!(is_refused(address));
}

// SV22
#[test]
fn a_port_alone_listens_on_all_addresses_of_both_families() {
    let server = StreamServer::bind(0).unwrap().handle(next_byte);
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    assert!(address.ip().is_unspecified());
    assert_eq!(ask(&connect(([127, 0, 0, 1], address.port()).into()), 1).unwrap(), 2);
    if address.is_ipv6() && std::net::TcpListener::bind("[::1]:0").is_ok() {
        let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port()));
        assert_eq!(ask(&connect(v6), 1).unwrap(), 2);
    }
    server.stop(LONG);
    let server = StreamServer::bind("*:0").unwrap().handle(next_byte);
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    assert!(address.ip().is_unspecified() && address.is_ipv4());
    assert_eq!(ask(&connect(([127, 0, 0, 1], address.port()).into()), 1).unwrap(), 2);
    server.stop(LONG);
}

#[test]
fn servers_that_reuse_the_port_share_its_clients() {
    let counts = [Rc::new(Cell::new(0)), Rc::new(Cell::new(0))];
    let options = StreamServer::options().reuse_port(true);
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    let servers = counts.clone().map(|count| {
        let server = options.bind(address).unwrap().handle(move |mut stream, _| {
            count.set(count.get() + 1);
            stream.write_all(b"x")
        });
        server.start().unwrap();
        address = server.local_addr().unwrap();
        server
    });
    for _ in 0..100 {
        assert_eq!(answer(&connect(address)).unwrap(), b'x');
    }
    assert_eq!(counts[0].get() + counts[1].get(), 100);
    assert!(counts.iter().all(|count| count.get() > 0), "{counts:?}");
    servers.iter().for_each(|server| server.stop(LONG));
}

// SV17
#[test]
fn the_others_get_a_turn_after_so_many_accepted_connections() {
    for (most, expected) in [(None, 100), (Some(1), 1), (Some(7), 7), (Some(250), 250)] {
        let handled = Rc::new(Cell::new(0));
        let builder = StreamServer::from_listener(Script::new(|_| Some(Ok(())))).unwrap();
        let builder = match most {
            Some(most) => builder.max_accept(most),
            None => builder,
        };
        let server = builder.handle({
            let handled = handled.clone();
            move |_, _| handled.set(handled.get() + 1)
        });
        server.start().unwrap();
        // The acceptor has its turn, then the handlers, in their order.
        yield_now();
        assert_eq!(server.connections(), expected as usize);
        yield_now();
        assert_eq!(handled.get(), expected);
        server.stop(LONG);
    }
}

// SV17
#[test]
fn a_full_pool_is_looked_at_before_each_accept_of_a_batch() {
    let (handled, go) = (Rc::new(Cell::new(0)), Queue::<()>::unbounded());
    let server =
        StreamServer::from_listener(Script::new(|_| Some(Ok(())))).unwrap().max_connections(3).handle({
            let (handled, go) = (handled.clone(), go.clone());
            move |_, _| {
                handled.set(handled.get() + 1);
                go.get().unwrap();
            }
        });
    server.start().unwrap();
    for _ in 0..10 {
        yield_now();
        assert!(server.connections() <= 3);
    }
    assert_eq!(handled.get(), 3);
    go.put(()).unwrap();
    until(|| handled.get() == 4);
    assert_eq!(server.connections(), 3);
    server.stop(Duration::ZERO);
}

// SV18
#[test]
fn pauses_after_failures_double_up_to_a_second_and_a_good_accept_resets_them() {
    testing::virtual_time(|| {
        let times = Rc::new(RefCell::new(Vec::new()));
        let script = Script::new({
            let times = times.clone();
            move |number| {
                times.borrow_mut().push(testing::elapsed());
                match number {
                    10 => Some(Ok(())),
                    0..=12 => Some(Err(emfile())),
                    _ => None,
                }
            }
        });
        let server = StreamServer::from_listener(script).unwrap().handle(|_, _| ());
        server.start().unwrap();
        sleep(LONG);
        let times = times.take();
        let pauses: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 0, 10, 20]);
        server.stop(LONG);
    });
}

// SV18
#[test]
fn a_useless_listener_ends_the_server() {
    for code in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK] {
        let script = Script::new(move |number| match number {
            0 => Some(Ok(())),
            _ => Some(Err(io::Error::from_raw_os_error(code))),
        });
        let (finish, finished) = (Event::new(), Flag::default());
        let server = StreamServer::from_listener(script).unwrap().handle({
            let (finish, finished) = (finish.clone(), finished.clone());
            move |_, _| {
                finish.wait();
                finished.raise();
            }
        });
        assert_eq!(server.serve_forever().unwrap_err().raw_os_error(), Some(code));
        assert!(!server.is_started() && server.start().is_err());
        // Its handlers go on until it is stopped.
        assert_eq!(server.connections(), 1);
        finish.set();
        server.stop(LONG);
        assert!(finished.is_up());
    }
}

#[test]
fn an_error_that_is_the_peers_fault_costs_no_pause() {
    testing::virtual_time(|| {
        let script = Script::new(|number| match number {
            0..=250 => Some(Err(io::Error::from_raw_os_error(libc::ECONNABORTED))),
            251 => Some(Ok(())),
            _ => None,
        });
        let handled = Event::new();
        let server = StreamServer::from_listener(script).unwrap().handle({
            let handled = handled.clone();
            move |_, _| handled.set()
        });
        server.start().unwrap();
        handled.wait();
        assert_eq!(testing::elapsed(), Duration::ZERO);
        server.stop(LONG);
    });
}

// SV10
#[test]
fn a_spawn_that_panics_is_reported_once_and_the_server_stays_up() {
    let output = in_a_child("a_spawn_that_panics_is_reported_once_and_the_server_stays_up", "", || {
        let (server, address) = serve(next_byte);
        assert_eq!(ask(&connect(address), 1).unwrap(), 2);
        let hook = on_spawn(|_| panic!("no greenlets today"));
        let client = connect(address);
        sleep(ms(1));
        until(|| server.is_accepting());
        drop(hook);
        drop(client);
        assert_eq!(ask(&connect(address), 5).unwrap(), 6);
        server.stop(LONG);
    });
    if let Some(output) = output {
        assert_eq!(output.matches("no greenlets today").count(), 2, "the panic and the pause: {output}");
        assert_eq!(output.matches("cannot take a connection").count(), 1, "{output}");
    }
}

// SV18
#[test]
fn a_listener_that_panics_is_reported_and_asked_again_after_a_pause() {
    let output = in_a_child("a_listener_that_panics_is_reported_and_asked_again_after_a_pause", "", || {
        testing::virtual_time(|| {
            let (asked, handled) = (Cell::new(0), Event::new());
            let script = Script::new(move |number| {
                asked.set(asked.get() + 1);
                assert!(asked.get() > 2, "nobody today");
                (number == 0).then_some(Ok(()))
            });
            let server = StreamServer::from_listener(script).unwrap().handle({
                let handled = handled.clone();
                move |_, _| handled.set()
            });
            server.start().unwrap();
            handled.wait();
            assert_eq!(testing::elapsed(), ms(10 + 20));
            server.stop(LONG);
        });
    });
    if let Some(output) = output {
        assert_eq!(output.matches("nobody today").count(), 4, "two panics and two pauses: {output}");
        assert_eq!(output.matches("cannot take a connection: a panic: ").count(), 2, "{output}");
    }
}

#[test]
fn a_listener_that_panics_when_it_is_asked_whether_it_is_broken_is_not() {
    struct Undecided(Cell<u32>);
    impl Listener for Undecided {
        type Stream = ();
        type Addr = ();
        fn accept(&self) -> io::Result<((), ())> {
            match self.0.replace(self.0.get() + 1) {
                0 => Err(emfile()),
                1 => Ok(((), ())),
                _ => loop {
                    sleep(LONG);
                },
            }
        }
        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
        fn is_broken(&self, _: &io::Error) -> bool {
            panic!("undecided");
        }
    }
    let handled = Event::new();
    let server = StreamServer::from_listener(Undecided(Cell::new(0))).unwrap().handle({
        let handled = handled.clone();
        move |(), ()| handled.set()
    });
    server.start().unwrap();
    assert!(handled.wait_timeout(PROMPT) && server.is_accepting());
    server.stop(LONG);
}

/// Servers whose acceptor is parked in each of the places where it parks, with a client that waits.
fn in_each_park(check: impl Fn(&StreamServer, &TcpStream, &Acceptors)) {
    // In accept.
    let acceptors = Acceptors::watch();
    let (server, address) = serve(next_byte);
    assert_eq!(ask(&connect(address), 1).unwrap(), 2);
    // The kernel knows of it, the acceptor not yet.
    let client = std::net::TcpStream::connect(address).unwrap();
    let client = TcpStream::from_std(client).unwrap();
    client.set_read_timeout(Some(PROMPT)).unwrap();
    check(&server, &client, &acceptors);
    server.stop(LONG);

    // At a full pool.
    let acceptors = Acceptors::watch();
    let pool = Pool::new(1);
    let server = StreamServer::bind("127.0.0.1:0").unwrap().pool(pool.clone()).handle(next_byte);
    let blocker = pool.spawn(|| sleep(LONG));
    server.start().unwrap();
    let client = connect(server.local_addr().unwrap());
    yield_now();
    blocker.kill_nowait();
    check(&server, &client, &acceptors);
    server.stop(LONG);

    // With a connection in hand for which another has taken the slot.
    let acceptors = Acceptors::watch();
    let pool = Pool::new(1);
    let server = StreamServer::bind("127.0.0.1:0").unwrap().pool(pool.clone()).handle(next_byte);
    server.start().unwrap();
    yield_now();
    let blocker = pool.spawn(|| sleep(LONG));
    let client = connect(server.local_addr().unwrap());
    sleep(ms(5));
    blocker.kill_nowait();
    check(&server, &client, &acceptors);
    server.stop(LONG);

    // Between two batches.
    let acceptors = Acceptors::watch();
    let server = StreamServer::bind("127.0.0.1:0").unwrap().max_accept(1).handle(next_byte);
    let address = server.local_addr().unwrap();
    server.start().unwrap();
    yield_now();
    let first = std::net::TcpStream::connect(address).unwrap();
    let client = std::net::TcpStream::connect(address).unwrap();
    let client = TcpStream::from_std(client).unwrap();
    client.set_read_timeout(Some(PROMPT)).unwrap();
    // Nobody sleeps, so this sees the acceptor as soon as it has let the others run.
    let start = Instant::now();
    while server.connections() == 0 {
        assert!(start.elapsed() < PROMPT, "nobody is accepted");
        yield_now();
    }
    assert_eq!(server.connections(), 1);
    check(&server, &client, &acceptors);
    drop(first);
    server.stop(LONG);
}

#[test]
fn a_pause_loses_nothing_wherever_the_acceptor_is() {
    in_each_park(|server, client, _| {
        server.stop_accepting();
        server.start_accepting().unwrap();
        assert_eq!(ask(client, 1).unwrap(), 2);
        client.shutdown(std::net::Shutdown::Both).unwrap();
    });
}

#[test]
fn a_pause_that_is_interrupted_has_begun_nevertheless() {
    in_each_park(|server, client, _| {
        let pausing = spawn_parked({
            let server = server.clone();
            move || server.stop_accepting()
        });
        pausing.kill_nowait();
        assert!(!server.is_accepting());
        // At once, while the acceptor of before may not have ended yet.
        server.start_accepting().unwrap();
        assert_eq!(ask(client, 1).unwrap(), 2);
        client.shutdown(std::net::Shutdown::Both).unwrap();
    });
}

#[test]
fn a_server_whose_acceptor_is_killed_by_others_can_accept_again() {
    in_each_park(|server, client, acceptors| {
        acceptors.last().kill();
        assert!(server.is_started());
        server.start_accepting().unwrap();
        assert_eq!(ask(client, 1).unwrap(), 2);
        client.shutdown(std::net::Shutdown::Both).unwrap();
    });
}

#[test]
fn a_stop_closes_the_connections_that_nobody_handles_wherever_the_acceptor_is() {
    in_each_park(|server, client, acceptors| {
        let acceptor = acceptors.last();
        server.stop(Duration::ZERO);
        assert!(acceptor.is_finished() && is_refused(server.local_addr().unwrap()));
        let mut client = client;
        let end = client.read(&mut [0]);
        assert!(
            matches!(&end, Ok(0)) || end.as_ref().is_err_and(|e| e.kind() == ErrorKind::ConnectionReset),
            "{end:?}"
        );
    });
}

#[test]
fn a_server_is_paused_or_stopped_during_the_pause_after_a_failure() {
    testing::virtual_time(|| {
        for stop in [true, false] {
            let script = Script::new(|number| (number > 0).then_some(Ok(())).or(Some(Err(emfile()))));
            let server =
                StreamServer::from_listener(script).unwrap().max_connections(1).handle(|_, _| sleep(LONG));
            server.start().unwrap();
            let before = testing::elapsed();
            sleep(ms(5));
            match stop {
                true => server.stop(LONG),
                false => server.stop_accepting(),
            }
            assert_eq!((testing::elapsed() - before, server.connections()), (ms(5), 0));
            if !stop {
                server.start_accepting().unwrap();
                yield_now();
                assert_eq!(server.connections(), 1);
                server.stop(Duration::ZERO);
            }
        }
    });
}

// SV18
#[test]
fn a_server_without_descriptors_can_be_stopped() {
    let output = in_a_child("a_server_without_descriptors_can_be_stopped", "ulimit -n 48", || {
        let (server, address) = serve(next_byte);
        assert_eq!(ask(&connect(address), 1).unwrap(), 2);
        until(|| server.connections() == 0);
        let mut files: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        files.pop();
        let mut client = connect(address);
        assert!(is_left_waiting(&client));
        let start = Instant::now();
        server.stop(LONG);
        assert!(start.elapsed() < PROMPT && !server.is_started());
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(is_refused(address));
    });
    if let Some(output) = output {
        assert!(output.contains("cannot take a connection"), "{output}");
    }
}

// SV11
#[test]
fn a_connection_accepted_when_others_have_filled_the_pool_waits_for_a_slot() {
    let pool = Pool::new(1);
    let server = StreamServer::bind("127.0.0.1:0").unwrap().pool(pool.clone()).handle(next_byte);
    server.start().unwrap();
    yield_now();
    let (go, ended) = (Event::new(), Flag::default());
    pool.spawn({
        let (go, ended) = (go.clone(), ended.clone());
        move || {
            go.wait();
            ended.raise();
        }
    });
    let client = connect(server.local_addr().unwrap());
    (&client).write_all(&[1]).unwrap();
    assert!(is_left_waiting(&client));
    assert_eq!((pool.len(), pool.is_full()), (1, true));
    go.set();
    assert_eq!(answer(&client).unwrap(), 2);
    assert!(ended.is_up());
    server.stop(SHORT);
}

// SV19
#[test]
fn a_stop_waits_a_second_for_handlers_that_cannot_be_killed_and_leaves_them() {
    testing::virtual_time(|| {
        let ended = Flag::default();
        let script = Script::new(|number| (number == 0).then_some(Ok(())));
        let server = StreamServer::from_listener(script).unwrap().handle({
            let ended = ended.clone();
            move |_, _| {
                shield(|| sleep(LONG));
                sleep(ms(1));
                ended.raise();
            }
        });
        server.start().unwrap();
        yield_now();
        yield_now();
        server.stop(ms(10));
        assert_eq!((testing::elapsed(), server.connections()), (ms(1010), 1));
        server.stop(ms(0));
        assert_eq!(testing::elapsed(), ms(2010));
        sleep(LONG);
        // It was killed when the shield let it.
        assert!(!ended.is_up() && server.connections() == 0);
    });
}

// SV19
#[test]
fn a_stop_lets_handlers_finish_within_the_grace_and_kills_the_others_after_it() {
    testing::virtual_time(|| {
        let ends = Rc::new(RefCell::new(Vec::new()));
        let script = Script::new(|number| (number < 3).then_some(Ok(())));
        let server = StreamServer::from_listener(script).unwrap().handle({
            let ends = ends.clone();
            move |number, _| {
                let _end = OnDrop(|| ends.borrow_mut().push((number, testing::elapsed())));
                sleep(ms([10, 20, 1000][number as usize]));
            }
        });
        server.start().unwrap();
        yield_now();
        yield_now();
        server.stop(ms(100));
        assert_eq!(ends.take(), [(0, ms(10)), (1, ms(20)), (2, ms(100))]);
        assert_eq!(testing::elapsed(), ms(100));
    });
}

#[test]
fn a_handler_that_stops_its_server_is_not_waited_for() {
    let (stopped, killed) = (Flag::default(), Flag::default());
    let cell: Rc<RefCell<Option<StreamServer>>> = Rc::default();
    let (server, address) = serve({
        let (stopped, killed, cell) = (stopped.clone(), killed.clone(), cell.clone());
        move |mut stream, _| {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            if byte == [1] {
                let _killed = OnDrop(|| killed.raise());
                return stream.read_exact(&mut byte);
            }
            let server = cell.take().unwrap();
            server.stop(ms(20));
            stopped.raise();
            stream.write_all(b"x")
        }
    });
    *cell.borrow_mut() = Some(server.clone());
    let (mut other, client) = (connect(address), connect(address));
    other.write_all(&[1]).unwrap();
    until(|| server.connections() == 2);
    let start = Instant::now();
    assert_eq!(ask(&client, 2).unwrap(), b'x');
    assert!(stopped.is_up() && killed.is_up() && start.elapsed() < PROMPT);
    assert_eq!(other.read(&mut [0]).unwrap(), 0);

    // Alone, it waits for nobody.
    let cell: Rc<RefCell<Option<StreamServer>>> = Rc::default();
    let (server, address) = serve({
        let cell = cell.clone();
        move |mut stream, _| {
            let server = cell.take().unwrap();
            server.stop(LONG);
            stream.write_all(b"x")
        }
    });
    *cell.borrow_mut() = Some(server);
    let start = Instant::now();
    assert_eq!(answer(&connect(address)).unwrap(), b'x');
    assert!(start.elapsed() < PROMPT);
}

#[test]
fn a_stop_that_is_killed_has_stopped_the_server_nevertheless() {
    let (server, address) = serve(next_byte);
    let client = connect(address);
    assert_eq!(ask(&client, 1).unwrap(), 2);
    let stopping = spawn_parked({
        let server = server.clone();
        move || server.stop(LONG)
    });
    stopping.kill();
    assert!(is_refused(address) && !server.is_started());
    assert_eq!(ask(&client, 1).unwrap(), 2);
    drop(client);
    until(|| server.connections() == 0);
}

// SV07
#[test]
fn a_serve_forever_that_is_interrupted_stops_its_server() {
    for by_kill in [true, false] {
        let (server, address) = serve(next_byte);
        let other = spawn_parked({
            let server = server.clone();
            move || server.serve_forever().is_ok()
        });
        let client = connect(address);
        assert_eq!(ask(&client, 1).unwrap(), 2);
        if by_kill {
            let serving = spawn_parked({
                let server = server.clone();
                move || server.serve_forever().is_ok()
            });
            serving.kill();
        } else {
            assert!(timeout(SHORT, || server.serve_forever()).is_err());
        }
        assert!(!server.is_started());
        yield_now();
        assert!(is_refused(address));
        // Whoever is connected has a second to finish.
        assert_eq!(ask(&client, 1).unwrap(), 2);
        drop(client);
        assert!(other.join().unwrap());
        assert_eq!(server.connections(), 0);
    }
}

#[test]
fn a_spawn_hook_that_panics_lets_an_interrupted_serve_forever_stop_its_server() {
    in_a_child("a_spawn_hook_that_panics_lets_an_interrupted_serve_forever_stop_its_server", "", || {
        let (server, address) = serve(next_byte);
        let client = connect(address);
        assert_eq!(ask(&client, 1).unwrap(), 2);
        let serving = spawn_parked({
            let server = server.clone();
            move || server.serve_forever()
        });
        let _hook = on_spawn(|_| panic!("no greenlets today"));
        serving.kill();
        assert!(is_refused(address));
        // Its handlers have the usual time.
        assert_eq!(ask(&client, 5).unwrap(), 6);
        until(|| server.connections() == 0);
        assert!(answer(&client).is_err());
    });
}

#[test]
fn a_serve_forever_that_is_interrupted_kills_handlers_that_take_too_long() {
    testing::virtual_time(|| {
        let script = Script::new(|number| (number == 0).then_some(Ok(())));
        let server = StreamServer::from_listener(script).unwrap().handle(|_, _| sleep(LONG));
        assert!(timeout(ms(10), || server.serve_forever()).is_err());
        assert_eq!(server.connections(), 1);
        assert!(wait_all_timeout(LONG));
        assert_eq!((testing::elapsed(), server.connections()), (ms(1010), 0));
    });
}

#[test]
fn a_server_is_stopped_by_a_destructor_that_runs_in_an_unwind() {
    let (server, address) = serve(next_byte);
    let client = connect(address);
    assert_eq!(ask(&client, 1).unwrap(), 2);
    let stopping = server.clone();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _stop = OnDrop(|| stopping.stop(LONG));
        std::panic::resume_unwind(Box::new("end"))
    }));
    let payload: Box<dyn std::any::Any + Send> = outcome.map(|never: ()| never).unwrap_err();
    assert!(payload.is::<&str>());
    // It cannot wait, so it kills.
    let mut client = client;
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    until(|| is_refused(address) && server.connections() == 0);
    assert!(!server.is_started());
}

// SV27
#[test]
fn a_client_that_stalls_hinders_nobody_and_is_served_when_it_goes_on() {
    let (server, address) = serve(|mut stream: TcpStream, _| {
        let mut line = [0; 4];
        stream.read_exact(&mut line)?;
        stream.write_all(&line)
    });
    let mut stalled = connect(address);
    stalled.write_all(b"ha").unwrap();
    for _ in 0..20 {
        let (mut client, mut text) = (connect(address), String::new());
        client.write_all(b"full").unwrap();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "full");
    }
    assert!(is_left_waiting(&stalled));
    stalled.write_all(b"lf").unwrap();
    let mut text = String::new();
    stalled.read_to_string(&mut text).unwrap();
    assert_eq!(text, "half");
    server.stop(LONG);
}
