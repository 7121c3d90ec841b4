//! What the tests of pools, sockets and servers share.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output};
use std::rc::Rc;
use std::time::Duration;

use greenloop::event::Event;
use greenloop::net::{TcpListener, TcpStream};
use greenloop::{Builder, Greenlet, spawn};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Longer than any test takes: whoever waits so long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Short, but not nothing.
pub(crate) const SHORT: Duration = Duration::from_millis(5);
/// Generous for anything that should happen at once, and far below [`LONG`].
pub(crate) const PROMPT: Duration = Duration::from_secs(20);

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// What happened, in order.
#[derive(Clone, Debug)]
pub(crate) struct Log<T>(Rc<RefCell<Vec<T>>>);

impl<T> Log<T> {
    pub(crate) fn new() -> Log<T> {
        Log(Rc::new(RefCell::new(Vec::new())))
    }

    pub(crate) fn add(&self, entry: T) {
        self.0.borrow_mut().push(entry);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// What was logged since the last look.
    pub(crate) fn take(&self) -> Vec<T> {
        self.0.take()
    }
}

/// A flag that is shared with greenlets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flag(Rc<Cell<bool>>);

impl Flag {
    pub(crate) fn raise(&self) {
        self.0.set(true);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.0.get()
    }
}

/// Runs a closure when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The text of the panic that `f` must end with.
pub(crate) fn panic_of<T: Debug>(f: impl FnOnce() -> T) -> String {
    text_of(&*catch_unwind(AssertUnwindSafe(f)).unwrap_err())
}

pub(crate) fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| text.to_string())).expect("a payload of text")
}

/// Two ends of a connection over the loopback interface.
pub(crate) fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Closes a connection so that the peer sees a reset.
pub(crate) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Runs `f` in a greenlet until it parks (or ends).
pub(crate) fn spawn_parked<T: 'static>(f: impl FnOnce() -> T + 'static) -> Greenlet<T> {
    let greenlet = spawn(f);
    greenloop::yield_now();
    greenlet
}

/// Runs `body` in a process of its own, which this test starts and awaits: the test `name` of this binary, run again. Gives the
/// child's output. `prelude` is for the shell that starts it: `ulimit -n 64`, for example.
pub(crate) fn in_a_child(name: &str, prelude: &str, body: impl FnOnce()) -> Option<String> {
    const MARK: &str = "GREENLOOP_TEST_CHILD";
    if std::env::var(MARK).as_deref() == Ok(name) {
        body();
        return None;
    }
    let Output { status, stdout, stderr } = Command::new("sh")
        .args(["-c", &format!("{prelude}\nexec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(MARK, name)
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success() && text.contains("1 passed"), "the child `{name}` failed ({status}):\n{text}");
    Some(text)
}

/// Limits the address space of this process to a GiB, and spawns until there is no stack left. They wait for the gate.
pub(crate) fn take_all_stacks(gate: &Event) -> Vec<Greenlet<()>> {
    let limit = Some(1 << 30);
    setrlimit(Resource::As, Rlimit { current: limit, maximum: limit }).unwrap();
    let mut greenlets = Vec::new();
    while let Ok(greenlet) = Builder::new().spawn({
        let gate = gate.clone();
        move || gate.wait()
    }) {
        greenlets.push(greenlet);
        assert!(greenlets.len() < 4096, "a GiB holds no 4096 stacks of 256 KiB");
    }
    greenlets
}

/// How many descriptors this process has open.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Bytes of which it is known which come at any offset, so that a loss, a repetition or a swap is seen where it happens.
pub(crate) struct Pattern {
    period: Vec<u8>,
    offset: u64,
}

impl Pattern {
    pub(crate) fn new() -> Pattern {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
        // A prime number of them: no usual buffer size is a multiple.
        Pattern { period: (0..65_537).map(|_| numbers.next() as u8).collect(), offset: 0 }
    }

    /// The next bytes, at least one and at most `most`.
    pub(crate) fn peek(&self, most: usize) -> &[u8] {
        let start = (self.offset % self.period.len() as u64) as usize;
        &self.period[start..self.period.len().min(start + most)]
    }

    pub(crate) fn advance(&mut self, count: usize) {
        self.offset += count as u64;
    }

    /// Checks that `bytes` come next.
    pub(crate) fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = self.peek(bytes.len());
            let (now, later) = bytes.split_at(expected.len());
            assert!(now == expected, "wrong bytes behind offset {}", self.offset);
            self.advance(now.len());
            bytes = later;
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }
}

/// An address of this machine where nobody listens, nor can begin to while this lives: a port that was only given up may soon be another's.
pub(crate) struct Nobody(socket2::Socket);

impl Nobody {
    pub(crate) fn new() -> Nobody {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        Nobody(socket)
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

/// A listener that answers nobody: its queue is full, so who connects waits.
pub(crate) struct Mute {
    listener: std::net::TcpListener,
    _queued: Vec<std::net::TcpStream>,
}

impl Mute {
    pub(crate) fn new() -> Mute {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        socket.listen(0).unwrap();
        let listener = std::net::TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let connect = || std::net::TcpStream::connect_timeout(&address, ms(20));
        Mute { listener, _queued: std::iter::from_fn(|| connect().ok()).take(100).collect() }
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// From now on the next attempts of a client succeed.
    pub(crate) fn make_room(&self) {
        for _ in &self._queued {
            self.listener.accept().unwrap();
        }
    }
}

/// Allows this process as many descriptors as it may have.
pub(crate) fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is initialised.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}
