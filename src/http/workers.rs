//! One HTTP service on several threads.

use super::running::RunningServer;
use super::server::Server;
use crate::server::{self, StreamServer, ToListenAddrs, Workers};
use std::io;

/// Serves HTTP on `count` threads of their own, among which the kernel shares out the connections to one address: see
/// [`server::workers`], whose [`Workers`] stop and join all of them.
///
/// `start` is called on each thread with the server of that thread, bound and not yet running. It makes the settings and the handler, so
/// that these may hold what stays on one thread (`Rc`, `RefCell`).
///
/// **Switches**: only to look a name up.
///
/// # Errors
/// If the address cannot be had, or not all of the threads; if `count` is 0. An error of `start` stops all, and is that of
/// [`Workers::join`].
///
/// # Examples
/// ```
/// use greenloop::http::{self, Limits, Request};
/// use std::{io::{Read, Write}, time::Duration};
///
/// let workers = http::workers("127.0.0.1:0", 2, |server| {
///     server.limits(Limits::new().max_body(1024)).start(|_: &mut Request<'_>| "Hello, World!")
/// })?;
/// let mut client = std::net::TcpStream::connect(workers.local_addr())?;
/// client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("Hello, World!"));
/// workers.stop(Duration::from_secs(1));
/// workers.join()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn workers(
    addr: impl ToListenAddrs,
    count: usize,
    start: impl Fn(Server) -> io::Result<RunningServer> + Send + Sync + 'static,
) -> io::Result<Workers<()>> {
    server::workers(addr, count, move |worker| {
        let server = Server::from_builder(StreamServer::from_listener(worker.listener()?)?);
        worker.serve(&start(server)?)
    })
}
