//! TLS streams: what plain sockets can do, over TLS. The ids are those of the plain tests, which TL01 repeats.

mod net_support;
mod tls_support;

use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenloop::net::TcpStream;
use greenloop::testing::duplex;
use greenloop::tls::{ClientConfig, Identity, Roots, ServerConfig, TlsStream, rustls};
use greenloop::{Builder, scope, sleep, spawn, timeout, wait_all, yield_now};
use net_support::{LONG, OnDrop, PROMPT, Pattern, SHORT, connection, ms, open_descriptors, spawn_parked};
use tls_support::{
    accepting, authority, client, localhost, memory_pair, server, server_without_tickets, shake, tcp_pair,
};

/// Writes `total` bytes of the pattern.
fn send_pattern(mut stream: impl Write, total: u64) -> io::Result<()> {
    let mut pattern = Pattern::new();
    while pattern.offset() < total {
        let most = usize::try_from(total - pattern.offset()).unwrap();
        let count = stream.write(pattern.peek(most))?;
        pattern.advance(count);
    }
    stream.flush()
}

/// Reads the pattern to its end and gives its length.
fn check_pattern(mut stream: impl Read) -> io::Result<u64> {
    let (mut pattern, mut place) = (Pattern::new(), vec![0; 10_000]);
    loop {
        match stream.read(&mut place)? {
            0 => return Ok(pattern.offset()),
            count => pattern.check(&place[..count]),
        }
    }
}

// TL01, SK01
#[test]
fn megabytes_arrive_whole_over_a_socket_and_over_memory() {
    const SIZE: u64 = 8 << 20;
    let (near, far) = tcp_pair();
    let reader = spawn(move || check_pattern(&far));
    send_pattern(&near, SIZE).unwrap();
    near.shutdown_write().unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), SIZE);
    for capacity in [100, 1000, 100_000] {
        let size = (capacity as u64 * 200).min(1 << 20);
        let (mut near, far) = memory_pair(capacity);
        let reader = spawn(move || check_pattern(&far));
        send_pattern(&near, size).unwrap();
        near.close_notify().unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), size, "{capacity}");
    }
}

// TL01, SK02
#[test]
fn writing_nothing_returns_and_the_peer_sees_only_the_end() {
    let (mut near, mut far) = tcp_pair();
    near.get_ref().set_write_timeout(Some(LONG)).unwrap();
    assert_eq!(near.write(b"").unwrap(), 0);
    near.write_all(b"").unwrap();
    assert_eq!(near.write_vectored(&[IoSlice::new(b""), IoSlice::new(b"")]).unwrap(), 0);
    assert_eq!(near.read(&mut []).unwrap(), 0);
    near.close_notify().unwrap();
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
}

// TL01, SK04
#[test]
fn both_sides_read_and_write_at_the_same_time() {
    const SIZE: u64 = 4 << 20;
    let (near, far) = tcp_pair();
    let counts = scope(|s| {
        let jobs = [&near, &far].map(|stream| {
            let writer = s.spawn(move || send_pattern(stream, SIZE).and_then(|()| stream.shutdown_write()));
            (writer, s.spawn(move || check_pattern(stream)))
        });
        jobs.map(|(writer, reader)| {
            writer.join().unwrap().unwrap();
            reader.join().unwrap().unwrap()
        })
    });
    assert_eq!(counts, [SIZE, SIZE]);
}

// TL01: a reader that waits does not keep a writer of the same stream from writing.
#[test]
fn a_parked_reader_leaves_the_stream_to_a_writer() {
    let (near, far) = tcp_pair();
    let near = Rc::new(near);
    let reader = spawn_parked({
        let near = near.clone();
        move || {
            let mut place = [0; 4];
            (&*near).read_exact(&mut place).map(|()| place)
        }
    });
    (&*near).write_all(b"ping").unwrap();
    let mut place = [0; 4];
    (&far).read_exact(&mut place).unwrap();
    assert!(!reader.is_finished() && &place == b"ping");
    (&far).write_all(b"pong").unwrap();
    assert_eq!(&reader.join().unwrap().unwrap(), b"pong");
}

// TL01, SK26
#[test]
fn a_second_reader_and_a_second_writer_are_told_that_they_are_too_many() {
    let (near, far) = tcp_pair();
    let near = Rc::new(near);
    let reader = spawn_parked({
        let near = near.clone();
        move || (&*near).read(&mut [0; 8])
    });
    for _ in 0..2 {
        let error = (&*near).read(&mut [0; 8]).unwrap_err();
        let holder = format!("already being read by greenlet #{}", reader.id());
        assert!(error.to_string().contains(&holder), "{error}");
    }
    let writer = Builder::new().name("sender").spawn({
        let near = near.clone();
        move || (&*near).write_all(&vec![7; 32 << 20])
    });
    let writer = writer.unwrap();
    yield_now();
    assert!(!writer.is_finished());
    for _ in 0..2 {
        let error = (&*near).write(b"x").unwrap_err();
        let holder = format!("already being written by greenlet #{} `sender`", writer.id());
        assert!(error.to_string().contains(&holder), "{error}");
    }
    (&far).write_all(b"the first is unaffected").unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 8);
    writer.kill();
}

// TL01, TL07, SK07
#[test]
fn read_write_and_handshake_that_time_out_say_which_they_are() {
    let (mut near, _far) = tcp_pair();
    near.get_ref().set_read_timeout(Some(SHORT)).unwrap();
    near.get_ref().set_write_timeout(Some(SHORT)).unwrap();
    let (silent, _mute) = connection();
    let errors = [
        near.read(&mut [0; 8]).map(drop).unwrap_err(),
        near.write_all(&vec![7; 32 << 20]).unwrap_err(),
        client().handshake_timeout(SHORT).connect("localhost", silent).map(drop).unwrap_err(),
    ];
    for (error, word) in errors.iter().zip(["TLS read", "TLS write", "TLS handshake"]) {
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains(word) && error.to_string().contains("timed out"), "{error}");
    }
}

// TL01, SK06: not a limit for each of its pieces.
#[test]
fn a_write_timeout_ends_a_long_write() {
    let (mut near, _far) = tcp_pair();
    near.get_ref().set_write_timeout(Some(ms(100))).unwrap();
    let start = Instant::now();
    assert_eq!(near.write_all(&vec![7; 64 << 20]).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= ms(90) && start.elapsed() < PROMPT, "{:?}", start.elapsed());
}

// A write that fails has taken nothing, so whoever tries again repeats nothing and leaves nothing out.
#[test]
fn a_write_that_timed_out_can_be_tried_again() {
    const SIZE: u64 = 12 << 20;
    let (mut near, far) = tcp_pair();
    near.get_ref().set_write_timeout(Some(ms(2))).unwrap();
    let (mut pattern, mut failures, mut reader) = (Pattern::new(), 0, None);
    let mut far = Some(far);
    while pattern.offset() < SIZE {
        let most = usize::try_from(SIZE - pattern.offset()).unwrap();
        match near.write(pattern.peek(most)) {
            Ok(count) => pattern.advance(count),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                failures += 1;
                if failures == 3 {
                    let far = far.take().unwrap();
                    reader = Some(spawn(move || check_pattern(&far)));
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    near.get_ref().set_write_timeout(None).unwrap();
    while let Err(error) = near.close_notify() {
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
    assert!(failures >= 3);
    assert_eq!(reader.unwrap().join().unwrap().unwrap(), SIZE);
}

// TL01: nothing is lost.
#[test]
fn a_read_that_is_killed_or_times_out_takes_nothing() {
    let (near, mut far) = tcp_pair();
    let near = Rc::new(near);
    for _ in 0..20 {
        let reader = spawn_parked({
            let near = near.clone();
            move || (&*near).read(&mut [0; 1000])
        });
        reader.kill();
        assert!(timeout(ms(1), || (&*near).read(&mut [0; 1000])).is_err());
    }
    let reader = spawn_parked({
        let near = near.clone();
        move || timeout(LONG, || check_pattern(&*near)).unwrap().unwrap()
    });
    send_pattern(&mut far, 100_000).unwrap();
    far.close_notify().unwrap();
    assert_eq!(reader.join().unwrap(), 100_000);
}

// A kill in the middle of a record leaves the rest of it to the next call.
#[test]
fn a_writer_that_is_killed_leaves_whole_records() {
    for interrupted in 1..40 {
        let (near, far) = memory_pair(1500);
        let near = Rc::new(near);
        let writer = spawn({
            let near = near.clone();
            move || send_pattern(&*near, 200_000)
        });
        let mut reader = BufReader::with_capacity(512, far);
        let mut pattern = Pattern::new();
        for _ in 0..interrupted {
            let piece = reader.fill_buf().unwrap();
            let count = piece.len().min(100 + interrupted);
            pattern.check(&piece[..count]);
            reader.consume(count);
        }
        writer.kill();
        assert!(writer.join().unwrap_err().is_killed());
        let last = spawn({
            let near = near.clone();
            move || near.shutdown_write()
        });
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        pattern.check(&rest);
        last.join().unwrap().unwrap();
    }
}

// The same for a limit around the write, and the bytes of a later write follow.
#[test]
fn writes_after_an_interrupted_one_follow_it() {
    let (mut near, far) = memory_pair(700);
    assert!(timeout(SHORT, || near.write_all(&[b'a'; 5000])).is_err());
    let reader = spawn(move || {
        let mut text = String::new();
        BufReader::new(far).read_to_string(&mut text).map(|_| text)
    });
    near.write_all(b"the end").unwrap();
    near.close_notify().unwrap();
    let text = reader.join().unwrap().unwrap();
    let start = text.strip_suffix("the end").expect("the later write");
    assert!(start.bytes().all(|byte| byte == b'a') && start.len() <= 5000);
}

// TL01: a half close.
#[test]
fn after_close_notify_the_other_direction_goes_on() {
    let (mut near, far) = tcp_pair();
    near.write_all(b"question").unwrap();
    near.close_notify().unwrap();
    near.close_notify().unwrap();
    let error = near.write(b"more").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert!(error.to_string().contains("close_notify"), "{error}");
    near.get_ref().shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    (&far).read_to_string(&mut text).unwrap();
    assert_eq!(text, "question");
    send_pattern(&far, 300_000).unwrap();
    far.shutdown_write().unwrap();
    assert_eq!(check_pattern(&mut near).unwrap(), 300_000);
}

#[test]
fn an_end_without_close_notify_is_an_error() {
    let (mut near, mut far) = tcp_pair();
    near.write_all(b"all?").unwrap();
    drop(near);
    let mut place = [0; 4];
    far.read_exact(&mut place).unwrap();
    for _ in 0..2 {
        assert_eq!(far.read(&mut place).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}

// The tickets of the server would be unread then, and turn the close into a reset.
#[test]
fn a_client_that_only_sends_may_close_at_once() {
    for _ in 0..20 {
        let (mut near, mut far) = tcp_pair();
        near.write_all(&[7; 50_000]).unwrap();
        near.close_notify().unwrap();
        drop(near);
        let mut all = Vec::new();
        far.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 50_000);
    }
}

#[test]
fn a_session_is_resumed_with_a_ticket_that_came_with_the_first_data() {
    let (client, server) = (client(), server());
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let (near, far) = shake(&client, &server, connection());
        let (near, mut far) = (near.unwrap(), far.unwrap());
        far.write_all(b"data").unwrap();
        far.close_notify().unwrap();
        assert_eq!(io::read_to_string(&near).unwrap(), "data");
        kinds.push(near.is_resumed());
    }
    assert_eq!(kinds, [false, true]);
}

// TL04: the descriptor is open while anybody holds it.
#[test]
fn the_peer_sees_the_end_when_the_last_handle_is_gone() {
    let (near, mut far) = tcp_pair();
    let socket = far.get_ref().try_clone().unwrap();
    far.write_all(b"bye").unwrap();
    far.close_notify().unwrap();
    drop(far);
    let mut text = String::new();
    (&near).read_to_string(&mut text).unwrap();
    assert_eq!(text, "bye");
    let mut plain = near.into_inner();
    assert!(timeout(SHORT, || plain.read(&mut [0; 8]).map(drop)).is_err(), "the socket is open still");
    drop(socket);
    assert_eq!(timeout(PROMPT, || plain.read(&mut [0; 8])).expect("an end").unwrap(), 0);
}

// TL04
#[test]
fn a_stream_that_is_dropped_leaves_no_descriptor() {
    net_support::in_a_child("a_stream_that_is_dropped_leaves_no_descriptor", "", || {
        drop(tcp_pair());
        let before = open_descriptors();
        for _ in 0..10 {
            let (near, far) = tcp_pair();
            let reader = spawn_parked(move || (&far).read(&mut [0; 8]));
            drop(near);
            assert!(reader.join().unwrap().is_err());
        }
        assert_eq!(open_descriptors(), before);
    });
}

// TL07: the read has an alert to write.
#[test]
fn a_read_that_has_to_write_waits_for_the_other_direction() {
    let (near, far) = shake(&client(), &server_without_tickets(), duplex(10));
    let (raw, mut far) = (near.unwrap().into_inner(), far.unwrap());
    (&raw).write_all(&[0x17, 3, 3, 0]).unwrap();
    let reader = spawn_parked(move || far.read(&mut [0; 8]).unwrap_err());
    (&raw).write_all(b"\x20no record of this connection.....").unwrap();
    for _ in 0..10 {
        yield_now();
    }
    assert!(!reader.is_finished(), "it waits until the alert is taken");
    let mut alert = Vec::new();
    (&raw).read_to_end(&mut alert).unwrap();
    assert_eq!(alert[0], 0x17, "an encrypted alert");
    let error = reader.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn a_record_that_was_changed_is_an_error_that_stays() {
    let (near, mut far) = shake(&client(), &server_without_tickets(), connection());
    let (mut raw, far) = (near.unwrap().into_inner(), far.as_mut().unwrap());
    raw.write_all(b"\x17\x03\x03\x00\x20no record of this connection....").unwrap();
    for _ in 0..2 {
        assert_eq!(far.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(far.write(b"x").unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

// A debug build of rustls asserts that nothing is said after `close_notify`, alerts included, and would panic.
#[cfg(not(debug_assertions))]
#[test]
fn a_wrong_record_after_the_own_close_notify_is_an_error() {
    let (near, far) = shake(&client(), &server_without_tickets(), connection());
    let (mut raw, mut far) = (near.unwrap().into_inner(), far.unwrap());
    far.close_notify().unwrap();
    raw.write_all(b"\x17\x03\x03\x00\x20no record of this connection....").unwrap();
    assert_eq!(far.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::InvalidData);
}

#[test]
fn the_keys_may_change_on_the_way() {
    // The peer changes its keys, and asks for new ones, between two pieces.
    let server = rustls_server();
    let (raw, far) = connection();
    let reader = spawn(move || {
        let mut far = tls_support::server().accept(far)?;
        let mut place = [0; 6];
        far.read_exact(&mut place)?;
        far.write_all(&place)?;
        io::Result::Ok(place)
    });
    let mut raw = raw;
    let mut peer = server;
    let mut stream = rustls::Stream::new(&mut peer, &mut raw);
    stream.write_all(b"old").unwrap();
    peer.refresh_traffic_keys().unwrap();
    let mut stream = rustls::Stream::new(&mut peer, &mut raw);
    stream.write_all(b"new").unwrap();
    assert_eq!(&reader.join().unwrap().unwrap(), b"oldnew");
    let mut place = [0; 6];
    stream.read_exact(&mut place).unwrap();
    assert_eq!(&place, b"oldnew");
}

/// A client of rustls itself.
fn rustls_server() -> rustls::ClientConnection {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority().pem().as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    rustls::ClientConnection::new(config.into(), "localhost".try_into().unwrap()).unwrap()
}

#[test]
fn streams_in_a_destructor_of_a_killed_greenlet_do_not_wait() {
    let (mut near, far) = tcp_pair();
    let log = net_support::Log::new();
    let guard = OnDrop({
        let log = log.clone();
        move || {
            let mut place = [0; 8];
            log.add((&far).read(&mut place).map_err(|error| error.to_string()));
            log.add((&far).read(&mut place).map_err(|error| error.to_string()));
            log.add((&far).write(b"bye").map_err(|error| error.to_string()));
        }
    });
    let g = spawn_parked(move || {
        let _guard = guard;
        sleep(LONG)
    });
    near.write_all(b"here").unwrap();
    // The hub sees that it has come.
    sleep(ms(2));
    g.kill();
    let [read, again, written] = log.take().try_into().unwrap();
    assert_eq!((read, written), (Ok(4), Ok(3)));
    assert!(again.unwrap_err().contains("destructors do not block"));
    let mut place = [0; 3];
    near.read_exact(&mut place).unwrap();
    assert_eq!(&place, b"bye");
}

// A greenlet whose reads never wait lets the others run.
#[test]
fn reads_of_what_is_there_already_do_not_starve_the_others() {
    let (mut near, mut far) = tcp_pair();
    near.write_all(&[7; 16_000]).unwrap();
    let turns = Rc::new(std::cell::Cell::new(0));
    let counting = turns.clone();
    let other = spawn(move || {
        loop {
            counting.set(counting.get() + 1);
            yield_now();
        }
    });
    for _ in 0..16_000 {
        far.read_exact(&mut [0]).unwrap();
    }
    assert!(turns.get() > 10, "{} turns", turns.get());
    other.kill();
}

#[test]
fn what_was_agreed_can_be_asked_for() {
    let both = ["h2", "http/1.1"];
    let server = ServerConfig::builder()
        .identity(localhost().identity())
        .ask_for_client_certificates(authority().roots())
        .alpn(["http/1.1", "other"])
        .build()
        .unwrap();
    let client = ClientConfig::builder()
        .roots(authority().roots())
        .identity(authority().sign(&["me"]).identity())
        .alpn(both)
        .build()
        .unwrap();
    let (near, far) = shake(&client, &server, connection());
    let (near, far) = (near.unwrap(), far.unwrap());
    for stream in [&near, &far] {
        assert_eq!(stream.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(stream.server_name(), Some("localhost"));
        assert_eq!(stream.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(stream.peer_certificates().len(), 1);
        assert!(format!("{stream:?}").contains("TLSv1_3"), "{stream:?}");
    }
    let (near, far) = tcp_pair();
    assert_eq!((near.alpn_protocol(), far.alpn_protocol()), (None, None));
    assert_eq!((near.peer_certificates().len(), far.peer_certificates().len()), (1, 0));
}

#[test]
fn an_address_is_a_name_too() {
    let (near, far) = connection();
    let accepting = accepting(&server(), far);
    client().connect("127.0.0.1", near).unwrap();
    assert_eq!(accepting.join().unwrap().unwrap().server_name(), None);
}

#[test]
fn a_server_with_several_certificates_shows_the_one_for_the_name() {
    let names: [&[&str]; 3] = [&["first.test"], &["second.test", "*.second.test"], &["third.test"]];
    let pems = names.map(|names| authority().sign(names));
    let mut builder = ServerConfig::builder();
    for pem in &pems {
        builder = builder.identity(pem.identity());
    }
    let server = builder.build().unwrap();
    let shown = |name: &str| {
        let (near, far) = connection();
        let accepting = accepting(&server, far);
        let result = client().connect(name, near).map(|stream| stream.peer_certificates());
        let _ = accepting.join().unwrap();
        result
    };
    let text = |der: &[u8]| {
        names.iter().position(|names| der.windows(names[0].len()).any(|window| window == names[0].as_bytes()))
    };
    for (name, which) in [("first.test", 0), ("second.test", 1), ("a.second.test", 1), ("THIRD.test", 2)] {
        assert_eq!(text(&shown(name).unwrap()[0]), Some(which), "{name}");
    }
    // Whoever asks for something else gets the first, and does not like it.
    let error = shown("other.test").unwrap_err().to_string();
    assert!(error.contains("other.test") && error.contains("first.test"), "{error}");
}

#[test]
fn a_configuration_of_rustls_can_be_used() {
    let (near, far) = shake(&client(), &server_without_tickets(), connection());
    let (near, mut far) = (near.unwrap(), far.unwrap());
    far.write_all(b"hi").unwrap();
    far.close_notify().unwrap();
    assert_eq!(io::read_to_string(&near).unwrap(), "hi");
}

#[test]
fn a_stream_whose_reference_cannot_be_read_is_good_enough() {
    struct Own(TcpStream);
    impl Read for Own {
        fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
            self.0.read(place)
        }
    }
    impl Write for Own {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    let (near, far) = connection();
    let (near, far) = shake(&client(), &server(), (Own(near), Own(far)));
    let (mut near, mut far): (TlsStream<Own>, _) = (near.unwrap(), far.unwrap());
    near.write_all(b"hi").unwrap();
    near.close_notify().unwrap();
    assert_eq!(io::read_to_string(&mut far).unwrap(), "hi");
}

#[test]
fn tls_goes_through_tls() {
    let (near, far) = tcp_pair();
    let (near, far) = shake(&client(), &server(), (near, far));
    let (near, far) = (near.unwrap(), far.unwrap());
    let writer = spawn(move || send_pattern(&near, 500_000).and_then(|()| near.shutdown_write()));
    assert_eq!(check_pattern(&far).unwrap(), 500_000);
    writer.join().unwrap().unwrap();
}

// The files, and what can be wrong with them.
#[test]
fn errors_of_pem_files_name_the_file_and_the_reason() {
    let folder = std::env::temp_dir().join(format!("greenloop-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let _remove = OnDrop({
        let folder = folder.clone();
        move || std::fs::remove_dir_all(&folder).unwrap()
    });
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (own, other) = (localhost(), authority().sign(&["other.test"]));
    let certificate = file("cert.pem", &own.certificate);
    let key = file("key.pem", &own.key);
    let both = file("both.pem", &format!("{}{}", own.key, own.certificate));
    let other_key = file("other-key.pem", &other.key);
    let rubbish = file("rubbish.pem", "no PEM at all");
    let public = file("public.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    let secret = file(
        "secret.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let cut = file("cut.pem", &own.certificate[..100]);
    // Without the ends of its lines, or of the first. The text is a secret.
    let one_line = file("one-line.pem", &own.key.replace('\n', ""));
    let half_line = file("half-line.pem", &own.key.replacen('\n', "", 1));
    let bad_key = file("bad-key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let bad_certificate =
        file("bad-cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = folder.join("missing.pem");

    Identity::from_files(&certificate, &key).unwrap();
    Identity::from_files(&both, &both).unwrap();
    assert_eq!(Roots::from_file(&certificate).unwrap().len(), 1);
    let wrong = [
        (&missing, &key, &["missing.pem", "No such file"][..]),
        (&certificate, &missing, &["missing.pem", "No such file"]),
        (&key, &key, &["no certificate", "key.pem", "PRIVATE KEY"]),
        (&rubbish, &key, &["no certificate", "rubbish.pem", "no PEM"]),
        (&cut, &key, &["cut.pem", "no line `-----END"]),
        (&certificate, &half_line, &["half-line.pem", "does not end with `-----`"]),
        (&certificate, &one_line, &["one-line.pem", "no line `-----END"]),
        (&bad_certificate, &key, &["bad-cert.pem"]),
        (&certificate, &certificate, &["no private key", "cert.pem", "`CERTIFICATE`"]),
        (&certificate, &rubbish, &["no private key", "rubbish.pem", "no PEM"]),
        (&certificate, &public, &["no private key", "public.pem", "`PUBLIC KEY`"]),
        (&certificate, &secret, &["no private key", "secret.pem", "ENCRYPTED", "not encrypted"]),
        (&certificate, &bad_key, &["private key", "bad-key.pem"]),
        (&certificate, &other_key, &["other-key.pem", "is not that of", "cert.pem"]),
    ];
    for (certificate, key, words) in wrong {
        let error = Identity::from_files(certificate, key).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        let secret = own.key.lines().nth(1).unwrap();
        assert!(
            !error.contains(&secret[..20]) && !error.contains("45, 45, 45"),
            "a secret is shown: {error}"
        );
    }
    for (path, word) in
        [(&missing, "No such file"), (&rubbish, "no certificate"), (&bad_certificate, "of no use")]
    {
        let error = Roots::from_file(path).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains(path.to_str().unwrap()), "{error}");
    }
    assert!(ServerConfig::builder().build().unwrap_err().to_string().contains("identity"));
}

#[test]
fn the_roots_of_the_system_can_be_named_by_the_environment() {
    const NAME: &str = "the_roots_of_the_system_can_be_named_by_the_environment";
    let path = std::env::temp_dir().join(format!("greenloop-roots-{}.pem", std::process::id()));
    if std::env::var("GREENLOOP_TEST_CHILD").is_err() {
        std::fs::write(&path, authority().pem()).unwrap();
    }
    let path = path.display().to_string();
    net_support::in_a_child(NAME, &format!("export SSL_CERT_FILE='{path}'; unset SSL_CERT_DIR"), || {
        assert_eq!(Roots::system().unwrap().len(), 1);
        ClientConfig::new().unwrap();
    });
    if std::env::var("GREENLOOP_TEST_CHILD").is_err() {
        std::fs::remove_file(path).unwrap();
    }
}

// `.ci/tls` runs it against OpenSSL.
#[test]
#[ignore = "needs a server of HTTPS, named by the environment"]
fn a_page_of_another_server_can_be_had() {
    let port: u16 = std::env::var("GREENLOOP_TLS_PEER").unwrap().parse().unwrap();
    let roots = Roots::from_file(std::env::var("GREENLOOP_TLS_ROOTS").unwrap()).unwrap();
    let client = ClientConfig::builder().roots(roots).build().unwrap();
    for round in 0..3 {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut stream = client.connect("localhost", socket).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut page = Vec::new();
        stream.read_to_end(&mut page).unwrap();
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains("200 ok") && page.contains("TLSv1.3"), "{round}: {page}");
    }
    assert!(client.connect("elsewhere.test", TcpStream::connect(("127.0.0.1", port)).unwrap()).is_err());
}

#[test]
fn nothing_is_left_behind() {
    for _ in 0..3 {
        let (near, far) = tcp_pair();
        drop(near);
        drop(far);
    }
    let start = Instant::now();
    wait_all();
    assert!(start.elapsed() < Duration::from_secs(5));
}
