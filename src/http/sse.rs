//! Server-sent events: a response without an end, of which browsers read one event after the other (`EventSource`).
//!
//! Events are bytes in a certain frame, so whatever can be a streamed body can be a stream of events; [`Events`] is one for a
//! queue, and adds the headers and the pings.
//!
//! ```
//! use greenloop::http::sse::{Event, Events};
//! use greenloop::http::{self, Request};
//! use greenloop::{queue::Queue, spawn};
//! use std::time::Duration;
//!
//! let app = |_: &mut Request<'_>| {
//!     let queue = Queue::bounded(10);
//!     spawn({
//!         let queue = queue.clone();
//!         move || {
//!             // An error says that the client has gone.
//!             while queue.put(Event::new("tick").id("1")).is_ok() {
//! #               queue.close();
//!                 greenloop::sleep(Duration::from_secs(1));
//!             }
//!         }
//!     });
//!     Events::new(queue).ping_every(Duration::from_secs(15))
//! };
//! # let answer = http::exchange(&app, b"GET / HTTP/1.0\r\n\r\n");
//! # assert!(answer.ends_with(b"\r\n\r\nid: 1\ndata: tick\n\n"));
//! ```

use super::pieces::{Pieces, Queued, Sink, Stop};
use super::response::{IntoResponse, Response};
use super::response_body::Body;
use crate::queue::{GetError, Queue};
use ::http::StatusCode;
use std::fmt;
use std::time::Duration;

/// One event, or a comment, in the frame that it is sent in.
///
/// Data of several lines are sent as several lines, however these end. A line break or a NUL in a name or an id, where it would
/// begin another field, becomes a blank.
///
/// ```
/// use greenloop::http::sse::Event;
///
/// let event = Event::new("first\nsecond").event("news").id("7");
/// assert_eq!(event.as_ref(), b"event: news\nid: 7\ndata: first\ndata: second\n\n");
/// assert_eq!(Event::comment("still here").as_ref(), b": still here\n\n");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    text: String,
    /// Where the next field goes: the data come last, so that they need not be moved far.
    fields: usize,
}

impl Event {
    /// An event with these data.
    ///
    /// ```
    /// use greenloop::http::sse::Event;
    ///
    /// assert_eq!(Event::new("a\nb").as_ref(), b"data: a\ndata: b\n\n");
    /// ```
    pub fn new(data: impl AsRef<str>) -> Event {
        Event::default().with_lines("data: ", data.as_ref())
    }

    /// A comment, which browsers pass over: it keeps the connection alive.
    ///
    /// ```
    /// use greenloop::http::sse::Event;
    ///
    /// assert_eq!(Event::comment("still here").as_ref(), b": still here\n\n");
    /// ```
    pub fn comment(text: impl AsRef<str>) -> Event {
        Event::default().with_lines(": ", text.as_ref())
    }

    /// Sets the name of the event; without one it is `message`.
    ///
    /// ```
    /// use greenloop::http::sse::Event;
    ///
    /// assert_eq!(Event::new("42").event("score").as_ref(), b"event: score\ndata: 42\n\n");
    /// ```
    pub fn event(self, name: impl AsRef<str>) -> Event {
        self.field("event: ", name.as_ref())
    }

    /// Sets the id, which the browser sends as `Last-Event-ID` when it has to connect again.
    ///
    /// ```
    /// use greenloop::http::sse::Event;
    ///
    /// assert_eq!(Event::new("hello").id("7").as_ref(), b"id: 7\ndata: hello\n\n");
    /// ```
    pub fn id(self, id: impl AsRef<str>) -> Event {
        self.field("id: ", id.as_ref())
    }

    /// Sets how long the browser waits before it connects again.
    ///
    /// ```
    /// use greenloop::http::sse::Event;
    /// use std::time::Duration;
    ///
    /// // An event of its own, which nobody sees: the time alone is taken from it.
    /// let event = Event::default().retry(Duration::from_secs(2));
    /// assert_eq!(event.as_ref(), b"retry: 2000\n\n");
    /// ```
    pub fn retry(self, time: Duration) -> Event {
        self.field("retry: ", &time.as_millis().to_string())
    }

    fn field(mut self, name: &str, value: &str) -> Event {
        let value = value.replace(['\r', '\n', '\0'], " ");
        let line = format!("{name}{value}\n");
        self.text.insert_str(self.fields, &line);
        self.fields += line.len();
        self
    }

    fn with_lines(mut self, name: &str, text: &str) -> Event {
        self.text.clear();
        for line in text.replace("\r\n", "\n").split(['\r', '\n']) {
            self.text.extend([name, line, "\n"]);
        }
        self.text.push('\n');
        self
    }
}

impl Default for Event {
    /// An event without data. Browsers take its id and its time to retry from it, and call nobody.
    fn default() -> Event {
        Event { text: "\n".into(), fields: 0 }
    }
}

impl AsRef<[u8]> for Event {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Event").field(&self.text).finish()
    }
}

/// A response of the events that are put into a queue, until it is closed.
///
/// The head is sent at once. When the client has gone, which the server learns when it sends something, the queue is closed: see
/// [`Body`] from a queue.
///
/// ```
/// use greenloop::http::sse::{Event, Events};
/// use greenloop::http::{Request, TestClient};
/// use greenloop::queue::Queue;
///
/// let client = TestClient::new(|request: &mut Request<'_>| {
///     let queue = Queue::unbounded();
///     // What a client that comes back has missed.
///     for n in request.header("last-event-id").and_then(|id| id.parse().ok()).unwrap_or(0)..3 {
///         queue.put(Event::new(format!("news {n}"))).unwrap();
///     }
///     queue.close();
///     Events::new(queue)
/// });
/// let answer = client.get("/").header("Last-Event-ID", "1").send();
/// assert_eq!(answer.header("content-type"), Some("text/event-stream"));
/// assert_eq!(answer.text(), "data: news 1\n\ndata: news 2\n\n");
/// ```
#[derive(Debug)]
pub struct Events {
    queue: Queue<Event>,
    ping: Option<Duration>,
}

impl Events {
    /// The events of this queue.
    ///
    /// ```
    /// use greenloop::http::IntoResponse;
    /// use greenloop::http::sse::Events;
    /// use greenloop::queue::Queue;
    ///
    /// let response = Events::new(Queue::bounded(10)).into_response();
    /// assert_eq!(response.headers()["cache-control"], "no-store");
    /// ```
    pub fn new(queue: Queue<Event>) -> Events {
        Events { queue, ping: None }
    }

    /// Sends a comment whenever there was no event for so long: proxies do not give up the connection then, and a client that has gone
    /// is noticed.
    ///
    /// ```
    /// use greenloop::http::sse::{Event, Events};
    /// use greenloop::http::{Request, TestClient};
    /// use greenloop::{queue::Queue, spawn};
    /// use std::time::Duration;
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| {
    ///     let queue = Queue::<Event>::bounded(10);
    ///     let events = Events::new(queue.clone()).ping_every(Duration::from_millis(1));
    ///     spawn(move || {
    ///         greenloop::sleep(Duration::from_millis(5));
    ///         queue.close();
    ///     });
    ///     events
    /// });
    /// assert!(client.get("/").send().text().starts_with(":\n\n"));
    /// ```
    pub fn ping_every(self, time: Duration) -> Events {
        Events { ping: Some(time), ..self }
    }
}

impl IntoResponse for Events {
    /// With the type of an event stream, and never from a cache.
    fn into_response(self) -> Response {
        let Events { queue, ping } = self;
        let stream = EventStream { queue: Queued(queue), ping, has_begun: false };
        let response = Response::new(StatusCode::OK).body(Body::pieces(stream));
        response.header("Content-Type", "text/event-stream").header("Cache-Control", "no-store")
    }
}

struct EventStream {
    queue: Queued<Event>,
    ping: Option<Duration>,
    has_begun: bool,
}

impl Pieces for EventStream {
    fn next(&mut self, sink: &mut dyn Sink) -> Result<bool, Stop> {
        if !self.has_begun {
            self.has_begun = true;
            return sink.flush().map(|()| true);
        }
        let Some(ping) = self.ping else { return self.queue.next(sink) };
        match self.queue.0.get_timeout(ping) {
            Ok(event) => sink.write(event.as_ref()).map(|()| true),
            Err(GetError::Empty) => sink.write(b":\n\n").map(|()| true),
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_framed_field_by_field() {
        let cases = [
            (Event::new("a"), "data: a\n\n"),
            (Event::new(""), "data: \n\n"),
            (Event::new("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
            (Event::new("a").event("e").id("1"), "event: e\nid: 1\ndata: a\n\n"),
            (Event::new("a").retry(Duration::from_millis(1500)), "retry: 1500\ndata: a\n\n"),
            (Event::new("a").id("1\ndata: evil\r\0"), "id: 1 data: evil  \ndata: a\n\n"),
            (Event::comment("a\nb"), ": a\n: b\n\n"),
            (Event::default().id("9"), "id: 9\n\n"),
        ];
        for (event, expected) in cases {
            assert_eq!(std::str::from_utf8(event.as_ref()).unwrap(), expected);
        }
    }
}
