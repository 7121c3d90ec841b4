//! A chat with rooms. Try `nc localhost 6667` in two terminals.
//!
//! The first line is your name, each further one goes to everybody else in your room. `/join ROOM` changes the room, `/who`
//! tells who is in it, `/quit` leaves. An argument is another address than `127.0.0.1:6667` to listen on.

use greenloop::net::TcpStream;
use greenloop::queue::Queue;
use greenloop::scope;
use greenloop::server::StreamServer;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

/// Lines that wait to be written to somebody. Who does not read them for so long is thrown out.
const PATIENCE: usize = 100;

struct Member {
    room: String,
    lines: Queue<String>,
}

/// Everybody, by name. All greenlets run on one thread, so no lock is needed.
#[derive(Clone, Default)]
struct Chat {
    members: Rc<RefCell<BTreeMap<String, Member>>>,
}

impl Chat {
    /// Takes a new member into the lobby; false if there is one of that name.
    fn enter(&self, name: &str, lines: &Queue<String>) -> bool {
        let mut members = self.members.borrow_mut();
        if name.is_empty() || members.contains_key(name) {
            return false;
        }
        members.insert(name.into(), Member { room: "lobby".into(), lines: lines.clone() });
        true
    }

    fn leave(&self, name: &str) {
        self.tell(name, &format!("* {name} has left"));
        self.members.borrow_mut().remove(name);
    }

    fn room_of(&self, name: &str) -> String {
        self.members.borrow().get(name).map(|member| member.room.clone()).unwrap_or_default()
    }

    fn join(&self, name: &str, room: &str) {
        self.tell(name, &format!("* {name} goes to {room}"));
        if let Some(member) = self.members.borrow_mut().get_mut(name) {
            member.room = room.into();
        }
        self.tell(name, &format!("* {name} has come"));
    }

    fn who(&self, name: &str) -> String {
        let room = self.room_of(name);
        let members = self.members.borrow();
        let names = members.iter().filter(|(_, member)| member.room == room).map(|(name, _)| name.as_str());
        format!("* in {room}: {}", names.collect::<Vec<_>>().join(", "))
    }

    /// Gives a line to everybody else in the room.
    fn tell(&self, name: &str, line: &str) {
        let room = self.room_of(name);
        for (other, member) in self.members.borrow().iter() {
            if member.room == room && other != name && member.lines.try_put(line.into()).is_err() {
                member.lines.close();
            }
        }
    }
}

/// Leaves, however the conversation ends.
struct Presence<'a>(&'a Chat, &'a str);

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

fn converse(chat: &Chat, mut socket: &TcpStream) -> io::Result<()> {
    socket.set_write_timeout(Some(Duration::from_secs(10)))?;
    let mut incoming = BufReader::new(socket).lines();
    let lines = Queue::bounded(PATIENCE);
    socket.write_all(b"* your name?\n")?;
    let name = loop {
        let Some(name) = incoming.next().transpose()? else { return Ok(()) };
        if chat.enter(name.trim(), &lines) {
            break name.trim().to_string();
        }
        socket.write_all(b"* that name is taken, another one?\n")?;
    };
    scope(|scope| {
        let _presence = Presence(chat, &name);
        scope.spawn(|| write_lines(socket, &lines));
        let mut answer = Some(chat.who(&name));
        chat.tell(&name, &format!("* {name} has come"));
        loop {
            if answer.take().is_some_and(|answer| lines.put(answer).is_err()) {
                break;
            }
            let Some(Ok(line)) = incoming.next() else { break };
            match line.trim().split_once(' ').unwrap_or((line.trim(), "")) {
                ("/quit", _) => break,
                ("/who", _) => answer = Some(chat.who(&name)),
                ("/join", room) if !room.is_empty() => {
                    chat.join(&name, room);
                    answer = Some(chat.who(&name));
                }
                (command, _) if command.starts_with('/') => {
                    answer = Some("* there are /join ROOM, /who and /quit".into());
                }
                _ => chat.tell(&name, &format!("{name}: {line}")),
            }
        }
        lines.close();
    });
    Ok(())
}

/// Writes what comes until the queue is closed, or the other side does not read.
fn write_lines(mut socket: &TcpStream, lines: &Queue<String>) {
    for line in lines {
        if writeln!(socket, "{line}").is_err() {
            break;
        }
    }
    // Ends the wait for what the other side says, too.
    let _ = socket.shutdown(Shutdown::Both);
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:6667".into());
    let chat = Chat::default();
    let server = StreamServer::bind(address)?.handle(move |socket, _| converse(&chat, &socket));
    server.start()?;
    println!("listening on {}", server.local_addr()?);
    server.serve_forever()
}
