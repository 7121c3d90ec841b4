//! Connecting to one of several addresses: "happy eyeballs", after RFC 8305.
//!
//! One greenlet, several sockets: attempts are begun one after the other, the next as soon as one has failed or when none has
//! succeeded for a while; the greenlet waits for all of them at once. What is left when it returns or is unwound is closed
//! with the list of attempts.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::io::{Watched, wait_for_any, with_context};
use crate::park::{self, Deadline};
use crate::reactor::Direction;
use crate::sys::socket;

/// How long an attempt has before the next begins (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// The first connection that can be had.
#[track_caller]
pub(super) fn connect(
    addresses: Vec<SocketAddr>,
    local: Option<SocketAddr>,
    deadline: Deadline,
) -> io::Result<Watched<TcpStream>> {
    park::take_turn();
    let targets = targets(addresses, local)?;
    let mut attempts = Attempts { local, under_way: Vec::new(), failure: None };
    let mut waiting = targets.iter();
    loop {
        if let Some(&to) = waiting.next() {
            match attempts.begin(to) {
                Ok(Some(connected)) => return Ok(connected),
                Ok(None) => {}
                Err(error) => {
                    attempts.failure = Some((to, error));
                    if waiting.len() > 0 {
                        continue;
                    }
                }
            }
        }
        let until = match waiting.len() {
            0 => deadline,
            _ => Deadline::after(Some(HEAD_START)).earlier(deadline),
        };
        let refused = match attempts.wait(until) {
            Ok(Some(connected)) => return Ok(connected),
            Ok(None) => None,
            Err(error) => Some((None, error)),
        };
        let failure = refused.or_else(|| match attempts.failure.take_if(|_| attempts.under_way.is_empty()) {
            Some((to, error)) if waiting.len() == 0 => Some((Some(to), error)),
            _ if deadline.has_come() => Some((None, timed_out())),
            _ => None,
        });
        if let Some((to, error)) = failure {
            return Err(describe(error, to, &targets, local));
        }
    }
}

struct Attempts {
    local: Option<SocketAddr>,
    under_way: Vec<(SocketAddr, Watched<TcpStream>)>,
    /// The last.
    failure: Option<(SocketAddr, io::Error)>,
}

impl Attempts {
    /// Begins the next; gives it back if it has succeeded at once.
    fn begin(&mut self, to: SocketAddr) -> io::Result<Option<Watched<TcpStream>>> {
        let (socket, connected) = socket::begin_connect(to, self.local)?;
        let watched = Watched::new(socket)?;
        if connected {
            return Ok(Some(watched));
        }
        watched.await_event(Direction::Write);
        self.under_way.push((to, watched));
        Ok(None)
    }

    /// Waits until one has succeeded, or one has failed, or the time is up. Returns at once if none is under way.
    #[track_caller]
    fn wait(&mut self, deadline: Deadline) -> io::Result<Option<Watched<TcpStream>>> {
        while !self.under_way.is_empty() {
            let before = self.under_way.len();
            if let Some(connected) = self.look() {
                return Ok(Some(connected));
            }
            if self.under_way.len() < before {
                break;
            }
            let sockets = self.under_way.iter().map(|(_, watched)| watched);
            if !wait_for_any(sockets, Direction::Write, deadline)? {
                // What has come in the same turn wins.
                return Ok(self.look());
            }
        }
        Ok(None)
    }

    /// The first that has succeeded. Those that have failed are dropped.
    fn look(&mut self) -> Option<Watched<TcpStream>> {
        let mut number = 0;
        while let Some((to, watched)) = self.under_way.get(number) {
            if !watched.is_ready(Direction::Write) {
                number += 1;
                continue;
            }
            let failure = watched.get().take_error().unwrap_or_else(Some);
            let (to, watched) = (*to, self.under_way.remove(number).1);
            match failure {
                None => return Some(watched),
                Some(error) => self.failure = Some((to, error)),
            }
        }
        None
    }
}

/// The addresses to try, in the order in which they are tried.
fn targets(addresses: Vec<SocketAddr>, local: Option<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let none = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    if addresses.is_empty() {
        return none(String::from("there is no address to connect to"));
    }
    let Some(local) = local else { return Ok(in_turns(addresses)) };
    let targets: Vec<_> = addresses.into_iter().filter(|to| to.is_ipv4() == local.is_ipv4()).collect();
    match targets.is_empty() {
        true => none(format!(
            "the peer has no address that can be reached from {local}, an address of the other family"
        )),
        false => Ok(targets),
    }
}

/// The addresses with the families in turns, that of the first address first; within a family their order stays.
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let total = addresses.len();
    let is_first_family = addresses.first().map(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|to| Some(to.is_ipv4()) == is_first_family);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut mixed = Vec::with_capacity(total);
    while mixed.len() < total {
        mixed.extend(one.next());
        mixed.extend(other.next());
    }
    mixed
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "there was no answer in the time allowed")
}

/// Says where to, and where from if that was asked for. `failed` is the address whose failure it is.
fn describe(
    error: io::Error,
    failed: Option<SocketAddr>,
    targets: &[SocketAddr],
    local: Option<SocketAddr>,
) -> io::Error {
    let mut text = String::from("cannot connect");
    if let Some(local) = local {
        text += &format!(" from {local}");
    }
    match targets {
        [one] => text += &format!(" to {one}"),
        several => {
            let shown: Vec<_> = several.iter().map(SocketAddr::to_string).collect();
            text += &format!(" to any of {}", shown.join(", "));
            if let Some(failed) = failed {
                text += &format!("; the last, {failed}");
            }
        }
    }
    with_context(error, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_take_turns_and_keep_their_order() {
        let addresses = |list: &str| -> Vec<SocketAddr> {
            list.split_whitespace().map(|address| address.parse().unwrap()).collect()
        };
        for (given, tried) in [
            ("", ""),
            ("1.1.1.1:1", "1.1.1.1:1"),
            ("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1 2.2.2.2:1", "[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1 [::3]:1"),
            ("1.1.1.1:1 2.2.2.2:1 [::1]:1", "1.1.1.1:1 [::1]:1 2.2.2.2:1"),
            ("1.1.1.1:1 [::1]:1 [::2]:1 [::3]:1", "1.1.1.1:1 [::1]:1 [::2]:1 [::3]:1"),
        ] {
            assert_eq!(in_turns(addresses(given)), addresses(tried));
        }
    }
}
