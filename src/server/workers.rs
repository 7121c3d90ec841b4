//! The same service on several threads.
//!
//! ```text
//!                       ┌─▶ listener 0 ─▶ thread `worker-0`: hub, server ─┐
//!   clients ─▶ kernel ──┼─▶ listener 1 ─▶ thread `worker-1`: hub, server ─┼─▶ join
//!        SO_REUSEPORT   └─▶ listener 2 ─▶ thread `worker-2`: hub, server ─┘
//!                                             ▲
//!                            one event ───────┘ stop, from any thread; or the first of them has ended
//! ```
//!
//! Threads share nothing but that event. When one of them ends, for whatever reason, the others are stopped: a service never
//! goes on with fewer threads than it was given.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::together::USUAL_GRACE;
use super::{Serve, StreamServer, ToListenAddrs};
use crate::greenlet::{self, scope};
use crate::hub::Hub;
use crate::io::with_context;
use crate::net::TcpListener;
use crate::sync::Event;
use crate::unwind;

/// Runs `f` on `count` threads of their own, each with a hub and with a listener on the same address, among which the kernel
/// shares out the connections. They listen when this returns: clients wait until their worker has come so far.
///
/// `f` gets its [`Worker`], makes a server, of any kind, on its listener, and lets it [serve](Worker::serve) until the service is
/// stopped. What it returns is what [`Workers::join`] gives. A worker that ends, because it panics, fails or has nothing more
/// to do, stops all. What a handler does wrong ends only its connection, as everywhere.
///
/// Listeners share the address by `SO_REUSEPORT`. A connection is given to a worker when it is made, and stays there.
///
/// **Switches**: only to look a name up.
///
/// # Errors
/// If the address cannot be had; if `count` is 0. If the system gives no thread for one of them, of kind [`Other`](io::ErrorKind::Other):
/// those that have one are stopped.
///
/// # Examples
/// ```
/// use greenloop::server::{StreamServer, workers};
/// use std::{io::{Read, Write}, time::Duration};
///
/// let workers = workers("127.0.0.1:0", 2, |worker| {
///     let number = worker.number();
///     let builder = StreamServer::from_listener(worker.listener()?)?;
///     worker.serve(&builder.handle(move |mut socket, _| write!(socket, "worker {number}")))
/// })?;
/// let mut text = String::new();
/// std::net::TcpStream::connect(workers.local_addr())?.read_to_string(&mut text)?;
/// assert!(text == "worker 0" || text == "worker 1");
/// workers.stop(Duration::from_secs(1));
/// workers.join()?;
/// # Ok::<(), std::io::Error>(())
/// ```
/// HTTP, where the handler is made once for each thread, so that it may hold what stays there:
/// ```no_run
/// # #[cfg(feature = "http")] {
/// use greenloop::{http::{Request, Server}, server::{StreamServer, workers}};
///
/// workers("0.0.0.0:8080", 4, |worker| {
///     let builder = StreamServer::from_listener(worker.listener()?)?;
///     worker.serve(&Server::from_builder(builder).start(|_: &mut Request<'_>| "Hello, World!")?)
/// })?
/// .join()?;
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn workers<F, T>(addr: impl ToListenAddrs, count: usize, f: F) -> io::Result<Workers<T>>
where
    F: Fn(&Worker) -> io::Result<T> + Send + Sync + 'static,
    T: Send + 'static,
{
    let mut listeners = listen(addr, count)?;
    let address = listeners[0].local_addr()?;
    let shared = Arc::new(Shared::new(count));
    let f = Arc::new(f);
    let mut threads = Vec::with_capacity(count);
    for (number, listener) in listeners.drain(..).enumerate() {
        let worker = Worker { number, count, listener: Cell::new(Some(listener)), shared: shared.clone() };
        let f = f.clone();
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        match thread.spawn(move || worker.run(&*f)) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                shared.stop(Duration::ZERO);
                return Err(no_thread(&error, &format!("worker {number} of {count} for {address}")));
            }
        }
    }
    Ok(Workers { address, stopper: Stopper { shared }, threads })
}

/// The kind of the system's error is that of an operation that would block, and might be taken for a reason to try again.
fn no_thread(error: &io::Error, whose: &str) -> io::Error {
    io::Error::other(format!(
        "cannot start the thread of {whose}: {error}; the service has not begun, and those before it are stopped: start \
         fewer, or allow the process more threads and memory (`ulimit -u`, `ulimit -v`, the limits of its container)"
    ))
}

/// So many listeners on the same address. All listen when this returns, so that none of them gets what another would have got.
#[track_caller]
fn listen(addr: impl ToListenAddrs, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    if count == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a service of 0 workers would serve nobody"));
    }
    let options = StreamServer::options().reuse_port(true);
    let first = options.bind_socket(addr)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    while listeners.len() < count {
        listeners.push(options.bind_socket(address)?);
    }
    listeners.iter().try_for_each(|listener| options.listen(listener))?;
    Ok(listeners)
}

/// What the workers have in common.
struct Shared {
    stopping: Event,
    state: Mutex<State>,
    all_ended: Event,
}

struct State {
    /// Of the first call of `stop`.
    grace: Duration,
    running: usize,
    /// The first worker that has ended with an error.
    failed: Option<usize>,
}

impl Shared {
    fn new(count: usize) -> Shared {
        let state = State { grace: Duration::ZERO, running: count, failed: None };
        Shared { stopping: Event::new(), state: Mutex::new(state), all_ended: Event::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, grace: Duration) {
        let mut state = self.lock();
        if !self.stopping.is_set() {
            state.grace = grace;
            self.stopping.set();
        }
    }

    fn has_ended(&self, number: usize, has_failed: bool) {
        let mut state = self.lock();
        state.running -= 1;
        if has_failed && state.failed.is_none() {
            state.failed = Some(number);
        }
        let all_ended = state.running == 0;
        drop(state);
        self.stop(USUAL_GRACE);
        if all_ended {
            self.all_ended.set();
        }
    }
}

/// One of the threads of [`workers`], for the function that runs there.
///
/// # Examples
/// ```
/// use greenloop::server::{Worker, workers};
/// use std::time::Duration;
///
/// // A service without servers: each worker does something until it is stopped.
/// fn work(worker: &Worker) -> std::io::Result<usize> {
///     worker.wait();
///     Ok(worker.number() * 10)
/// }
/// let workers = workers("127.0.0.1:0", 3, work)?;
/// workers.stop(Duration::ZERO);
/// assert_eq!(workers.join()?, [0, 10, 20]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Worker {
    number: usize,
    count: usize,
    listener: Cell<Option<std::net::TcpListener>>,
    shared: Arc<Shared>,
}

/// Tells the others of the end of a worker, whatever ends it: who joins must not wait for ever.
struct Running {
    number: usize,
    shared: Arc<Shared>,
    has_failed: Cell<bool>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.has_ended(self.number, self.has_failed.get());
    }
}

impl Worker {
    fn run<T>(self, f: impl Fn(&Worker) -> io::Result<T>) -> io::Result<T> {
        let (number, count) = (self.number, self.count);
        let running = Running { number, shared: self.shared.clone(), has_failed: Cell::new(true) };
        let outcome = unwind::catch(|| {
            let outcome = f(&self);
            drop(self);
            outcome
        });
        let outcome = outcome.unwrap_or_else(|payload| {
            let text = format!("it panicked: {}", unwind::panic_text(&payload));
            // Its destructor is the user's, and nobody would catch what it throws.
            std::mem::forget(payload);
            Err(io::Error::other(text))
        });
        // What it has begun to stop may end; a thread that could have no hub has begun nothing.
        if outcome.is_err() && Hub::try_current().is_some() {
            greenlet::wait_all_timeout(USUAL_GRACE);
        }
        running.has_failed.set(outcome.is_err());
        outcome.map_err(|error| with_context(error, format!("worker {number} of {count}")))
    }

    /// Which of the workers this is, from 0.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::workers;
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| Ok(worker.number()))?;
    /// assert_eq!(workers.join()?, [0, 1]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn number(&self) -> usize {
        self.number
    }

    /// How many there are.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::workers;
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| Ok(worker.count()))?;
    /// assert_eq!(workers.join()?, [2, 2]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn count(&self) -> usize {
        self.count
    }

    /// The listener of this worker. **Switches**: no.
    ///
    /// # Errors
    /// If it was taken already, or the hub cannot watch it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::workers;
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| {
    ///     let listener = worker.listener()?;
    ///     assert!(worker.listener().is_err()); // there is but one
    ///     listener.local_addr()
    /// })?;
    /// let address = workers.local_addr();
    /// assert_eq!(workers.join()?, [address; 2]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn listener(&self) -> io::Result<TcpListener> {
        match self.listener.take() {
            Some(listener) => TcpListener::from_std(listener),
            None => Err(io::Error::other("a worker has one listener, and this one's was taken already")),
        }
    }

    /// Starts the server, and waits until the service is stopped; then stops the server and waits until that is done.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the server cannot start, or cannot go on.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::{StreamServer, workers};
    /// use std::{io::Write, time::Duration};
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| {
    ///     let builder = StreamServer::from_listener(worker.listener()?)?;
    ///     worker.serve(&builder.handle(|mut socket, _| write!(socket, "hello")))?;
    ///     Ok("served")
    /// })?;
    /// let client = std::net::TcpStream::connect(workers.local_addr())?;
    /// assert_eq!(std::io::read_to_string(client)?, "hello");
    /// workers.stop(Duration::from_secs(1));
    /// assert_eq!(workers.join()?, ["served"; 2]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn serve(&self, server: &impl Serve) -> io::Result<()> {
        let outcome = scope(|scope| {
            let stopping = scope.spawn(|| server.stop(self.wait()));
            let outcome = server.serve_forever();
            // Unless it has done its work, or is just doing it: the server may have been stopped otherwise.
            if !self.shared.stopping.is_set() {
                stopping.kill();
            }
            outcome
        });
        if outcome.is_err() {
            server.stop(USUAL_GRACE);
        }
        outcome
    }

    /// Waits until the service is stopped and says how long what is under way may take. For workers that are no servers.
    ///
    /// **Switches**: unless it is stopped already.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{server::workers, spawn, timeout};
    /// use std::time::Duration;
    ///
    /// let workers = workers("127.0.0.1:0", 1, |worker| {
    ///     let job = spawn(|| "done"); // and much more
    ///     let grace = worker.wait();
    ///     Ok(timeout(grace, || job.join().unwrap()).unwrap_or("too late"))
    /// })?;
    /// workers.stop(Duration::from_secs(5));
    /// assert_eq!(workers.join()?, ["done"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait(&self) -> Duration {
        self.shared.stopping.wait();
        self.shared.lock().grace
    }

    /// What stops the service, for a handler that may.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::{StreamServer, workers};
    /// use std::time::Duration;
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| {
    ///     let (stopper, builder) = (worker.stopper(), StreamServer::from_listener(worker.listener()?)?);
    ///     worker.serve(&builder.handle(move |_, _| stopper.stop(Duration::from_secs(1))))
    /// })?;
    /// std::net::TcpStream::connect(workers.local_addr())?; // the first client ends all
    /// workers.join()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stopper(&self) -> Stopper {
        Stopper { shared: self.shared.clone() }
    }
}

/// The threads of a service that [`workers`] has started. Dropping it leaves them running.
///
/// # Examples
/// ```
/// use greenloop::server::{Workers, workers};
/// use std::time::Duration;
///
/// let workers: Workers<Duration> = workers("127.0.0.1:0", 2, |worker| Ok(worker.wait()))?;
/// workers.stop(Duration::from_secs(7));
/// assert_eq!(workers.join()?.len(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "the service runs on; `join` waits for its end and tells how it went"]
pub struct Workers<T> {
    address: SocketAddr,
    stopper: Stopper,
    threads: Vec<JoinHandle<io::Result<T>>>,
}

impl<T> Workers<T> {
    /// The address they listen on, with the port that was chosen if 0 was asked for.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::workers;
    /// use std::time::Duration;
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| Ok(worker.wait()))?;
    /// assert!(std::net::TcpStream::connect(workers.local_addr()).is_ok());
    /// workers.stop(Duration::ZERO);
    /// # workers.join()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Has all workers stop, and returns at once: see [`Stopper::stop`]. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::workers;
    /// use std::time::Duration;
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| Ok(worker.wait()))?;
    /// workers.stop(Duration::from_secs(5));
    /// workers.stop(Duration::ZERO); // does not count any more
    /// assert_eq!(workers.join()?, [Duration::from_secs(5); 2]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stop(&self, grace: Duration) {
        self.stopper.stop(grace);
    }

    /// What stops the service from elsewhere, for example from another thread or when a signal comes.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{server::workers, signal, spawn};
    /// use std::time::Duration;
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| Ok(worker.wait()))?;
    /// let (stopper, termination) = (workers.stopper(), signal::on_termination()?);
    /// spawn(move || termination.wait().map(|_| stopper.stop(Duration::from_secs(10))));
    /// # spawn(|| assert_eq!(unsafe { libc::raise(libc::SIGTERM) }, 0));
    /// assert_eq!(workers.join()?, [Duration::from_secs(10); 2]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until all threads have ended, and gives what each of them returned, in their order.
    ///
    /// **Switches**: yes; a thread without a hub is blocked.
    ///
    /// **While unwinding** it gives an error at once, on a thread with a hub, and the workers go on.
    ///
    /// # Errors
    /// That of the first that has failed, in time; its text says which, and begins the text of a panic with that word.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::workers;
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| match worker.number() {
    ///     0 => Ok(worker.wait()),
    ///     _ => panic!("no tea left"),
    /// })?;
    /// let error = workers.join().unwrap_err(); // the other was stopped
    /// assert_eq!(error.to_string(), "worker 1 of 2: it panicked: no tea left");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn join(self) -> io::Result<Vec<T>> {
        let shared = self.stopper.shared;
        shared.all_ended.wait();
        if !shared.all_ended.is_set() {
            return Err(io::Error::other(
                "the workers go on: a destructor run by a panic or a kill does not wait for their end",
            ));
        }
        // They have nothing left to do but to end, so this blocks hardly.
        let join = |(number, thread): (usize, JoinHandle<io::Result<T>>)| {
            let outcome = thread.join();
            outcome.unwrap_or_else(|_| Err(io::Error::other(format!("worker {number} panicked at its end"))))
        };
        let mut outcomes: Vec<_> = self.threads.into_iter().enumerate().map(join).collect();
        let failed = shared.lock().failed;
        match failed {
            Some(first) => outcomes.swap_remove(first).map(|_| Vec::new()),
            None => outcomes.into_iter().collect(),
        }
    }
}

/// Stops the service of some [`workers`], from any thread. Clones stop the same.
///
/// # Examples
/// ```
/// use greenloop::server::workers;
/// use std::time::Duration;
///
/// let workers = workers("127.0.0.1:0", 2, |worker| Ok(worker.wait()))?;
/// let stopper = workers.stopper();
/// std::thread::spawn(move || stopper.stop(Duration::from_secs(5)));
/// assert_eq!(workers.join()?, [Duration::from_secs(5); 2]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Stopper {
    shared: Arc<Shared>,
}

impl Stopper {
    /// Has all workers stop listening, and give what is under way `grace` to finish. Returns at once: [`Workers::join`] waits for the
    /// end. Only the first call counts.
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::workers;
    /// use std::time::Duration;
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| {
    ///     if worker.number() == 0 {
    ///         worker.stopper().stop(Duration::from_secs(3)); // one of them may, too
    ///     }
    ///     Ok(worker.wait())
    /// })?;
    /// assert_eq!(workers.join()?, [Duration::from_secs(3); 2]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stop(&self, grace: Duration) {
        self.shared.stop(grace);
    }

    /// Was the service stopped, or has a worker ended?
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::workers;
    /// use std::time::Duration;
    ///
    /// let workers = workers("127.0.0.1:0", 2, |worker| Ok(worker.wait()))?;
    /// let stopper = workers.stopper();
    /// assert!(!stopper.is_stopped());
    /// workers.stop(Duration::ZERO);
    /// assert!(stopper.is_stopped());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_stopped(&self) -> bool {
        self.shared.stopping.is_set()
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Worker({} of {})", self.number, self.count)
    }
}

impl<T> fmt::Debug for Workers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.stopper.shared.lock().running;
        write!(f, "Workers({}, {running} of {} running)", self.address, self.threads.len())
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_stopped() { "Stopper(stopped)" } else { "Stopper(running)" })
    }
}
