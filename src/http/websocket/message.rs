//! What is sent and received.

use std::fmt;

/// A message of a [`WebSocket`](super::WebSocket). Pings, pongs and closes are none: they are answered while somebody reads.
///
/// ```
/// use greenloop::http::Message;
///
/// assert_eq!(Message::from("hi").text(), Some("hi"));
/// assert_eq!(Message::from(vec![1, 2]).into_bytes(), [1, 2]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// The text, if it is one.
    ///
    /// ```
    /// use greenloop::http::Message;
    ///
    /// assert_eq!(Message::from("tea").text(), Some("tea"));
    /// assert_eq!(Message::from(&b"tea"[..]).text(), None);
    /// ```
    pub fn text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// The bytes of either kind.
    ///
    /// ```
    /// use greenloop::http::Message;
    ///
    /// assert_eq!(Message::from("tea").bytes(), b"tea");
    /// assert_eq!(Message::from(vec![0xff]).bytes(), [0xff]);
    /// ```
    pub fn bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// The bytes of either kind.
    ///
    /// ```
    /// use greenloop::http::Message;
    ///
    /// assert_eq!(Message::from("tea").into_bytes(), *b"tea");
    /// ```
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Message::Text(text) => text.into_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Message {
        Message::Text(text.to_string())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Message {
        Message::Text(text)
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Message {
        Message::Binary(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Message {
        Message::Binary(bytes)
    }
}

/// Why a side has closed a [`WebSocket`](super::WebSocket).
///
/// ```
/// use greenloop::http::Close;
///
/// assert_eq!(Close { code: 1000, reason: "bye".to_string() }.to_string(), "1000 bye");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The code: 1000 is the normal end, 1001 says that the peer goes away, 1005 stands for none.
    pub code: u16,
    /// A word of explanation, mostly empty.
    pub reason: String,
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.as_str() {
            "" => write!(f, "{}", self.code),
            reason => write!(f, "{} {reason}", self.code),
        }
    }
}
