//! Sends one response.

use super::config::Config;
use super::encode::{self, Delivery, Reply};
use super::head::Head;
use super::io::{COPY_LIMIT, Io};
use super::pieces::{Pieces, Sink, Stop};
use super::response::Response;
use super::response_body::Content;
use super::transport::Transport;
use crate::unwind::{self, Payload};
use std::io;
use std::panic::resume_unwind;
use std::time::Duration;

/// What became of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is whole; another may follow it.
    Whole,
    /// It is whole and says that the connection closes.
    Last,
    /// It ended before its end.
    Cut,
    /// The same, and only the way in which the connection ends can tell the client.
    Severed,
}

/// Why a stream stopped.
enum Ended {
    Stop(Stop),
    TooShort(u64),
}

pub(crate) struct Delivering<'a> {
    pub(crate) io: &'a mut Io<dyn Transport>,
    pub(crate) head: &'a Head,
    pub(crate) config: &'a Config,
    pub(crate) reply: Reply,
}

impl Delivering<'_> {
    /// Sends `response`, or a 500 where it cannot be sent. An error is one of the transport.
    ///
    /// In one piece with its caller: what that has just put together would be waited for if it came through memory.
    #[inline(always)]
    pub(crate) fn send(mut self, response: &mut Response) -> io::Result<Sent> {
        match encode::plan(response, &self.reply) {
            Ok(delivery) => self.send_as(response, delivery),
            Err(reason) => self.refuse(response, &reason),
        }
    }

    /// Answers where the handler's response makes no sense.
    #[cold]
    fn refuse(&mut self, response: &mut Response, reason: &str) -> io::Result<Sent> {
        self.report(reason);
        self.put_instead(response, Response::failed(""));
        self.send_failure()
    }

    #[cold]
    fn send_failure(&mut self) -> io::Result<Sent> {
        self.send_instead(Response::failed(""))
    }

    /// Sends an answer of the server's own, the last of its connection.
    #[cold]
    fn send_instead(&mut self, mut response: Response) -> io::Result<Sent> {
        self.reply.keep_alive = false;
        let length = response.body.fixed().map_or(0, |bytes| bytes.len() as u64);
        self.send_as(&mut response, Delivery::Length(length))
    }

    /// Answers where a kill or an expiry ends the greenlet before anything was said. There is no time left to wait for the client, so
    /// it may be in vain.
    #[cold]
    fn send_farewell(&mut self) {
        let _ = unwind::catch(|| {
            self.io.set_write_timeout(Some(Duration::ZERO))?;
            self.send_failure()?;
            self.io.flush()
        });
    }

    /// Runs what is the user's before anything was said: it may wait, and be ended there. Then the client is told.
    #[cold]
    pub(crate) fn or_farewell<R>(&mut self, f: impl FnOnce() -> R) -> R {
        unwind::catch(f).unwrap_or_else(|payload| {
            if unwind::is_private(&payload) {
                self.send_farewell();
            }
            resume_unwind(payload)
        })
    }

    /// Reports a failure, before anything was said.
    #[cold]
    pub(crate) fn report(&mut self, what: &str) {
        let (head, config) = (self.head, self.config);
        self.or_farewell(|| config.report(head, what));
    }

    /// Answers with another response. What the unused one would have sent, or run, is the handler's: its destructor may panic.
    #[cold]
    pub(crate) fn put_instead(&mut self, response: &mut Response, other: Response) {
        let unused = std::mem::replace(response, other);
        let (head, config) = (self.head, self.config);
        self.or_farewell(|| {
            if let Err(payload) = unwind::catch(|| drop(unused)) {
                config.report(head, &what_panicked(payload));
            }
        });
    }

    #[inline(always)]
    fn send_as(&mut self, response: &mut Response, delivery: Delivery) -> io::Result<Sent> {
        let keep_alive = self.reply.keep_alive && delivery != Delivery::UntilClose;
        self.reply.keep_alive = keep_alive && !encode::asks_to_close(response);
        if let Content::Pieces(_) = response.body.content
            && let Content::Pieces(pieces) = std::mem::take(&mut response.body.content)
        {
            return self.stream(response, pieces, delivery);
        }
        self.write_head(response, delivery);
        if !self.reply.is_head {
            self.io.push(response.body.fixed().unwrap_or_default())?;
        }
        Ok(self.whole())
    }

    fn whole(&self) -> Sent {
        if self.reply.keep_alive { Sent::Whole } else { Sent::Last }
    }

    #[inline]
    fn write_head(&mut self, response: &Response, delivery: Delivery) {
        self.io.note_status(response.status);
        encode::write_head(self.io.out(), response, delivery, &self.reply);
    }

    /// Sends a stream. Its source is the handler's code: it may panic, also while it is dropped.
    fn stream(
        &mut self,
        response: &Response,
        pieces: Box<dyn Pieces>,
        delivery: Delivery,
    ) -> io::Result<Sent> {
        let (has_begun, holds_last, is_abrupt) = (false, false, false);
        let mut writer =
            StreamWriter { delivering: self, response, delivery, has_begun, holds_last, is_abrupt };
        let ended = unwind::catch(|| {
            let mut pieces = pieces;
            let ended = writer.pump(&mut *pieces);
            drop(pieces);
            ended
        });
        let has_begun = writer.has_begun;
        let cut = if writer.is_abrupt { Sent::Severed } else { Sent::Cut };
        let ended = match ended {
            Ok(Ok(())) => return Ok(self.whole()),
            Ok(Err(ended)) => ended,
            Err(payload) if has_begun => Ended::Stop(Stop::Source(what_panicked(payload))),
            Err(payload) => Ended::Stop(Stop::Source(self.or_farewell(|| what_panicked(payload)))),
        };
        let text = match ended {
            Ended::Stop(Stop::Peer(error)) => return Err(error),
            Ended::Stop(Stop::Source(text)) => text,
            Ended::Stop(Stop::Fault(fault)) if !has_begun => {
                return self.send_instead(Response::refusal(fault));
            }
            Ended::Stop(Stop::Fault(_)) => return Ok(cut),
            Ended::Stop(Stop::TooLong) => {
                String::from("the body of the response is longer than its Content-Length")
            }
            Ended::TooShort(missing) => {
                format!("the body of the response is {missing} bytes shorter than its Content-Length")
            }
        };
        if has_begun {
            self.config.report(self.head, &text);
            return Ok(cut);
        }
        self.report(&text);
        self.send_failure()
    }
}

/// Frames the pieces of a stream. The head leaves with the first of them: until then a failure can still be
/// answered.
struct StreamWriter<'s, 'a> {
    delivering: &'s mut Delivering<'a>,
    response: &'s Response,
    delivery: Delivery,
    has_begun: bool,
    /// What the source believes to be its last piece has not left.
    holds_last: bool,
    /// The end of the connection would tell of the end of the body, which has not come.
    is_abrupt: bool,
}

impl StreamWriter<'_, '_> {
    fn pump(&mut self, pieces: &mut dyn Pieces) -> Result<(), Ended> {
        if self.delivering.reply.is_head {
            self.begin();
            return Ok(());
        }
        while pieces.next(self).map_err(Ended::Stop)? {}
        self.finish()
    }

    fn begin(&mut self) {
        if !self.has_begun {
            self.has_begun = true;
            // A first piece may come long after the handler has returned.
            if self.delivering.io.transport().is_stopping() {
                self.delivering.reply.keep_alive = false;
            }
            if self.delivery == Delivery::UntilClose && !self.delivering.reply.is_head {
                self.set_abrupt(true);
            }
            self.delivering.write_head(self.response, self.delivery);
        }
    }

    fn set_abrupt(&mut self, is_abrupt: bool) {
        self.is_abrupt = is_abrupt;
        self.delivering.io.transport().set_abrupt(is_abrupt);
    }

    /// Frames a piece. Only a large one has left then.
    fn add(&mut self, piece: &[u8]) -> Result<(), Stop> {
        if let Delivery::Length(left) = &self.delivery
            && *left < piece.len() as u64
        {
            return Err(Stop::TooLong);
        }
        self.begin();
        let io = &mut *self.delivering.io;
        match &mut self.delivery {
            Delivery::Chunked => {
                encode::write_chunk_size(io.out(), piece.len());
                io.push(piece).map_err(Stop::Peer)?;
                io.out().extend_from_slice(b"\r\n");
                return Ok(());
            }
            Delivery::Length(left) => *left -= piece.len() as u64,
            Delivery::Nothing | Delivery::UntilClose => {}
        }
        io.push(piece).map_err(Stop::Peer)
    }

    fn finish(&mut self) -> Result<(), Ended> {
        if let Delivery::Length(missing @ 1..) = self.delivery {
            return Err(Ended::TooShort(missing));
        }
        self.begin();
        if self.delivery == Delivery::Chunked {
            self.delivering.io.out().extend_from_slice(b"0\r\n\r\n");
        }
        // Before the source is dropped, which may take its time. An end alone can wait for what comes behind it.
        if self.holds_last || self.is_abrupt {
            self.delivering.io.flush().map_err(|error| Ended::Stop(Stop::Peer(error)))?;
        }
        if self.is_abrupt {
            self.set_abrupt(false);
        }
        Ok(())
    }
}

impl Sink for StreamWriter<'_, '_> {
    fn write(&mut self, piece: &[u8]) -> Result<(), Stop> {
        if piece.is_empty() {
            return Ok(());
        }
        self.add(piece)?;
        // A large piece has left; the line end behind it can go with what comes next.
        if self.delivery == Delivery::Chunked && piece.len() > COPY_LIMIT {
            return Ok(());
        }
        self.delivering.io.flush().map_err(Stop::Peer)
    }

    fn write_last(&mut self, piece: &[u8]) -> Result<(), Stop> {
        if piece.is_empty() {
            return Ok(());
        }
        self.holds_last = true;
        self.add(piece)
    }

    fn flush(&mut self) -> Result<(), Stop> {
        self.begin();
        self.delivering.io.flush().map_err(Stop::Peer)
    }
}

/// Lets a kill or an expiry go on. Any other panic ends here: what to report of it, behind what the panic hook has said.
#[cold]
pub(crate) fn what_panicked(payload: Payload) -> String {
    if unwind::is_private(&payload) {
        resume_unwind(payload);
    }
    let text = format!("the handler panicked: {}", unwind::panic_text(&payload));
    // The payload is the handler's: its destructor may panic as well.
    let _ = unwind::catch(|| drop(payload));
    text
}
