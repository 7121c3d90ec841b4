//! A server for HTTPS.
//!
//! `cargo run --release --features tls --example https_server -- --port 8443 --cert cert.pem --key key.pem`
//!
//! Without a certificate it makes one for `localhost`, which no client trusts: try `curl --insecure https://localhost:8443/`.

use greenloop::http::{IntoResponse, Method, Request, Response, Server, StatusCode};
use greenloop::tls::{Identity, ServerConfig};
use std::error::Error;
use std::io::Read;

fn app(request: &mut Request<'_>) -> greenloop::http::Result<Response> {
    Ok(match request.path() {
        "/" => "Hello, World!".into_response(),
        "/echo" if request.method() == Method::POST => {
            let mut body = Vec::new();
            request.body().read_to_end(&mut body)?;
            body.into_response()
        }
        path => (StatusCode::NOT_FOUND, format!("there is nothing at {path}\n")).into_response(),
    })
}

/// A certificate that was signed by nobody but itself.
fn homemade() -> Result<Identity, Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_string(), "127.0.0.1".to_string()])?;
    Ok(Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?)
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut port, mut certificate, mut key) = (8443_u16, None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => port = value.parse().map_err(|_| "--port needs a number from 0 to 65535")?,
            "--cert" => certificate = Some(value),
            "--key" => key = Some(value),
            _ => return Err(format!("unknown argument `{flag}`").into()),
        }
    }
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Identity::from_files(certificate, key)?,
        (None, None) => homemade()?,
        _ => return Err("--cert and --key belong together".into()),
    };
    let tls = ServerConfig::builder().identity(identity).build()?;
    let server = Server::bind(("127.0.0.1", port))?.tls(tls).start(app)?;
    println!("listening on https://{}", server.local_addr()?);
    Ok(server.serve_forever()?)
}

fn main() {
    if let Err(error) = run() {
        eprintln!("https_server: {error}");
        std::process::exit(1);
    }
}
