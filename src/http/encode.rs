//! How a response is sent: which framing it gets, and its head as bytes. No I/O.
//!
//! | the body                      | HTTP/1.1              | HTTP/1.0              |
//! |-------------------------------|-----------------------|-----------------------|
//! | none, or bytes                | `Content-Length`      | `Content-Length`      |
//! | a stream with a known length  | `Content-Length`      | `Content-Length`      |
//! | a stream                      | chunked               | until the connection closes |
//! | of a 204 or 304               | nothing               | nothing               |
//! | of a 205                      | `Content-Length: 0`   | `Content-Length: 0`   |
//!
//! The answer to a `HEAD` has the head of the answer to a `GET`, and nothing behind it.

use super::date;
use super::framing::{decimal, has_token};
use super::response::Response;
use ::http::{HeaderMap, HeaderValue, StatusCode, header};

/// Room for a head without many headers of the handler's own.
const USUAL_HEAD: usize = 256;

pub(crate) const CHOSEN_FRAMING: &str =
    "a handler cannot set Transfer-Encoding: the server chooses the framing";

/// What the request and the connection ask of the response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    pub(crate) is_head: bool,
    pub(crate) is_http_11: bool,
    pub(crate) keep_alive: bool,
}

/// How the end of a response is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// By the end of its head.
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Chooses the framing. An error says why the response cannot be sent.
#[inline]
pub(crate) fn plan(response: &Response, reply: &Reply) -> Result<Delivery, String> {
    match (response.own_headers(), response.body.fixed()) {
        (None, Some(bytes)) if response.status == StatusCode::OK => Ok(Delivery::Length(bytes.len() as u64)),
        _ => plan_unusual(response, reply),
    }
}

#[inline(never)]
fn plan_unusual(response: &Response, reply: &Reply) -> Result<Delivery, String> {
    let status = response.status;
    if status.is_informational() {
        return Err(format!("the informational status {} cannot end a request", status.as_u16()));
    }
    let declared = match response.own_headers() {
        None => None,
        Some(headers) if headers.contains_key(header::TRANSFER_ENCODING) => {
            return Err(CHOSEN_FRAMING.into());
        }
        Some(headers) => declared_length(headers)?,
    };
    let fixed = response.body.fixed().map(|bytes| bytes.len() as u64);
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED) {
        return match (fixed, declared) {
            // The end of a 205 is not marked by its status.
            (Some(0), None | Some(0)) if status == StatusCode::RESET_CONTENT => Ok(Delivery::Length(0)),
            (Some(0), None | Some(0)) => Ok(Delivery::Nothing),
            (Some(0), Some(length)) => Err(format!(
                "a {} response must have no body, but its Content-Length is {length}",
                status.as_u16()
            )),
            _ => Err(format!("a {} response must have no body", status.as_u16())),
        };
    }
    let made = response.body.made();
    match (fixed, declared.or(made)) {
        (Some(length), None) => Ok(Delivery::Length(length)),
        (Some(length), Some(declared)) if length == declared || (length == 0 && reply.is_head) => {
            Ok(Delivery::Length(declared))
        }
        (Some(length), Some(declared)) => {
            Err(format!("the response has a Content-Length of {declared}, but a body of {length} bytes"))
        }
        (None, Some(declared)) if made.is_none_or(|made| made == declared) => Ok(Delivery::Length(declared)),
        (None, Some(declared)) => Err(format!(
            "the response has a Content-Length of {declared}, but a body of {} bytes",
            made.unwrap_or_default()
        )),
        (None, None) if reply.is_http_11 => Ok(Delivery::Chunked),
        (None, None) => Ok(Delivery::UntilClose),
    }
}

fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match decimal(value.as_bytes()) {
            Ok(length) => Ok(Some(length)),
            Err(_) => Err(format!("the response has a Content-Length of {value:?}")),
        },
        _ => Err("the response has more than one Content-Length".into()),
    }
}

/// Whether the handler wants the connection closed after its response.
pub(crate) fn asks_to_close(response: &Response) -> bool {
    response.own_headers().is_some_and(|headers| {
        headers.get_all(header::CONNECTION).iter().any(|value| has_token(value.as_bytes(), b"close"))
    })
}

/// Appends the head of a response.
pub(crate) fn write_head(out: &mut Vec<u8>, response: &Response, delivery: Delivery, reply: &Reply) {
    out.reserve(USUAL_HEAD);
    let stays = reply.keep_alive && reply.is_http_11;
    match (response.own_headers(), response.body.content_type, delivery) {
        (None, Some(content_type), Delivery::Length(length))
            if stays && response.status == StatusCode::OK =>
        {
            write_usual_head(out, content_type, length);
        }
        _ => write_any_head(out, response, delivery, reply),
    }
}

/// What [`write_any_head`] writes for most responses, in few pieces: each costs a look whether there is room.
fn write_usual_head(out: &mut Vec<u8>, content_type: &str, length: u64) {
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: ");
    out.extend_from_slice(content_type.as_bytes());
    out.extend_from_slice(b"\r\nContent-Length: ");
    write_number::<10>(out, length);
    date::write_now_and_end(out);
}

fn write_any_head(out: &mut Vec<u8>, response: &Response, delivery: Delivery, reply: &Reply) {
    write_status(out, response.status);
    let headers = response.own_headers();
    let has = |name| headers.is_some_and(|headers| headers.contains_key(name));
    if let Some(content_type) = response.body.content_type
        && delivery != Delivery::Nothing
        && !has(header::CONTENT_TYPE)
    {
        out.extend_from_slice(b"Content-Type: ");
        out.extend_from_slice(content_type.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(headers) = headers {
        write_own_fields(out, headers);
    }
    match delivery {
        Delivery::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            write_number::<10>(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Delivery::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Delivery::Nothing | Delivery::UntilClose => {}
    }
    write_date(out, headers);
    match (reply.keep_alive, reply.is_http_11) {
        // A 426 says what it would like to hear, and that this concerns the connection.
        (false, _) if has(header::UPGRADE) => out.extend_from_slice(b"Connection: close, upgrade\r\n"),
        (true, true) if has(header::UPGRADE) => out.extend_from_slice(b"Connection: upgrade\r\n"),
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (true, false) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, true) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head behind which the connection belongs to another protocol.
pub(crate) fn write_last_head(out: &mut Vec<u8>, response: &Response) {
    write_status(out, response.status);
    let headers = response.own_headers();
    if let Some(headers) = headers {
        write_own_fields(out, headers);
    }
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        out.extend_from_slice(b"Connection: upgrade\r\n");
    }
    write_date(out, headers);
    out.extend_from_slice(b"\r\n");
}

/// Appends the date, the handler's own if it has set one.
fn write_date(out: &mut Vec<u8>, headers: Option<&HeaderMap>) {
    match headers.and_then(|headers| headers.get(header::DATE)) {
        Some(date) => write_field(out, b"Date", date.as_bytes()),
        None => date::write_now(out),
    }
}

fn write_status(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends the handler's headers, apart from those that the server writes itself.
fn write_own_fields(out: &mut Vec<u8>, headers: &HeaderMap<HeaderValue>) {
    let own = |name| ![header::CONTENT_LENGTH, header::CONNECTION, header::DATE].contains(name);
    for (name, value) in headers.iter().filter(|(name, _)| own(name)) {
        write_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends the line before the data of a chunk.
pub(crate) fn write_chunk_size(out: &mut Vec<u8>, size: usize) {
    write_number::<16>(out, size as u64);
    out.extend_from_slice(b"\r\n");
}

/// By pairs of digits, the highest first: most numbers are short, and to copy them from where they were just written would have to wait
/// for that. The base is known where it is compiled, so that a division by it is a multiplication.
fn write_number<const BASE: u64>(out: &mut Vec<u8>, number: u64) {
    let digit = |number: u64| b"0123456789abcdef"[(number % BASE) as usize];
    if number < BASE {
        return out.push(digit(number));
    }
    if number >= BASE * BASE {
        write_number::<BASE>(out, number / (BASE * BASE));
    }
    out.extend_from_slice(&[digit(number / BASE), digit(number)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Body, IntoResponse};
    use proptest::prelude::*;

    const REPLY: Reply = Reply { is_head: false, is_http_11: true, keep_alive: true };

    #[test]
    fn numbers_are_written_in_both_bases() {
        for number in [0, 9, 10, 15, 16, 99, 100, 255, 256, 1_000, 65_536, u64::MAX] {
            let (mut dec, mut hex) = (Vec::new(), Vec::new());
            write_number::<10>(&mut dec, number);
            write_number::<16>(&mut hex, number);
            assert_eq!(dec, format!("{number}").into_bytes());
            assert_eq!(hex, format!("{number:x}").into_bytes());
        }
    }

    proptest! {
        #[test]
        fn the_usual_head_is_what_any_head_would_be(length in any::<u64>()) {
            let response = "abc".into_response();
            let (mut usual, mut any) = (Vec::new(), Vec::new());
            write_head(&mut usual, &response, Delivery::Length(length), &REPLY);
            write_any_head(&mut any, &response, Delivery::Length(length), &REPLY);
            // The dates may be of two seconds.
            prop_assert_eq!(without_date(&usual), without_date(&any));
        }
    }

    fn without_date(head: &[u8]) -> String {
        let head = std::str::from_utf8(head).unwrap();
        let (before, date) = head.split_once("\r\nDate: ").unwrap();
        assert_eq!(date.find("\r\n"), Some(29), "{head}");
        format!("{before}{}", &date[29..])
    }

    #[test]
    fn the_framing_follows_the_table() {
        let stream = || Body::stream(["x"]).into_response();
        let old = Reply { is_http_11: false, ..REPLY };
        assert_eq!(plan(&"abc".into_response(), &REPLY), Ok(Delivery::Length(3)));
        assert_eq!(plan(&stream(), &REPLY), Ok(Delivery::Chunked));
        assert_eq!(plan(&stream(), &old), Ok(Delivery::UntilClose));
        assert_eq!(plan(&stream().header("Content-Length", "7"), &old), Ok(Delivery::Length(7)));
        assert_eq!(plan(&Response::new(StatusCode::NO_CONTENT), &REPLY), Ok(Delivery::Nothing));
        assert_eq!(plan(&Response::new(StatusCode::RESET_CONTENT), &REPLY), Ok(Delivery::Length(0)));
        let head = Reply { is_head: true, ..REPLY };
        let declared = Response::new(StatusCode::OK).header("Content-Length", "7");
        assert_eq!(plan(&declared, &head), Ok(Delivery::Length(7)));
    }

    #[test]
    fn what_contradicts_itself_is_refused_and_named() {
        let not_modified = || Response::new(StatusCode::NOT_MODIFIED);
        let cases = [
            // WS22, WS23
            (
                not_modified().header("Content-Length", "5"),
                "a 304 response must have no body, but its Content-Length is 5",
            ),
            (not_modified().body("x"), "a 304 response must have no body"),
            (Response::new(StatusCode::RESET_CONTENT).body("x"), "a 205 response must have no body"),
            (not_modified().body(Body::stream([""])), "a 304 response must have no body"),
            (
                "abc".into_response().header("Content-Length", "4"),
                "Content-Length of 4, but a body of 3 bytes",
            ),
            ("abc".into_response().header("Content-Length", "x"), "Content-Length of \"x\""),
            ("abc".into_response().header("Transfer-Encoding", "gzip"), "cannot set Transfer-Encoding"),
            (Response::new(StatusCode::CONTINUE), "informational status 100"),
        ];
        for (response, expected) in cases {
            let text = plan(&response, &REPLY).unwrap_err();
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_head_has_each_header_once() {
        let mut response = "x".into_response().header("Content-Length", "1").header("Connection", "x");
        response = response.header("Date", "then").header("content-type", "text/html").header("X", "1");
        response.headers_mut().append("date", HeaderValue::from_static("later"));
        let mut out = Vec::new();
        write_head(&mut out, &response, Delivery::Length(1), &Reply { keep_alive: false, ..REPLY });
        let mut lines: Vec<_> = std::str::from_utf8(&out).unwrap().lines().map(str::to_lowercase).collect();
        lines.sort();
        let expected =
            ["", "connection: close", "content-length: 1", "content-type: text/html", "date: then"];
        assert_eq!(lines[..5], expected);
        assert_eq!(lines[5..], ["http/1.1 200 ok", "x: 1"]);
    }
}
