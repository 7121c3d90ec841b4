//! Percent-encoding in paths, taken strictly: `%` and two hex digits, or nothing.

/// The bytes that stand for themselves or are encoded. `None` if a `%` is not followed by two hex digits.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            byte => byte,
        });
    }
    Some(decoded)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_encoded_is_decoded_and_the_rest_stays() {
        // WS63
        assert_eq!(decode("/%D1%8F/a+b%20c%2f").unwrap(), "/я/a+b c/".as_bytes());
        assert_eq!(decode("").unwrap(), b"");
        for malformed in ["%", "%4", "a%", "%g0", "%0g", "%%41", "%+1", "% 1", "%é"] {
            assert_eq!(decode(malformed), None, "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_any_encoding(bytes: Vec<u8>, plain: Vec<bool>) {
            let is_plain = |at: usize| plain.get(at).copied().unwrap_or(false);
            let encode = |(at, &byte): (usize, &u8)| match byte {
                b'%' | 0x80.. => format!("%{byte:02x}"),
                byte if is_plain(at) => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            };
            let encoded: String = bytes.iter().enumerate().map(encode).collect();
            prop_assert_eq!(decode(&encoded), Some(bytes));
        }

        #[test]
        fn any_text_is_decoded_or_refused(text in "[%0-9a-g/é]{0,20}") {
            if let Some(decoded) = decode(&text) {
                prop_assert_eq!(decoded.len() + 2 * text.matches('%').count(), text.len());
            }
        }
    }
}
