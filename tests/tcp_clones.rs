//! What Python's programs do with file objects of a socket is done here with clones: buffered readers and writers over them,
//! and what is left when one of them is dropped. And code that knows only `Read` and `Write`.

mod net_support;

use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::time::Instant;

use greenloop::net::{TcpListener, TcpStream};
use greenloop::testing::assert_no_switch;
use greenloop::{spawn, timeout};
use net_support::{PROMPT, connection, in_a_child, ms, open_descriptors, reset, spawn_parked};

// SK08, SK12
#[test]
fn a_reader_over_a_clone_reads_to_the_end_after_the_socket_is_dropped() {
    let (mut a, b) = connection();
    let mut reader = BufReader::new(b.try_clone().unwrap());
    drop(b);
    let sender = spawn(move || a.write_all(b"first line\nsecond line\nrest"));
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!((line.as_str(), rest.as_str()), ("first line\n", "second line\nrest"));
    sender.join().unwrap().unwrap();
}

// SK09
#[test]
fn the_limit_of_the_socket_holds_for_a_line_read_through_a_clone() {
    let (mut a, b) = connection();
    b.set_read_timeout(Some(ms(10))).unwrap();
    let mut reader = BufReader::new(b.try_clone().unwrap());
    a.write_all(b"half a line, ").unwrap();
    let (start, mut line) = (Instant::now(), String::new());
    assert_eq!(reader.read_line(&mut line).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= ms(10) && start.elapsed() < PROMPT);
    // What came is kept, and the line goes on.
    a.write_all(b"and its end\n").unwrap();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "half a line, and its end\n");
}

// SK10, SK11, SK12: the descriptor lives as long as one of them, whichever is dropped first, and the peer sees the end then.
#[test]
fn the_descriptor_is_closed_with_the_last_clone() {
    in_a_child("the_descriptor_is_closed_with_the_last_clone", "", || {
        drop(connection());
        let none = open_descriptors();
        for socket_first in [true, false] {
            let (mut a, b) = connection();
            let (number, open) = (b.as_raw_fd(), open_descriptors());
            let (reader, mut writer) =
                (BufReader::new(b.try_clone().unwrap()), BufWriter::new(b.try_clone().unwrap()));
            assert_eq!((reader.get_ref().as_raw_fd(), open_descriptors()), (number, open));
            let mut last = match socket_first {
                true => {
                    drop(b);
                    writer.write_all(b"through the clone").unwrap();
                    writer.flush().unwrap();
                    drop(reader);
                    writer.into_inner().unwrap()
                }
                false => {
                    drop((reader, writer));
                    (&b).write_all(b"through the clone").unwrap();
                    b
                }
            };
            assert_eq!((last.as_raw_fd(), open_descriptors()), (number, open));
            last.write_all(b"!").unwrap();
            drop(last);
            assert_eq!(open_descriptors(), open - 1);
            let mut text = String::new();
            a.read_to_string(&mut text).unwrap();
            assert_eq!(text, "through the clone!");
        }
        assert_eq!(open_descriptors(), none);
    });
}

// SK11, SK27: here a socket that is dropped cannot be named any more, and one that is shut down takes nothing, at once.
#[test]
fn nothing_is_sent_after_the_end_and_nobody_waits_for_it() {
    let (mut a, b) = connection();
    let mut clone = b.try_clone().unwrap();
    b.shutdown(Shutdown::Write).unwrap();
    assert_no_switch(|| {
        assert_eq!((&b).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(clone.write_all(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(a.read(&mut [0; 8]).unwrap(), 0);
    });
}

// SK24
#[test]
fn shutting_down_what_is_broken_is_an_error_of_the_socket() {
    let (a, mut b) = connection();
    reset(a);
    b.read(&mut [0; 8]).unwrap_err();
    for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
        assert_eq!(b.shutdown(how).unwrap_err().kind(), ErrorKind::NotConnected);
    }
}

// SK03
#[test]
fn a_socket_that_was_non_blocking_already_is_taken_over_and_waits_like_any_other() {
    let (mut a, b) = connection();
    let std = b.into_std().unwrap();
    std.set_nonblocking(true).unwrap();
    let mut b = TcpStream::from_std(std).unwrap();
    b.write_all(b"abc").unwrap();
    let mut place = [0; 3];
    a.read_exact(&mut place).unwrap();
    assert_eq!(&place, b"abc");
    let reader = spawn_parked(move || b.read(&mut [0; 8]));
    assert!(!reader.is_finished());
    a.write_all(b"x").unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 1);
}

// SK06: the limit of the socket holds for each write, as in the standard library; a timeout around all of them bounds the whole.
#[test]
fn a_timeout_bounds_a_whole_exchange_of_which_no_part_takes_long() {
    let (a, mut b) = connection();
    a.set_write_timeout(Some(PROMPT)).unwrap();
    let reader = spawn(move || {
        // Always a little, so that no single write waits for long.
        let mut place = vec![0; 64 << 10];
        while b.read(&mut place).is_ok_and(|count| count > 0) {
            greenloop::sleep(ms(1));
        }
    });
    let start = Instant::now();
    let outcome = timeout(ms(100), || (&a).write_all(&vec![7; 64 << 20]));
    assert!(outcome.is_err() && start.elapsed() >= ms(100) && start.elapsed() < PROMPT);
    drop(a);
    reader.kill();
}

/// A client as one writes it for any stream of bytes: sends a request, gives the status and the body.
fn fetch<S: Read + Write>(mut stream: S, path: &str) -> io::Result<(String, Vec<u8>)> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let (mut status, mut length) = (String::new(), None);
    reader.read_line(&mut status)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length.expect("a length")];
    reader.read_exact(&mut body)?;
    Ok((status.trim_end().to_string(), body))
}

/// A server of one request, likewise.
fn answer<S: Read + Write>(stream: S) -> io::Result<()> {
    let (mut reader, mut lines) = (BufReader::new(stream), Vec::new());
    while lines.last().is_none_or(|line: &String| line != "\r\n") {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        lines.push(line);
    }
    let path = lines[0].split(' ').nth(1).unwrap_or("?");
    let body = format!("you asked for {path}").repeat(1000);
    write!(reader.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

// SK33: the same code runs over blocking sockets on two threads.
#[test]
fn a_client_and_a_server_for_any_stream_run_in_two_greenlets_of_one_thread() {
    let check = |(status, body): (String, Vec<u8>)| {
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert_eq!(body, "you asked for /page".repeat(1000).as_bytes());
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(move || answer(listener.accept()?.0));
    let client = spawn(move || fetch(TcpStream::connect(address)?, "/page"));
    check(client.join().unwrap().unwrap());
    server.join().unwrap().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || answer(listener.accept()?.0));
    check(fetch(std::net::TcpStream::connect(address).unwrap(), "/page").unwrap());
    server.join().unwrap().unwrap();
}
