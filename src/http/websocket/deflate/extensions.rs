//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455, 9.1).

use crate::http::chunked::is_token_byte;

/// One that is offered or chosen, with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extension<'a> {
    pub(super) name: &'a [u8],
    pub(super) params: Vec<Param<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Param<'a> {
    pub(super) name: &'a [u8],
    /// Without the quotes.
    pub(super) value: Option<Vec<u8>>,
}

/// What all headers of this name list, in that order. None if anything is malformed.
pub(super) fn parse<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Extension<'a>>> {
    let mut found = Vec::new();
    for header in headers {
        let mut rest = Rest(header);
        loop {
            // A list may have empty members (RFC 9110, 5.6.1).
            while rest.skip(b',') {}
            if rest.0.is_empty() {
                break;
            }
            found.push(rest.extension()?);
            if !rest.0.is_empty() && !rest.skip(b',') {
                return None;
            }
        }
    }
    Some(found)
}

/// What is still to be read of a header.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Is `mark` next? It and the blanks around it are skipped.
    fn skip(&mut self, mark: u8) -> bool {
        self.0 = self.0.trim_ascii_start();
        let Some(rest) = self.0.strip_prefix(&[mark]) else { return false };
        self.0 = rest.trim_ascii_start();
        true
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        let length = self.0.iter().take_while(|byte| is_token_byte(**byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    fn extension(&mut self) -> Option<Extension<'a>> {
        let mut extension = Extension { name: self.token()?, params: Vec::new() };
        while self.skip(b';') {
            let name = self.token()?;
            let value = if self.skip(b'=') { Some(self.value()?) } else { None };
            extension.params.push(Param { name, value });
        }
        Some(extension)
    }

    /// A token, also where it is quoted.
    fn value(&mut self) -> Option<Vec<u8>> {
        let Some(rest) = self.0.strip_prefix(b"\"") else { return self.token().map(<[u8]>::to_vec) };
        let (mut value, mut bytes) = (Vec::new(), rest.iter());
        loop {
            match *bytes.next()? {
                b'"' => break,
                b'\\' => value.push(*bytes.next()?),
                byte => value.push(byte),
            }
        }
        self.0 = bytes.as_slice();
        (!value.is_empty() && value.iter().all(|byte| is_token_byte(*byte))).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written again, in the one way.
    fn read(headers: &[&str]) -> Option<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let param = |param: &Param<'_>| match &param.value {
            Some(value) => format!(";{}={}", text(param.name), text(value)),
            None => format!(";{}", text(param.name)),
        };
        let all = parse(headers.iter().map(|header| header.as_bytes()))?;
        let all = all.iter().map(|one| text(one.name) + &one.params.iter().map(param).collect::<String>());
        Some(all.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn what_is_well_formed_is_read_in_order() {
        let cases: [(&[&str], &str); 9] = [
            (&[], ""),
            (&[""], ""),
            (&["a"], "a"),
            (&["a, b;c ; d=e", "f"], "a,b;c;d=e,f"),
            (&[" , a ,, b , "], "a,b"),
            (&["a;b=\"c\""], "a;b=c"),
            (&["a;b=\"c\\d\", e"], "a;b=cd,e"),
            (&["a ; b = c"], "a;b=c"),
            (&["a;a;a=1"], "a;a;a=1"),
        ];
        for (headers, expected) in cases {
            assert_eq!(read(headers).as_deref(), Some(expected), "{headers:?}");
        }
    }

    #[test]
    fn what_is_malformed_is_nothing() {
        let cases = [
            "a b",
            "a;",
            "a;;b",
            "a;b=",
            "a;b=,c",
            ";a",
            "=a",
            "a=b",
            "a;b=\"\"",
            "a;b=\"c",
            "a;b=\"c\\",
            "a;b=\"c d\"",
            "a;b=\"c,d\"",
            "a;b=c=d",
            "a;b=\"c\"d",
            "a\u{7f}",
            "ä",
            "a;\"b\"",
        ];
        for header in cases {
            assert_eq!(read(&[header]), None, "{header}");
            assert_eq!(read(&["sound", header]), None, "{header}");
        }
    }
}
