//! Conditional requests (RFC 9110, 13): whether the client's copy is good enough, and whether the thing is still the one it means.
//!
//! ```text
//!   If-Match, or else If-Unmodified-Since      false ──▶ 412
//!   If-None-Match                              false ──▶ 304 to GET and HEAD, 412 to others
//!   or else, GET and HEAD, If-Modified-Since   false ──▶ 304
//!   GET with Range: If-Range                   false ──▶ the whole
//! ```
//!
//! A tag is made of the time of the last change and the size. Two changes within one tick of the file system's clock would have the same
//! time, so the tag of what was changed just now is weak, and no part is sent for it.

use super::request::Request;
use ::http::Method;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A change that is younger may be followed by another with the same time.
const SETTLED: Duration = Duration::from_secs(2);

/// What tells two states of a thing apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validators {
    /// With its quotes, without `W/`.
    tag: String,
    is_weak: bool,
    /// In whole seconds, as dates in headers are.
    modified: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send it, a part of it if a part is asked for.
    Send,
    SendWhole,
    NotModified,
    Failed,
}

impl Validators {
    pub(crate) fn of(modified: SystemTime, size: u64, now: SystemTime) -> Validators {
        let since = modified.duration_since(UNIX_EPOCH).ok();
        let age = now.duration_since(modified).ok();
        // A change in the future is one of now (RFC 9110, 8.8.2.1); one before 1970 has no date.
        let seconds = modified.min(now).duration_since(UNIX_EPOCH).map(|since| since.as_secs());
        Validators {
            tag: format!("\"{size:x}-{:x}\"", since.unwrap_or_default().as_nanos()),
            is_weak: since.is_none() || age.is_none_or(|age| age < SETTLED),
            modified: seconds.ok().filter(|_| since.is_some()).map(|s| UNIX_EPOCH + Duration::from_secs(s)),
        }
    }

    /// The value of `ETag`.
    pub(crate) fn etag(&self) -> String {
        format!("{}{}", if self.is_weak { "W/" } else { "" }, self.tag)
    }

    /// The value of `Last-Modified`.
    pub(crate) fn last_modified(&self) -> Option<String> {
        self.modified.map(httpdate::fmt_http_date)
    }

    pub(crate) fn judge(&self, request: &Request<'_>) -> Verdict {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let has = |name| request.header_all(name).next().is_some();
        if has("if-match") {
            if !self.is_matched(request, "if-match", true) {
                return Verdict::Failed;
            }
        } else if let (Some(date), Some(modified)) = (date(request, "if-unmodified-since"), self.modified)
            && modified > date
        {
            return Verdict::Failed;
        }
        if has("if-none-match") {
            if self.is_matched(request, "if-none-match", false) {
                return if is_read { Verdict::NotModified } else { Verdict::Failed };
            }
        } else if is_read
            && let (Some(date), Some(modified)) = (date(request, "if-modified-since"), self.modified)
            && modified <= date
        {
            return Verdict::NotModified;
        }
        if has("if-range") && !self.is_same(request) { Verdict::SendWhole } else { Verdict::Send }
    }

    fn is_matched(&self, request: &Request<'_>, name: &str, strongly: bool) -> bool {
        request.header_all(name).any(|value| self.is_listed(value, strongly))
    }

    /// Whether a list of tags has this one. What is malformed matches nothing.
    fn is_listed(&self, mut list: &[u8], strongly: bool) -> bool {
        if list == b"*" {
            return true;
        }
        loop {
            let start = list.iter().position(|b| !matches!(b, b' ' | b'\t' | b',')).unwrap_or(list.len());
            let rest = &list[start..];
            let (is_weak, quoted) = match rest.strip_prefix(b"W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            let end = quoted.iter().skip(1).position(|&b| b == b'"').map(|at| at + 2);
            let (Some(b'"'), Some(end)) = (quoted.first(), end) else { return false };
            let (tag, rest) = quoted.split_at(end);
            if tag == self.tag.as_bytes() && !(strongly && (is_weak || self.is_weak)) {
                return true;
            }
            list = rest;
        }
    }

    /// Whether `If-Range` names this very state: only strong validators say so.
    fn is_same(&self, request: &Request<'_>) -> bool {
        let mut values = request.header_all("if-range");
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        match value {
            [b'"', ..] => value == self.tag.as_bytes() && !self.is_weak,
            _ => {
                let date =
                    std::str::from_utf8(value).ok().and_then(|text| httpdate::parse_http_date(text).ok());
                date.is_some() && date == self.modified && !self.is_weak
            }
        }
    }
}

/// The date in a header that is there once; what is no date is ignored.
fn date(request: &Request<'_>, name: &str) -> Option<SystemTime> {
    let mut values = request.header_all(name);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{StatusCode, exchange};
    use proptest::prelude::*;
    use std::cell::Cell;

    /// The verdict for a thing of 16 bytes that was changed at the second 784111777.
    fn judge_at(age: Duration, line: &str, fields: &str) -> Verdict {
        let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let validators = Validators::of(modified, 16, modified + age);
        let verdict = Cell::new(None);
        let app = |request: &mut Request<'_>| {
            verdict.set(Some(validators.judge(request)));
            StatusCode::OK
        };
        exchange(&app, format!("{line} / HTTP/1.1\r\n{fields}\r\n"));
        verdict.get().expect("a request")
    }

    const TAG: &str = "\"10-ae1b981bc490a00\"";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";

    #[test]
    fn the_validators_are_made_of_time_and_size() {
        let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let validators = Validators::of(modified, 16, modified + SETTLED);
        assert_eq!((validators.etag().as_str(), validators.last_modified().as_deref()), (TAG, Some(SAME)));
        let fresh = Validators::of(modified, 16, modified);
        assert_eq!(fresh.etag(), format!("W/{TAG}"));
        let future = Validators::of(modified + Duration::from_secs(9), 16, modified);
        assert!(future.is_weak);
        assert_eq!(future.last_modified().as_deref(), Some(SAME));
        let ancient = Validators::of(UNIX_EPOCH - Duration::from_secs(1), 16, modified);
        assert!(ancient.is_weak);
        assert_eq!(ancient.last_modified(), None);
    }

    #[test]
    fn conditions_are_judged_in_the_order_of_the_rfc() {
        use Verdict::*;
        let cases = [
            (String::new(), Send),
            (format!("If-Match: {TAG}\r\n"), Send),
            ("If-Match: *\r\n".into(), Send),
            (format!("If-Match: \"x\", {TAG}\r\n"), Send),
            (format!("If-Match: \"x\"\r\nIf-Match: {TAG}\r\n"), Send),
            (format!("If-Match: W/{TAG}\r\n"), Failed),
            ("If-Match: \"x\"\r\n".into(), Failed),
            ("If-Match: \"\r\n".into(), Failed),
            (format!("If-Match: \"x\"\r\nIf-None-Match: {TAG}\r\n"), Failed),
            (format!("If-Unmodified-Since: {SAME}\r\n"), Send),
            (format!("If-Unmodified-Since: {BEFORE}\r\n"), Failed),
            (format!("If-Unmodified-Since: {BEFORE}\r\nIf-Match: {TAG}\r\n"), Send),
            ("If-Unmodified-Since: yesterday\r\n".into(), Send),
            (format!("If-None-Match: {TAG}\r\n"), NotModified),
            (format!("If-None-Match: W/{TAG}\r\n"), NotModified),
            (format!("If-None-Match: \"a,b\" ,, {TAG}\r\n"), NotModified),
            ("If-None-Match: *\r\n".into(), NotModified),
            (format!("If-None-Match: x {TAG}\r\n"), Send),
            ("If-None-Match: \"x\"\r\n".into(), Send),
            (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {AFTER}\r\n"), Send),
            (format!("If-Modified-Since: {SAME}\r\n"), NotModified),
            (format!("If-Modified-Since: {AFTER}\r\n"), NotModified),
            (format!("If-Modified-Since: {BEFORE}\r\n"), Send),
            (format!("If-Modified-Since: {AFTER}\r\nIf-Modified-Since: {AFTER}\r\n"), Send),
            (format!("If-Range: {TAG}\r\n"), Send),
            (format!("If-Range: {SAME}\r\n"), Send),
            (format!("If-Range: {AFTER}\r\n"), SendWhole),
            (format!("If-Range: W/{TAG}\r\n"), SendWhole),
            ("If-Range: \"x\"\r\n".into(), SendWhole),
            ("If-Range: x\r\n".into(), SendWhole),
        ];
        for (fields, expected) in cases {
            assert_eq!(judge_at(SETTLED, "GET", &fields), expected, "{fields}");
        }
        assert_eq!(judge_at(SETTLED, "PUT", &format!("If-None-Match: {TAG}\r\n")), Failed);
        assert_eq!(judge_at(SETTLED, "PUT", &format!("If-Modified-Since: {AFTER}\r\n")), Send);
    }

    #[test]
    fn what_was_changed_just_now_has_only_a_weak_tag() {
        let now = Duration::ZERO;
        assert_eq!(judge_at(now, "GET", &format!("If-None-Match: {TAG}\r\n")), Verdict::NotModified);
        assert_eq!(judge_at(now, "GET", &format!("If-Match: {TAG}\r\n")), Verdict::Failed);
        assert_eq!(judge_at(now, "GET", &format!("If-Range: {TAG}\r\n")), Verdict::SendWhole);
        assert_eq!(judge_at(now, "GET", &format!("If-Range: {SAME}\r\n")), Verdict::SendWhole);
    }

    proptest! {
        #[test]
        fn whatever_a_client_asks_gets_a_verdict(
            names in prop::collection::vec(0_usize..5, 0..4),
            values in prop::collection::vec("[W/\"*, a-z0-9:-]{0,20}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT", 4),
        ) {
            const NAMES: [&str; 5] = ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"];
            let fields = names.iter().zip(&values).map(|(&name, value)| format!("{}: {value}\r\n", NAMES[name]));
            let verdict = judge_at(SETTLED, "GET", &fields.collect::<String>());
            prop_assert!(verdict != Verdict::Send || !names.contains(&0) || values.iter().any(|v| v.contains('*')));
        }
    }
}
