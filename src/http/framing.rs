//! What a head means for the bytes after it: how long the body is, and whether the connection outlives the
//! exchange.
//!
//! Request smuggling lives in the space between two readings of one head, so whatever can be read in two ways
//! is refused (RFC 9112, 6):
//!
//! | head                                              | reading                     |
//! |---------------------------------------------------|-----------------------------|
//! | neither `Content-Length` nor `Transfer-Encoding`  | no body                     |
//! | one `Content-Length`, decimal digits only         | that many bytes             |
//! | one `Content-Length`, anything else, or too large | 400                         |
//! | two `Content-Length`, even if equal               | 400                         |
//! | `Transfer-Encoding: chunked` in any case          | chunks                      |
//! | `Transfer-Encoding` and `Content-Length`          | 400                         |
//! | `Transfer-Encoding` in HTTP/1.0                   | 400                         |
//! | `chunked` twice, or not last                      | 400                         |
//! | an unknown coding                                 | 501                         |
//! | two `Host`, or one that is not a host             | 400 (none at all is allowed) |
//! | a body with `HEAD`                                | 400                         |
//! | `Expect` other than `100-continue` in HTTP/1.1    | 417                         |

use super::error::HttpError;
use super::head::Head;
use ::http::{Method, Version};

/// How the body of a request is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyLength {
    Known(u64),
    Chunked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) body: BodyLength,
    pub(crate) keep_alive: bool,
    /// The client waits for a `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
}

/// What the header lines say, before they are held against each other.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    host: bool,
    encoded: bool,
    chunked: bool,
    unknown_coding: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    unknown_expectation: bool,
}

impl Framing {
    pub(crate) fn of(head: &Head) -> Result<Framing, HttpError> {
        let mut fields = Fields::default();
        for (name, value) in head.fields() {
            fields.add(name, value)?;
        }
        let http_11 = head.version() == Version::HTTP_11;
        if fields.encoded && (fields.length.is_some()) {
            return Err(HttpError::LengthAndChunked);
        }
        if fields.encoded && !http_11 {
            return Err(HttpError::TransferEncoding);
        }
        if fields.unknown_coding {
            return Err(HttpError::UnknownCoding);
        }
        if http_11 && fields.unknown_expectation {
            return Err(HttpError::Expectation);
        }
        if *head.method() == Method::HEAD
            && (fields.chunked || fields.length.is_some_and(|length| length > 0))
        {
            return Err(HttpError::HeadWithBody);
        }
        Ok(Framing {
            body: if fields.chunked {
                BodyLength::Chunked
            } else {
                BodyLength::Known(fields.length.unwrap_or(0))
            },
            // What follows an accepted CONNECT is a tunnel.
            keep_alive: !fields.close && (http_11 || fields.keep_alive) && *head.method() != Method::CONNECT,
            expects_continue: http_11 && fields.expects_continue,
        })
    }
}

impl Fields {
    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), HttpError> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        // Few names have the length of one that matters.
        match name.len() {
            4 if is(b"host") => self.add_host(value),
            6 if is(b"expect") => {
                match value.eq_ignore_ascii_case(b"100-continue") {
                    true => self.expects_continue = true,
                    false => self.unknown_expectation = true,
                }
                Ok(())
            }
            10 if is(b"connection") => {
                self.close |= has_token(value, b"close");
                self.keep_alive |= has_token(value, b"keep-alive");
                Ok(())
            }
            14 if is(b"content-length") => match self.length.replace(decimal(value)?) {
                None => Ok(()),
                Some(_) => Err(HttpError::ContentLength),
            },
            17 if is(b"transfer-encoding") => self.add_codings(value),
            _ => Ok(()),
        }
    }

    fn add_host(&mut self, value: &[u8]) -> Result<(), HttpError> {
        let sound = value.is_empty() || is_authority(value, false);
        if std::mem::replace(&mut self.host, true) || !sound { Err(HttpError::Host) } else { Ok(()) }
    }

    fn add_codings(&mut self, value: &[u8]) -> Result<(), HttpError> {
        self.encoded = true;
        for coding in list(value) {
            if coding.is_empty() || self.chunked {
                return Err(HttpError::TransferEncoding);
            }
            match coding.eq_ignore_ascii_case(b"chunked") {
                true => self.chunked = true,
                false => self.unknown_coding = true,
            }
        }
        Ok(())
    }
}

/// Whether this is a host with or without a port: `name`, `name:port`, `[address]:port`, where a port may be empty unless it
/// is wanted. No user, which a reader in a hurry takes for the host (RFC 9110, 4.2.4).
pub(crate) fn is_authority(value: &[u8], wants_port: bool) -> bool {
    let name = value.iter().position(|&b| !IN_HOST[usize::from(b)]).unwrap_or(value.len());
    let (host, rest) = match value[name..].strip_prefix(b"[") {
        Some(inner) if name == 0 => {
            let address = inner.iter().take_while(|&&b| IN_HOST[usize::from(b)] || b == b':').count();
            let Some(rest) = inner[address..].strip_prefix(b"]") else { return false };
            (address, rest)
        }
        _ => (name, &value[name..]),
    };
    match rest {
        [] => host > 0 && !wants_port,
        [b':'] => host > 0 && !wants_port,
        [b':', port @ ..] => host > 0 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The bytes of which a host may be made: all visible ones but those that would begin another part of a URL or that a URL has
/// only in encoded form.
static IN_HOST: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = b'!';
    while b <= b'~' {
        table[b as usize] = !matches!(
            b,
            b'/' | b'\\'
                | b'?'
                | b'#'
                | b'@'
                | b','
                | b'<'
                | b'>'
                | b'"'
                | b'{'
                | b'}'
                | b'|'
                | b'^'
                | b'`'
                | b':'
                | b'['
                | b']'
        );
        b += 1;
    }
    table
};

/// The members of a comma-separated list without the blanks around them.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(|member| {
        let start = member.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(member.len());
        let end = member.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(start, |at| at + 1);
        &member[start..end]
    })
}

/// Whether a comma-separated list has a member, in any case.
pub(crate) fn has_token(value: &[u8], token: &[u8]) -> bool {
    list(value).any(|member| member.eq_ignore_ascii_case(token))
}

/// A number of decimal digits and nothing else.
pub(crate) fn decimal(value: &[u8]) -> Result<u64, HttpError> {
    if value.is_empty() {
        return Err(HttpError::ContentLength);
    }
    value.iter().try_fold(0u64, |number, &digit| {
        let digit = digit.is_ascii_digit().then_some(u64::from(digit.wrapping_sub(b'0')));
        digit.and_then(|digit| number.checked_mul(10)?.checked_add(digit)).ok_or(HttpError::ContentLength)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::limits::Limits;

    fn framing(version: &str, fields: &str) -> Result<Framing, HttpError> {
        let mut head = Head::new();
        let text = format!("POST / HTTP/{version}\r\n{fields}\r\n");
        head.parse(text.as_bytes(), &Limits::default()).unwrap().unwrap();
        Framing::of(&head)
    }

    fn body(fields: &str) -> Result<BodyLength, HttpError> {
        framing("1.1", fields).map(|framing| framing.body)
    }

    #[test]
    fn the_body_is_as_long_as_the_head_says() {
        assert_eq!(body(""), Ok(BodyLength::Known(0)));
        assert_eq!(body("Content-Length: 007\r\n"), Ok(BodyLength::Known(7)));
        assert_eq!(body("Content-Length: 25000000000\r\n"), Ok(BodyLength::Known(25_000_000_000)));
        // WS34
        assert_eq!(body("transfer-encoding: Chunked\r\n"), Ok(BodyLength::Chunked));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        use HttpError::*;
        let cases = [
            ("Content-Length: -100\r\n", ContentLength), // WS57
            ("Content-Length: abc\r\n", ContentLength),  // WS57
            ("Content-Length: +1\r\n", ContentLength),
            ("Content-Length: 1 2\r\n", ContentLength),
            ("Content-Length: 1,1\r\n", ContentLength),
            ("Content-Length: 0x10\r\n", ContentLength),
            ("Content-Length:\r\n", ContentLength),
            ("Content-Length: 18446744073709551616\r\n", ContentLength),
            ("Content-Length: 1\r\nContent-Length: 1\r\n", ContentLength), // WS84
            ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", LengthAndChunked),
            ("Transfer-Encoding: gzip\r\nContent-Length: 1\r\n", LengthAndChunked),
            ("Transfer-Encoding:\r\n", TransferEncoding),
            ("Transfer-Encoding: chunked, gzip\r\n", TransferEncoding),
            ("Transfer-Encoding: chunked, chunked\r\n", TransferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
            ("Transfer-Encoding: chunked,\r\n", TransferEncoding),
            ("Transfer-Encoding: gzip, chunked\r\n", UnknownCoding), // WS85
            ("Transfer-Encoding: xchunked\r\n", UnknownCoding),
            ("Transfer-Encoding: \"chunked\"\r\n", UnknownCoding),
            ("Transfer-Encoding: identity\r\n", UnknownCoding),
            ("Host: a\r\nHost: a\r\n", Host),
            ("Host: a b\r\n", Host),
            ("Host: a/b\r\n", Host),
            ("Host: user@a\r\n", Host),
            ("Expect: 200-maybe\r\n", Expectation),
        ];
        for (fields, expected) in cases {
            assert_eq!(body(fields), Err(expected), "{fields:?}");
        }
        assert_eq!(framing("1.0", "Transfer-Encoding: chunked\r\n"), Err(TransferEncoding));
    }

    #[test]
    fn each_version_has_its_own_rule_of_persistence() {
        let keeps = |version, fields| framing(version, fields).unwrap().keep_alive;
        assert!(keeps("1.1", ""));
        assert!(keeps("1.1", "Connection: Keep-Alive\r\n"));
        assert!(!keeps("1.1", "Connection: close\r\n"));
        assert!(!keeps("1.1", "Connection: x, CLOSE ,keep-alive\r\n"));
        assert!(!keeps("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
        assert!(keeps("1.1", "Connection: closed\r\n"));
        assert!(!keeps("1.0", ""));
        assert!(keeps("1.0", "Connection: x,\tKeep-Alive\r\n"));
        assert!(!keeps("1.0", "Connection: keep-alive, close\r\n"));
    }

    #[test]
    fn an_old_client_expects_nothing() {
        let expects = |version| framing(version, "Expect: 100-Continue\r\n").unwrap().expects_continue;
        assert!(expects("1.1"));
        assert!(!expects("1.0"));
        assert!(framing("1.0", "Expect: x\r\n").is_ok());
    }
}
