//! However the network cuts what a client sends, the server answers the same.
#![cfg(feature = "http")]

mod http_support;

use greenloop::http::{self, Body, IntoResponse, Limits, Request, Response};
use http_support::{Client, serve};
use proptest::prelude::*;
use std::io::Read;

/// Reads some, all or nothing of the body; answers with bytes or a stream.
fn app(request: &mut Request<'_>) -> http::Result<Response> {
    let mut body = Vec::new();
    match request.path() {
        "/all" => drop(request.body().read_to_end(&mut body)?),
        "/some" => drop(request.body().take(3).read_to_end(&mut body)?),
        "/stream" => return Ok(Body::stream(["a", "", "bc"]).into_response()),
        _ => {}
    }
    Ok(format!("{} {:?}", request.method(), body).into_response().header("Date", "now"))
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let path = prop::sample::select(vec!["/", "/all", "/some", "/stream"]);
    let version = prop::sample::select(vec!["1.1", "1.1", "1.1", "1.0", "2.0"]);
    let field = prop::sample::select(vec![
        "",
        "",
        "",
        "",
        "Host: h\r\n",
        "X-Long: 0123456789012345678901234567890123456789\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Expect: 100-continue\r\n",
        "Bare: x\n",
        "Folded: x\r\n y\r\n",
        "Space : x\r\n",
        "Host: h:x\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: y\rz\r\n",
        "X: \"a, b\"\t\r\n",
        "Content-Length: 0\r\n",
    ]);
    let body = prop::sample::select(vec![
        "\r\n",
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length: 50\r\n\r\n01234567890123456789012345678901234567890123456789",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;ext=\"x\"\r\n!\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5 ;x\r\nhello\r\n0;y\r\nTrailer: x\r\nOther:\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n65\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\rz\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ]);
    (path, version, prop::collection::vec(field, 0..4), body).prop_map(|(path, version, fields, body)| {
        format!("POST {path} HTTP/{version}\r\n{}{body}", fields.concat()).into_bytes()
    })
}

fn answer(client: Client) -> (Vec<u8>, Vec<String>) {
    let limits =
        Limits::new().max_request_line(30).max_head(200).max_headers(4).max_body(100).max_discard(30);
    let outcome = serve(&client, limits, &app);
    outcome.result.expect("no error but the client's");
    (without_date(&outcome.output), outcome.reports)
}

/// The output without the values of its dates.
fn without_date(output: &[u8]) -> Vec<u8> {
    let lines = output.split_inclusive(|&b| b == b'\n');
    lines.filter(|line| !line.starts_with(b"Date: ")).flatten().copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_answer_does_not_depend_on_how_the_input_is_cut(
        messages in prop::collection::vec(message(), 1..5),
        sizes in prop::collection::vec(1usize..40, 0..60),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        end in any::<prop::sample::Index>(),
        is_cut_off in any::<bool>(),
    ) {
        let mut input = messages.concat();
        if let Some((at, byte)) = damage {
            let at = at.index(input.len());
            input[at] = byte;
        }
        if is_cut_off {
            input.truncate(end.index(input.len()));
        }
        let whole = answer(Client::sending(&input));
        prop_assert_eq!(&whole, &answer(Client::cut(&input, &sizes)));
        prop_assert_eq!(&whole, &answer(Client::cut(&input, &vec![1; input.len()])));
    }

    #[test]
    fn chunks_are_decoded_alike_however_they_are_cut(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "0", "1", "5", "a", "F", "10", ";", "x", "=", "\"", " ", "\t", "\r", "\n", "\r\n", "\r\n", "\r\n", "hello",
            "0\r\n\r\n", "5\r\nhello\r\n", "X: y\r\n", "GET / HTTP/1.1\r\n\r\n",
        ]), 0..20),
        sizes in prop::collection::vec(1usize..20, 0..40),
    ) {
        let head = "POST /all HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let input = [head, &pieces.concat(), "GET / HTTP/1.1\r\n\r\n"].concat().into_bytes();
        let whole = answer(Client::sending(&input));
        prop_assert_eq!(&whole, &answer(Client::cut(&input, &sizes)));
        prop_assert_eq!(&whole, &answer(Client::cut(&input, &vec![1; input.len()])));
    }

    #[test]
    fn no_input_makes_the_server_panic(input in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(answer(Client::sending(&input)), answer(Client::cut(&input, &vec![1; input.len()])));
    }
}
