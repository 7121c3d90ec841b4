//! Malformed and borderline requests, each with the verdict of RFC 9110 and 9112, or a stricter one where they leave a
//! choice: alone, in front of a good request, and cut at every byte. Nothing behind a fault is ever interpreted.
#![cfg(feature = "http")]

mod http_support;

use greenloop::http::{self, Limits, Request};
use http_support::{Client, Outcome, serve};
use std::io::Read;

/// What a request comes to.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    /// The handler sees this body, and the next request is answered as well.
    Yes(&'static str),
    /// The handler sees this body, and nothing behind it is interpreted.
    Last(&'static str),
    /// One answer with this status, then the end.
    No(u16),
}

use Verdict::{Last, No, Yes};

/// What stands in front of `Host: h`, an empty line and nothing else. Sections 2.2, 2.3, 3 and 3.2 of RFC 9112.
const LINES: &[(&str, Verdict)] = &[
    ("GET / HTTP/1.1\r\n", Yes("")),
    ("get / HTTP/1.1\r\n", Yes("")),
    ("M-SEARCH / HTTP/1.1\r\n", Yes("")),
    ("\r\nGET / HTTP/1.1\r\n", Yes("")),
    ("GET /?a=b?c HTTP/1.1\r\n", Yes("")),
    ("GET //x/../%00 HTTP/1.1\r\n", Yes("")),
    ("GET /a|b{c}^`\"<> HTTP/1.1\r\n", Yes("")),
    ("GET http://h/ HTTP/1.1\r\n", Yes("")),
    ("GET HTTPS://h:443/ HTTP/1.1\r\n", Yes("")),
    ("GET http://h HTTP/1.1\r\n", Yes("")),
    ("GET http://[::1]:80?q HTTP/1.1\r\n", Yes("")),
    ("OPTIONS * HTTP/1.1\r\n", Yes("")),
    ("GET / HTTP/1.0\r\n", Last("")),
    ("CONNECT h:443 HTTP/1.1\r\n", No(501)), // a success would begin a tunnel
    ("\r\n\r\nGET / HTTP/1.1\r\n", No(400)),
    ("\nGET / HTTP/1.1\r\n", No(400)),
    ("\rGET / HTTP/1.1\r\n", No(400)),
    (" GET / HTTP/1.1\r\n", No(400)),
    ("\tGET / HTTP/1.1\r\n", No(400)),
    ("\0GET / HTTP/1.1\r\n", No(400)),
    ("\u{feff}GET / HTTP/1.1\r\n", No(400)),
    ("GET / HTTP/1.1\n", No(400)),
    ("GET / HTTP/1.1\r\r\n", No(400)),
    ("GET / HTTP/1.1 \r\n", No(400)),
    ("GET / HTTP/1.1\t\r\n", No(400)),
    ("GET / HTTP/1.1\0\r\n", No(400)),
    ("GET  / HTTP/1.1\r\n", No(400)),
    ("GET /  HTTP/1.1\r\n", No(400)),
    ("GET\t/ HTTP/1.1\r\n", No(400)),
    ("GET /\tHTTP/1.1\r\n", No(400)),
    ("GET\u{b}/ HTTP/1.1\r\n", No(400)),
    ("GET /\u{c}HTTP/1.1\r\n", No(400)),
    ("GET\u{a0}/ HTTP/1.1\r\n", No(400)),
    ("GET /a b HTTP/1.1\r\n", No(400)),
    ("GET / HTTP/1.1 HTTP/1.1\r\n", No(400)),
    ("GET /\r/ HTTP/1.1\r\n", No(400)),
    ("GET /\0 HTTP/1.1\r\n", No(400)),
    ("GET /\u{7f} HTTP/1.1\r\n", No(400)),
    ("GET /\u{e9} HTTP/1.1\r\n", No(400)),
    ("GET /a#b HTTP/1.1\r\n", No(400)),
    ("GET / HTTP\r\n", No(400)),
    ("GET / HTTP/\r\n", No(400)),
    ("GET / HTTP/1\r\n", No(400)),
    ("GET / HTTP/1.\r\n", No(400)),
    ("GET / HTTP/1.10\r\n", No(400)),
    ("GET / HTTP/01.1\r\n", No(400)),
    ("GET / HTTP/1.1.1\r\n", No(400)),
    ("GET / HTTP/1,1\r\n", No(400)),
    ("GET / HTTP/x.1\r\n", No(400)),
    ("GET / http/1.1\r\n", No(400)),
    ("GET / Http/1.1\r\n", No(400)),
    ("GET / HTTPS/1.1\r\n", No(400)),
    ("GET / HTTP/ 1.1\r\n", No(400)),
    ("GET / HTTP/-1.1\r\n", No(400)),
    ("GET / ICY/1.1\r\n", No(400)),
    ("GET / HTTP %\r\n", No(400)), // WS56
    ("GET / HTTP/0.9\r\n", No(505)),
    ("GET / HTTP/1.2\r\n", No(505)), // the rationale says why it is not taken for 1.1
    ("GET / HTTP/1.9\r\n", No(505)),
    ("GET / HTTP/2.0\r\n", No(505)),
    ("GET / HTTP/2\r\n", No(505)),
    ("PRI * HTTP/2.0\r\n", No(505)),
    ("GET /\r\n", No(400)), // WS90
    ("GET \r\n", No(400)),
    ("GET\r\n", No(400)),
    ("/ HTTP/1.1\r\n", No(400)),
    (" / HTTP/1.1\r\n", No(400)),
    ("G@T / HTTP/1.1\r\n", No(400)),
    ("G(T / HTTP/1.1\r\n", No(400)),
    ("GET: / HTTP/1.1\r\n", No(400)),
    ("\"GET\" / HTTP/1.1\r\n", No(400)),
    ("G\u{c9}T / HTTP/1.1\r\n", No(400)),
    ("GET * HTTP/1.1\r\n", No(400)),
    ("OPTIONS *x HTTP/1.1\r\n", No(400)),
    ("GET h HTTP/1.1\r\n", No(400)),
    ("GET h:80 HTTP/1.1\r\n", No(400)),
    ("GET ?x HTTP/1.1\r\n", No(400)),
    ("GET \\x HTTP/1.1\r\n", No(400)),
    ("GET http:// HTTP/1.1\r\n", No(400)),
    ("GET http:/// HTTP/1.1\r\n", No(400)),
    ("GET http://:80/ HTTP/1.1\r\n", No(400)),
    ("GET http:/h HTTP/1.1\r\n", No(400)),
    ("GET ://h/ HTTP/1.1\r\n", No(400)),
    ("GET 1http://h/ HTTP/1.1\r\n", No(400)),
    ("GET http://u@h/ HTTP/1.1\r\n", No(400)),
    ("GET http://h,i/ HTTP/1.1\r\n", No(400)),
    ("GET http://h:x/ HTTP/1.1\r\n", No(400)),
    ("CONNECT / HTTP/1.1\r\n", No(400)),
    ("CONNECT h HTTP/1.1\r\n", No(400)),
    ("CONNECT h: HTTP/1.1\r\n", No(400)),
    ("CONNECT :80 HTTP/1.1\r\n", No(400)),
    ("CONNECT http://h/ HTTP/1.1\r\n", No(400)),
    ("CONNECT u@h:80 HTTP/1.1\r\n", No(400)),
    ("CONNECT h:80/x HTTP/1.1\r\n", No(400)),
];

/// Header lines and what follows the empty line behind them, after `POST / HTTP/1.1`. Sections 5 and 6 of RFC 9112, 5.1 to
/// 5.5, 7.2 and 8.6 of RFC 9110.
const FIELDS: &[(&str, &str, Verdict)] = &[
    ("", "", Yes("")), // WS65
    ("Content-Length: 5\r\n", "hello", Yes("hello")),
    ("content-length:5\r\n", "hello", Yes("hello")),
    ("CONTENT-LENGTH:\t5 \t\r\n", "hello", Yes("hello")),
    ("Content-Length: 005\r\n", "hello", Yes("hello")),
    ("Content-Length: 0\r\n", "", Yes("")),
    ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", Yes("hello")),
    ("transfer-encoding:CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n", Yes("hello")), // WS34
    ("Transfer-Encoding: \tchunked\t\r\n", "5\r\nhello\r\n0\r\n\r\n", Yes("hello")),
    // Another name, however a gateway might read it.
    ("Content_Length: 5\r\n", "", Yes("")), // WS62
    ("Transfer_Encoding: chunked\r\n", "", Yes("")),
    ("X-Content-Length: 3\r\nContent-Length: 5\r\n", "hello", Yes("hello")),
    ("Connection: content-length\r\nContent-Length: 5\r\n", "hello", Yes("hello")),
    ("Connection: close\r\nContent-Length: 5\r\n", "hello", Last("hello")),
    ("Connection: x\r\nConnection: CLOSE , y\r\n", "", Last("")),
    ("Connection: closed\r\n", "", Yes("")),
    ("X: \u{e9}\r\nY:\r\nZ: a\tb\r\n", "", Yes("")),
    ("!#$%&'*+-.^_`|~: x\r\n", "", Yes("")),
    ("Host: h:80\r\n", "", Yes("")),
    ("Host:\r\n", "", Yes("")),
    ("Host: h:\r\n", "", Yes("")),
    ("Host: [::1]:8080\r\n", "", Yes("")),
    ("Host: a-b.c_d~e!$&'()*+;=%20\r\n", "", Yes("")),
    ("Content-Length: -5\r\n", "hello", No(400)), // WS57
    ("Content-Length: +5\r\n", "hello", No(400)),
    ("Content-Length: 5,5\r\n", "hello", No(400)),
    ("Content-Length: 5, 6\r\n", "hello", No(400)),
    ("Content-Length: 5 5\r\n", "hello", No(400)),
    ("Content-Length: 0x5\r\n", "hello", No(400)),
    ("Content-Length: 5.0\r\n", "hello", No(400)),
    ("Content-Length: 5e0\r\n", "hello", No(400)),
    ("Content-Length: \"5\"\r\n", "hello", No(400)),
    ("Content-Length: 5;a\r\n", "hello", No(400)),
    ("Content-Length: abc\r\n", "hello", No(400)), // WS57
    ("Content-Length: 5a\r\n", "hello", No(400)),
    ("Content-Length: 1_0\r\n", "hello", No(400)),
    ("Content-Length: \u{665}\r\n", "hello", No(400)),
    ("Content-Length: \u{b}5\r\n", "hello", No(400)),
    ("Content-Length: 5\0\r\n", "hello", No(400)),
    ("Content-Length: 5\u{c}\r\n", "hello", No(400)),
    ("Content-Length:\r\n", "hello", No(400)),
    ("Content-Length: \t \r\n", "hello", No(400)),
    ("Content-Length: 18446744073709551616\r\n", "hello", No(400)),
    ("Content-Length: 18446744073709551621\r\n", "hello", No(400)),
    ("Content-Length: 16777217\r\n", "hello", No(413)),
    ("Content-Length: 18446744073709551615\r\n", "hello", No(413)),
    ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello", No(400)), // WS84
    ("Content-Length: 5\r\ncontent-length: 6\r\n", "hello", No(400)),
    ("Content-Length: 0\r\nX: y\r\nContent-Length: 5\r\n", "hello", No(400)),
    ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", No(400)), // WS33
    ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "hello", No(400)),
    ("Transfer-Encoding:\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", No(501)),
    ("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", No(501)), // WS85
    ("Transfer-Encoding: gzip\r\n", "0\r\n\r\n", No(501)),
    ("Transfer-Encoding: identity\r\n", "0\r\n\r\n", No(501)),
    ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", No(501)),
    ("Transfer-Encoding: chunkedx\r\n", "0\r\n\r\n", No(501)),
    ("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n", No(501)),
    ("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n", No(501)),
    ("Transfer-Encoding: chunked chunked\r\n", "0\r\n\r\n", No(501)),
    ("Transfer-Encoding: chun\u{212a}ed\r\n", "0\r\n\r\n", No(501)),
    ("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: chunked\0\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding: \u{7f}chunked\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding\0: chunked\r\n", "0\r\n\r\n", No(400)),
    ("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n", No(400)),
    (" Transfer-Encoding: chunked\r\n", "0\r\n\r\n", No(400)),
    ("Content-Length : 5\r\n", "hello", No(400)),
    ("Content-Length\r\n", "hello", No(400)),
    ("Content-Length:\r\n 5\r\n", "hello", No(400)),
    ("Content-Length: 1\r\n 5\r\n", "hello", No(400)),
    ("X: a\r\n Content-Length: 5\r\n", "hello", No(400)), // WS59
    ("X: a\r\n\tb\r\n", "", No(400)),
    ("X: a\r\n \r\n", "", No(400)),
    ("\tX: a\r\n", "", No(400)),
    ("X\r\n", "", No(400)),
    (": x\r\n", "", No(400)),
    (":\r\n", "", No(400)),
    ("X Y: z\r\n", "", No(400)),
    ("X\u{e9}: y\r\n", "", No(400)),
    ("(X): y\r\n", "", No(400)),
    ("X@: y\r\n", "", No(400)),
    ("\"X\": y\r\n", "", No(400)),
    ("X/: y\r\n", "", No(400)),
    ("X[]: y\r\n", "", No(400)),
    ("X{}: y\r\n", "", No(400)),
    ("X\\: y\r\n", "", No(400)),
    ("X=: y\r\n", "", No(400)),
    ("X,Y: z\r\n", "", No(400)),
    ("X;: y\r\n", "", No(400)),
    ("<X>: y\r\n", "", No(400)),
    ("X?: y\r\n", "", No(400)),
    ("X\u{7f}: y\r\n", "", No(400)),
    ("X: a\0b\r\n", "", No(400)),
    ("X: \u{1b}\r\n", "", No(400)),
    ("X: \u{8}\r\n", "", No(400)),
    ("X: \u{7f}\r\n", "", No(400)),
    ("X: a\rb\r\n", "", No(400)),
    ("X: a\r\r\n", "", No(400)),
    ("X: a\n", "", No(400)),
    ("\nX: a\r\n", "", No(400)),
    ("\rX: a\r\n", "", No(400)),
    ("X: y\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", No(400)),
    ("X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n", No(400)),
    ("X: y\n\nGET /next HTTP/1.1\r\n", "", No(400)),
    ("GET /next HTTP/1.1\r\n", "", No(400)),
    ("Host: a\r\nHost: a\r\n", "", No(400)),
    ("Host: a\r\nX: y\r\nhost: b\r\n", "", No(400)),
    ("Host: a b\r\n", "", No(400)),
    ("Host: a,b\r\n", "", No(400)),
    ("Host: a/b\r\n", "", No(400)),
    ("Host: a\\b\r\n", "", No(400)),
    ("Host: a?b\r\n", "", No(400)),
    ("Host: a#b\r\n", "", No(400)),
    ("Host: u@a\r\n", "", No(400)),
    ("Host: http://a\r\n", "", No(400)),
    ("Host: <a>\r\n", "", No(400)),
    ("Host: a|b\r\n", "", No(400)),
    ("Host: {a}\r\n", "", No(400)),
    ("Host: \u{e9}\r\n", "", No(400)),
    ("Host: a:b\r\n", "", No(400)),
    ("Host: a:+80\r\n", "", No(400)),
    ("Host: a:80:80\r\n", "", No(400)),
    ("Host: :80\r\n", "", No(400)),
    ("Host: ::1\r\n", "", No(400)),
    ("Host: [::1\r\n", "", No(400)),
    ("Host: [::1]x\r\n", "", No(400)),
    ("Host: x[::1]\r\n", "", No(400)),
    ("Host: []\r\n", "", No(400)),
    ("Host: ]a[\r\n", "", No(400)),
    ("Expect: 200-ok\r\nContent-Length: 5\r\n", "hello", No(417)),
    ("Expect: 100-continue, x\r\nContent-Length: 5\r\n", "hello", No(417)),
];

/// What follows the head of a chunked request. Section 7.1 of RFC 9112.
const CHUNKS: &[(&str, Verdict)] = &[
    ("0\r\n\r\n", Yes("")),
    ("5\r\nhello\r\n0\r\n\r\n", Yes("hello")),
    ("05\r\nhello\r\n000\r\n\r\n", Yes("hello")),
    ("0000000000000005\r\nhello\r\n0\r\n\r\n", Yes("hello")),
    ("A\r\n0123456789\r\n0\r\n\r\n", Yes("0123456789")),
    ("a\r\n0123456789\r\n0\r\n\r\n", Yes("0123456789")),
    ("5;x\r\nhello\r\n0\r\n\r\n", Yes("hello")), // WS36
    ("5;x=\"y;z\"\r\nhello\r\n0;q\r\n\r\n", Yes("hello")),
    ("5 \t;x=1\r\nhello\r\n0\r\n\r\n", Yes("hello")),
    ("5;\0junk\r\nhello\r\n0\r\n\r\n", Yes("hello")), // WS35
    ("0\r\nX: y\r\n\r\n", Yes("")),                   // WS39
    ("0\r\nX:\r\nY: \u{e9}\r\n\r\n", Yes("")),
    ("0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n", Yes("")),
    ("\r\n", No(400)),
    ("\n5\r\nhello\r\n0\r\n\r\n", No(400)),
    ("x\r\n", No(400)), // WS38
    ("5x\r\nhello\r\n0\r\n\r\n", No(400)),
    ("-5\r\nhello\r\n0\r\n\r\n", No(400)),
    ("+5\r\nhello\r\n0\r\n\r\n", No(400)),
    ("0x5\r\nhello\r\n0\r\n\r\n", No(400)),
    (" 5\r\nhello\r\n0\r\n\r\n", No(400)),
    ("\t5\r\nhello\r\n0\r\n\r\n", No(400)),
    ("5 \r\nhello\r\n0\r\n\r\n", No(400)),
    ("5\t\r\nhello\r\n0\r\n\r\n", No(400)),
    ("5 x\r\nhello\r\n0\r\n\r\n", No(400)),
    ("5,\r\nhello\r\n0\r\n\r\n", No(400)),
    ("5.\r\nhello\r\n0\r\n\r\n", No(400)),
    ("1_0\r\nhello\r\n0\r\n\r\n", No(400)),
    ("\"5\"\r\nhello\r\n0\r\n\r\n", No(400)),
    ("5\0\r\nhello\r\n0\r\n\r\n", No(400)),
    ("\u{ff15}\r\nhello\r\n0\r\n\r\n", No(400)),
    (";x\r\nhello\r\n0\r\n\r\n", No(400)),
    ("00000000000000005\r\nhello\r\n0\r\n\r\n", No(400)), // WS92
    ("10000000000000005\r\nhello\r\n0\r\n\r\n", No(400)),
    ("5\nhello\r\n0\r\n\r\n", No(400)),
    ("5\rhello\r\n0\r\n\r\n", No(400)),
    ("5\r\r\nhello\r\n0\r\n\r\n", No(400)),
    ("5;x\nhello\r\n0\r\n\r\n", No(400)),
    ("5;x\rhello\r\n0\r\n\r\n", No(400)),
    ("5;x\r\r\nhello\r\n0\r\n\r\n", No(400)),
    ("5;\nhello\r\n0\r\n\r\n", No(400)),
    ("5\r\nhelloX\r\n0\r\n\r\n", No(400)), // WS92
    ("5\r\nhello\n0\r\n\r\n", No(400)),
    ("5\r\nhello\r0\r\n\r\n", No(400)),
    ("5\r\nhello0\r\n\r\n", No(400)),
    ("5\r\nhel\r\n0\r\n\r\n", No(400)),
    ("5\r\nhello\r\n\r\n0\r\n\r\n", No(400)),
    ("5\r\nhello\r\nx\r\n\r\n", No(400)),
    ("0\n\r\n", No(400)),
    ("0\r\r\n\r\n", No(400)),
    ("0 \r\n\r\n", No(400)),
    ("1000001\r\n", No(413)),
    ("7fffffffffffffff\r\n", No(413)),
    ("ffffffffffffffff\r\n", No(413)),
    ("5\r\nhello\r\nffffffffffffffff\r\n", No(413)),
    // The data has ended, so the handler has its answer; what is wrong behind it ends the connection.
    ("0\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n", Last("")), // WS43
    ("0\r\nX: y\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n", Last("")), // WS44
    ("5\r\nhello\r\n0\r\n X: y\r\n\r\n", Last("hello")),
    ("5\r\nhello\r\n0\r\nX : y\r\n\r\n", Last("hello")),
    ("0\r\n: y\r\n\r\n", Last("")),
    ("0\r\nX\r\n\r\n", Last("")),
    ("0\r\nX: y\n\r\n", Last("")),
    ("0\r\nX: y\r\n z\r\n\r\n", Last("")),
    ("0\r\nX: \0\r\n\r\n", Last("")),
    ("0\r\nX: y\rz\r\n\r\n", Last("")),
    ("0\r\nX\u{e9}: y\r\n\r\n", Last("")),
    ("0\r\n\n", Last("")),
    ("0\r\n\rX", Last("")),
    ("0\r\nX: y\r\n\r\r\n", Last("")),
];

const NEXT: &str = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";

/// All requests of the tables.
fn cases() -> Vec<(String, Verdict)> {
    let lines = LINES.iter().map(|(line, verdict)| (format!("{line}Host: h\r\n\r\n"), *verdict));
    let fields = FIELDS
        .iter()
        .map(|(fields, body, verdict)| (format!("POST / HTTP/1.1\r\n{fields}\r\n{body}"), *verdict));
    let chunks = CHUNKS.iter().map(|(body, verdict)| {
        (format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: h\r\n\r\n{body}"), *verdict)
    });
    // A coding that HTTP/1.0 does not have, and bodies where the contract has none (WS83).
    let others = [
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", No(400)),
        ("POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", No(400)),
        ("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", Last("hello")),
        ("POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", Yes("hello")),
        ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", Yes("hello")),
        ("DELETE / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", Yes("x")),
    ];
    let others = others.into_iter().map(|(request, verdict)| (request.to_string(), verdict));
    lines.chain(fields).chain(chunks).chain(others).collect()
}

fn app(request: &mut Request<'_>) -> http::Result<Vec<u8>> {
    if request.path() == "/next" {
        return Ok(b"next".to_vec());
    }
    let mut body = Vec::new();
    request.body().read_to_end(&mut body)?;
    Ok(body)
}

/// Holds what a connection came to against a verdict.
fn check(request: &str, verdict: Verdict, is_followed: bool, outcome: &Outcome, how: &str) {
    let found: Vec<_> = outcome
        .responses()
        .into_iter()
        .map(|answer| match answer.status {
            200 => (200, String::from_utf8(answer.body).unwrap()),
            status => (status, String::new()),
        })
        .collect();
    let mut expected = match verdict {
        Yes(body) | Last(body) => vec![(200, body.to_string())],
        No(status) => vec![(status, String::new())],
    };
    if is_followed && matches!(verdict, Yes(_)) {
        expected.push((200, "next".to_string()));
    }
    assert_eq!(found, expected, "{how}: {request:?}");
    if let No(_) = verdict {
        assert!(outcome.response().closes(), "{how}: the end is not announced: {request:?}");
    }
    assert!(outcome.reports.is_empty() && outcome.result.is_ok(), "{how}: {request:?}: {outcome:?}");
}

#[test]
fn each_request_alone_gets_its_verdict() {
    let cases = cases();
    let refused = cases.iter().filter(|(_, verdict)| !matches!(verdict, Yes(_))).count();
    assert!(refused >= 200, "{refused} are refused");
    for (request, verdict) in cases {
        let outcome = serve(&Client::sending(&request), Limits::default(), &app);
        check(&request, verdict, false, &outcome, "alone");
    }
}

#[test]
fn nothing_behind_a_fault_is_interpreted() {
    for (request, verdict) in cases() {
        let outcome = serve(&Client::sending(request.clone() + NEXT), Limits::default(), &app);
        check(&request, verdict, true, &outcome, "with another behind it");
        let outcome = serve(&Client::sending(NEXT.to_string() + &request), Limits::default(), &app);
        let statuses = outcome.statuses();
        let expected = if let No(status) = verdict { status } else { 200 };
        assert_eq!(statuses, [200, expected], "behind another: {request:?}");
    }
}

#[test]
fn where_it_is_cut_does_not_matter() {
    for (request, verdict) in cases() {
        let input = (request.clone() + NEXT).into_bytes();
        let bytewise = serve(&Client::cut(&input, &vec![1; input.len()]), Limits::default(), &app);
        check(&request, verdict, true, &bytewise, "byte by byte");
        for at in 1..input.len() {
            let outcome = serve(&Client::cut(&input, &[at]), Limits::default(), &app);
            check(&request, verdict, true, &outcome, &format!("cut at {at}"));
        }
    }
}

#[test]
fn a_handler_that_does_not_read_changes_nothing_about_what_is_behind() {
    let lazy = |_: &mut Request<'_>| "lazy";
    for (request, verdict) in cases() {
        let outcome = serve(&Client::sending(request.clone() + NEXT), Limits::default(), &lazy);
        let answered = outcome.statuses().len();
        let expected = if matches!(verdict, Yes(_)) { 2 } else { 1 };
        assert_eq!(answered, expected, "{request:?}");
    }
}
