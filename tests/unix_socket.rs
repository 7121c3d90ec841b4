//! Unix sockets: streams and their listeners.
#![cfg(target_os = "linux")]

mod net_support;

use std::error::Error;
use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use greenloop::net::{UnixListener, UnixStream};
use greenloop::testing::{elapsed, virtual_time};
use greenloop::{join_all, shield, sleep, spawn, timeout};
use net_support::{Flag, LONG, Log, OnDrop, PROMPT, Pattern, SHORT, ms, spawn_parked};

/// A folder for the sockets of one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("greenloop-unix-{}-{number}", std::process::id()));
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

fn raw_error(error: &io::Error) -> Option<i32> {
    error.source().and_then(|source| source.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error)
}

#[test]
fn clients_connect_by_the_path_of_the_listener() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
    let acceptor = spawn_parked(move || {
        let (mut stream, peer) = listener.accept().unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        stream.write_all(text.to_uppercase().as_bytes()).unwrap();
        (peer.is_unnamed(), stream.local_addr().unwrap().as_pathname().map(PathBuf::from), listener)
    });
    assert!(!acceptor.is_finished());
    let mut client = UnixStream::connect(&path).unwrap();
    assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path));
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    let (unnamed, local, listener) = acceptor.join().unwrap();
    assert_eq!((text.as_str(), unnamed, local.as_deref()), ("HELLO", true, Some(&*path)));
    // The file stays, and nobody listens.
    drop(listener);
    assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn addresses_without_a_file_work_like_paths() {
    let name = format!("greenloop-{}\0abstract", std::process::id());
    let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    assert_eq!(listener.local_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
    let client = UnixStream::connect_addr(&address).unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert!(peer.is_unnamed());
    assert_eq!(client.peer_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
    // A client with a name of its own is known by it.
    let own = SocketAddr::from_abstract_name(format!("{name}-client").as_bytes()).unwrap();
    let named = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let abstract_path = |address: &SocketAddr| {
        let bytes = [b"\0", address.as_abstract_name().unwrap()].concat();
        socket2::SockAddr::unix(std::ffi::OsString::from(String::from_utf8(bytes).unwrap())).unwrap()
    };
    named.bind(&abstract_path(&own)).unwrap();
    named.connect(&abstract_path(&address)).unwrap();
    assert_eq!(listener.accept().unwrap().1.as_abstract_name(), own.as_abstract_name());
    let folder = Folder::new();
    let named = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    named.bind(&socket2::SockAddr::unix(folder.path("client")).unwrap()).unwrap();
    named.connect(&abstract_path(&address)).unwrap();
    assert_eq!(listener.accept().unwrap().1.as_pathname(), Some(&*folder.path("client")));
    drop((server, listener));
    let error = UnixStream::connect_addr(&address).unwrap_err();
    assert!(
        error.kind() == ErrorKind::ConnectionRefused && error.to_string().contains("abstract"),
        "{error}"
    );
}

#[test]
fn errors_name_the_path() {
    let folder = Folder::new();
    let nothing = folder.path("nothing");
    let error = UnixStream::connect(&nothing).unwrap_err();
    assert_eq!((error.kind(), raw_error(&error)), (ErrorKind::NotFound, Some(libc::ENOENT)));
    assert!(
        error.to_string().starts_with(&format!("cannot connect to `{}`: ", nothing.display())),
        "{error}"
    );
    let path = folder.path("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let error = UnixListener::bind(&path).unwrap_err();
    let text = error.to_string();
    assert!(error.kind() == ErrorKind::AddrInUse && text.contains("remove it"), "{text}");
    assert!(text.contains(&path.display().to_string()), "{text}");
    let long = folder.path(&"x".repeat(200));
    for error in [UnixStream::connect(&long).map(drop), UnixListener::bind(&long).map(drop)] {
        let error = error.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("xxx"), "{error}");
    }
}

// SK31
#[test]
fn what_was_sent_before_the_end_is_read_on_the_other_side_of_a_pair() {
    let (mut a, b) = UnixStream::pair().unwrap();
    assert!(a.local_addr().unwrap().is_unnamed() && a.peer_addr().unwrap().is_unnamed());
    let reader = spawn_parked(move || BufReader::new(b).lines().collect::<io::Result<Vec<_>>>());
    a.write_all(b"one\ntwo\n").unwrap();
    drop(a);
    assert_eq!(reader.join().unwrap().unwrap(), ["one", "two"]);
    // Through a duplicate, after the originals are closed.
    let (mut a, b) = UnixStream::pair().unwrap();
    let duplicate = b.as_fd().try_clone_to_owned().unwrap();
    drop(b);
    a.write_all(b"through the duplicate").unwrap();
    drop(a);
    let mut text = String::new();
    UnixStream::from_std(duplicate.into()).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "through the duplicate");
}

// SK01, SK04
#[test]
fn much_data_arrives_whole_in_both_directions() {
    const TOTAL: u64 = 64 << 20;
    let (a, b) = UnixStream::pair().unwrap();
    let start = |stream: &UnixStream| {
        let (mut reading, mut writing) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        let writer = spawn(move || {
            let mut pattern = Pattern::new();
            while pattern.offset() < TOTAL {
                let most = 100_000.min((TOTAL - pattern.offset()) as usize);
                let count = writing.write(pattern.peek(most)).unwrap();
                pattern.advance(count);
            }
            writing.shutdown(Shutdown::Write).unwrap();
            pattern.offset()
        });
        let reader = spawn(move || {
            let (mut pattern, mut place) = (Pattern::new(), vec![0; 90_001]);
            loop {
                match reading.read(&mut place).unwrap() {
                    0 => return pattern.offset(),
                    count => pattern.check(&place[..count]),
                }
            }
        });
        [writer, reader]
    };
    for count in join_all(start(&a).into_iter().chain(start(&b))) {
        assert_eq!(count.unwrap(), TOTAL);
    }
}

// A read ends where descriptors were sent along, whatever lies behind, and no further event tells of it.
#[test]
fn data_behind_descriptors_is_read() {
    for parked in [false, true] {
        let (a, b) = UnixStream::pair().unwrap();
        let read_all = move || {
            let (mut b, mut place, mut got) = (b, [0; 100], Vec::new());
            while got.len() < 9 {
                let count = b.read(&mut place).unwrap();
                got.extend_from_slice(&place[..count]);
            }
            got
        };
        let send = || {
            send_with_descriptor(&a, b"abc");
            send_with_descriptor(&a, b"def");
            (&a).write_all(b"ghi").unwrap();
        };
        let got = match parked {
            true => {
                let reader = spawn_parked(read_all);
                send();
                timeout(PROMPT, || reader.join()).expect("all of it").unwrap()
            }
            false => {
                send();
                timeout(PROMPT, read_all).expect("all of it")
            }
        };
        assert_eq!(got, b"abcdefghi");
    }
}

fn send_with_descriptor(stream: &UnixStream, data: &[u8]) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let descriptors = [stream.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let sent = sendmsg(stream, &[IoSlice::new(data)], &mut ancillary, SendFlags::empty()).unwrap();
    assert_eq!(sent, data.len());
}

#[test]
fn a_stream_can_be_closed_in_one_direction_and_peeked_at() {
    let (mut a, mut b) = UnixStream::pair().unwrap();
    a.write_all(b"question").unwrap();
    let mut place = [0; 4];
    assert_eq!((b.peek(&mut place).unwrap(), &place), (4, b"ques"));
    assert_eq!((b.peek(&mut []).unwrap(), b.read(&mut []).unwrap()), (0, 0));
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!(a.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut text = String::new();
    b.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), b.peek(&mut place).unwrap()), ("question", 0));
    let peeker = spawn_parked({
        let a = a.try_clone().unwrap();
        move || a.peek(&mut [0; 4])
    });
    b.write_all(b"answer").unwrap();
    assert_eq!(peeker.join().unwrap().unwrap(), 4);
    b.shutdown(Shutdown::Both).unwrap();
    text.clear();
    a.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer");
}

// SK25
#[test]
fn a_shutdown_wakes_the_greenlets_that_wait_for_the_stream() {
    let (_a, b) = UnixStream::pair().unwrap();
    let park = |how| {
        let both = [
            spawn_parked({
                let mut b = b.try_clone().unwrap();
                move || b.read(&mut [0; 8])
            }),
            spawn_parked({
                let mut b = b.try_clone().unwrap();
                move || b.write_all(&vec![7; 8 << 20]).map(|()| 0)
            }),
        ];
        assert!(both.iter().all(|greenlet| !greenlet.is_finished()));
        b.shutdown(how).unwrap();
        both
    };
    let [reader, writer] = park(Shutdown::Write);
    let written = timeout(PROMPT, || writer.join()).expect("the end").unwrap();
    assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert!(!reader.is_finished());
    b.shutdown(Shutdown::Read).unwrap();
    assert_eq!(timeout(PROMPT, || reader.join()).expect("the end").unwrap().unwrap(), 0);
}

#[test]
fn several_pieces_are_written_and_read_in_one_go() {
    let (mut a, mut b) = UnixStream::pair().unwrap();
    let reader = spawn_parked(move || {
        let (mut one, mut two) = ([0; 4], [0; 20]);
        let count = b.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]).unwrap();
        let empty = b.read_vectored(&mut []).unwrap();
        (count, one, two[..5].to_vec(), empty)
    });
    let parts = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"three")];
    assert_eq!(a.write_vectored(&parts).unwrap(), 9);
    assert_eq!(reader.join().unwrap(), (9, *b"one ", b"three".to_vec(), 0));
}

// SK07, SK06
#[test]
fn time_limits_end_reads_and_writes() {
    let (mut a, mut b) = UnixStream::pair().unwrap();
    b.set_read_timeout(Some(ms(10))).unwrap();
    a.set_write_timeout(Some(ms(10))).unwrap();
    let start = Instant::now();
    assert_eq!(b.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(a.write_all(&vec![7; 8 << 20]).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= ms(20) && start.elapsed() < PROMPT);
    assert_eq!(b.set_write_timeout(Some(ms(0))).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!((b.read_timeout().unwrap(), b.write_timeout().unwrap()), (Some(ms(10)), None));
}

// SK26
#[test]
fn a_second_reader_writer_or_acceptor_gets_a_clear_error() {
    let (mut a, b) = UnixStream::pair().unwrap();
    let first = spawn_parked({
        let mut b = b.try_clone().unwrap();
        move || b.read(&mut [0; 8])
    });
    for _ in 0..2 {
        let text = (&b).read(&mut [0; 8]).unwrap_err().to_string();
        assert!(text.contains("already being read") && text.contains(&format!("#{}", first.id())), "{text}");
    }
    a.write_all(b"x").unwrap();
    assert_eq!(first.join().unwrap().unwrap(), 1);
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("socket")).unwrap();
    let acceptor = spawn_parked({
        let listener = listener.try_clone().unwrap();
        move || listener.accept().map(drop)
    });
    let text = listener.accept().map(drop).unwrap_err().to_string();
    assert!(text.contains(&format!("#{}", acceptor.id())), "{text}");
    let _client = UnixStream::connect(folder.path("socket")).unwrap();
    acceptor.join().unwrap().unwrap();
}

/// A listener whose queue is full, and the clients in it.
fn full(folder: &Folder) -> (UnixListener, Vec<UnixStream>, PathBuf) {
    let path = folder.path("full");
    let listener = UnixListener::bind(&path).unwrap();
    socket2::SockRef::from(&listener).listen(2).unwrap();
    let connect = || timeout(ms(20), || UnixStream::connect(&path).unwrap()).ok();
    let queued: Vec<_> = std::iter::from_fn(connect).take(100).collect();
    assert!(queued.len() < 10, "{} clients fit", queued.len());
    (listener, queued, path)
}

#[test]
fn a_client_waits_until_a_full_listener_has_room() {
    let folder = Folder::new();
    let (listener, queued, path) = full(&folder);
    let (ran, start) = (Flag::default(), Instant::now());
    let client = spawn_parked(move || UnixStream::connect(path));
    spawn({
        let ran = ran.clone();
        move || ran.raise()
    });
    sleep(ms(5));
    assert!(ran.is_up() && !client.is_finished());
    for _ in 0..=queued.len() {
        listener.accept().unwrap();
    }
    client.join().unwrap().unwrap();
    assert!(start.elapsed() < PROMPT);
}

// SK20
#[test]
fn a_client_that_waits_for_a_full_listener_can_be_interrupted() {
    let folder = Folder::new();
    let (listener, queued, path) = full(&folder);
    assert!(timeout(SHORT, || UnixStream::connect(&path).map(drop)).is_err());
    let killed = spawn_parked(move || UnixStream::connect(path).map(drop));
    killed.kill();
    assert!(killed.join().unwrap_err().is_killed());
    // Those that gave up are not in the queue.
    for _ in &queued {
        listener.accept().unwrap();
    }
    assert!(timeout(SHORT, || listener.accept().map(drop)).is_err());
    // It is an error when the listener goes.
    let (listener, _queued, path) = (listener, queued, folder.path("full"));
    drop(listener);
    assert_eq!(UnixStream::connect(path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

// As for TCP, SK36: by itself, so that it ends in a shield as well.
#[test]
fn a_limit_bounds_the_wait_for_a_full_listener() {
    let folder = Folder::new();
    let (listener, _queued, path) = full(&folder);
    virtual_time(|| {
        let error = shield(|| UnixStream::connect_timeout(&path, ms(300)).map(drop)).unwrap_err();
        assert_eq!((error.kind(), elapsed()), (ErrorKind::TimedOut, ms(300)));
        assert!(
            error.to_string().starts_with(&format!("cannot connect to `{}`: ", path.display())),
            "{error}"
        );
        // There is room in time.
        let client = spawn(move || UnixStream::connect_timeout(path, ms(300)).map(drop));
        sleep(ms(100));
        assert!(!client.is_finished());
        listener.accept().unwrap();
        client.join().unwrap().unwrap();
        assert!(elapsed() < ms(600), "{:?}", elapsed());
    });
    let error = UnixStream::connect_timeout(folder.path("full"), Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn connections_come_one_after_the_other() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let clients = spawn(move || {
        (0..5_u8)
            .map(|n| {
                let mut client = UnixStream::connect(&path).unwrap();
                client.write_all(&[n]).unwrap();
                client
            })
            .collect::<Vec<_>>()
    });
    let mut seen = Vec::new();
    for stream in listener.incoming().take(3).chain((&listener).into_iter().take(2)) {
        let mut first = [0];
        stream.unwrap().read_exact(&mut first).unwrap();
        seen.extend(first);
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    clients.join().unwrap();
}

// SK18
#[test]
fn sockets_go_to_the_standard_library_and_back() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let client = UnixStream::connect(&path).unwrap();
    let (server, _) = listener.accept().unwrap();
    for descriptor in [listener.as_fd(), client.as_fd(), server.as_fd()] {
        assert!(rustix::io::fcntl_getfd(descriptor).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert!(socket2::SockRef::from(&descriptor).nonblocking().unwrap());
    }
    let number = client.as_raw_fd();
    let std = client.into_std().unwrap();
    assert!(std.as_raw_fd() == number && !socket2::SockRef::from(&std).nonblocking().unwrap());
    let mut client = UnixStream::from_std(std).unwrap();
    let reader = spawn_parked({
        let mut server = server.try_clone().unwrap();
        move || server.read(&mut [0; 8])
    });
    client.write_all(b"x").unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 1);
    let listener = UnixListener::from_std(listener.into_std().unwrap()).unwrap();
    let acceptor = spawn_parked(move || listener.accept().map(drop));
    assert!(!acceptor.is_finished());
    let _client = UnixStream::connect(&path).unwrap();
    acceptor.join().unwrap().unwrap();
    assert!(format!("{server:?}").contains("fd"), "{server:?}");
    assert!(server.take_error().unwrap().is_none());
}

#[test]
fn in_a_destructor_of_a_killed_greenlet_nothing_waits() {
    let folder = Folder::new();
    let (listener, _queued, path) = full(&folder);
    let (log, (_a, mut b)) = (Log::new(), UnixStream::pair().unwrap());
    let guard = OnDrop({
        let log = log.clone();
        move || {
            log.add(b.read(&mut [0; 8]).map(drop).unwrap_err().to_string());
            log.add(b.write_all(&vec![7; 8 << 20]).unwrap_err().to_string());
            log.add(UnixStream::connect(&path).map(drop).unwrap_err().to_string());
        }
    });
    let killed = spawn_parked(move || {
        let _guard = guard;
        sleep(LONG);
    });
    killed.kill();
    let texts = log.take();
    assert_eq!(texts.len(), 3);
    assert!(texts.iter().all(|text| text.contains("destructors do not block")), "{texts:?}");
    drop(listener);
}
