//! Unix sockets for datagrams.
#![cfg(target_os = "linux")]

mod net_support;

use std::cell::Cell;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use greenloop::net::UnixDatagram;
use greenloop::testing::assert_no_switch;
use greenloop::{sleep, spawn, timeout, yield_now};
use net_support::{Flag, LONG, Log, OnDrop, PROMPT, SHORT, ms, spawn_parked};

/// A folder for the sockets of one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("greenloop-datagram-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn receive(socket: &UnixDatagram) -> io::Result<Vec<u8>> {
    let mut place = [0; 2000];
    let count = socket.recv(&mut place)?;
    Ok(place[..count].to_vec())
}

fn raw_error(error: &io::Error) -> Option<i32> {
    error.source().and_then(|source| source.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error)
}

#[test]
fn datagrams_keep_their_boundaries_and_their_order() {
    let (a, b) = UnixDatagram::pair().unwrap();
    for parked in [false, true] {
        let receiver = spawn({
            let b = b.try_clone().unwrap();
            move || (0..300_u32).map(|_| receive(&b).unwrap()).collect::<Vec<_>>()
        });
        if parked {
            yield_now();
        }
        // More than fit, so the sender has to wait.
        for n in 0..300_u32 {
            assert_eq!(a.send(&n.to_ne_bytes()).unwrap(), 4);
        }
        let received = timeout(PROMPT, || receiver.join()).expect("all of them").unwrap();
        assert!((0..300_u32).all(|n| received[n as usize] == n.to_ne_bytes()));
    }
}

#[test]
fn sockets_have_paths_and_abstract_names_or_none() {
    let folder = Folder::new();
    let (a_path, b_path) = (folder.path("a"), folder.path("b"));
    let (a, b) = (UnixDatagram::bind(&a_path).unwrap(), UnixDatagram::bind(&b_path).unwrap());
    let mut place = [0; 16];
    a.send_to(b"to b", &b_path).unwrap();
    let (count, from) = b.peek_from(&mut place).unwrap();
    assert_eq!((count, from.as_pathname()), (4, Some(&*a_path)));
    let (count, from) = b.recv_from(&mut place).unwrap();
    assert_eq!((&place[..count], from.as_pathname()), (&b"to b"[..], Some(&*a_path)));
    b.send_to_addr(b"back", &from).unwrap();
    assert_eq!(receive(&a).unwrap(), b"back");
    // Without a name.
    let nobody = UnixDatagram::unbound().unwrap();
    nobody.send_to(b"guess who", &b_path).unwrap();
    let (_, from) = b.peek_from(&mut place).unwrap();
    assert!(from.is_unnamed() && b.recv_from(&mut place).unwrap().1.is_unnamed());
    // With an abstract one.
    let name = format!("greenloop-datagram-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
    let c = UnixDatagram::bind_addr(&address).unwrap();
    c.send_to(b"from c", &b_path).unwrap();
    assert_eq!(b.peek_from(&mut place).unwrap().1.as_abstract_name(), Some(name.as_bytes()));
    assert_eq!(receive(&b).unwrap(), b"from c");
    nobody.connect_addr(&address).unwrap();
    nobody.send(b"to c").unwrap();
    assert_eq!(receive(&c).unwrap(), b"to c");
    assert_eq!(nobody.peer_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
    nobody.connect(&b_path).unwrap();
    assert_eq!(nobody.peer_addr().unwrap().as_pathname(), Some(&*b_path));
    assert_eq!(b.local_addr().unwrap().as_pathname(), Some(&*b_path));
}

#[test]
fn peek_takes_nothing() {
    let (a, b) = UnixDatagram::pair().unwrap();
    let peeker = spawn_parked({
        let b = b.try_clone().unwrap();
        move || b.peek(&mut [0; 8])
    });
    a.send(b"here").unwrap();
    assert_eq!(peeker.join().unwrap().unwrap(), 4);
    assert_eq!(assert_no_switch(|| receive(&b)).unwrap(), b"here");
}

/// A receiver in whose queue no more datagrams fit.
fn full(folder: &Folder) -> (UnixDatagram, usize, PathBuf) {
    let path = folder.path("full");
    let receiver = UnixDatagram::bind(&path).unwrap();
    let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    let count = (0..100_000).take_while(|_| sender.send_to(b"fill", &path).is_ok()).count();
    (receiver, count, path)
}

// Connected, the kernel tells the sender of room; not connected, it does not.
#[test]
fn a_sender_waits_until_the_receiver_has_room() {
    for connected in [true, false] {
        let folder = Folder::new();
        let (receiver, count, path) = full(&folder);
        let (sender, ran) = (UnixDatagram::unbound().unwrap(), Flag::default());
        let sending = spawn_parked(move || match connected {
            true => {
                sender.connect(&path).unwrap();
                sender.send(b"late")
            }
            false => sender.send_to(b"late", &path),
        });
        spawn({
            let ran = ran.clone();
            move || ran.raise()
        });
        sleep(ms(5));
        assert!(ran.is_up() && !sending.is_finished());
        for _ in 0..count {
            assert_eq!(receive(&receiver).unwrap(), b"fill");
        }
        assert_eq!(timeout(PROMPT, || receive(&receiver)).expect("the last").unwrap(), b"late");
        assert_eq!(sending.join().unwrap().unwrap(), 4);
    }
}

// SK06, SK20
#[test]
fn a_sender_that_waits_for_room_can_be_interrupted() {
    let folder = Folder::new();
    let (receiver, count, path) = full(&folder);
    let connected = UnixDatagram::unbound().unwrap();
    connected.connect(&path).unwrap();
    let free = UnixDatagram::unbound().unwrap();
    for socket in [&connected, &free] {
        socket.set_write_timeout(Some(ms(10))).unwrap();
    }
    let start = Instant::now();
    let error = connected.send(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let error = free.send_to(b"x", &path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert!(start.elapsed() >= ms(20) && start.elapsed() < PROMPT);
    for socket in [connected, free] {
        socket.set_write_timeout(None).unwrap();
        let send = {
            let path = path.clone();
            let is_connected = socket.peer_addr().is_ok();
            move |socket: &UnixDatagram| match is_connected {
                true => socket.send(b"x").map(drop),
                false => socket.send_to(b"x", &path).map(drop),
            }
        };
        assert!(timeout(SHORT, || send(&socket)).is_err());
        let killed = spawn_parked(move || send(&socket));
        killed.kill();
        assert!(killed.join().unwrap_err().is_killed());
    }
    // None of them has sent anything.
    receiver.set_read_timeout(Some(SHORT)).unwrap();
    for _ in 0..count {
        assert_eq!(receive(&receiver).unwrap(), b"fill");
    }
    assert_eq!(receive(&receiver).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn a_receive_that_is_interrupted_loses_no_datagram() {
    let (a, b) = UnixDatagram::pair().unwrap();
    assert!(timeout(SHORT, || receive(&b)).is_err());
    for with_data in [false, true] {
        let killed = spawn_parked({
            let b = b.try_clone().unwrap();
            move || receive(&b)
        });
        if with_data {
            a.send(b"data").unwrap();
        }
        killed.kill();
        assert!(killed.join().unwrap_err().is_killed());
    }
    assert_eq!(receive(&b).unwrap(), b"data");
}

#[test]
fn errors_name_the_path() {
    let folder = Folder::new();
    let nothing = folder.path("nothing");
    let (a, _b) = UnixDatagram::pair().unwrap();
    let free = UnixDatagram::unbound().unwrap();
    for error in [free.connect(&nothing).unwrap_err(), free.send_to(b"x", &nothing).unwrap_err()] {
        assert_eq!((error.kind(), raw_error(&error)), (ErrorKind::NotFound, Some(libc::ENOENT)));
        assert!(error.to_string().contains(&nothing.display().to_string()), "{error}");
    }
    let path = folder.path("socket");
    let _bound = UnixDatagram::bind(&path).unwrap();
    let error = UnixDatagram::bind(&path).unwrap_err();
    assert!(error.kind() == ErrorKind::AddrInUse && error.to_string().contains("socket"), "{error}");
    assert_eq!(free.send(b"x").unwrap_err().kind(), ErrorKind::NotConnected);
    assert_eq!(free.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    assert_eq!(a.send(&vec![0; 64 << 20]).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
}

// SK25
#[test]
fn a_shutdown_wakes_who_waits() {
    let (a, b) = UnixDatagram::pair().unwrap();
    a.send(b"before").unwrap();
    let receiver = spawn_parked({
        let b = b.try_clone().unwrap();
        move || [(); 3].map(|()| b.recv_from(&mut [0; 8]).map(|(count, from)| (count, from.is_unnamed())))
    });
    assert!(!receiver.is_finished());
    b.shutdown(Shutdown::Read).unwrap();
    let received = timeout(PROMPT, || receiver.join()).expect("the end").unwrap();
    assert_eq!(received.map(Result::unwrap), [(6, true), (0, true), (0, true)]);
    assert_eq!(b.recv(&mut [0; 8]).unwrap(), 0);
    assert_eq!(a.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    // A sender whose receiver has no room.
    let folder = Folder::new();
    let (_receiver, _, path) = full(&folder);
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&path).unwrap();
    let sending = spawn_parked({
        let sender = sender.try_clone().unwrap();
        move || sender.send(b"x")
    });
    assert!(!sending.is_finished());
    sender.shutdown(Shutdown::Write).unwrap();
    let sent = timeout(PROMPT, || sending.join()).expect("the end").unwrap();
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_peer_that_is_gone_is_an_error_of_the_sender() {
    let (a, b) = UnixDatagram::pair().unwrap();
    drop(b);
    let kind = a.send(b"x").unwrap_err().kind();
    assert!(
        matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::NotConnected),
        "{kind:?}"
    );
}

// SK26
#[test]
fn a_second_receiver_gets_a_clear_error() {
    let (a, b) = UnixDatagram::pair().unwrap();
    let first = spawn_parked({
        let b = b.try_clone().unwrap();
        move || receive(&b)
    });
    let text = receive(&b).unwrap_err().to_string();
    assert!(text.contains("already being read") && text.contains(&format!("#{}", first.id())), "{text}");
    a.send(b"x").unwrap();
    assert_eq!(first.join().unwrap().unwrap(), b"x");
}

#[test]
fn who_never_has_to_wait_lets_the_others_run() {
    let (a, b) = UnixDatagram::pair().unwrap();
    let (turns, over) = (Rc::new(Cell::new(0)), Flag::default());
    let other = spawn({
        let (turns, over) = (turns.clone(), over.clone());
        move || {
            while !over.is_up() {
                yield_now();
                turns.update(|turns| turns + 1);
            }
        }
    });
    for _ in 0..1000 {
        a.send(b"x").unwrap();
        receive(&b).unwrap();
    }
    over.raise();
    other.join().unwrap();
    assert!(turns.get() >= 20, "{} turns", turns.get());
}

#[test]
fn a_socket_goes_to_the_standard_library_and_back() {
    let (a, b) = UnixDatagram::pair().unwrap();
    let number = b.as_raw_fd();
    let std = b.into_std().unwrap();
    assert!(std.as_raw_fd() == number && !socket2::SockRef::from(&std).nonblocking().unwrap());
    let b = UnixDatagram::from_std(std).unwrap();
    let receiver = spawn_parked({
        let b = b.try_clone().unwrap();
        move || receive(&b)
    });
    a.send(b"back").unwrap();
    assert_eq!(receiver.join().unwrap().unwrap(), b"back");
    b.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!(b.try_clone().unwrap().read_timeout().unwrap(), Some(SHORT));
    assert!(b.take_error().unwrap().is_none() && format!("{b:?}").contains("fd"));
}

#[test]
fn in_a_destructor_of_a_killed_greenlet_nothing_waits() {
    let folder = Folder::new();
    let (receiver, _, path) = full(&folder);
    let (log, (_a, b)) = (Log::new(), UnixDatagram::pair().unwrap());
    let guard = OnDrop({
        let log = log.clone();
        move || {
            log.add(receive(&b).unwrap_err().to_string());
            log.add(b.send_to(b"x", &path).unwrap_err().to_string());
        }
    });
    let killed = spawn_parked(move || {
        let _guard = guard;
        sleep(LONG);
    });
    killed.kill();
    let texts = log.take();
    assert_eq!(texts.len(), 2);
    assert!(texts.iter().all(|text| text.contains("destructors do not block")), "{texts:?}");
    drop(receiver);
}
