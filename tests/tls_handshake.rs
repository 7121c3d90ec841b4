//! Handshakes that go wrong: peers that stall, vanish, lie, are not trusted; greenlets that are interrupted.

mod net_support;
mod tls_support;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use greenloop::event::Event;
use greenloop::testing::{Duplex, duplex, elapsed, virtual_time};
use greenloop::tls::{ClientConfig, Roots, ServerConfig, TlsStream};
use greenloop::{spawn, timeout, wait_all};
use net_support::{Flag, connection, spawn_parked};
use rcgen::{CertificateParams, date_time_ymd};
use tls_support::{Authority, Pem, accepting, authority, client, key, localhost, server, shake};

/// What happens to the bytes that one side writes.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    /// The connection is closed after so many.
    Vanish(usize),
    /// No more than so many are sent, and the writer waits for ever.
    Stall(usize),
    /// The one with this number is changed.
    Flip(usize),
    /// The call to the stream with this number never ends, if it is a read or a write.
    Park(usize),
    None,
}

/// A stream to which that happens.
#[derive(Clone)]
struct Tricky {
    /// None when it is closed.
    inner: Rc<RefCell<Option<Rc<Duplex>>>>,
    mishap: Mishap,
    written: Rc<Cell<usize>>,
    calls: Rc<Cell<usize>>,
    /// Set when a `Park` has been reached.
    reached: Event,
}

impl Tricky {
    fn new(inner: Duplex, mishap: Mishap) -> Tricky {
        Tricky {
            inner: Rc::new(RefCell::new(Some(Rc::new(inner)))),
            mishap,
            written: Rc::default(),
            calls: Rc::default(),
            reached: Event::new(),
        }
    }

    fn enter(&self) -> io::Result<Rc<Duplex>> {
        let number = self.calls.replace(self.calls.get() + 1);
        if matches!(self.mishap, Mishap::Park(at) if at == number) {
            self.reached.set();
            Event::new().wait();
        }
        self.inner.borrow().clone().ok_or_else(|| ErrorKind::BrokenPipe.into())
    }
}

impl Read for Tricky {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        (&*self.enter()?).read(place)
    }
}

impl Write for Tricky {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stream = self.enter()?;
        let mut bytes = bytes.to_vec();
        let written = self.written.get();
        match self.mishap {
            Mishap::Vanish(at) if written == at => {
                drop(stream);
                self.inner.take();
                return Err(ErrorKind::BrokenPipe.into());
            }
            Mishap::Stall(at) if written == at => Event::new().wait(),
            Mishap::Vanish(at) | Mishap::Stall(at) if at > written => bytes.truncate(at - written),
            Mishap::Flip(at) if (written..written + bytes.len()).contains(&at) => bytes[at - written] ^= 0x41,
            _ => {}
        }
        let count = (&*stream).write(&bytes)?;
        self.written.set(written + count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Outcome = io::Result<TlsStream<Tricky>>;

/// So little fits into the connections in memory that a handshake has many places where it waits.
const CAPACITY: usize = 100;

/// Shakes hands with such a client and such a server; both also count what is written.
fn shake_tricky(client_has: Mishap, server_has: Mishap) -> ((Outcome, Tricky), (Outcome, Tricky)) {
    let (near, far) = duplex(CAPACITY);
    let (near, far) = (Tricky::new(near, client_has), Tricky::new(far, server_has));
    let (near_view, far_view) = (near.clone(), far.clone());
    let closed = near_view.inner.clone();
    let accepting = accepting(&server(), far);
    let connected = client().connect("localhost", near);
    if connected.is_err() {
        // This view would keep it open.
        closed.take();
    }
    ((connected, near_view), (accepting.join().unwrap(), far_view))
}

/// How many bytes client and server write.
fn sizes() -> [usize; 2] {
    let ((near, near_view), (far, far_view)) = shake_tricky(Mishap::None, Mishap::None);
    near.unwrap();
    far.unwrap();
    [near_view.written.get(), far_view.written.get()]
}

// A peer that closes after any number of bytes.
#[test]
fn a_peer_that_vanishes_at_any_byte_ends_the_handshake() {
    let [of_client, of_server] = sizes();
    assert!(of_client > 200 && of_server > 500, "{of_client} {of_server}");
    virtual_time(|| {
        for at in 0..of_client {
            let (_, (far, _)) = shake_tricky(Mishap::Vanish(at), Mishap::None);
            assert!(is_gone(far.map(drop).unwrap_err()), "client, byte {at}");
        }
        for at in 0..of_server {
            let ((near, _), _) = shake_tricky(Mishap::None, Mishap::Vanish(at));
            assert!(is_gone(near.map(drop).unwrap_err()), "server, byte {at}");
        }
        // No limit had to end one of them.
        assert_eq!(elapsed(), Duration::ZERO);
    });
}

fn is_gone(error: io::Error) -> bool {
    assert!(error.to_string().starts_with("the TLS handshake with"), "{error}");
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe)
}

// One that goes silent instead.
#[test]
fn a_peer_that_stalls_at_any_byte_costs_the_time_allowed() {
    let [of_client, of_server] = sizes();
    for at in (0..of_client).step_by(3).chain([of_client - 1]) {
        let (near, far) = duplex(CAPACITY);
        virtual_time(|| {
            let stalling = spawn(move || client().connect("localhost", Tricky::new(near, Mishap::Stall(at))));
            let error = server().accept(far).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "byte {at}: {error}");
            assert!(error.to_string().contains("within 10s"), "{error}");
            assert_eq!(elapsed(), Duration::from_secs(10));
            stalling.kill();
        });
    }
    for at in (0..of_server).step_by(3).chain([of_server - 1]) {
        let (near, far) = duplex(CAPACITY);
        virtual_time(|| {
            let stalling = accepting(&server(), Tricky::new(far, Mishap::Stall(at)));
            let error = client().connect("localhost", near).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "byte {at}: {error}");
            assert!(error.to_string().contains("`localhost`"), "{error}");
            stalling.kill();
        });
    }
}

// Whichever byte is changed, nobody believes the other, and nobody waits longer than allowed. Only the lower byte of a record's
// version has no meaning any more: each side sends three records.
#[test]
fn a_handshake_of_which_a_byte_was_changed_fails() {
    let [of_client, of_server] = sizes();
    let survives = |client_has, server_has| {
        let ((near, _), (far, _)) = shake_tricky(client_has, server_has);
        near.is_ok() && far.is_ok()
    };
    let [of_client, of_server] = virtual_time(|| {
        [
            (0..of_client).filter(|at| survives(Mishap::Flip(*at), Mishap::None)).collect::<Vec<_>>(),
            (0..of_server).filter(|at| survives(Mishap::None, Mishap::Flip(*at))).collect(),
        ]
    });
    for survivors in [of_client, of_server] {
        // The second record has one byte behind its head of five.
        let [2, second, third] = survivors[..] else { panic!("{survivors:?}") };
        assert_eq!(third - second, 6, "{survivors:?}");
    }
}

/// Lets `handshake` wait for ever at its call `at` of the stream and ends it there. False if it has no such call.
fn interrupt<T: 'static>(
    stream: Duplex,
    at: usize,
    by_kill: bool,
    handshake: impl FnOnce(Tricky) -> io::Result<T> + 'static,
) -> bool {
    let tricky = Tricky::new(stream, Mishap::Park(at));
    let (inner, reached, is_over) = (Rc::downgrade(&tricky.inner), tricky.reached.clone(), Flag::default());
    let interrupted = spawn({
        let (over, is_over) = (reached.clone(), is_over.clone());
        move || {
            // Virtual time: it has not come before all are parked.
            timeout(Duration::from_secs(1), || {
                let result = handshake(tricky);
                is_over.raise();
                over.set();
                result.map(drop)
            })
        }
    });
    reached.wait();
    if is_over.is_up() {
        interrupted.join().unwrap().unwrap().unwrap();
        return false;
    }
    if by_kill {
        interrupted.kill();
        assert!(interrupted.join().unwrap_err().is_killed());
    } else {
        assert!(interrupted.join().unwrap().is_err());
    }
    assert!(inner.upgrade().is_none(), "the stream is gone");
    true
}

// Killed, or out of time, at every place where it could wait.
#[test]
fn a_handshake_that_is_interrupted_anywhere_closes_the_connection() {
    virtual_time(interrupt_everywhere);
    wait_all();
}

fn interrupt_everywhere() {
    for by_kill in [true, false] {
        let mut places = 0;
        loop {
            let (near, far) = duplex(CAPACITY);
            let accepting = accepting(&server(), far);
            let was = interrupt(near, places, by_kill, |stream| client().connect("localhost", stream));
            let accepted = accepting.join().unwrap();
            if !was {
                accepted.unwrap();
                break;
            }
            assert!(is_gone(accepted.map(drop).unwrap_err()), "client, place {places}");
            places += 1;
        }
        assert!(places >= 8, "{places}");
        let mut places = 0;
        loop {
            let (near, far) = duplex(CAPACITY);
            let connecting = spawn(move || client().connect("localhost", near));
            let was = interrupt(far, places, by_kill, |stream| server().accept(stream));
            let connected = connecting.join().unwrap();
            if !was {
                connected.unwrap();
                break;
            }
            // A client is done when it has heard the server's words and said its own.
            let ended = connected.and_then(|mut stream| stream.read(&mut [0; 8]).map(drop)).unwrap_err();
            let kind = ended.kind();
            assert!(
                matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe),
                "place {places}: {ended}"
            );
            places += 1;
        }
        assert!(places >= 8, "{places}");
    }
}

// Also over sockets, where the descriptor must be closed.
#[test]
fn a_handshake_over_a_socket_that_is_killed_closes_it() {
    let (near, mut far) = connection();
    let connecting = spawn_parked(move || client().connect("localhost", near).map(drop));
    assert!(!connecting.is_finished());
    connecting.kill();
    let mut hello = Vec::new();
    far.read_to_end(&mut hello).unwrap();
    assert_eq!(hello[0], 0x16);
}

#[test]
fn garbage_is_refused_with_an_alert_and_an_error_that_says_so() {
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"SSH-2.0-OpenSSH\r\n", &[0; 64], &[0xFF; 64]] {
        let (mut near, far) = connection();
        let accepting = accepting(&server(), far);
        near.write_all(garbage).unwrap();
        let error = accepting.join().unwrap().map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("with a client failed"), "{error}");
        let mut alert = [0; 7];
        near.read_exact(&mut alert).unwrap();
        assert_eq!(alert[0], 0x15);
    }
    // A server that speaks something else.
    let (near, mut far) = connection();
    let connecting = spawn(move || client().connect("localhost", near).map(drop));
    far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    let error = connecting.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("does the peer speak TLS"), "{error}");
}

/// What client and server say of a handshake for `localhost`.
fn errors(client: &ClientConfig, pem: &Pem) -> [String; 2] {
    let server = ServerConfig::builder().identity(pem.identity()).build().unwrap();
    let (near, far) = shake(client, &server, connection());
    let (near, far) = (near.map(drop).unwrap_err(), far.map(drop).unwrap_err());
    assert_eq!((near.kind(), far.kind()), (ErrorKind::InvalidData, ErrorKind::InvalidData));
    [near.to_string(), far.to_string()]
}

#[test]
fn a_client_refuses_certificates_that_are_not_to_be_trusted() {
    let strange = Authority::new("nobody knows");
    let self_signed = {
        let (params, key) = (CertificateParams::new(["localhost".to_string()]).unwrap(), key());
        Pem { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    };
    let dated = |from: i32, to: i32| {
        authority().sign_with(&["localhost"], |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        })
    };
    let wrong = [
        (authority().sign(&["elsewhere.test"]), &["localhost", "elsewhere.test"][..], "BadCertificate"),
        (dated(2001, 2002), &["expired"], "CertificateExpired"),
        (dated(2101, 2102), &["not valid yet"], ""),
        (strange.sign(&["localhost"]), &["UnknownIssuer", "add its issuer"], "UnknownCA"),
        (self_signed, &["certificate"], ""),
    ];
    for (pem, words, alert) in wrong {
        let [near, far] = errors(&client(), &pem);
        assert!(near.starts_with("the TLS handshake with `localhost` failed"), "{near}");
        assert!(words.iter().all(|word| near.contains(word)), "{words:?}: {near}");
        assert!(far.contains(alert), "{far}");
    }
}

#[test]
fn a_certificate_that_is_its_own_authority_can_be_trusted() {
    let (params, key) = (CertificateParams::new(["localhost".to_string()]).unwrap(), key());
    let pem = Pem { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() };
    let client = ClientConfig::builder().roots(Roots::from_pem(&pem.certificate).unwrap()).build().unwrap();
    let server = ServerConfig::builder().identity(pem.identity()).build().unwrap();
    let (near, far) = shake(&client, &server, connection());
    near.unwrap();
    far.unwrap();
}

#[test]
fn a_server_takes_only_the_clients_whose_certificates_it_trusts() {
    let strange = Authority::new("nobody knows");
    let identity = |authority: &Authority| authority.sign(&["a client"]).identity();
    let clients = [None, Some(identity(authority())), Some(identity(&strange))];
    for (required, taken) in [(true, [false, true, false]), (false, [true, true, false])] {
        let builder = ServerConfig::builder().identity(localhost().identity());
        let server = match required {
            true => builder.require_client_certificates(authority().roots()),
            false => builder.ask_for_client_certificates(authority().roots()),
        };
        let server = server.build().unwrap();
        for (client, taken) in clients.iter().zip(taken) {
            let mut builder = ClientConfig::builder().roots(authority().roots());
            if let Some(identity) = client {
                builder = builder.identity(identity.clone());
            }
            let (near, far) = shake(&builder.build().unwrap(), &server, connection());
            assert_eq!(far.is_ok(), taken, "required: {required}");
            if !taken {
                // With TLS 1.3 the client learns of it when it reads.
                let error = near.and_then(|mut stream| stream.read(&mut [0; 8]).map(drop)).unwrap_err();
                assert!(
                    error.to_string().contains("ertificate") || error.to_string().contains("UnknownCA"),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn protocols_of_which_none_is_common_are_refused() {
    let server = ServerConfig::builder().identity(localhost().identity()).alpn(["h2"]).build().unwrap();
    let client = ClientConfig::builder().roots(authority().roots()).alpn(["http/1.1"]).build().unwrap();
    let (near, far) = shake(&client, &server, connection());
    assert!(far.is_err());
    assert!(near.map(drop).unwrap_err().to_string().contains("NoApplicationProtocol"));
}

#[test]
fn what_is_no_name_is_an_error_that_says_what_one_looks_like() {
    for name in ["", "local host", "localhost:443", "https://localhost"] {
        let (near, _far) = duplex(1);
        let error = client().connect(name, near).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("`{name}` is no name")), "{error}");
    }
}

#[test]
fn a_protocol_whose_name_has_no_room_is_refused_before_anybody_connects() {
    let configured = |name: &str| {
        let server = ServerConfig::builder().identity(localhost().identity()).alpn(["h2", name]).build();
        (ClientConfig::builder().roots(authority().roots()).alpn([name]).build(), server)
    };
    for length in [0, 256, 300] {
        let (client, server) = configured(&"x".repeat(length));
        for error in [client.unwrap_err(), server.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(
                error.to_string().starts_with(&format!("a name of {length} bytes is none of")),
                "{error}"
            );
        }
    }
    for length in [1, 255] {
        let (client, server) = configured(&"x".repeat(length));
        let (near, far) = shake(&client.unwrap(), &server.unwrap(), connection());
        assert_eq!(near.unwrap().alpn_protocol().map(<[u8]>::len), Some(length));
        assert_eq!(far.unwrap().alpn_protocol().map(<[u8]>::len), Some(length));
    }
}
