//! The life of a connection: head, handler, response, rest of the body, and again.
//!
//! ```text
//!            ┌──────────── whole and kept ◀──────────┐
//!            ▼                                       │
//!    wait for a head ──▶ handler ──▶ response ──▶ skip the rest of the body
//!      │        │                     │                  │
//!   idle, end   fault of the peer     last or cut        too much left, or malformed
//!      │        │                     │                  │
//!      ▼        ▼                     ▼                  ▼
//!    close   answer, linger    close (linger if the client may still be sending)
//! ```
//!
//! After a fault no further byte of the input is interpreted: what comes behind a request that was misread
//! could be anything. To linger is to say that nothing more will be sent, and to read and forget for a
//! moment: closing a socket with unread input makes the kernel send a reset, which can destroy the answer
//! before the client has read it.

use super::access::Access;
use super::config::Config;
use super::deadline::Deadline;
use super::deliver::{Delivering, Sent, what_panicked};
use super::desk::Desk;
use super::encode::{self, Reply};
use super::error::{HttpError, is_timeout};
use super::failure::{set_right, unreported_failure};
use super::framing::{BodyLength, Framing};
use super::head::Head;
use super::io::{Io, quiet};
use super::request::Request;
use super::request_body::RequestBody;
use super::response::{Handler, Response};
use super::transport::Transport;
use super::upgrade::Taken;
use crate::unwind;
use ::http::{Method, StatusCode, Version};
use std::io;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::time::Duration;

/// Serves one connection until it ends: answers its requests, one after the other, by calling `handler`.
///
/// This is what [`Server`](super::Server) runs for each socket it accepts. Call it for streams that come from
/// elsewhere: a Unix socket, a TLS session. There is an example at [`Transport`].
///
/// **Switches**: it parks while it waits for the client, and wherever the handler does.
///
/// # Errors
/// An error of the transport, save those which only say that the client is gone or ([`InvalidData`](io::ErrorKind::InvalidData)) that what
/// it has sent cannot be read.
///
/// # Panics
/// It does not pass on panics of the handler, but reports them. A kill or an expiry that ends the greenlet goes through it; a client that has heard
/// nothing yet is told with a 500, if that can be said without waiting.
///
/// ```
/// use greenloop::http::{Config, Request, serve_connection};
/// # use greenloop::{http::Transport, net::UnixStream};
/// # use std::{io::{self, Read, Write}, net::SocketAddr, time::Duration};
/// # struct Local(UnixStream);
/// # impl Transport for Local {
/// #   fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> { self.0.set_read_timeout(timeout) }
/// #   fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> { self.0.set_write_timeout(timeout) }
/// #   fn shutdown_write(&self) -> io::Result<()> { self.0.shutdown(std::net::Shutdown::Write) }
/// #   fn peer_addr(&self) -> Option<SocketAddr> { None }
/// # }
/// # impl Read for Local { fn read(&mut self, place: &mut [u8]) -> io::Result<usize> { self.0.read(place) } }
/// # impl Write for Local {
/// #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.0.write(bytes) }
/// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
/// # }
///
/// let app = |request: &mut Request<'_>| request.path().to_string();
/// let (mut client, socket) = UnixStream::pair()?;
/// client.write_all(b"GET /one HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\n\r\n")?;
/// client.shutdown(std::net::Shutdown::Write)?;
/// serve_connection(Local(socket), &app, &Config::new())?; // `Local` implements `Transport`
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.contains("\r\n\r\n/one") && answer.ends_with("\r\n\r\n/two"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve_connection<T, H>(transport: T, handler: &H, config: &Config) -> io::Result<()>
where
    T: Transport + 'static,
    H: Handler + ?Sized,
{
    let (_transport, visit) = visit(transport, &Borrowed(handler), config, &mut 0, false);
    quiet(visit.map(|visit| match visit {
        Visit::Taken(hand_over) => hand_over.run(config),
        Visit::Idle(_) | Visit::Over => {}
    }))
}

/// What has become of a connection that was served on a desk.
pub(super) enum Visit {
    /// It has gone away. The next request is to come within the time.
    Idle(Option<Duration>),
    /// A handler has it now.
    Taken(HandOver),
    Over,
}

/// Serves what comes from `transport` on a desk, and gives it back; `rests` and `served` are those of the [`Connection`].
pub(super) fn visit<T: Transport + 'static>(
    transport: T,
    handler: &dyn Handler,
    config: &Config,
    served: &mut u64,
    rests: bool,
) -> (T, io::Result<Visit>) {
    let peer = transport.peer_addr();
    let Desk { buffers, mut head } = Desk::take();
    let mut io = Io::new(transport, buffers);
    let mut connection =
        Connection { io: &mut io, handler, config, peer, head: &mut head, served: *served, rests };
    let paused = connection.run();
    *served = connection.served;
    let front = if let Ok(Paused::Taken(_)) = paused { io.take_input() } else { Vec::new() };
    let (transport, buffers) = io.into_parts();
    let desk = Desk { buffers, head };
    let visit = match paused {
        Ok(Paused::Taken(taken)) => {
            return (transport, Ok(Visit::Taken(HandOver { taken, front, desk })));
        }
        Ok(Paused::Idle(timeout)) => Ok(Visit::Idle(timeout)),
        Ok(Paused::Over) => Ok(Visit::Over),
        Err(error) => Err(error),
    };
    if desk.buffers.are_empty() {
        desk.give();
    }
    (transport, visit)
}

/// A connection for whoever has taken it over, with what was read of it already.
pub(super) struct HandOver {
    taken: Taken,
    front: Vec<u8>,
    desk: Desk,
}

impl HandOver {
    /// Gives the desk back, and the connection to whom it belongs now. Returns when it has ended.
    pub(super) fn run(self, config: &Config) {
        let line = config.line(&self.desk.head);
        self.desk.give();
        let outcome = unwind::catch(|| self.taken.run(self.front, &config.limits));
        match outcome {
            Ok(Err(error)) if !error.is_peer_gone() => config.report_line(&line, &error.to_string()),
            Ok(_) => {}
            Err(payload) => config.report_line(&line, &what_panicked(payload)),
        }
    }
}

/// A handler of any kind behind one of known size.
struct Borrowed<'a, H: ?Sized>(&'a H);

impl<H: Handler + ?Sized> Handler for Borrowed<'_, H> {
    fn handle(&self, request: &mut Request<'_>) -> Response {
        self.0.handle(request)
    }

    fn answer(&self, request: &mut Request<'_>, place: &mut Option<Response>) {
        self.0.answer(request, place);
    }
}

struct Connection<'a> {
    io: &'a mut Io<dyn Transport>,
    handler: &'a dyn Handler,
    config: &'a Config,
    peer: Option<SocketAddr>,
    head: &'a mut Head,
    served: u64,
    /// Does it go away to wait for a request of which nothing has come, or does it wait where it stands?
    rests: bool,
}

/// Why [`Connection::run`] has returned.
enum Paused {
    /// Nothing is there, in or out. The next request is to come within the time.
    Idle(Option<Duration>),
    Over,
    /// The head of an upgrade has left.
    Taken(Taken),
}

/// What came from the client.
enum Received {
    Head,
    /// The end, or nothing for too long.
    Nothing,
    /// Nothing for now.
    Idle(Option<Duration>),
    Fault(HttpError),
}

/// What to do after an exchange.
enum After {
    Next,
    Close,
    /// Close; but read on first if something is under way in either direction.
    End,
    Linger,
    Give(Taken),
}

impl Connection<'_> {
    fn run(&mut self) -> io::Result<Paused> {
        self.io.set_write_timeout(self.config.limits.write_timeout)?;
        loop {
            let after = match self.receive_head()? {
                Received::Head => self.logged(true, |connection| {
                    match connection.head.framing().and_then(|framing| connection.check_length(framing)) {
                        Ok(framing) => connection.exchange(framing),
                        Err(fault) => connection.refuse(fault, *connection.head.method() == Method::HEAD),
                    }
                })?,
                Received::Nothing => After::Close,
                Received::Idle(timeout) => return Ok(Paused::Idle(timeout)),
                Received::Fault(fault) => self.logged(false, |connection| connection.refuse(fault, false))?,
            };
            match after {
                After::Next => self.io.flush_if_large()?,
                After::Close => return self.io.flush().map(|()| Paused::Over),
                After::End => {
                    self.io.flush()?;
                    if !self.io.transport().is_quiet() {
                        self.io.linger(self.config.limits.linger_timeout, self.config.limits.max_linger);
                    }
                    return Ok(Paused::Over);
                }
                After::Give(taken) => return self.io.flush().map(|()| Paused::Taken(taken)),
                After::Linger => {
                    self.io.linger(self.config.limits.linger_timeout, self.config.limits.max_linger);
                    return Ok(Paused::Over);
                }
            }
        }
    }

    /// Tells the access log what becomes of an exchange.
    fn logged(
        &mut self,
        has_head: bool,
        exchange: impl FnOnce(&mut Self) -> io::Result<After>,
    ) -> io::Result<After> {
        let Some(clock) = self.config.clock() else { return exchange(self) };
        self.io.begin_tally();
        let after = unwind::catch(|| {
            let after = exchange(self)?;
            // The log may take its time, and shall tell what has left. Only where more requests are there the answers are gathered.
            if self.io.input().is_empty() {
                self.io.flush()?;
            }
            Ok(after)
        });
        let access = Access {
            peer: self.peer,
            head: has_head.then_some(&*self.head),
            tally: self.io.tally(),
            elapsed: clock.elapsed(),
        };
        match after {
            Ok(after) => {
                if let Err(payload) = unwind::catch(|| self.config.log(&access)) {
                    self.io.flush_at_once();
                    resume_unwind(payload);
                }
                after
            }
            Err(payload) => {
                // A log that waits ends here again; what goes on is what came first.
                let _ = unwind::catch(|| self.config.log(&access));
                resume_unwind(payload)
            }
        }
    }

    /// Waits for the next head. The clock is looked at only if it does not come in one piece.
    fn receive_head(&mut self) -> io::Result<Received> {
        let limits = &self.config.limits;
        let mut deadline = None;
        loop {
            match self.head.parse(self.io.input(), limits) {
                Ok(None) => {}
                Ok(Some(length)) => {
                    self.io.consume(length);
                    return Ok(Received::Head);
                }
                Err(fault) => return Ok(Received::Fault(fault)),
            }
            // Written first, so that an error of the read below is one of reading.
            self.io.flush()?;
            let is_silent = matches!(self.io.input(), b"" | b"\r" | b"\r\n");
            let timeout = match is_silent {
                true if self.served == 0 => limits.head_timeout,
                true => {
                    self.io.shrink();
                    limits.idle_timeout
                }
                false => match deadline.get_or_insert_with(|| Deadline::after(limits.head_timeout)).left() {
                    Ok(left) => left,
                    Err(_) => return Ok(Received::Fault(HttpError::HeadTimeout)),
                },
            };
            // Room for the empty line that may precede the head.
            let room = limits.max_head.saturating_add(2);
            let filled = if self.rests && self.io.input().is_empty() {
                match self.io.try_fill(room) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Ok(match self.io.transport().is_stopping() {
                            true => Received::Nothing,
                            false => Received::Idle(timeout),
                        });
                    }
                    filled => filled,
                }
            } else if is_silent && self.io.transport().is_stopping() {
                return Ok(Received::Nothing);
            } else {
                self.io.transport().set_idle(is_silent);
                let filled = self.io.fill(timeout, room);
                self.io.transport().set_idle(false);
                filled
            };
            match filled {
                Ok(0) if is_silent => return Ok(Received::Nothing),
                Ok(0) => return Ok(Received::Fault(HttpError::Truncated)),
                Ok(_) => {}
                Err(error) if is_timeout(&error) && is_silent => return Ok(Received::Nothing),
                Err(error) if is_timeout(&error) => return Ok(Received::Fault(HttpError::HeadTimeout)),
                Err(error) => return Err(error),
            }
        }
    }

    fn check_length(&self, framing: Framing) -> Result<Framing, HttpError> {
        match framing.body {
            BodyLength::Known(length) if length > self.config.limits.max_body => Err(HttpError::BodyTooLarge),
            _ => Ok(framing),
        }
    }

    fn exchange(&mut self, framing: Framing) -> io::Result<After> {
        let Connection { io, head, config, .. } = self;
        let limits = &config.limits;
        self.served += 1;
        let body = RequestBody::new(io, framing, limits);
        let mut request = Request::new(head, body, self.peer);
        let mut response = None;
        let handled = unwind::catch(|| self.handler.answer(&mut request, &mut response));
        let is_head = *head.method() == Method::HEAD;
        let is_http_11 = head.version() == Version::HTTP_11;
        let last = Reply { is_head, is_http_11, keep_alive: false };
        let is_sound = match handled {
            Ok(()) if response.as_ref().is_some_and(Response::is_usual) => true,
            handled => set_right(handled, &mut response, &mut request, (head, config), last),
        };
        let response = response.get_or_insert_with(unreported_failure);
        let body = request.body();
        body.come_back();
        if body.io().is_broken() {
            return Ok(After::Close);
        }
        let keep_alive = is_sound
            && framing.keep_alive
            && !body.io().transport().is_stopping()
            && limits.max_requests.is_none_or(|most| self.served < most)
            && body.may_be_skipped(limits.max_discard);
        if response.take_over.is_some() {
            return give_away(response, body, head, config, is_head);
        }
        // No CONNECT keeps its connection, so other requests hardly pay for the question.
        if !framing.keep_alive && *head.method() == Method::CONNECT && response.status.is_success() {
            refuse_tunnel(response, Delivering { io: body.io(), head, config, reply: last });
        }
        let reply = Reply { is_head, is_http_11, keep_alive };
        let sent = Delivering { io: body.io(), head, config, reply }.send(response)?;
        if sent == Sent::Severed {
            return Ok(After::Close);
        }
        let keeps = sent == Sent::Whole;
        if keeps && body.skip(limits.max_discard)? {
            return Ok(After::Next);
        }
        if !body.come_back() {
            body.await_return(limits.linger_timeout)?;
            if !body.come_back() {
                return Ok(After::Close);
            }
        }
        let is_drained = body.is_finished() && body.io().input().is_empty();
        Ok(if is_drained { After::End } else { After::Linger })
    }

    /// Answers a fault.
    #[cold]
    fn refuse(&mut self, fault: HttpError, is_head: bool) -> io::Result<After> {
        let reply = Reply { is_head, is_http_11: true, keep_alive: false };
        Delivering { io: &mut *self.io, head: self.head, config: self.config, reply }
            .send(&mut Response::refusal(fault))?;
        Ok(After::Linger)
    }
}

/// Answers a client for whom there is no place.
pub(super) fn turn_away<T: Transport + 'static>(transport: T, config: &Config) -> io::Result<()> {
    let peer = transport.peer_addr();
    let Desk { buffers, mut head } = Desk::take();
    let mut io = Io::new(transport, buffers);
    let nobody = |_: &mut Request<'_>| unreported_failure();
    let mut connection =
        Connection { io: &mut io, handler: &nobody, config, peer, head: &mut head, served: 0, rests: false };
    connection.io.set_write_timeout(config.limits.write_timeout)?;
    let refused = connection.logged(false, |connection| connection.refuse(HttpError::Busy, false));
    if refused.is_ok() {
        io.linger(config.limits.linger_timeout, config.limits.max_linger);
    }
    quiet(refused.map(drop))
}

/// A success would tell the client that a tunnel begins (RFC 9110, 9.3.6). A handler that answers all methods alike means none.
#[cold]
fn refuse_tunnel(response: &mut Response, mut delivering: Delivering<'_>) {
    let refusal = Response::new(StatusCode::NOT_IMPLEMENTED).body("there is no tunnel here\n");
    delivering.put_instead(response, refusal);
}

/// Sends the head behind which the connection is somebody else's, when the request has been read to its end.
#[cold]
fn give_away(
    response: &mut Response,
    body: &mut RequestBody<'_>,
    head: &Head,
    config: &Config,
    is_head: bool,
) -> io::Result<After> {
    let reply = Reply { is_head, is_http_11: true, keep_alive: false };
    let shared = match body.io().transport().share() {
        Err(error) => {
            let text = format!("the connection cannot be given away: {error}");
            Delivering { io: body.io(), head, config, reply }.report(&text);
            Err(unreported_failure())
        }
        Ok(stream) => match unwind::catch(|| body.finish(config.limits.max_discard)) {
            Ok(finished) => finished?.map(|()| stream).map_err(Response::refusal),
            Err(payload) => {
                Delivering { io: body.io(), head, config, reply }.or_farewell(|| resume_unwind(payload))
            }
        },
    };
    let io = body.io();
    let refusal = match shared {
        Ok(stream) => match response.take_over.take() {
            Some(take_over) => {
                io.note_status(response.status);
                encode::write_last_head(io.out(), response);
                return Ok(After::Give(Taken { stream, take_over }));
            }
            None => unreported_failure(),
        },
        Err(refusal) => refusal,
    };
    let mut delivering = Delivering { io, head, config, reply };
    delivering.put_instead(response, refusal);
    delivering.send(response)?;
    Ok(After::Linger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Body, exchange};
    use std::io::Read;

    #[test]
    fn a_kill_goes_through() {
        // WS95
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let killed =
            unwind::catch(|| exchange(&|_: &mut Request<'_>| -> &str { unwind::throw_kill() }, request));
        assert!(unwind::is_kill(&killed.unwrap_err()));
        let app = |_: &mut Request<'_>| Body::stream((0..1).map(|_| -> &str { unwind::throw_kill() }));
        assert!(unwind::is_kill(&unwind::catch(|| exchange(&app, request)).unwrap_err()));
    }

    #[test]
    fn a_kill_goes_through_even_if_the_client_has_gone() {
        let app = |request: &mut Request<'_>| -> &str {
            assert!(request.body().read_to_end(&mut Vec::new()).is_err());
            unwind::throw_kill()
        };
        let cut = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab";
        assert!(unwind::is_kill(&unwind::catch(|| exchange(&app, cut)).unwrap_err()));
    }
}
