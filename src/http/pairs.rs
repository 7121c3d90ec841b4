//! Names with values, as queries and forms have them.

use super::error::HttpError;
use super::request::Request;
use std::io::{self, Read};

/// The decoded pairs of a query or a form, in their order; names may repeat.
///
/// `+` is a blank, `%` and two hex digits are a byte, and what is not UTF-8 then becomes U+FFFD, as browsers have it; nothing is refused.
///
/// ```
/// use greenloop::http::{self, Request};
///
/// let app = |request: &mut Request<'_>| {
///     let query = request.query_pairs();
///     format!("{:?} {:?}", query.get("name"), query.get_all("tag").collect::<Vec<_>>())
/// };
/// let answer = http::exchange(&app, b"GET /?tag=a&name=J%C3%B6rg+B&tag=b HTTP/1.1\r\n\r\n");
/// assert!(String::from_utf8_lossy(&answer).ends_with(r#"Some("Jörg B") ["a", "b"]"#));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn parse(text: &[u8]) -> Pairs {
        Pairs(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of this name.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| request.query_pairs().get("kind").unwrap_or("black").to_string());
    /// assert_eq!(client.get("/tea?kind=earl+grey").send().text(), "earl grey");
    /// assert_eq!(client.get("/tea").send().text(), "black");
    /// ```
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All values of this name.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| request.query_pairs().get_all("tag").collect::<Vec<_>>().join(", "));
    /// assert_eq!(client.get("/?tag=a&page=2&tag=b").send().text(), "a, b");
    /// ```
    pub fn get_all<'p, 'n>(&'p self, name: &'n str) -> impl Iterator<Item = &'p str> + use<'p, 'n> {
        self.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All pairs.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| {
    ///     let pairs = request.query_pairs();
    ///     pairs.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>()
    /// });
    /// assert_eq!(client.get("/?b=1&a=%26").send().text(), "b: 1\na: &\n");
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl IntoIterator for Pairs {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Request<'_> {
    /// The pairs of the query; none if there is no query. They are decoded anew at each call. How many there can be is bounded by
    /// [`Limits::max_request_line`](super::Limits::max_request_line).
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| request.query_pairs().into_iter().count().to_string());
    /// assert_eq!(client.get("/?a=1&b=2").send().text(), "2");
    /// assert_eq!(client.get("/").send().text(), "0");
    /// ```
    pub fn query_pairs(&self) -> Pairs {
        Pairs::parse(self.query().unwrap_or_default().as_bytes())
    }

    /// The pairs of a form (`application/x-www-form-urlencoded`), which are the whole body. A second call gets what is left of the body: nothing.
    ///
    /// **Switches**: as a read of the [body](super::RequestBody).
    ///
    /// # Errors
    /// Those of reading the body, which is bounded by [`Limits::max_body`](super::Limits::max_body);
    /// [`InvalidData`](io::ErrorKind::InvalidData) if the request says that its body is something else, and a handler that fails with that
    /// is answered with 415; or if there are more pairs than [`Limits::max_form_pairs`](super::Limits::max_form_pairs), which makes it a 413.
    ///
    /// ```
    /// use greenloop::http::{self, Request};
    ///
    /// let app = |request: &mut Request<'_>| Ok(request.form()?.get("who").unwrap_or("nobody").to_string());
    /// let post = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nwho=Alice";
    /// assert!(http::exchange(&app, post).ends_with(b"\r\n\r\nAlice"));
    /// ```
    pub fn form(&mut self) -> io::Result<Pairs> {
        let content_type = self.header("content-type").unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return self.body().refuse(HttpError::MediaType);
        }
        let mut text = Vec::new();
        self.body().read_to_end(&mut text)?;
        if count(&text) > self.body().max_pairs() {
            return self.body().refuse(HttpError::TooManyPairs);
        }
        Ok(Pairs::parse(&text))
    }
}

/// How many pairs there are; empty ones are none.
fn count(text: &[u8]) -> usize {
    text.split(|&b| b == b'&').filter(|pair| !pair.is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_are_decoded_in_their_order() {
        let pairs = Pairs::parse(b"a=1&b=%26+%3D&a=2&&c&=d&%zz=%ff");
        let expected = [("a", "1"), ("b", "& ="), ("a", "2"), ("c", ""), ("", "d"), ("%zz", "\u{fffd}")];
        assert!(pairs.iter().eq(expected), "{pairs:?}");
        assert_eq!((pairs.get("a"), pairs.get("z")), (Some("1"), None));
        assert!(pairs.get_all("a").eq(["1", "2"]));
        assert_eq!(pairs.into_iter().count(), 6);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(pairs: Vec<(String, String)>) {
            let mut encoder = form_urlencoded::Serializer::new(String::new());
            let text = encoder.extend_pairs(&pairs).finish();
            prop_assert_eq!(Pairs::parse(text.as_bytes()).0, pairs);
        }

        #[test]
        fn any_bytes_are_pairs(bytes: Vec<u8>) {
            prop_assert_eq!(Pairs::parse(&bytes).0.len(), count(&bytes));
        }
    }
}
