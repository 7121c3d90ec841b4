//! TLS connections that are cut anywhere, and much data over them: what `net_faults.rs` does to plain sockets.
#![cfg(target_os = "linux")]

mod net_support;
mod tls_support;

use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;

use greenloop::net::{TcpListener, TcpStream};
use greenloop::tls::{TlsStream, rustls};
use greenloop::{Greenlet, spawn, timeout, yield_now};
use net_support::{Numbers, PROMPT, Pattern, reset};
use tls_support::{Raw, server_without_tickets, tcp_pair};

const QUESTION: &[u8] = b"0123456789abcdef";
const ANSWER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWX";

/// What came before the end or the failure, and how it ended.
type Came = (Vec<u8>, io::Result<()>);

/// How a peer goes without a word.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    Reset,
    Close,
}

impl Cut {
    fn make(self, socket: TcpStream) {
        match self {
            Cut::Reset => reset(socket),
            Cut::Close => drop(socket),
        }
    }
}

fn read_all(mut stream: impl Read) -> Came {
    let (mut came, mut place) = (Vec::new(), [0; 5]);
    loop {
        match stream.read(&mut place) {
            Ok(0) => return (came, Ok(())),
            Ok(count) => came.extend_from_slice(&place[..count]),
            Err(error) => return (came, Err(error)),
        }
    }
}

fn ask(mut stream: TlsStream<TcpStream>) -> Came {
    match stream.write_all(QUESTION) {
        Ok(()) => read_all(stream),
        Err(error) => (Vec::new(), Err(error)),
    }
}

/// Nobody may take it for an end of the peer's.
fn assert_is_cut(client: Greenlet<Came>, sent: &[u8], context: &str) {
    let (came, outcome) =
        timeout(PROMPT, || client.join()).unwrap_or_else(|_| panic!("stuck, {context}")).unwrap();
    // A reset may throw away what had come before it.
    assert!(sent.starts_with(&came), "{context}: {came:?}");
    let kind = outcome.expect_err(context).kind();
    assert!(
        matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{context}: {kind:?}"
    );
}

// TL01: each byte of an answer is a record of its own.
#[test]
fn a_peer_that_goes_at_any_byte_of_an_exchange_is_an_error_at_once() {
    for cut in [Cut::Reset, Cut::Close] {
        for length in 0..=QUESTION.len() + ANSWER.len() {
            let (read, written) = (length.min(QUESTION.len()), length.saturating_sub(QUESTION.len()));
            let (a, mut b) = tcp_pair();
            let client = spawn(move || ask(a));
            spawn(move || {
                b.read_exact(&mut vec![0; read]).unwrap();
                for byte in &ANSWER[..written] {
                    b.write_all(&[*byte]).unwrap();
                    yield_now();
                }
                cut.make(b.into_inner());
            });
            assert_is_cut(client, &ANSWER[..written], &format!("{cut:?} at {length}"));
        }
    }
}

/// A server that reads to the end, and what its peer has to send: the records of an answer, and of a goodbye.
fn reader(
    version: &'static rustls::SupportedProtocolVersion,
) -> (Greenlet<Came>, TcpStream, Vec<u8>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let reader = spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        read_all(server_without_tickets().accept(socket).unwrap())
    });
    let mut peer = Raw::connect(address, version);
    let answer = peer.seal(ANSWER);
    peer.tls.send_close_notify();
    let goodbye = peer.seal(b"");
    (reader, peer.socket, answer, goodbye)
}

// TL01: in the middle of a record, too, and of the goodbye itself.
#[test]
fn a_cut_at_any_byte_of_the_records_is_an_error_and_only_a_whole_goodbye_an_end() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for cut in [Cut::Reset, Cut::Close] {
            for length in 0.. {
                let (reader, mut socket, answer, goodbye) = reader(version);
                let all = [&*answer, &*goodbye].concat();
                let is_whole = length == all.len();
                if is_whole && cut == Cut::Reset {
                    break;
                }
                socket.write_all(&all[..length]).unwrap();
                cut.make(socket);
                if is_whole {
                    let (came, outcome) = timeout(PROMPT, || reader.join()).expect("an end").unwrap();
                    outcome.unwrap();
                    assert_eq!(came, ANSWER);
                    break;
                }
                let sent = if length < answer.len() { &[][..] } else { ANSWER };
                assert_is_cut(reader, sent, &format!("{version:?}, {cut:?} at {length} of {}", all.len()));
            }
        }
    }
}

/// Sends pieces of random size and says that they end.
fn send(stream: &TlsStream<TcpStream>, total: u64, seed: u64) -> io::Result<()> {
    let (mut pattern, mut numbers, mut writing) = (Pattern::new(), Numbers(seed), stream);
    while pattern.offset() < total {
        let most = (1 + numbers.below(200_000)).min((total - pattern.offset()) as usize);
        let count = writing.write(pattern.peek(most))?;
        pattern.advance(count);
    }
    stream.shutdown_write()
}

/// Checks each byte, in reads of random size, and counts them.
fn receive(mut stream: &TlsStream<TcpStream>, seed: u64) -> io::Result<u64> {
    let (mut pattern, mut numbers, mut place) = (Pattern::new(), Numbers(seed), vec![0; 200_000]);
    loop {
        let size = 1 + numbers.below(200_000);
        match stream.read(&mut place[..size])? {
            0 => return Ok(pattern.offset()),
            count => pattern.check(&place[..count]),
        }
    }
}

// TL01, SK01, SK04: GREENLOOP_VOLUME_MIB=1024 sends a gibibyte, both ways at once.
#[test]
fn every_byte_of_a_large_volume_arrives_once_and_in_order_over_tls() {
    let mebibytes: u64 =
        std::env::var("GREENLOOP_VOLUME_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(16);
    let total = mebibytes << 20;
    let (a, b) = tcp_pair();
    let jobs = [(a, 3), (b, 5)].map(|(stream, seed)| {
        let (sending, receiving) = (Rc::new(stream), seed + 1);
        let reading = sending.clone();
        (spawn(move || send(&sending, total, seed)), spawn(move || receive(&reading, receiving)))
    });
    for (sender, receiver) in jobs {
        sender.join().unwrap().unwrap();
        assert_eq!(receiver.join().unwrap().unwrap(), total);
    }
}
