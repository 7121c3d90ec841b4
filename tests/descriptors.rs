//! No descriptor is left open, whatever has happened to a socket. Each test counts those of a process of its own.
#![cfg(target_os = "linux")]

mod net_support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use greenloop::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use greenloop::server::StreamServer;
use greenloop::testing::virtual_time;
use greenloop::{join_all, sleep, spawn, threadpool, timeout};
use net_support::{
    LONG, Mute, Nobody, PROMPT, connection, in_a_child, ms, open_descriptors, reset, spawn_parked,
};

/// Does `work` twice, the first time to make what stays (hub, worker threads), and compares the number of descriptors.
fn leaves_none_open(name: &str, work: impl Fn()) {
    in_a_child(name, "", || {
        work();
        let before = open_descriptors();
        work();
        // A worker thread lets go of a hub a moment after it has told it that its job is done; so `before` may be a few too
        // high, and the count may still fall. A leak shows many times over.
        let start = Instant::now();
        while open_descriptors() > before && start.elapsed() < PROMPT {
            std::thread::yield_now();
        }
        let after = open_descriptors();
        assert!(after <= before, "of {after} descriptors only {before} were open before");
    });
}

// SK32
#[test]
fn connections_that_end_in_every_way_leave_none_open() {
    leaves_none_open("connections_that_end_in_every_way_leave_none_open", || {
        for _ in 0..50 {
            let (mut a, b) = connection();
            a.write_all(b"unread").unwrap();
            let clone = b.try_clone().unwrap();
            drop((a, b, clone));
            let (a, mut b) = connection();
            reset(a);
            b.read(&mut [0; 8]).unwrap_err();
            let (a, b) = connection();
            let again = TcpStream::from_std(a.into_std().unwrap()).unwrap();
            let clone = b.try_clone().unwrap();
            b.into_std().unwrap_err();
            drop((again, clone));
        }
    });
}

// SK20
#[test]
fn calls_that_fail_or_are_interrupted_leave_none_open() {
    leaves_none_open("calls_that_fail_or_are_interrupted_leave_none_open", || {
        let (mute, nobody) = (Mute::new(), Nobody::new());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, dead) = (mute.address(), nobody.address());
        for _ in 0..10 {
            TcpStream::connect(dead).unwrap_err();
            TcpListener::bind(listener.local_addr().unwrap()).unwrap_err();
            TcpStream::connect_timeout(address, ms(1)).unwrap_err();
            timeout(ms(1), || TcpStream::connect(address).map(drop)).unwrap_err();
            timeout(ms(1), || listener.accept().map(drop)).unwrap_err();
            let (a, b) = connection();
            let parked = [
                spawn_parked(move || drop(TcpStream::connect(address))),
                spawn_parked(move || drop((&a).read(&mut [0; 8]))),
                spawn_parked(move || (&b).write_all(&vec![7; 32 << 20]).unwrap()),
                spawn_parked(|| drop(TcpListener::bind("127.0.0.1:0").unwrap().accept())),
                spawn(move || drop(TcpStream::connect(dead))),
            ];
            greenloop::kill_all(&parked);
        }
    });
}

// SK10, SK32
#[test]
fn sockets_of_the_other_kinds_leave_none_open() {
    leaves_none_open("sockets_of_the_other_kinds_leave_none_open", || {
        let folder = std::env::temp_dir().join(format!("greenloop-descriptors-{}", std::process::id()));
        for _ in 0..10 {
            std::fs::create_dir_all(&folder).unwrap();
            let path = folder.join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            UnixListener::bind(&path).unwrap_err();
            UnixStream::connect(folder.join("nothing")).unwrap_err();
            let client = UnixStream::connect(&path).unwrap();
            let (server, _) = listener.accept().unwrap();
            let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
            UdpSocket::bind(a.local_addr().unwrap()).unwrap_err();
            let (c, d) = UnixDatagram::pair().unwrap();
            let e = UnixDatagram::bind(folder.join("datagram")).unwrap();
            let clones = (client.try_clone().unwrap(), a.try_clone().unwrap(), listener.try_clone().unwrap());
            let parked = [
                spawn_parked(move || drop(listener.accept())),
                spawn_parked(move || drop((&client).read(&mut [0; 8]))),
                spawn_parked(move || drop((&server).write_all(&vec![7; 8 << 20]))),
                spawn_parked(move || drop(a.recv(&mut [0; 8]))),
                spawn_parked(move || drop(c.recv_from(&mut [0; 8]))),
                spawn_parked(move || while d.send(b"x").is_ok() {}),
            ];
            greenloop::kill_all(&parked);
            b.try_clone().unwrap().into_std().unwrap_err();
            drop((clones, b.into_std().unwrap(), e.into_std().unwrap()));
            std::fs::remove_dir_all(&folder).unwrap();
        }
    });
}

// SK20
#[test]
fn attempts_at_several_addresses_leave_none_open() {
    leaves_none_open("attempts_at_several_addresses_leave_none_open", || {
        let (mutes, listener) = ([Mute::new(), Mute::new()], TcpListener::bind("127.0.0.1:0").unwrap());
        let nobody = Nobody::new();
        let dead = nobody.address();
        let address = listener.local_addr().unwrap();
        let addresses = [mutes[0].address(), dead, mutes[1].address(), address];
        for limit in [1, 100, 251, 300, 499] {
            virtual_time(|| {
                timeout(ms(limit), || TcpStream::connect(addresses.as_slice()).map(drop)).unwrap_err();
                TcpStream::connect_timeout(addresses.as_slice(), ms(limit)).unwrap_err();
                let killed = spawn(move || TcpStream::connect(addresses.as_slice()).map(drop));
                sleep(ms(limit));
                killed.kill();
                TcpStream::connect(addresses.as_slice()).unwrap();
                TcpStream::connect([dead, dead].as_slice()).unwrap_err();
            });
        }
    });
}

#[test]
fn servers_that_are_stopped_leave_none_open() {
    leaves_none_open("servers_that_are_stopped_leave_none_open", || {
        for _ in 0..5 {
            let server =
                StreamServer::bind("127.0.0.1:0").unwrap().max_connections(8).handle(|mut stream, _| {
                    let mut place = [0];
                    stream.read_exact(&mut place)?;
                    match place[0] {
                        0 => sleep(LONG),
                        1 => panic!("expected"),
                        2 => stream.write_all(&vec![7; 32 << 20])?,
                        _ => {}
                    }
                    std::io::Result::Ok(())
                });
            server.start().unwrap();
            let address = server.local_addr().unwrap();
            let clients = (0..12).map(|n| {
                spawn(move || {
                    let mut client = TcpStream::connect(address)?;
                    client.set_read_timeout(Some(ms(20)))?;
                    client.write_all(&[n % 5])?;
                    client.read(&mut [0; 8])
                })
            });
            drop(join_all(clients));
            server.stop(ms(1));
        }
        drop(StreamServer::bind("127.0.0.1:0").unwrap().handle(|_, _| ()));
    });
}

#[test]
fn hubs_that_end_with_their_threads_leave_none_open() {
    leaves_none_open("hubs_that_end_with_their_threads_leave_none_open", || {
        for _ in 0..20 {
            std::thread::spawn(|| {
                let (a, mut b) = connection();
                let reader = spawn(move || b.read(&mut [0; 8]).unwrap());
                threadpool().apply(|| std::thread::sleep(Duration::from_micros(10)));
                drop(a);
                reader.join().unwrap();
            })
            .join()
            .unwrap();
        }
    });
}

// A greenlet that is alive then keeps what it holds; the hub itself must not.
#[test]
fn hubs_that_end_with_greenlets_alive_leave_none_of_their_own_open() {
    leaves_none_open("hubs_that_end_with_greenlets_alive_leave_none_of_their_own_open", || {
        for _ in 0..20 {
            std::thread::spawn(|| {
                spawn_parked(|| sleep(LONG));
            })
            .join()
            .unwrap();
        }
    });
}

// SV04, SV19
#[test]
fn servers_that_start_pause_and_stop_leave_none_open() {
    leaves_none_open("servers_that_start_pause_and_stop_leave_none_open", || {
        for n in 0..30 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let given = StreamServer::from_listener(listener).unwrap().max_connections(1);
            let bound = StreamServer::bind("127.0.0.1:0").unwrap();
            for server in
                [given, bound].map(|builder| builder.handle(|mut socket, _| socket.read(&mut [0]).map(drop)))
            {
                if n % 5 == 0 {
                    server.stop(LONG); // before the start
                    continue;
                }
                server.start().unwrap();
                let address = server.local_addr().unwrap();
                let clients = [0, 1].map(|_| TcpStream::connect(address).unwrap());
                sleep(ms(1));
                if n % 3 == 0 {
                    server.stop_accepting();
                    server.start_accepting().unwrap();
                }
                if n % 2 == 0 {
                    drop(clients);
                    server.stop(LONG);
                } else {
                    assert!(timeout(ms(1), || server.serve_forever()).is_err());
                    server.stop(ms(0));
                }
            }
        }
    });
}
