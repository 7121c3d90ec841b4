//! A client in memory: it sends what a script says, cut as the script says, and keeps what comes back. And a
//! strict reader of responses.
#![allow(dead_code, unreachable_pub, missing_debug_implementations)]

use greenloop::http::{Config, Handler, Limits, Transport, serve_connection};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// What one read of the server gives. After the last step the client has closed.
#[derive(Debug, Clone)]
pub enum Step {
    Bytes(Vec<u8>),
    /// The read timeout passes.
    Silence,
    Fail(io::ErrorKind),
}

/// Everything the server did to its transport, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Read(usize),
    Write(Vec<u8>),
    ReadTimeout(Option<Duration>),
    ShutdownWrite,
}

#[derive(Default)]
struct Wire {
    steps: VecDeque<Step>,
    events: Vec<Event>,
    /// How many bytes are taken before writes fail, and how they fail.
    write_failure: Option<(usize, io::ErrorKind)>,
    written: usize,
    /// The most bytes that one write takes.
    write_size: Option<usize>,
}

#[derive(Clone, Default)]
pub struct Client(Rc<RefCell<Wire>>);

impl Client {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Client {
        let client = Client::default();
        client.0.borrow_mut().steps.extend(steps);
        client
    }

    /// Sends all of `input` at once.
    pub fn sending(input: impl AsRef<[u8]>) -> Client {
        Client::new([Step::Bytes(input.as_ref().to_vec())])
    }

    /// Sends `input` in pieces of the given sizes, the rest at once.
    pub fn cut(input: &[u8], sizes: &[usize]) -> Client {
        let (mut rest, mut steps) = (input, Vec::new());
        for &size in sizes {
            let (piece, later) = rest.split_at(size.min(rest.len()));
            steps.push(piece.to_vec());
            rest = later;
        }
        steps.push(rest.to_vec());
        Client::new(steps.into_iter().filter(|piece| !piece.is_empty()).map(Step::Bytes))
    }

    pub fn failing_writes_after(self, count: usize, kind: io::ErrorKind) -> Client {
        self.0.borrow_mut().write_failure = Some((count, kind));
        self
    }

    pub fn taking_at_most(self, size: usize) -> Client {
        self.0.borrow_mut().write_size = Some(size);
        self
    }

    pub fn events(&self) -> Vec<Event> {
        self.0.borrow().events.clone()
    }

    pub fn writes(&self) -> Vec<Vec<u8>> {
        let write = |event| if let Event::Write(bytes) = event { Some(bytes) } else { None };
        self.events().into_iter().filter_map(write).collect()
    }

    pub fn output(&self) -> Vec<u8> {
        self.writes().concat()
    }

    pub fn unread_steps(&self) -> usize {
        self.0.borrow().steps.len()
    }
}

impl Read for Client {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        assert!(!place.is_empty(), "a read into nothing");
        let mut wire = self.0.borrow_mut();
        let count = match wire.steps.pop_front() {
            None => 0,
            Some(Step::Silence) => return Err(io::ErrorKind::TimedOut.into()),
            Some(Step::Fail(kind)) => return Err(kind.into()),
            Some(Step::Bytes(bytes)) => {
                let count = bytes.len().min(place.len());
                place[..count].copy_from_slice(&bytes[..count]);
                if count < bytes.len() {
                    wire.steps.push_front(Step::Bytes(bytes[count..].to_vec()));
                }
                count
            }
        };
        wire.events.push(Event::Read(count));
        Ok(count)
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        let count = bytes.len().min(wire.write_size.unwrap_or(usize::MAX));
        if let Some((limit, kind)) = wire.write_failure
            && wire.written + count > limit
        {
            return Err(kind.into());
        }
        wire.written += count;
        wire.events.push(Event::Write(bytes[..count].to_vec()));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Client {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.borrow_mut().events.push(Event::ReadTimeout(timeout));
        Ok(())
    }

    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.0.borrow_mut().events.push(Event::ShutdownWrite);
        Ok(())
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        Some(([192, 0, 2, 1], 4711).into())
    }
}

/// What a connection came to.
#[derive(Debug)]
pub struct Outcome {
    pub output: Vec<u8>,
    pub reports: Vec<String>,
    pub result: io::Result<()>,
}

impl Outcome {
    /// The responses, none of which answers a `HEAD`.
    pub fn responses(&self) -> Vec<Answer> {
        answers(&self.output, &[])
    }

    pub fn statuses(&self) -> Vec<u16> {
        self.responses().iter().map(|answer| answer.status).collect()
    }

    /// The only response.
    pub fn response(&self) -> Answer {
        let [answer] = <[Answer; 1]>::try_from(self.responses()).expect("one response");
        answer
    }
}

pub fn serve(client: &Client, limits: Limits, handler: &(impl Handler + ?Sized)) -> Outcome {
    let reports = Rc::new(RefCell::new(Vec::new()));
    let sink = reports.clone();
    let config = Config::new().limits(limits).on_error(move |line| sink.borrow_mut().push(line.to_owned()));
    let result = serve_connection(client.clone(), handler, &config);
    Outcome { output: client.output(), reports: reports.take(), result }
}

/// Serves a client that sends `input` at once and then closes.
pub fn talk(input: impl AsRef<[u8]>, handler: &impl Handler) -> Outcome {
    serve(&Client::sending(input), Limits::default(), handler)
}

/// A response as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The pieces of a chunked body.
    pub chunks: Option<Vec<Vec<u8>>>,
    /// Whether the body came to the end that its head announces.
    pub is_whole: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Reads all responses of `output`; `heads` says which of them answer a `HEAD`.
pub fn answers(mut output: &[u8], heads: &[bool]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !output.is_empty() {
        let is_head = heads.get(answers.len()).copied().unwrap_or(false);
        answers.push(answer(&mut output, is_head));
    }
    answers
}

fn line<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    let end = input.windows(2).position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(&input[..end]).expect("a line of text");
    assert!(!line.contains(['\r', '\n']), "a stray line end in {line:?}");
    *input = &input[end + 2..];
    Some(line)
}

fn take<'a>(input: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    taken
}

fn answer(input: &mut &[u8], is_head: bool) -> Answer {
    let status_line =
        line(input).unwrap_or_else(|| panic!("no status line in {:?}", String::from_utf8_lossy(input)));
    // WS06
    let code =
        status_line.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{status_line:?} is no status line"));
    let status: u16 = code[..3].parse().expect("a status code");
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let field = line(input).expect("a whole head");
        let Some((name, value)) = field.split_once(": ") else { break assert_eq!(field, "") };
        let name = name.to_lowercase();
        // WS11
        assert!(name == "set-cookie" || headers.iter().all(|(known, _)| *known != name), "{name} sent twice");
        headers.push((name, value.to_owned()));
    }
    let mut answer =
        Answer { status, line: status_line.into(), headers, body: vec![], chunks: None, is_whole: true };
    let (length, coding) = (answer.header("content-length"), answer.header("transfer-encoding"));
    assert!(length.is_none() || coding.is_none(), "two framings: {answer:?}");
    if is_head || status == 204 || status == 304 || status < 200 {
        return answer;
    }
    if coding == Some("chunked") {
        let (chunks, is_whole) = chunks(input);
        answer.body = chunks.concat();
        (answer.chunks, answer.is_whole) = (Some(chunks), is_whole);
    } else if let Some(length) = length {
        let length = length.parse().expect("a length");
        answer.body = take(input, length).to_vec();
        answer.is_whole = answer.body.len() == length;
    } else {
        assert!(answer.closes(), "a body without an end: {answer:?}");
        answer.body = take(input, usize::MAX).to_vec();
    }
    answer
}

fn chunks(input: &mut &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut chunks = Vec::new();
    while let Some(size) = line(input) {
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        let data = take(input, size).to_vec();
        let is_whole = data.len() == size;
        if size > 0 {
            chunks.push(data);
        }
        match line(input) {
            Some(end) => assert_eq!(end, "", "the end of a chunk"),
            None => return (chunks, false),
        }
        if size == 0 || !is_whole {
            return (chunks, is_whole);
        }
    }
    (chunks, false)
}
