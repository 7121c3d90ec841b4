//! The head of a request: where it ends, whether it is well-formed, what it says. No I/O.
//!
//! ```text
//!   GET /path?query HTTP/1.1 CR LF      at most `max_request_line` bytes: 414
//!   Name: value CR LF                   at most `max_headers` lines: 431
//!   ...
//!   CR LF                               at most `max_head` bytes in all: 431
//! ```
//!
//! The verdict on a head never depends on how the network cut it. A head that is all there is parsed at once.
//! One that is not is judged by its complete lines only, first to last, so that a fault shows as soon as its
//! line is there and the first fault is the one reported, however many lines arrived together.
//!
//! A head is copied out of the input buffer when it is complete: a handler may keep its path while it reads
//! the body through that buffer. One that is, byte for byte, the one before it is known already: clients that poll, and those that measure,
//! say the same again and again. The one before may be another client's, so it is compared in a time that does not tell how much of it was equal.

use super::error::HttpError;
use super::framing::{Framing, is_authority};
use super::limits::Limits;
use ::http::{Method, Version};
use httparse::Status;
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Heads with up to so many header lines are parsed within the first page of a stack. Browsers send a dozen.
const USUAL_FIELDS: usize = 16;
/// Those with up to so many are parsed without an allocation.
const INLINE_FIELDS: usize = 64;

/// A parsed head. One value serves a whole connection, and then the next: parsing reuses its memory.
pub(crate) struct Head {
    method: Method,
    version: Version,
    target: String,
    path: Range<usize>,
    query: Option<Range<usize>>,
    bytes: Vec<u8>,
    fields: Vec<Field>,
    /// Whether `bytes` is a whole head that was found well-formed, and all the rest is what it says.
    is_whole: bool,
    /// The limits that it was found to keep.
    bounds: Bounds,
    framing: Option<Framing>,
    /// How much of the head at hand was found well-formed but incomplete.
    judged: usize,
    /// Whether that much has the whole request line.
    has_line: bool,
}

/// What limits a head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bounds {
    request_line: usize,
    size: usize,
    lines: usize,
}

impl Bounds {
    fn of(limits: &Limits) -> Bounds {
        Bounds { request_line: limits.max_request_line, size: limits.max_head, lines: limits.max_headers }
    }
}

/// One header line, as places in `Head::bytes`.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: usize,
    name_end: usize,
    value: usize,
    value_end: usize,
}

impl Head {
    pub(crate) fn new() -> Head {
        Head {
            method: Method::GET,
            version: Version::HTTP_11,
            target: String::new(),
            path: 0..0,
            query: None,
            bytes: Vec::new(),
            fields: Vec::new(),
            is_whole: false,
            bounds: Bounds::default(),
            framing: None,
            judged: 0,
            has_line: false,
        }
    }

    /// For another connection: forgets what was half read, and gives back memory that an unusually large head took.
    pub(crate) fn reset(&mut self) {
        const USUAL: usize = 4096;
        (self.judged, self.has_line) = (0, false);
        if self.bytes.capacity() + self.target.capacity() > 2 * USUAL
            || self.fields.capacity() > 2 * INLINE_FIELDS
        {
            self.is_whole = false;
            (self.bytes, self.target, self.fields) = (Vec::new(), String::new(), Vec::new());
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    pub(crate) fn path(&self) -> &str {
        match &self.target[self.path.clone()] {
            "" => "/",
            path => path,
        }
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.query.clone().map(|query| &self.target[query])
    }

    /// The header lines in order: names as sent, values without surrounding blanks.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let bytes = &self.bytes;
        self.fields.iter().map(move |f| (&bytes[f.name..f.name_end], &bytes[f.value..f.value_end]))
    }

    /// What the head means for the bytes behind it.
    #[inline]
    pub(crate) fn framing(&mut self) -> Result<Framing, HttpError> {
        match self.framing {
            Some(framing) => Ok(framing),
            None => Ok(*self.framing.insert(Framing::of(self)?)),
        }
    }

    /// Looks for a head at the start of `input`. Gives its length, or `None` if it is well-formed so far:
    /// then the next call must bring the same bytes with more behind them, and the same limits.
    #[inline]
    pub(crate) fn parse(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, HttpError> {
        // One empty line before a request is ignored (RFC 9112, 2.2).
        let skipped = if input.starts_with(b"\r\n") { 2 } else { 0 };
        let input = &input[skipped..];
        match input {
            [] | [b'\r'] => return Ok(None),
            // No method begins so. Those who speak TLS here, or anything else that has no lines, are not left waiting for the end of one.
            [..=b' ' | 0x7f.., ..] => return Err(HttpError::RequestLine),
            _ => {}
        }
        if self.is_known(input, limits) {
            return Ok(Some(skipped + self.bytes.len()));
        }
        let window = &input[..input.len().min(limits.max_head)];
        if self.has_nothing_new(window, limits) {
            return Ok(None);
        }
        if let Ok(Some(length)) = self.parse_lines(window, limits)
            && self.ends_its_lines_with_crlf(&window[..length])
            && self.request_line_end(length) <= limits.max_request_line
        {
            (self.is_whole, self.bounds) = (true, Bounds::of(limits));
            (self.judged, self.has_line) = (0, false);
            return Ok(Some(skipped + length));
        }
        self.judge(window, limits)?;
        self.judged = window.len();
        Ok(None)
    }

    /// Whether `input` begins with the head that was parsed last. All of it is compared in any case.
    fn is_known(&self, input: &[u8], limits: &Limits) -> bool {
        self.is_whole
            && self.bounds == Bounds::of(limits)
            && input.get(..self.bytes.len()).is_some_and(|start| are_equal(start, &self.bytes))
    }

    /// Whether no line and no limit was reached since the last verdict. A client that sends byte by byte
    /// costs no more than one that does not.
    fn has_nothing_new(&self, window: &[u8], limits: &Limits) -> bool {
        self.judged > 0
            && window.len() < limits.max_head
            && (self.has_line || window.len() <= limits.max_request_line)
            && !window[self.judged..].contains(&b'\n')
    }

    /// The verdict on a head that is not acceptable yet: its complete lines one after the other, then its
    /// size.
    fn judge(&mut self, window: &[u8], limits: &Limits) -> Result<(), HttpError> {
        let line = window.iter().position(|&b| b == b'\n').unwrap_or(window.len());
        let ended = line < window.len();
        if line.saturating_sub(1) > limits.max_request_line
            || (ended && line > limits.max_request_line && window[line - 1] != b'\r')
        {
            return Err(HttpError::RequestLineTooLong);
        }
        self.has_line = ended;
        let bare = (0..window.len()).find(|&at| window[at] == b'\n' && (at == 0 || window[at - 1] != b'\r'));
        let sound = &window[..bare.unwrap_or(window.len())];
        let complete = sound.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let verdict = self.parse_lines(&sound[..complete], limits)?;
        debug_assert!(verdict.is_none(), "a complete and sound head was refused");
        match bare {
            Some(_) => Err(HttpError::LineEnd),
            None if window.len() >= limits.max_head => Err(HttpError::HeadTooLarge),
            None => Ok(()),
        }
    }

    fn parse_lines(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, HttpError> {
        match self.parse_within::<USUAL_FIELDS>(input, limits) {
            Err(HttpError::TooManyHeaders) if USUAL_FIELDS < limits.max_headers => {
                match self.parse_within::<INLINE_FIELDS>(input, limits) {
                    Err(HttpError::TooManyHeaders) if INLINE_FIELDS < limits.max_headers => {
                        // A line has a name, a colon and its end.
                        let most = limits.max_headers.min(input.len() / 4 + 1);
                        let mut slots: Vec<_> = (0..most).map(|_| MaybeUninit::uninit()).collect();
                        self.parse_into(input, &mut slots)
                    }
                    verdict => verdict,
                }
            }
            verdict => verdict,
        }
    }

    /// Parses a head of at most `N` header lines. Out of line, so that the frame of who needs few is small.
    #[inline(never)]
    fn parse_within<const N: usize>(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, HttpError> {
        let mut slots = [const { MaybeUninit::uninit() }; N];
        self.parse_into(input, &mut slots[..limits.max_headers.min(N)])
    }

    fn parse_into<'i>(
        &mut self,
        input: &'i [u8],
        slots: &mut [MaybeUninit<httparse::Header<'i>>],
    ) -> Result<Option<usize>, HttpError> {
        (self.is_whole, self.framing) = (false, None);
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(input, slots) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(None),
            Err(error) => return Err(classify(error, input)),
        };
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
        else {
            return Err(HttpError::RequestLine);
        };
        // The requests of a connection mostly have one method.
        if self.method.as_str() != method {
            self.method = Method::from_bytes(method.as_bytes()).map_err(|_| HttpError::RequestLine)?;
        }
        self.version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
        self.set_target(target)?;
        self.bytes.clear();
        self.bytes.extend_from_slice(&input[..length]);
        self.fields.clear();
        let offset = |part: &[u8]| part.as_ptr().addr() - input.as_ptr().addr();
        self.fields.extend(request.headers.iter().map(|header| {
            let name = offset(header.name.as_bytes());
            // An empty value has no place of its own; any place will do.
            let value = if header.value.is_empty() { name } else { offset(header.value) };
            Field { name, name_end: name + header.name.len(), value, value_end: value + header.value.len() }
        }));
        Ok(Some(length))
    }

    /// Takes the request target apart (RFC 9112, 3.2): `/path?query`, `http://host/path?query`, `*` or
    /// `host:port`.
    fn set_target(&mut self, target: &str) -> Result<(), HttpError> {
        if !target.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Err(HttpError::Target);
        }
        let start = if self.method == Method::CONNECT {
            if !is_authority(target.as_bytes(), true) {
                return Err(HttpError::Target);
            }
            target.len()
        } else if target.starts_with('/') || (target == "*" && self.method == Method::OPTIONS) {
            0
        } else {
            let (scheme, rest) = target.split_once("://").ok_or(HttpError::Target)?;
            let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
            let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
            if !is_scheme || authority.is_empty() || !is_authority(authority.as_bytes(), false) {
                return Err(HttpError::Target);
            }
            scheme.len() + "://".len() + authority.len()
        };
        let end = target.bytes().skip(start).position(|b| b == b'?').map_or(target.len(), |at| start + at);
        self.path = start..end;
        self.query = (end < target.len()).then_some(end + 1..target.len());
        self.target.clear();
        self.target.push_str(target);
        Ok(())
    }

    /// httparse takes a bare LF for a line end. Each line starts where the one before has ended, so it is
    /// enough to look at the two bytes before each.
    fn ends_its_lines_with_crlf(&self, head: &[u8]) -> bool {
        head.ends_with(b"\r\n\r\n") && self.fields.iter().all(|field| head[..field.name].ends_with(b"\r\n"))
    }

    fn request_line_end(&self, length: usize) -> usize {
        self.fields.first().map_or(length - 4, |field| field.name - 2)
    }
}

/// Shows the request line only: the header lines may carry secrets.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Takes as long as the bytes are many, wherever they differ. Eight at a time, and the last eight once more, for there may be no whole number of eights.
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    debug_assert_eq!(one.len(), other.len());
    let (Some(one_end), Some(other_end)) = (one.last_chunk(), other.last_chunk()) else {
        return one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
    };
    let differ = |one: &[u8; 8], other: &[u8; 8]| u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other);
    let words = one.as_chunks().0.iter().zip(other.as_chunks().0);
    words.fold(differ(one_end, other_end), |all, (one, other)| all | differ(one, other)) == 0
}

fn classify(error: httparse::Error, input: &[u8]) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::TooManyHeaders,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HttpError::Header,
        httparse::Error::Version if names_another_version(input) => HttpError::Version,
        // A misplaced line end can be in any line.
        httparse::Error::NewLine => HttpError::LineEnd,
        _ => HttpError::RequestLine,
    }
}

/// Whether the first line has three words, the last of which is a version of HTTP.
fn names_another_version(input: &[u8]) -> bool {
    let line = input.split(|&b| b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|&b| b == b' ').skip(2);
    let (Some(version), None) = (words.next(), words.next()) else { return false };
    match version.strip_prefix(b"HTTP/") {
        // As people write the later ones.
        Some([b'2' | b'3']) => true,
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(input: &[u8]) -> Result<Option<Head>, HttpError> {
        let mut head = Head::new();
        Ok(head.parse(input, &Limits::default())?.map(|_| head))
    }

    fn parsed(input: &str) -> Head {
        parse(input.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_head_is_taken_apart() {
        let head = parsed("GET /a%20b?x=1&y HTTP/1.1\r\nHost: h\r\nEmpty:\r\nX: \t a b \t\r\n\r\nrest");
        assert_eq!((head.method(), head.version()), (&Method::GET, Version::HTTP_11));
        assert_eq!((head.target(), head.path(), head.query()), ("/a%20b?x=1&y", "/a%20b", Some("x=1&y")));
        let fields: Vec<_> = head.fields().collect();
        assert_eq!(fields, [(&b"Host"[..], &b"h"[..]), (b"Empty", b""), (b"X", b"a b")]);
    }

    proptest! {
        #[test]
        fn bytes_are_equal_if_none_differs(one in prop::collection::vec(any::<u8>(), 0..40), place in any::<usize>(), bit in 0..8) {
            let mut other = one.clone();
            prop_assert!(are_equal(&one, &other));
            if let Some(place) = place.checked_rem(one.len()) {
                other[place] ^= 1_u8 << bit;
                prop_assert!(!are_equal(&one, &other));
            }
        }
    }

    #[test]
    fn the_four_forms_of_a_target() {
        let path = |line: &str| {
            let head = parsed(&format!("{line} HTTP/1.1\r\n\r\n"));
            (head.path().to_owned(), head.query().map(str::to_owned))
        };
        assert_eq!(path("GET /?"), ("/".into(), Some("".into())));
        assert_eq!(path("GET http://h/p?q"), ("/p".into(), Some("q".into())));
        assert_eq!(path("GET http://h?q"), ("/".into(), Some("q".into())));
        assert_eq!(path("GET http://h"), ("/".into(), None));
        assert_eq!(path("OPTIONS *"), ("*".into(), None));
        assert_eq!(path("CONNECT h:80"), ("/".into(), None));
        for bad in ["GET *", "GET h", "GET http://", "GET ://h/", "GET /a#b", "GET h:80/x", "GET /\u{e9}"] {
            let verdict = parse(format!("{bad} HTTP/1.1\r\n\r\n").as_bytes());
            assert_eq!(verdict.unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn any_token_is_a_method() {
        assert_eq!(parsed("M-SEARCH / HTTP/1.1\r\n\r\n").method().as_str(), "M-SEARCH");
        assert_eq!(parsed("get / HTTP/1.1\r\n\r\n").method().as_str(), "get");
    }

    #[test]
    fn a_head_is_judged_alike_however_much_of_it_is_there() {
        let cases: [(&[u8], Option<HttpError>); 12] = [
            (b"GET / HTTP/1.1\r\nA: b\r\n\r\n", None),
            (b"GET / HTTP/1.1\r\nA: b\n\r\n", Some(HttpError::LineEnd)),
            (b"GET / HTTP/1.1\nA: b\r\n\r\n", Some(HttpError::LineEnd)),
            (b"GET / HTTP/1.1\r\nA: b\r\n\n", Some(HttpError::LineEnd)),
            (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", Some(HttpError::Header)),
            (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Some(HttpError::Header)),
            (b"GET / HTTP/1.1\r\n: b\r\n\r\n", Some(HttpError::Header)),
            (b"GET / HTTP/1.1\r\nA: \0\r\n\r\n", Some(HttpError::Header)),
            (b"GET / HTTP/2.0\r\nA: b\r\n\r\n", Some(HttpError::Version)),
            (b"GET / HTTP %\r\n\r\n", Some(HttpError::RequestLine)),
            (b"GET /\r\n\r\n", Some(HttpError::RequestLine)),
            (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", Some(HttpError::RequestLine)),
        ];
        for (input, expected) in cases {
            let shown = String::from_utf8_lossy(input);
            assert_eq!(parse(input).err(), expected, "{shown:?} at once");
            let verdict = (0..=input.len()).find_map(|end| parse(&input[..end]).err());
            assert_eq!(verdict, expected, "{shown:?} byte by byte");
        }
    }

    #[test]
    fn a_head_that_comes_again_says_the_same_and_one_that_differs_does_not() {
        let heads = [
            "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
            "\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: i\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: i\r\nConnection: close\r\n\r\n",
            "POST /b?c HTTP/1.0\r\nContent-Length: 7\r\n\r\n",
            "POST /b?c HTTP/1.0\r\nContent-Length: 7\r\n\r\n",
        ];
        let mut head = Head::new();
        for text in heads {
            let mut fresh = Head::new();
            for head in [&mut head, &mut fresh] {
                assert_eq!(head.parse(text.as_bytes(), &Limits::default()), Ok(Some(text.len())), "{text}");
            }
            assert_eq!(head.framing(), fresh.framing());
            assert_eq!((head.method(), head.target()), (fresh.method(), fresh.target()));
            assert_eq!(
                (head.path(), head.query(), head.version()),
                (fresh.path(), fresh.query(), fresh.version())
            );
            assert!(head.fields().eq(fresh.fields()));
        }
    }

    #[test]
    fn nothing_is_known_of_a_head_behind_one_that_was_refused() {
        let limits = Limits::default();
        let mut head = Head::new();
        let good = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(head.parse(good, &limits), Ok(Some(good.len())));
        for bad in [&b"BAD  / HTTP/1.1\r\nHost: h\r\n\r\n"[..], b"PUT #x HTTP/1.1\r\nHost: h\r\n\r\n"] {
            assert!(head.parse(bad, &limits).is_err());
            assert_eq!(head.parse(good, &limits), Ok(Some(good.len())));
            assert_eq!((head.method(), head.target()), (&Method::GET, "/"));
        }
        // Half of one is not taken for the whole.
        assert_eq!(head.parse(&good[..good.len() - 1], &limits), Ok(None));
        assert_eq!(head.parse(good, &limits), Ok(Some(good.len())));
        // Nor does the next connection, which may have other limits, take more than these allow.
        head.reset();
        assert_eq!(head.parse(good, &limits), Ok(Some(good.len())));
        head.reset();
        assert_eq!(head.parse(good, &limits.max_request_line(5)), Err(HttpError::RequestLineTooLong));
    }

    #[test]
    fn what_cannot_begin_a_method_is_not_a_line_to_be_waited_for() {
        for input in [&b"\x16\x03\x01\x02"[..], b" ", b"\0", b"\x80", b"\x7f", b"\r\n\x16"] {
            assert_eq!(parse(input).unwrap_err(), HttpError::RequestLine);
        }
    }

    #[test]
    fn one_empty_line_before_a_request_is_ignored() {
        let input = b"\r\nGET / HTTP/1.1\r\n\r\n";
        assert_eq!(Head::new().parse(input, &Limits::default()), Ok(Some(input.len())));
    }

    #[test]
    fn sizes_are_limited_exactly() {
        let limits = Limits::default().max_request_line(16).max_headers(2).max_head(44);
        let verdict = |input: &str| Head::new().parse(input.as_bytes(), &limits);
        assert_eq!(verdict("GET /12 HTTP/1.1\r\n\r\n"), Ok(Some(20)));
        assert_eq!(verdict("GET /123 HTTP/1.1\r\n\r\n"), Err(HttpError::RequestLineTooLong));
        assert_eq!(verdict("GET /12 HTTP/1.1\r"), Ok(None));
        assert_eq!(verdict("GET /1234567890123"), Err(HttpError::RequestLineTooLong));
        assert_eq!(verdict("GET / HTTP/1.1\r\nA: a\r\nB: b\r\nC: c\r\n"), Err(HttpError::TooManyHeaders));
        assert_eq!(verdict("GET / HTTP/1.1\r\nA: 123456789012345678901\r\n\r\n").unwrap(), Some(44));
        assert_eq!(
            verdict("GET / HTTP/1.1\r\nA: 1234567890123456789012\r\n\r\n"),
            Err(HttpError::HeadTooLarge)
        );
    }

    #[test]
    fn the_hundredth_header_is_accepted_and_the_next_is_not() {
        let with = |n: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(n));
        assert_eq!(parsed(&with(100)).fields().count(), 100);
        assert_eq!(parse(with(101).as_bytes()).unwrap_err(), HttpError::TooManyHeaders);
    }
}
