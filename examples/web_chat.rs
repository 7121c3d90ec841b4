//! A chat with rooms, as a web page: by WebSocket, or by long-polling where that does not get through. Both see the same.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /socket?room=ROOM&name=NAME` | a WebSocket: texts in, lines as JSON out, the last hundred first |
//! | `GET /lines?room=ROOM&name=NAME&after=ID` | the lines behind that one, as a JSON array; waits up to 20 s for one |
//! | `POST /lines?room=ROOM&name=NAME` | says the body |
//! | `GET /people?room=ROOM` | who is on line, as a JSON array |
//!
//! `cargo run --release --features websocket --example web_chat -- --port 8080`
//!
//! A room is its history and a bell. Whoever listens, in one way or the other, follows the history at its own pace, so nobody who reads
//! slowly holds up the others.
//!
//! Whoever only looks makes no room. There are at most a hundred; when there is need of another, those that nobody is in are forgotten,
//! with what was said there, and if there are none the answer is 503. Names longer than 100 bytes are refused, and lines longer than 2000.

use greenloop::event::Event;
use greenloop::http::{Error, IntoResponse, Method, Request, Response, Server, StatusCode, WebSocket};
use greenloop::{scope, spawn_later};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::rc::Rc;
use std::time::Duration;

const HISTORY: usize = 100;
const LONGEST_POLL: Duration = Duration::from_secs(20);
/// Somebody who polls or has said something is on line for so long afterwards.
const PRESENCE: Duration = Duration::from_secs(5);
/// In bytes, as the next.
const LONGEST_LINE: usize = 2000;
/// Of a room or of somebody.
const LONGEST_NAME: usize = 100;
const MOST_ROOMS: usize = 100;

struct Line {
    id: u64,
    /// Empty if the room says it.
    name: String,
    text: String,
}

impl Line {
    fn to_json(&self) -> String {
        format!(r#"{{"id":{},"name":{},"text":{}}}"#, self.id, json(&self.name), json(&self.text))
    }
}

#[derive(Default)]
struct Room {
    lines: RefCell<VecDeque<Rc<Line>>>,
    last: Cell<u64>,
    /// Rung, and replaced, for each line.
    bell: RefCell<Event>,
    /// Who is here, and by how many sockets and polls.
    people: RefCell<BTreeMap<String, usize>>,
}

impl Room {
    fn say(&self, name: &str, text: &str) {
        let id = self.last.get() + 1;
        self.last.set(id);
        let mut lines = self.lines.borrow_mut();
        lines.push_back(Rc::new(Line { id, name: name.to_string(), text: text.to_string() }));
        if lines.len() > HISTORY {
            lines.pop_front();
        }
        self.bell.take().set();
    }

    fn after(&self, id: u64) -> Vec<Rc<Line>> {
        self.lines.borrow().iter().filter(|line| line.id > id).cloned().collect()
    }

    /// Waits for a line behind `id`.
    fn wait(&self, id: u64, limit: Option<Duration>) {
        if self.last.get() <= id {
            let bell = self.bell.borrow().clone();
            match limit {
                Some(limit) => drop(bell.wait_timeout(limit)),
                None => bell.wait(),
            }
        }
    }

    fn names(&self) -> Vec<String> {
        self.people.borrow().keys().cloned().collect()
    }
}

/// Somebody is in the room, by a socket or a poll, until this is dropped.
struct Guest {
    room: Rc<Room>,
    name: String,
}

impl Guest {
    fn enter(room: &Rc<Room>, name: &str) -> Guest {
        let is_new = {
            let mut people = room.people.borrow_mut();
            let count = people.entry(name.to_string()).or_default();
            *count += 1;
            *count == 1
        };
        if is_new {
            room.say("", &format!("{name} has come"));
        }
        Guest { room: room.clone(), name: name.to_string() }
    }

    /// There is no telling whether a poll is the last, so its guest stays a little.
    fn leave_later(self) {
        spawn_later(PRESENCE, move || drop(self));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let is_last = {
            let mut people = self.room.people.borrow_mut();
            let count = people.get_mut(&self.name).expect("a guest is among the people");
            *count -= 1;
            *count == 0 && people.remove(&self.name).is_some()
        };
        if is_last {
            self.room.say("", &format!("{} has gone", self.name));
        }
    }
}

#[derive(Default)]
struct Chat {
    rooms: RefCell<BTreeMap<String, Rc<Room>>>,
}

impl Chat {
    /// Lets somebody into the room of this name, which is made if there is none.
    fn enter(&self, name: &str, then: impl FnOnce(Rc<Room>) -> Response) -> Response {
        match self.room(name) {
            Some(room) => then(room),
            None => (StatusCode::SERVICE_UNAVAILABLE, "there are too many rooms\n").into_response(),
        }
    }

    fn room(&self, name: &str) -> Option<Rc<Room>> {
        let mut rooms = self.rooms.borrow_mut();
        if !rooms.contains_key(name) && rooms.len() >= MOST_ROOMS {
            // Every guest holds on to its room, and so does whoever is about to become one.
            rooms.retain(|_, room| Rc::strong_count(room) > 1);
            if rooms.len() >= MOST_ROOMS {
                return None;
            }
        }
        Some(rooms.entry(name.to_string()).or_default().clone())
    }

    fn people(&self, room: &str) -> Response {
        let names = self.rooms.borrow().get(room).map(|room| room.names()).unwrap_or_default();
        let names: Vec<String> = names.iter().map(|name| json(name)).collect();
        array(&names)
    }

    fn answer(&self, request: &mut Request<'_>) -> Result<Response, Error> {
        if request.path() == "/" {
            return Ok(PAGE.into_response().header("Content-Type", "text/html; charset=utf-8"));
        }
        let query = request.query_pairs();
        let [room, name] = ["room", "name"].map(|key| query.get(key).unwrap_or_default());
        let what = request.path();
        if room.is_empty() {
            return Ok((StatusCode::BAD_REQUEST, "say which room: ?room=..\n").into_response());
        }
        if name.is_empty() && what != "/people" {
            return Ok((StatusCode::BAD_REQUEST, "say who you are: &name=..\n").into_response());
        }
        if room.len().max(name.len()) > LONGEST_NAME {
            return Ok((StatusCode::BAD_REQUEST, "a shorter name, please\n").into_response());
        }
        Ok(match (what, request.method()) {
            ("/people", &Method::GET) => self.people(room),
            ("/socket", _) => self.enter(room, |room| {
                let name = name.to_string();
                WebSocket::upgrade(request, move |socket| talk(&room, &name, &socket))
            }),
            ("/lines", &Method::GET) => {
                let after = query.get("after").and_then(|id| id.parse().ok()).unwrap_or(0);
                self.enter(room, |room| poll(&room, name, after))
            }
            ("/lines", &Method::POST) => match line(request)? {
                Ok(text) => self.enter(room, |room| post(&room, name, &text)),
                Err(refusal) => refusal,
            },
            _ => (StatusCode::NOT_FOUND, "there is nothing here\n").into_response(),
        })
    }
}

/// The body as a line, or the answer to one that is none.
fn line(request: &mut Request<'_>) -> Result<Result<String, Response>, Error> {
    let mut bytes = Vec::new();
    // One byte more, to tell a line that is too long from one that just fits.
    request.body().take(LONGEST_LINE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LONGEST_LINE {
        return Ok(Err((StatusCode::PAYLOAD_TOO_LARGE, "a shorter line, please\n").into_response()));
    }
    Ok(String::from_utf8(bytes).map_err(|_| (StatusCode::BAD_REQUEST, "text, please\n").into_response()))
}

fn post(room: &Rc<Room>, name: &str, text: &str) -> Response {
    let guest = Guest::enter(room, name);
    room.say(name, text);
    guest.leave_later();
    StatusCode::NO_CONTENT.into_response()
}

fn talk(room: &Rc<Room>, name: &str, socket: &WebSocket) -> Result<(), Error> {
    let _guest = Guest::enter(room, name);
    scope(|s| {
        let follower = s.spawn(|| follow(room, socket));
        let outcome = hear(room, name, socket);
        follower.kill();
        outcome
    })
}

/// Has said in the room what comes, until the client closes.
fn hear(room: &Room, name: &str, socket: &WebSocket) -> Result<(), Error> {
    for message in socket {
        match message?.text() {
            Some(text) if text.len() <= LONGEST_LINE => room.say(name, text),
            _ => return Ok(socket.close(1003, "lines of text, please")?),
        }
    }
    Ok(())
}

/// Sends what is said in the room until the connection ends.
fn follow(room: &Room, socket: &WebSocket) {
    let mut seen = 0;
    loop {
        for line in room.after(seen) {
            if socket.send(line.to_json()).is_err() {
                return;
            }
            seen = line.id;
        }
        room.wait(seen, None);
    }
}

fn poll(room: &Rc<Room>, name: &str, after: u64) -> Response {
    let guest = Guest::enter(room, name);
    room.wait(after, Some(LONGEST_POLL));
    let lines: Vec<String> = room.after(after).iter().map(|line| line.to_json()).collect();
    guest.leave_later();
    array(&lines)
}

fn array(items: &[String]) -> Response {
    let body = format!("[{}]", items.join(","));
    body.into_response().header("Content-Type", "application/json").header("Cache-Control", "no-store")
}

fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' || c == '\u{7f}' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Chat</title>
<style>
body { font-family: sans-serif; max-width: 44em; margin: 2em auto; padding: 0 1em; }
#lines { border: 1px solid #999; height: 20em; overflow-y: auto; overflow-wrap: anywhere; padding: .5em; margin-top: 1em; }
#lines p { margin: .3em 0; }
#text { width: 80%; }
#people { color: #555; }
.room { color: #777; font-style: italic; }
</style>
<h1>Chat</h1>
<form id="enter">
  <input id="name" placeholder="your name" maxlength="30" required>
  <input id="room" value="lobby" maxlength="30" required>
  <select id="way"><option value="socket">WebSocket</option><option value="poll">long-polling</option></select>
  <button>Enter</button> <span id="state"></span>
</form>
<div id="lines"></div>
<p id="people"></p>
<form id="say" hidden><input id="text" placeholder="say something" maxlength="600" autocomplete="off" required> <button>Say</button></form>
<script>
const $ = id => document.getElementById(id);
let visit = 0, socket = null, query = "", asking = 0;

function show(line) {
    const p = document.createElement("p");
    p.textContent = line.name ? line.name + ": " + line.text : line.text;
    if (!line.name) p.className = "room";
    $("lines").append(p);
    $("lines").scrollTop = $("lines").scrollHeight;
    // Once for all lines that come together.
    clearTimeout(asking);
    asking = setTimeout(people, 50, visit);
}

async function people(mine) {
    const names = await (await fetch("/people" + query)).json();
    if (mine === visit) $("people").textContent = "on line: " + names.join(", ");
}

async function poll(mine) {
    let after = 0;
    while (mine === visit) {
        try {
            const answer = await fetch("/lines" + query + "&after=" + after);
            for (const line of await answer.json()) {
                if (mine !== visit) return;
                show(line);
                after = line.id;
            }
        } catch (error) {
            $("state").textContent = "trying again";
            await new Promise(resolve => setTimeout(resolve, 1000));
        }
    }
}

$("enter").onsubmit = event => {
    event.preventDefault();
    const mine = ++visit;
    if (socket) socket.close();
    socket = null;
    $("lines").textContent = $("people").textContent = "";
    $("say").hidden = false;
    query = "?" + new URLSearchParams({ room: $("room").value, name: $("name").value });
    if ($("way").value === "poll") {
        $("state").textContent = "polling";
        poll(mine);
        return;
    }
    const ours = socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/socket" + query);
    ours.onopen = () => $("state").textContent = "connected";
    ours.onmessage = event => { if (mine === visit) show(JSON.parse(event.data)); };
    ours.onclose = () => { if (mine === visit) $("state").textContent = "closed"; };
};

$("say").onsubmit = event => {
    event.preventDefault();
    if (socket) socket.send($("text").value);
    else fetch("/lines" + query, { method: "POST", body: $("text").value });
    $("text").value = "";
};
</script>
</html>
"#;

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut port = 8080_u16;
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        match (flag.as_str(), arguments.next()) {
            ("--port", Some(value)) => port = value.parse()?,
            _ => return Err(format!("unknown argument `{flag}`; usage: web_chat [--port PORT]").into()),
        }
    }
    let chat = Chat::default();
    let server =
        Server::bind(("127.0.0.1", port))?.start(move |request: &mut Request<'_>| chat.answer(request))?;
    println!("listening on http://{}", server.local_addr()?);
    Ok(server.serve_forever()?)
}

fn main() {
    if let Err(error) = run() {
        eprintln!("web_chat: {error}");
        std::process::exit(1);
    }
}
