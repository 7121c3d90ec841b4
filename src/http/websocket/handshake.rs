//! The server's side of the opening handshake (RFC 6455, 4.2).

use ::http::{HeaderValue, Method, StatusCode, header};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;

use super::deflate::{self, Agreement};
use super::options::{Origins, WebSocketOptions};
use super::socket::WebSocket;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::upgrade::UpgradeOutcome;
use crate::unwind;

impl WebSocketOptions {
    /// [`WebSocket::upgrade`] with these options.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient, WebSocketOptions};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| {
    ///     let options = WebSocketOptions::new().protocols(["chat"]);
    ///     options.upgrade(request, |socket| Ok(socket.send("welcome")?))
    /// });
    /// let request = client.get("/chat").header("Connection", "Upgrade").header("Upgrade", "websocket");
    /// let request = request.header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    /// let answer = request.header("Sec-WebSocket-Protocol", "talk, chat").send();
    /// assert_eq!((answer.status().as_u16(), answer.header("sec-websocket-protocol")), (101, Some("chat")));
    /// assert_eq!(client.get("/chat").send().status(), 426);
    /// ```
    pub fn upgrade<R: UpgradeOutcome>(
        self,
        request: &Request<'_>,
        talk: impl FnOnce(WebSocket) -> R + 'static,
    ) -> Response {
        let Agreed { accept, protocol, compression } = match self.check(request) {
            Ok(agreed) => agreed,
            Err(refusal) => return *refusal,
        };
        let (options, chosen) = (self, protocol.clone());
        let (agreement, extension) = compression.unzip();
        let response = Response::upgrade("websocket", move |stream| {
            let socket = WebSocket::new(stream, Role::Server, &options, chosen, agreement)?;
            let outcome = unwind::catch(|| talk(socket.clone()).conclude());
            let code = match &outcome {
                Err(payload) if unwind::is_private(payload) => None,
                Ok(Ok(())) => Some(1000),
                _ => Some(1011),
            };
            if let Some(code) = code {
                // If that fails it is because of the peer, and the handler has said what it had to say.
                let _ = socket.close(code, "");
            }
            outcome.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
        });
        let mut response = response.header(header::SEC_WEBSOCKET_ACCEPT, accept);
        if let Some(protocol) = protocol {
            response = response.header(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        if let Some(extension) = extension {
            response = response.header(header::SEC_WEBSOCKET_EXTENSIONS, extension);
        }
        response
    }

    /// What to answer, or the refusal.
    fn check(&self, request: &Request<'_>) -> Result<Agreed, Box<Response>> {
        if request.method() != Method::GET {
            return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket begins with a GET\n")
                .header(header::ALLOW, "GET")
                .into());
        }
        if !request.asks_for(b"websocket") {
            return Err(upgrade_required("this resource speaks WebSocket only\n").into());
        }
        if only(request, "sec-websocket-version") != Some(b"13") {
            return Err(upgrade_required("only version 13 of WebSocket is spoken here\n")
                .header(header::SEC_WEBSOCKET_VERSION, "13")
                .into());
        }
        let Some(key) = only(request, "sec-websocket-key").filter(|key| is_key(key)) else {
            return Err(refuse(StatusCode::BAD_REQUEST, "malformed Sec-WebSocket-Key header\n").into());
        };
        if !self.allows_origin(request) {
            return Err(refuse(StatusCode::FORBIDDEN, "pages of this origin may not connect\n").into());
        }
        let protocol = self.protocols.iter().find(|known| {
            let values = request.header_all("sec-websocket-protocol");
            values
                .flat_map(|value| value.split(|&b| b == b','))
                .any(|name| name.trim_ascii() == known.as_bytes())
        });
        let offers = self.limits.compress.then(|| request.header_all("sec-websocket-extensions"));
        Ok(Agreed {
            accept: derive_accept_key(key),
            protocol: protocol.cloned(),
            compression: offers.and_then(deflate::accept),
        })
    }

    fn allows_origin(&self, request: &Request<'_>) -> bool {
        let mut origins = request.header_all("origin");
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return request.header_all("origin").next().is_none();
        };
        let Ok(origin) = std::str::from_utf8(origin) else { return false };
        match &self.origins {
            Origins::Chosen(allowed) => allowed(origin),
            Origins::Own => {
                let host = origin.split_once("://").map(|(_, host)| host);
                host.is_some_and(|host| request.host().is_some_and(|own| own.eq_ignore_ascii_case(host)))
            }
        }
    }
}

/// What the server has made of a request.
struct Agreed {
    /// The answer to the key.
    accept: String,
    protocol: Option<String>,
    /// With the header that says so.
    compression: Option<(Agreement, String)>,
}

/// The value of a header that must be there once.
fn only<'a>(request: &Request<'a>, name: &str) -> Option<&'a [u8]> {
    let mut values = request.header_all(name);
    values.next().filter(|_| values.next().is_none())
}

/// Sixteen bytes in Base64.
fn is_key(key: &[u8]) -> bool {
    let (digits, end) = key.split_at(key.len().min(22));
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    digits.len() == 22 && end == b"==" && digits.iter().all(is_digit)
}

fn refuse(status: StatusCode, text: &'static str) -> Response {
    Response::new(status).body(text)
}

fn upgrade_required(text: &'static str) -> Response {
    let mut response = refuse(StatusCode::UPGRADE_REQUIRED, text);
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
}
