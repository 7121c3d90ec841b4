//! The header lines behind a chunked body.

use ::http::{HeaderMap, HeaderName, HeaderValue};

/// Trailers that were read and found well-formed, apart from those that may not be trailers (RFC 9110, 6.5.1).
pub(super) fn trailers_of(lines: &[u8]) -> HeaderMap {
    const REFUSED: [&str; 12] = [
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
    ];
    let mut trailers = HeaderMap::new();
    for line in lines.split(|&b| b == b'\n') {
        let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            && !REFUSED.contains(&name.as_str())
        {
            // A map does not take any number of names.
            let _ = trailers.try_append(name, value);
        }
    }
    trailers
}
