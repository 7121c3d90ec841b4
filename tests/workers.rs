//! One service on several threads.

mod net_support;
mod server_support;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use greenloop::server::{StreamServer, Worker, workers};
use greenloop::{sleep, spawn};
use net_support::{LONG, PROMPT, SHORT, in_a_child, ms, open_descriptors, raise_descriptor_limit};
use server_support::{Script, next_byte};

/// Tells each client the number of the worker, and then answers bytes.
fn number_and_bytes(worker: &Worker) -> io::Result<()> {
    let number = worker.number() as u8;
    worker.serve(&StreamServer::from_listener(worker.listener()?)?.handle(move |mut socket, peer| {
        socket.write_all(&[number])?;
        next_byte(socket, peer)
    }))
}

/// A client that blocks its thread, and the number of its worker.
fn client(address: SocketAddr) -> (std::net::TcpStream, usize) {
    let mut client = std::net::TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PROMPT)).unwrap();
    let mut number = [0];
    client.read_exact(&mut number).unwrap();
    (client, number[0].into())
}

fn is_refused(address: SocketAddr) -> bool {
    std::net::TcpStream::connect(address).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

/// Waits until `happened`, which must be soon, on a thread without a hub.
#[track_caller]
fn until(happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PROMPT, "it does not happen");
        std::thread::yield_now();
    }
}

#[test]
fn connections_are_shared_out_evenly() {
    raise_descriptor_limit();
    let workers = workers("127.0.0.1:0", 4, number_and_bytes).unwrap();
    let mut counts = [0; 4];
    for _ in 0..20 {
        let clients: Vec<_> = (0..50).map(|_| client(workers.local_addr())).collect();
        clients.iter().for_each(|(_, number)| counts[*number] += 1);
    }
    assert_eq!(counts.iter().sum::<usize>(), 1000);
    // A third of the share of each; what the kernel draws lies between 200 and 300.
    assert!(counts.iter().all(|count| *count >= 1000 / 4 / 3), "{counts:?}");
    workers.stop(LONG);
    workers.join().unwrap();
}

#[test]
fn what_the_workers_return_comes_in_their_order() {
    let workers = workers("127.0.0.1:0", 3, |worker| {
        assert_eq!((worker.count(), format!("{worker:?}")), (3, format!("Worker({} of 3)", worker.number())));
        assert_eq!(std::thread::current().name(), Some(&*format!("worker-{}", worker.number())));
        let grace = worker.wait();
        Ok((worker.number(), grace))
    })
    .unwrap();
    assert_ne!(workers.local_addr().port(), 0);
    workers.stop(ms(123));
    // Only the first counts.
    workers.stop(LONG);
    assert_eq!(workers.join().unwrap(), [(0, ms(123)), (1, ms(123)), (2, ms(123))]);
}

#[test]
fn a_stop_lets_handlers_finish_and_refuses_clients() {
    let workers = workers("127.0.0.1:0", 2, number_and_bytes).unwrap();
    let address = workers.local_addr();
    let mut clients: Vec<_> = (0..20).map(|_| client(address).0).collect();
    let stopper = workers.stopper();
    assert!(!stopper.is_stopped());
    std::thread::spawn(move || stopper.stop(LONG)).join().unwrap();
    assert!(workers.stopper().is_stopped());
    until(|| is_refused(address));
    for client in &mut clients {
        let mut answer = [0];
        client.write_all(&[7]).unwrap();
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [8]);
    }
    drop(clients);
    let start = Instant::now();
    assert_eq!(workers.join().unwrap(), [(), ()]);
    assert!(start.elapsed() < PROMPT);
}

#[test]
fn a_stop_kills_handlers_that_do_not_finish() {
    let workers = workers("127.0.0.1:0", 2, number_and_bytes).unwrap();
    let clients: Vec<_> = (0..20).map(|_| client(workers.local_addr()).0).collect();
    workers.stop(SHORT);
    let start = Instant::now();
    workers.join().unwrap();
    assert!(start.elapsed() < PROMPT);
    for mut client in clients {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn a_handler_may_stop_the_service() {
    let workers = workers("127.0.0.1:0", 3, |worker| {
        let stopper = worker.stopper();
        worker.serve(&StreamServer::from_listener(worker.listener()?)?.handle(move |mut socket, _| {
            stopper.stop(LONG);
            socket.write_all(b"x")
        }))
    })
    .unwrap();
    let (_client, byte) = client(workers.local_addr());
    assert_eq!(byte, b'x'.into());
    assert_eq!(workers.join().unwrap().len(), 3);
}

#[test]
fn a_stop_that_comes_before_the_workers_are_ready_is_not_lost() {
    let barrier = Arc::new(Barrier::new(3));
    let workers = workers("127.0.0.1:0", 2, {
        let barrier = barrier.clone();
        move |worker| {
            barrier.wait();
            number_and_bytes(worker)
        }
    })
    .unwrap();
    // It listens already, so this client is only made to wait.
    let mut early = std::net::TcpStream::connect(workers.local_addr()).unwrap();
    workers.stop(LONG);
    barrier.wait();
    workers.join().unwrap();
    let end = early.read(&mut [0]);
    assert!(end.is_ok() || end.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset));
}

#[test]
fn clients_wait_for_workers_that_are_not_ready() {
    let barrier = Arc::new(Barrier::new(3));
    let workers = workers("127.0.0.1:0", 2, {
        let barrier = barrier.clone();
        move |worker| {
            barrier.wait();
            number_and_bytes(worker)
        }
    })
    .unwrap();
    let sockets: Vec<_> =
        (0..20).map(|_| std::net::TcpStream::connect(workers.local_addr()).unwrap()).collect();
    barrier.wait();
    for mut socket in sockets {
        socket.set_read_timeout(Some(PROMPT)).unwrap();
        socket.read_exact(&mut [0]).unwrap();
    }
    workers.stop(LONG);
    workers.join().unwrap();
}

#[test]
fn a_worker_that_panics_is_told_and_stops_all() {
    let output = in_a_child("a_worker_that_panics_is_told_and_stops_all", "", || {
        let go = Arc::new(AtomicUsize::new(0));
        let workers = workers("127.0.0.1:0", 3, {
            let go = go.clone();
            move |worker| {
                if worker.number() == 1 {
                    until(|| go.load(Ordering::Acquire) > 0);
                    panic!("no more coffee");
                }
                number_and_bytes(worker)
            }
        })
        .unwrap();
        let address = workers.local_addr();
        go.store(1, Ordering::Release);
        let error = workers.join().unwrap_err();
        assert_eq!(error.to_string(), "worker 1 of 3: it panicked: no more coffee");
        assert!(is_refused(address));
    });
    if let Some(output) = output {
        assert!(output.contains("thread 'worker-1'") && output.contains("no more coffee"), "{output}");
    }
}

#[test]
fn a_panic_while_the_server_runs_stops_all_and_closes_its_connections() {
    let workers = workers("127.0.0.1:0", 2, |worker| {
        if worker.number() == 1 {
            let server = StreamServer::from_listener(worker.listener()?)?.handle(|mut socket, _| {
                socket.write_all(&[1])?;
                sleep(LONG);
                io::Result::Ok(())
            });
            server.start()?;
            greenloop::scope(|scope| {
                scope.spawn(|| {
                    while server.connections() == 0 {
                        sleep(ms(1));
                    }
                    panic!("the roof is on fire")
                });
                worker.serve(&server)
            })
        } else {
            number_and_bytes(worker)
        }
    })
    .unwrap();
    let address = workers.local_addr();
    let mut clients = Vec::new();
    loop {
        let (client, number) = client(address);
        clients.push(client);
        if number == 1 {
            break;
        }
    }
    // One of the scope fails, but its body serves on; the service is stopped from outside.
    workers.stop(SHORT);
    let error = workers.join().unwrap_err();
    assert_eq!(error.to_string(), "worker 1 of 2: it panicked: the roof is on fire");
    for mut client in clients {
        client.set_read_timeout(Some(PROMPT)).unwrap();
        let end = client.read(&mut [0]);
        assert!(matches!(end, Ok(0)) || end.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset));
    }
}

#[test]
fn a_handler_that_panics_stops_nobody() {
    let output = in_a_child("a_handler_that_panics_stops_nobody", "", || {
        let workers = workers("127.0.0.1:0", 2, |worker| {
            worker.serve(&StreamServer::from_listener(worker.listener()?)?.handle(|mut socket, _| {
                let mut byte = [0];
                socket.read_exact(&mut byte)?;
                assert!(byte != [13], "unlucky");
                socket.write_all(&byte)
            }))
        })
        .unwrap();
        for byte in [13, 1, 13, 2, 13, 3] {
            let mut client = std::net::TcpStream::connect(workers.local_addr()).unwrap();
            client.write_all(&[byte]).unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, if byte == 13 { vec![] } else { vec![byte] });
        }
        workers.stop(LONG);
        workers.join().unwrap();
    });
    if let Some(output) = output {
        assert_eq!(output.matches("unlucky").count(), 3, "{output}");
    }
}

#[test]
fn a_worker_that_fails_stops_all_and_the_first_failure_is_told() {
    let workers = workers("127.0.0.1:0", 3, |worker| match worker.number() {
        2 => Err(io::Error::new(io::ErrorKind::NotFound, "no configuration")),
        0 => {
            worker.wait();
            Err(io::Error::other("as a consequence"))
        }
        _ => number_and_bytes(worker),
    })
    .unwrap();
    let error = workers.join().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), "worker 2 of 3: no configuration");
}

#[test]
fn a_worker_whose_listener_breaks_stops_all() {
    let workers = workers("127.0.0.1:0", 2, |worker| {
        if worker.number() == 0 {
            return number_and_bytes(worker);
        }
        let script = Script::new(|_| Some(Err(io::Error::from_raw_os_error(libc::EBADF))));
        worker.serve(&StreamServer::from_listener(script)?.handle(|_, _| ()))
    })
    .unwrap();
    let error = workers.join().unwrap_err();
    assert!(error.to_string().starts_with("worker 1 of 2: "), "{error}");
}

#[test]
fn a_worker_that_returns_stops_the_others_without_an_error() {
    let workers = workers("127.0.0.1:0", 2, |worker| match worker.number() {
        0 => Ok("done"),
        _ => number_and_bytes(worker).map(|()| "stopped"),
    })
    .unwrap();
    assert_eq!(workers.join().unwrap(), ["done", "stopped"]);
}

#[test]
fn a_server_stopped_by_its_own_handle_ends_its_worker_and_all() {
    let workers = workers("127.0.0.1:0", 2, |worker| {
        let server = StreamServer::from_listener(worker.listener()?)?.handle(next_byte);
        if worker.number() == 0 {
            let server = server.clone();
            spawn(move || server.stop(SHORT));
        }
        worker.serve(&server)
    })
    .unwrap();
    assert_eq!(workers.join().unwrap(), [(), ()]);
}

#[test]
fn a_join_parks_its_greenlet_alone() {
    let workers = workers("127.0.0.1:0", 2, number_and_bytes).unwrap();
    let stopper = workers.stopper();
    let joining = spawn(move || workers.join().is_ok());
    for _ in 0..3 {
        sleep(ms(1));
        assert!(!joining.is_finished());
    }
    stopper.stop(SHORT);
    assert!(joining.join().unwrap());
}

#[test]
fn a_join_that_is_killed_leaves_the_workers_running() {
    let workers = workers("127.0.0.1:0", 2, number_and_bytes).unwrap();
    let (stopper, address) = (workers.stopper(), workers.local_addr());
    let joining = net_support::spawn_parked(move || workers.join().is_ok());
    joining.kill();
    assert!(!stopper.is_stopped());
    drop(client(address));
    stopper.stop(SHORT);
    until(|| is_refused(address));
}

#[test]
fn a_service_needs_a_worker_and_an_address_and_a_worker_has_one_listener() {
    let error = workers("127.0.0.1:0", 0, |_| Ok(())).unwrap_err();
    assert!(
        error.kind() == io::ErrorKind::InvalidInput && error.to_string().contains("0 workers"),
        "{error}"
    );
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let error = workers(address, 2, |_| Ok(())).unwrap_err();
    assert!(
        error.kind() == io::ErrorKind::AddrInUse && error.to_string().contains(&address.to_string()),
        "{error}"
    );
    let workers = workers("127.0.0.1:0", 1, |worker| {
        let _taken = worker.listener()?;
        Ok(worker.listener().unwrap_err().to_string())
    })
    .unwrap();
    assert!(workers.join().unwrap()[0].contains("taken already"));
}

#[cfg(feature = "http")]
#[test]
fn http_is_served_by_workers() {
    use greenloop::http::{Request, Server};

    let workers = workers("127.0.0.1:0", 2, |worker| {
        // What a handler holds need not be `Send`: it is made on its thread.
        let asked = std::rc::Rc::new(std::cell::Cell::new(0_usize));
        let count = asked.clone();
        let server = Server::from_builder(StreamServer::from_listener(worker.listener()?)?);
        worker.serve(&server.start(move |_: &mut Request<'_>| {
            count.set(count.get() + 1);
            "hello"
        })?)?;
        Ok(asked.get())
    })
    .unwrap();
    let mut idle = Vec::new();
    for _ in 0..60 {
        let mut client = std::net::TcpStream::connect(workers.local_addr()).unwrap();
        client.set_read_timeout(Some(PROMPT)).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        let (mut text, mut buffer) = (Vec::new(), [0; 1024]);
        while !text.ends_with(b"hello") {
            let count = client.read(&mut buffer).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&buffer[..count]);
        }
        idle.push(client);
    }
    // Connections between two requests do not hold the stop up.
    let start = Instant::now();
    workers.stop(LONG);
    let asked = workers.join().unwrap();
    assert!(start.elapsed() < PROMPT);
    assert!(asked.iter().sum::<usize>() == 60 && asked.iter().all(|count| *count > 0), "{asked:?}");
    for mut client in idle {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}

#[cfg(feature = "http")]
#[test]
fn an_http_worker_that_cannot_start_stops_all_and_says_why() {
    use greenloop::http::{self, Request};

    let first = std::sync::atomic::AtomicBool::new(true);
    let workers = http::workers("127.0.0.1:0", 2, move |server| {
        if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return Err(io::Error::other("no database"));
        }
        server.start(|_: &mut Request<'_>| "hello")
    });
    let error = workers.unwrap().join().unwrap_err();
    assert!(error.to_string().contains("no database"), "{error}");
}

// A worker's hub needs descriptors.
#[test]
fn workers_that_can_have_no_hub_are_an_error_and_no_hang() {
    let output = in_a_child("workers_that_can_have_no_hub_are_an_error_and_no_hang", "ulimit -n 64", || {
        sleep(ms(1));
        let mut taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        // For the two listeners, and for nothing else.
        taken.truncate(taken.len() - 2);
        let error = workers("127.0.0.1:0", 2, number_and_bytes).unwrap().join().unwrap_err();
        assert!(error.to_string().contains("cannot make a hub for this thread"), "{error}");
    });
    assert!(output.is_none_or(|text| text.contains("Too many open files")));
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_leaves_no_descriptor_open() {
    in_a_child("a_service_leaves_no_descriptor_open", "", || {
        let service = || {
            let workers = workers("127.0.0.1:0", 3, number_and_bytes).unwrap();
            let clients: Vec<_> = (0..30).map(|_| client(workers.local_addr())).collect();
            workers.stop(Duration::ZERO);
            workers.join().unwrap();
            drop(clients);
        };
        service();
        let before = open_descriptors();
        for _ in 0..5 {
            service();
        }
        until(|| open_descriptors() <= before);
    });
}
