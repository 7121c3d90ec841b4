//! HTTP connections from the first byte to the last, in memory. Ids are those of gevent's behaviours.
#![cfg(feature = "http")]

mod http_support;

use greenloop::http::serve_connection;
use greenloop::http::{
    self, Body, Config, Handler, IntoResponse, Limits, Request, RequestBody, Response, StatusCode,
};
use http_support::{Client, Event, Step, answers, serve, talk};
use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, Read};
use std::rc::Rc;
use std::time::Duration;

fn hello(request: &mut Request<'_>) -> Response {
    match request.path() {
        "/notexist" => (StatusCode::NOT_FOUND, "not found").into_response(),
        _ => "hello world".into_response(),
    }
}

fn echo(request: &mut Request<'_>) -> http::Result<Vec<u8>> {
    let mut body = Vec::new();
    request.body().read_to_end(&mut body)?;
    Ok(body)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn chunked_post(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

fn post(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Records what a handler found in the request body.
fn with_body<R: 'static>(
    input: impl AsRef<[u8]>,
    read: impl Fn(&mut RequestBody<'_>) -> R + 'static,
) -> (Option<R>, http_support::Outcome) {
    let found = RefCell::new(None);
    let outcome = talk(input, &|request: &mut Request<'_>| {
        *found.borrow_mut() = Some(read(request.body()));
        "ok"
    });
    (found.into_inner(), outcome)
}

mod keep_alive {
    use super::*;

    #[test]
    fn a_connection_serves_one_request_after_the_other() {
        // WS01, WS07
        let client = Client::new([get("/"), get("/notexist"), get("/")].map(|r| Step::Bytes(r.into_bytes())));
        let outcome = serve(&client, Limits::default(), &hello);
        assert_eq!(outcome.statuses(), [200, 404, 200]);
        let first = &outcome.responses()[0];
        assert_eq!((first.text(), first.header("content-length")), ("hello world", Some("11")));
        assert_eq!((first.header("connection"), first.header("transfer-encoding")), (None, None));
        assert_eq!(first.header("content-type"), Some("text/plain; charset=utf-8"));
        assert!(first.header("date").unwrap().ends_with(" GMT")); // WS82
    }

    #[test]
    fn pipelined_requests_are_answered_in_order_with_one_write() {
        // WS02
        let client = Client::sending(get("/") + &get("/notexist") + &get("/"));
        let outcome = serve(&client, Limits::default(), &hello);
        assert_eq!(outcome.statuses(), [200, 404, 200]);
        assert_eq!(client.writes().len(), 1);
    }

    #[test]
    fn batches_that_fill_the_buffer_get_a_larger_one_and_are_answered_with_one_write() {
        let batch: String = (0..16).map(|number| get(&format!("/{number:0>200}"))).collect();
        let client = Client::new(vec![Step::Bytes(batch.into_bytes()); 6]);
        let outcome = serve(&client, Limits::default(), &hello);
        assert_eq!(outcome.statuses(), [200; 6 * 16]);
        let answers = |written: &Vec<u8>| written.windows(11).filter(|w| w == b"hello world").count();
        let counts: Vec<_> = client.writes().iter().map(answers).collect();
        assert_eq!(counts.iter().sum::<usize>(), 6 * 16);
        // What does not fit at first comes in pieces, and is answered in pieces.
        assert!(counts[0] < 16, "{counts:?}");
        assert_eq!(counts[counts.len() - 3..], [16; 3], "{counts:?}");
    }

    #[test]
    fn a_hello_costs_one_read_and_one_write_and_the_timeout_is_set_once() {
        let client = Client::new((0..3).map(|_| Step::Bytes(get("/").into_bytes())));
        serve(&client, Limits::default().head_timeout(Some(Duration::from_secs(75))), &hello);
        let kinds: Vec<_> = client.events().iter().map(std::mem::discriminant).collect();
        let [timeout, read, write] = [Event::ReadTimeout(None), Event::Read(0), Event::Write(vec![])]
            .map(|e| std::mem::discriminant(&e));
        assert_eq!(kinds, [timeout, read, write, read, write, read, write, read]);
    }

    #[test]
    fn close_is_honoured_and_announced() {
        // WS03
        let close = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
        let outcome = talk(get("/") + close + &get("/"), &hello);
        let responses = outcome.responses();
        assert_eq!(responses.iter().map(|r| r.closes()).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn an_http_10_connection_ends_with_its_response() {
        // WS04, WS06
        let outcome = talk("GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", &hello);
        assert!(outcome.response().closes());
        assert_eq!(outcome.response().line, "HTTP/1.1 200 OK");
    }

    #[test]
    fn an_http_10_client_can_ask_to_keep_the_connection() {
        let outcome = talk("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".repeat(2), &hello);
        assert_eq!(outcome.statuses(), [200, 200]);
        assert!(outcome.responses().iter().all(|r| r.header("connection") == Some("keep-alive")));
    }

    #[test]
    fn a_handler_can_close_the_connection() {
        // WS89
        let outcome = talk(get("/").repeat(2), &|_: &mut Request<'_>| {
            "x".into_response().header("Connection", "Close")
        });
        assert!(outcome.response().closes());
    }

    #[test]
    fn the_number_of_requests_can_be_limited() {
        let outcome =
            serve(&Client::sending(get("/").repeat(3)), Limits::new().max_requests(Some(2)), &hello);
        assert_eq!(outcome.responses().iter().map(|r| r.closes()).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_connection_that_says_nothing_is_closed_without_a_word() {
        for input in ["", "\r\n"] {
            let steps = [Step::Bytes(input.into()), Step::Silence];
            let client =
                Client::new(steps.into_iter().filter(|s| !matches!(s, Step::Bytes(b) if b.is_empty())));
            let outcome = serve(&client, Limits::default(), &hello);
            assert_eq!((outcome.output, outcome.result.is_ok()), (vec![], true));
        }
        let client = Client::new([Step::Bytes(get("/").into()), Step::Silence]);
        assert_eq!(serve(&client, Limits::default(), &hello).statuses(), [200]);
        let timeouts = client.events().into_iter().filter(|e| matches!(e, Event::ReadTimeout(_)));
        let seconds = |s| Event::ReadTimeout(Some(Duration::from_secs(s)));
        assert_eq!(timeouts.collect::<Vec<_>>(), [seconds(30), seconds(75)]);
    }

    #[test]
    fn output_never_waits_for_input() {
        let first = get("/") + "GET /second HT";
        let client = Client::new([Step::Bytes(first.into_bytes()), Step::Bytes(b"TP/1.1\r\n\r\n".to_vec())]);
        assert_eq!(serve(&client, Limits::default(), &hello).statuses(), [200, 200]);
        assert_eq!(client.writes().len(), 2);
    }
}

mod responses {
    use super::*;

    #[test]
    fn a_stream_is_one_chunk_for_each_piece() {
        // WS09, WS12
        let outcome =
            talk(get("/").repeat(2), &|_: &mut Request<'_>| Body::stream(["this ", "is ", "chunked"]));
        let responses = outcome.responses();
        assert_eq!(responses.len(), 2);
        for response in responses {
            assert_eq!(response.chunks.unwrap(), [&b"this "[..], b"is ", b"chunked"]);
            assert!(response.is_whole);
        }
    }

    #[test]
    fn pieces_are_sent_as_they_are_made() {
        let client = Client::sending(get("/"));
        let seen = client.clone();
        let counts = Rc::new(RefCell::new(Vec::new()));
        let log = counts.clone();
        serve(&client, Limits::default(), &move |_: &mut Request<'_>| {
            let (seen, log) = (seen.clone(), log.clone());
            Body::stream(["a", "b"].into_iter().inspect(move |_| log.borrow_mut().push(seen.writes().len())))
        });
        assert_eq!(*counts.borrow(), [0, 1]);
        assert!(client.writes()[0].ends_with(b"\r\n\r\n1\r\na\r\n"), "the head leaves with the first piece");
    }

    #[test]
    fn big_pieces_are_one_chunk_each_even_if_the_socket_takes_little() {
        let big = || Body::stream((0..3).map(|n| vec![b'a' + n; 100_000]));
        let client = Client::sending(get("/")).taking_at_most(1000);
        let response = serve(&client, Limits::default(), &move |_: &mut Request<'_>| big()).response();
        assert_eq!(response.chunks.unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [100_000; 3]);
        assert!(response.is_whole);
    }

    #[test]
    fn empty_pieces_leave_no_trace() {
        // WS17, WS18, WS19
        let outcome = talk(get("/").repeat(2), &|_: &mut Request<'_>| Body::stream(["", ""]));
        for response in outcome.responses() {
            assert_eq!(response.chunks.unwrap(), Vec::<Vec<u8>>::new());
            assert!(response.is_whole);
        }
        let outcome = talk(get("/"), &|_: &mut Request<'_>| Body::stream(["", "hello", ""]));
        assert_eq!(outcome.response().chunks.unwrap(), [b"hello"]);
    }

    #[test]
    fn buffers_that_were_filled_bit_by_bit_are_bodies_and_pieces_like_others() {
        // WS10
        let grown = |text: &str| {
            let mut bytes = Vec::new();
            bytes.extend(text.bytes());
            bytes
        };
        assert_eq!(talk(get("/"), &move |_: &mut Request<'_>| grown("hello")).response().text(), "hello");
        let pieces = move |_: &mut Request<'_>| Body::stream([grown("hello "), grown("world")]);
        assert_eq!(talk(get("/"), &pieces).response().chunks.unwrap(), [&b"hello "[..], b"world"]);
    }

    #[test]
    fn a_stream_to_an_old_client_ends_with_the_connection() {
        let request = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let response = talk(request, &|_: &mut Request<'_>| Body::stream(["a", "b"])).response();
        assert_eq!((response.text(), response.closes()), ("ab", true));
        assert_eq!(response.header("transfer-encoding"), None);
    }

    #[test]
    fn a_stream_of_declared_length_is_sent_plain() {
        // WS08, WS14
        let app = |_: &mut Request<'_>| {
            Body::stream(["hello ", "world"]).into_response().header("Content-Length", 11)
        };
        for response in talk(get("/").repeat(2), &app).responses() {
            assert_eq!((response.text(), response.header("content-length")), ("hello world", Some("11")));
        }
    }

    #[test]
    fn a_stream_of_the_wrong_length_closes_the_connection_and_is_reported() {
        // WS86
        let app = |length: u64| {
            move |_: &mut Request<'_>| {
                Body::stream(["hello ", "world"]).into_response().header("Content-Length", length)
            }
        };
        let long = talk(get("/").repeat(2), &app(12));
        assert_eq!((long.response().text(), long.response().is_whole), ("hello world", false));
        let short = talk(get("/").repeat(2), &app(8));
        assert_eq!((short.response().text(), short.response().is_whole), ("hello ", false));
        for reports in [long.reports, short.reports] {
            let [report] = &reports[..] else { panic!("{reports:?}") };
            assert!(report.starts_with("GET / HTTP/1.1: ") && report.contains("Content-Length"), "{report}");
        }
        // Nothing was sent yet, so that there can be an answer.
        assert_eq!(talk(get("/").repeat(2), &app(3)).statuses(), [500]);
    }

    #[test]
    fn bytes_of_the_wrong_length_are_a_failure_of_the_handler() {
        // WS86
        let outcome = talk(get("/").repeat(2), &|_: &mut Request<'_>| {
            "abc".into_response().header("Content-Length", 4)
        });
        assert_eq!((outcome.statuses(), outcome.reports.len()), (vec![500], 1));
        assert!(outcome.response().closes());
    }

    #[test]
    fn a_body_where_none_may_be_is_a_failure_of_the_handler() {
        // WS22, WS23, WS24
        for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
            let outcome = talk(get("/"), &move |_: &mut Request<'_>| (status, "body"));
            assert_eq!(outcome.statuses(), [500]);
            assert!(outcome.reports[0].contains("must have no body"), "{:?}", outcome.reports);
            let outcome = talk(get("/").repeat(2), &move |_: &mut Request<'_>| status);
            assert_eq!(outcome.statuses(), [status.as_u16(); 2]);
            assert!(outcome.responses().iter().all(|r| r.header("content-length").is_none()));
        }
    }

    #[test]
    fn an_empty_body_has_a_length() {
        // WS25
        let response = talk(get("/%D1%8F?%D1%8F"), &|_: &mut Request<'_>| Body::empty()).response();
        assert_eq!(
            (response.header("content-length"), response.header("transfer-encoding")),
            (Some("0"), None)
        );
    }

    #[test]
    fn head_is_answered_like_get_without_the_body() {
        let dropped = Rc::new(Cell::new(0));
        struct Guard(Rc<Cell<u32>>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let count = dropped.clone();
        let app = move |request: &mut Request<'_>| match request.path() {
            "/stream" => {
                let guard = Guard(count.clone());
                Body::stream((0..2).map(move |_| {
                    let _held = &guard;
                    "x"
                }))
            }
            _ => Body::from("hello"),
        };
        let input = ["/", "/stream"].map(|p| format!("HEAD {p} HTTP/1.1\r\n\r\n") + &get(p)).concat();
        let outcome = talk(input, &app);
        let found = answers(&outcome.output, &[true, false, true, false]);
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].headers, found[1].headers);
        assert_eq!(found[2].headers, found[3].headers);
        assert_eq!(found[2].header("transfer-encoding"), Some("chunked"));
        assert_eq!(dropped.get(), 2); // WS20
    }

    #[test]
    fn large_bytes_follow_their_head() {
        let outcome = talk(get("/").repeat(2), &|_: &mut Request<'_>| vec![b'x'; 300_000]);
        assert_eq!(outcome.responses().iter().map(|r| r.body.len()).collect::<Vec<_>>(), [300_000; 2]);
    }

    #[test]
    fn a_reader_is_a_body() {
        let app = |_: &mut Request<'_>| Body::reader(io::Cursor::new(vec![7; 40_000]));
        assert_eq!(talk(get("/"), &app).response().body, vec![7; 40_000]);
    }

    #[test]
    fn the_handler_can_set_the_date_and_the_type() {
        // WS82
        let app =
            |_: &mut Request<'_>| "x".into_response().header("Date", "today").header("Content-Type", "a/b");
        let response = talk(get("/"), &app).response();
        assert_eq!((response.header("date"), response.header("content-type")), (Some("today"), Some("a/b")));
    }

    #[test]
    fn headers_that_would_split_the_response_are_refused_and_named() {
        // WS71, WS72
        let cases: [(&'static str, &'static str, &str); 5] = [
            ("X-Bad", "a\r\nSet-Cookie: b", "value of the response header `x-bad`"),
            ("X-Bad", "a\nb", "value of the response header `x-bad`"),
            ("X-Bad", "a\0b", "value of the response header `x-bad`"),
            ("X-Bad", "caf\u{e9}", "value of the response header `x-bad`"),
            ("X\r\nBad", "a", "header name"),
        ];
        for (name, value, expected) in cases {
            let outcome = talk(get("/").repeat(2), &move |_: &mut Request<'_>| {
                "secret".into_response().header(name, value)
            });
            assert_eq!(outcome.response().status, 500);
            assert_eq!(outcome.response().text(), "500 Internal Server Error\n");
            let [report] = &outcome.reports[..] else { panic!("{:?}", outcome.reports) };
            assert!(report.contains(expected) && !report.contains('\n'), "{report}");
        }
    }

    #[test]
    fn cookies_may_repeat() {
        let app =
            |_: &mut Request<'_>| "x".into_response().header("Set-Cookie", "a=1").header("Set-Cookie", "b=2");
        let cookies =
            talk(get("/"), &app).response().headers.into_iter().filter(|(n, _)| n == "set-cookie").count();
        assert_eq!(cookies, 2);
    }
}

mod request_bodies {
    use super::*;

    #[test]
    fn a_body_is_as_long_as_its_length_says() {
        // WS26
        let input =
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na=aGET / HTTP/1.1\r\nConnection: close\r\n\r\n";
        let outcome = talk(input, &echo);
        assert_eq!(outcome.responses().iter().map(|r| r.text()).collect::<Vec<_>>(), ["a=a", ""]);
    }

    #[test]
    fn a_request_without_a_body_reads_as_empty() {
        // WS27
        let (found, _) = with_body(get("/"), |body| body.read(&mut [0; 5]).unwrap());
        assert_eq!(found, Some(0));
    }

    #[test]
    fn a_body_is_never_read_past_its_length() {
        // WS48
        for size in [2, 10, 100_000] {
            let read = Rc::new(RefCell::new(Vec::new()));
            let log = read.clone();
            let outcome = talk(post("12") + &get("/"), &move |request: &mut Request<'_>| {
                let mut place = vec![0; size];
                let count = request.body().read(&mut place)?;
                log.borrow_mut().push(place[..count].to_vec());
                Ok(request.body().read(&mut place)?.to_string())
            });
            assert_eq!(outcome.responses().iter().map(|r| r.text()).collect::<Vec<_>>(), ["0", "0"]);
            assert_eq!(read.take(), [&b"12"[..], b""]);
        }
    }

    #[test]
    fn a_chunked_body_reads_as_its_data_however_it_is_read() {
        // WS28, WS49
        let input = chunked_post("2\r\noh\r\n4\r\n hai\r\n0\r\n\r\n");
        for size in [1, 6, 10] {
            let (found, _) = with_body(&input, move |body| {
                let (mut all, mut place) = (Vec::new(), vec![0; size]);
                while let count @ 1.. = body.read(&mut place).unwrap() {
                    all.extend_from_slice(&place[..count]);
                }
                all
            });
            assert_eq!(found.unwrap(), b"oh hai");
        }
    }

    #[test]
    fn lines_are_put_together_across_chunks_and_reads() {
        // WS30, WS31, WS32, WS51
        let text = "hello\n\nworld\n123";
        let chunks =
            text.bytes().map(|b| format!("1\r\n{}\r\n", b as char)).collect::<String>() + "0\r\n\r\n";
        for input in [post(text), chunked_post(&chunks)] {
            let (found, _) = with_body(input, |body| body.lines().collect::<Result<Vec<_>, _>>().unwrap());
            assert_eq!(found.unwrap(), ["hello", "", "world", "123"]);
        }
    }

    #[test]
    fn a_long_line_and_a_huge_length_are_no_problem() {
        // WS51
        let line = "x".repeat(20_000) + "\n";
        let input = format!("POST / HTTP/1.1\r\nContent-Length: 25000000000\r\n\r\n{line}");
        let read = RefCell::new(String::new());
        serve(&Client::sending(input), Limits::new().max_body(u64::MAX), &|request: &mut Request<'_>| {
            request.body().read_line(&mut read.borrow_mut()).unwrap();
            "ok"
        });
        assert_eq!(*read.borrow(), line);
    }

    #[test]
    fn large_bodies_come_through_whole() {
        let body: String = (0..100_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
        for input in [post(&body), chunked_post(&format!("{:X}\r\n{body}\r\n0\r\n\r\n", body.len()))] {
            let outcome = talk(input + &post("next"), &echo);
            let found = outcome.responses();
            assert_eq!((found[0].text(), found[1].text()), (&body[..], "next"));
        }
    }

    #[test]
    fn what_the_handler_leaves_is_skipped() {
        // WS33 (without its Content-Length), WS35, WS36, WS94
        let first = |request: &mut Request<'_>| {
            let mut place = [0; 4];
            let count = request.body().read(&mut place)?;
            Ok(place[..count].to_vec())
        };
        for body in
            [post("0123456789"), chunked_post("a;token=x;q=\"v\"\r\n0123456789\r\n3;\0\r\nabc\r\n0\r\n\r\n")]
        {
            let outcome = talk(body + &get("/") + &get("/"), &first);
            let texts = outcome.responses().iter().map(|r| r.text().to_owned()).collect::<Vec<_>>();
            assert_eq!(texts, ["0123", "", ""]);
        }
    }

    #[test]
    fn too_much_left_closes_the_connection() {
        let long = "x".repeat(2000);
        for (input, announced) in
            [(post(&long), true), (chunked_post(&format!("7d0\r\n{long}\r\n0\r\n\r\n")), false)]
        {
            let client = Client::sending(input + &get("/"));
            let outcome = serve(&client, Limits::new().max_discard(1000), &hello);
            assert_eq!(outcome.response().closes(), announced);
            assert!(client.events().contains(&Event::ShutdownWrite));
        }
    }

    #[test]
    fn trailers_are_ignored() {
        // WS39
        let outcome = talk(chunked_post("2\r\noh\r\n0\r\nA: b\r\nC: d\r\n\r\n") + &get("/"), &echo);
        assert_eq!(outcome.responses().iter().map(|r| r.text()).collect::<Vec<_>>(), ["oh", ""]);
    }

    #[test]
    fn an_answer_does_not_wait_for_the_trailers() {
        // WS40
        let input = chunked_post("2\r\noh\r\n0\r\n").replace("Host: localhost", "Connection: close");
        let client = Client::new([Step::Bytes(input.into())]);
        assert_eq!(serve(&client, Limits::default(), &echo).response().text(), "oh");
        assert!(matches!(client.events()[2], Event::Write(_)), "{:?}", client.events());
    }

    #[test]
    fn faulty_trailers_end_the_connection_after_the_answer() {
        // WS41, WS42, WS43, WS44
        let long = format!("A: {}\r\n\r\n", "x".repeat(9000));
        for trailers in
            ["GET / HTTP/1.1\r\n\r\n", "A: b\r\nGET / HTTP/1.1\r\n\r\n", "A:b\n\r\n", " x\r\n\r\n", &long]
        {
            let calls = Cell::new(0);
            let input = chunked_post(&format!("2\r\noh\r\n0\r\n{trailers}")) + &get("/");
            let outcome = talk(input, &|request: &mut Request<'_>| {
                calls.set(calls.get() + 1);
                echo(request)
            });
            assert_eq!((outcome.response().text(), calls.get()), ("oh", 1), "{trailers:?}");
            assert_eq!(outcome.reports, [""; 0]);
        }
    }

    #[test]
    fn a_malformed_chunk_is_answered_with_400_when_the_handler_fails_with_it() {
        // WS38, WS92
        for body in [
            "x\r\noh\r\n",
            "2\r\nohh\r\n",
            "2\noh\r\n",
            "00000000000000002\r\noh\r\n0\r\n\r\n",
            "-2\r\noh\r\n",
        ] {
            let outcome = talk(chunked_post(body) + &get("/"), &echo);
            assert_eq!(outcome.statuses(), [400], "{body:?}");
            assert!(outcome.response().closes() && outcome.reports.is_empty());
        }
    }

    #[test]
    fn a_malformed_chunk_that_nobody_reads_only_ends_the_connection() {
        let outcome = talk(chunked_post("x\r\n\r\n") + &get("/"), &hello);
        assert_eq!(outcome.response().text(), "hello world");
    }

    #[test]
    fn a_body_that_ends_early_is_an_error_again_and_again() {
        // WS46, WS47, WS50
        let short = "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n1".to_owned();
        for input in [short, chunked_post("1\r\n1\r\n"), chunked_post("2\r\n1"), chunked_post("1\r")] {
            let (found, outcome) = with_body(&input, |body| {
                let first = body.read_to_end(&mut Vec::new()).unwrap_err();
                (first.kind(), body.read(&mut [0; 1]).unwrap_err().kind(), first.to_string())
            });
            let (first, second, text) = found.unwrap();
            assert_eq!((first, second), (io::ErrorKind::UnexpectedEof, io::ErrorKind::UnexpectedEof));
            assert!(text.starts_with("unexpected end of file while "), "{text}");
            assert_eq!((outcome.response().closes(), outcome.reports.len()), (true, 0));
        }
    }

    #[test]
    fn a_body_too_large_is_answered_with_413() {
        let limits = || Limits::new().max_body(5);
        let calls = Cell::new(0);
        let app = |request: &mut Request<'_>| {
            calls.set(calls.get() + 1);
            echo(request)
        };
        assert_eq!(serve(&Client::sending(post("12345")), limits(), &app).statuses(), [200]);
        assert_eq!(serve(&Client::sending(post("123456") + &get("/")), limits(), &app).statuses(), [413]);
        assert_eq!(calls.get(), 1, "the length alone decides");
        let chunked = chunked_post("3\r\n123\r\n3\r\n456\r\n0\r\n\r\n") + &get("/");
        assert_eq!(serve(&Client::sending(chunked), limits(), &app).statuses(), [413]);
        assert_eq!(calls.get(), 2);
    }

    #[test]
    fn a_body_that_is_late_is_answered_with_408() {
        let client = Client::new([Step::Bytes(post("123456")[..60].into()), Step::Silence]);
        let outcome = serve(&client, Limits::default(), &echo);
        assert_eq!((outcome.statuses(), outcome.reports.len()), (vec![408], 0));
    }

    #[test]
    fn a_reset_while_the_body_is_read_is_no_failure_of_the_handler() {
        // WS93
        let client = Client::new([
            Step::Bytes(post("123456")[..60].into()),
            Step::Fail(io::ErrorKind::ConnectionReset),
            Step::Fail(io::ErrorKind::ConnectionReset),
        ]);
        let outcome = serve(&client, Limits::default(), &echo);
        assert!(outcome.result.is_ok() && outcome.reports.is_empty());
    }
}

mod expect_continue {
    use super::*;

    fn put(length: usize) -> String {
        format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n")
    }

    #[test]
    fn the_first_read_sends_the_go_ahead_once() {
        let client =
            Client::new([put(6), "abc".into(), "def".into(), get("/")].map(|s| Step::Bytes(s.into())));
        let outcome = serve(&client, Limits::default(), &echo);
        assert_eq!(outcome.statuses(), [100, 200, 200]);
        assert_eq!(client.writes()[0], b"HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(outcome.responses()[1].text(), "abcdef");
    }

    #[test]
    fn a_refused_body_is_never_asked_for_nor_taken_for_a_request() {
        // WS52 (the connection is closed here), WS54
        let smuggled = get("/smuggled");
        let calls = Cell::new(0);
        let outcome = talk(put(smuggled.len()) + &smuggled + &get("/"), &|_: &mut Request<'_>| {
            calls.set(calls.get() + 1);
            (StatusCode::EXPECTATION_FAILED, "too large")
        });
        assert_eq!((outcome.response().status, outcome.response().closes(), calls.get()), (417, true, 1));
    }

    #[test]
    fn there_is_nothing_to_go_ahead_with_without_a_body_or_for_an_old_client() {
        assert_eq!(talk(put(0) + &get("/"), &echo).statuses(), [200, 200]);
        let old = put(2).replace("HTTP/1.1", "HTTP/1.0") + "ab";
        assert_eq!(talk(old, &echo).response().text(), "ab");
    }

    #[test]
    fn a_body_too_large_is_refused_before_it_is_sent() {
        let outcome = serve(&Client::sending(put(11)), Limits::new().max_body(10), &echo);
        assert_eq!(outcome.statuses(), [413]);
    }
}

mod faults {
    use super::*;

    const OK: &str = "GET /good HTTP/1.1\r\nHost: h\r\n\r\n";

    fn table() -> Vec<(Vec<u8>, u16)> {
        let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let text = [
            ("GET / HTTP %\r\n\r\n".to_owned(), 400), // WS56
            ("GET /\r\n\r\n".into(), 400),            // WS90
            ("POST /\r\n\r\n".into(), 400),           // WS90
            ("GET / HTTP/0.9\r\n\r\n".into(), 505),   // WS90
            ("GET / HTTP/1.2\r\n\r\n".into(), 505),
            ("GET / HTTP/2.0\r\n\r\n".into(), 505), // WS90
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
            ("GET / HTTP/1.10\r\n\r\n".into(), 400),
            ("GET / http/1.1\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1 \r\n\r\n".into(), 400),
            ("GET  / HTTP/1.1\r\n\r\n".into(), 400),
            (" GET / HTTP/1.1\r\n\r\n".into(), 400),
            ("GET / a HTTP/1.1\r\n\r\n".into(), 400),
            ("GET\t/ HTTP/1.1\r\n\r\n".into(), 400),
            ("G(T / HTTP/1.1\r\n\r\n".into(), 400),
            ("GET relative HTTP/1.1\r\n\r\n".into(), 400),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n".into(), 400),
            ("\nGET / HTTP/1.1\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\nHost: h\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: h\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: h\n\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: h\r\n\n".into(), 400),
            ("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n".into(), 400),
            (with("Host: h\r\n"), 400),
            (with("X : y\r\n"), 400),
            (with("X\r\n"), 400),
            (with(": y\r\n"), 400),
            (with("X: a\r\n b\r\n"), 400), // WS59
            (with(" X: a\r\n"), 400),
            (with("X: \0\r\n"), 400),
            (with("X: \x7f\r\n"), 400),
            (with("X(: a\r\n"), 400),
            (with("Content-Length: -100\r\n"), 400), // WS57
            (with("Content-Length: abc\r\n"), 400),  // WS57
            (with("Content-Length: 1 \r\nContent-Length: 1\r\n"), 400), // WS84
            (with("Content-Length: 99999999999999999999\r\n"), 400),
            (with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400),
            (with("Transfer-Encoding: chunked, identity\r\n"), 400),
            (with("Transfer-Encoding: gzip, chunked\r\n"), 501), // WS85
            (with("Content-Length: 999999999999\r\n"), 413),
            (with("Expect: something\r\n"), 417),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 400),
            (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000)), 414), // WS58
            (with(&"X: y\r\n".repeat(101)), 431),                           // WS91
            (with(&format!("X: {}\r\n", "y".repeat(70_000))), 431),         // WS91
        ];
        let mut table: Vec<_> = text.into_iter().map(|(s, status)| (s.into_bytes(), status)).collect();
        table.push((b"GET /\xe9 HTTP/1.1\r\n\r\n".to_vec(), 400));
        table.push((b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n".to_vec(), 400));
        table
    }

    fn count_calls(client: &Client) -> (http_support::Outcome, Vec<String>) {
        let calls = RefCell::new(Vec::new());
        let outcome = serve(client, Limits::default(), &|request: &mut Request<'_>| {
            calls.borrow_mut().push(request.path().to_owned());
            "ok"
        });
        (outcome, calls.into_inner())
    }

    fn check(client: Client, status: u16, good: usize, shown: &str) {
        let (outcome, calls) = count_calls(&client);
        assert_eq!(calls, vec!["/good"; good], "{shown}");
        let found = outcome.responses();
        assert_eq!(
            found.iter().map(|r| r.status).collect::<Vec<_>>(),
            [vec![200; good], vec![status]].concat(),
            "{shown}"
        );
        let last = found.last().unwrap();
        assert!(
            last.closes() && last.is_whole && last.text().ends_with('\n') && last.text().lines().count() == 1
        );
        assert!(outcome.reports.is_empty() && outcome.result.is_ok());
        assert!(client.events().contains(&Event::ShutdownWrite), "{shown}");
    }

    #[test]
    fn each_has_its_status_and_ends_the_connection() {
        for (input, status) in table() {
            let shown = String::from_utf8_lossy(&input[..input.len().min(100)]).into_owned();
            check(Client::sending(&input), status, 0, &shown);
        }
    }

    #[test]
    fn nothing_behind_a_fault_is_answered_and_everything_before_is() {
        for (input, status) in table() {
            let shown = String::from_utf8_lossy(&input[..input.len().min(100)]).into_owned();
            let rest = [&input[..], OK.as_bytes()].concat();
            check(Client::sending(&rest), status, 0, &shown);
            // An empty line before the first of two would be the one that is allowed.
            let all = [OK.as_bytes(), &rest].concat();
            check(Client::sending(&all), status, 1, &shown);
            check(Client::cut(&all, &vec![1; 300]), status, 1, &shown);
        }
    }

    #[test]
    fn a_request_without_a_host_is_accepted() {
        // WS65
        assert_eq!(talk("GET / HTTP/1.1\r\n\r\n", &hello).statuses(), [200]);
    }

    #[test]
    fn a_head_that_is_late_is_answered_with_408() {
        let client = Client::new([Step::Bytes(b"GET / HT".to_vec()), Step::Silence, Step::Silence]);
        let outcome = serve(&client, Limits::default(), &hello);
        assert_eq!(outcome.statuses(), [408]);
        assert!(outcome.response().closes());
    }

    #[test]
    fn bytes_that_trickle_in_do_not_stretch_the_time_for_the_head() {
        let steps = OK.bytes().map(|b| Step::Bytes(vec![b]));
        let client = Client::new(steps);
        let outcome = serve(&client, Limits::new().head_timeout(Some(Duration::ZERO)), &hello);
        assert_eq!(outcome.statuses(), [408]);
    }

    #[test]
    fn a_head_cut_off_is_answered_with_400() {
        assert_eq!(talk("GET / HTTP/1.1\r\nHost", &hello).statuses(), [400]);
    }

    #[test]
    fn a_fault_in_a_head_request_is_answered_without_a_body() {
        // WS83
        for fields in ["Content-Length: x", "Content-Length: 1", "Transfer-Encoding: chunked"] {
            let outcome = talk(format!("HEAD / HTTP/1.1\r\n{fields}\r\n\r\n"), &hello);
            let [answer] = &answers(&outcome.output, &[true])[..] else { panic!("{fields}") };
            assert_eq!((answer.status, answer.closes()), (400, true));
        }
        assert_eq!(
            answers(&talk("HEAD / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", &hello).output, &[true])[0].status,
            200
        );
    }

    #[test]
    fn a_body_that_is_no_text_is_no_failure_of_a_handler_that_reads_it_as_such() {
        type Reads = fn(&mut Request<'_>) -> http::Result<String>;
        let all: Reads = |request| {
            let mut text = "before".to_string();
            let read = request.body().read_to_string(&mut text);
            assert!(read.is_ok() || text == "before");
            read?;
            Ok(text)
        };
        let lines: Reads = |request| Ok(request.body().lines().collect::<Result<Vec<_>, _>>()?.join("|"));
        let post = |body: &[u8]| {
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), body].concat()
        };
        for read in [all, lines] {
            let outcome = talk(post(b"a\n\xff\xfe\nb"), &move |request: &mut Request<'_>| read(request));
            let answer = outcome.response();
            assert_eq!((answer.status, answer.text()), (400, "the request body is not UTF-8\n"));
            assert!(answer.closes() && outcome.reports.is_empty(), "{:?}", outcome.reports);
        }
        let good = "a\ngrün\n".as_bytes();
        for (read, text) in [(all, "beforea\ngrün\n"), (lines, "a|grün")] {
            let outcome = talk(post(good), &move |request: &mut Request<'_>| read(request));
            assert_eq!((outcome.response().status, outcome.response().text()), (200, text));
        }
    }

    #[test]
    fn an_adapter_that_reads_a_body_as_text_does_not_tell_whose_text_it_was() {
        // Nor could it be told from a file of the server's.
        let app = |request: &mut Request<'_>| -> http::Result<String> {
            let mut text = String::new();
            request.body().take(100).read_to_string(&mut text)?;
            Ok(text)
        };
        let outcome = talk(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n\xff\xfe", &app);
        assert_eq!((outcome.statuses(), outcome.reports.len()), (vec![500], 1));
    }

    #[test]
    fn lingering_is_bounded() {
        let client = Client::new((0..1000).map(|_| Step::Bytes(vec![b'\n'; 1000])));
        let outcome = serve(&client, Limits::default().max_linger(64 * 1024), &|_: &mut Request<'_>| "ok");
        assert_eq!(outcome.statuses(), [400]);
        assert!(client.unread_steps() > 900);
    }
}

mod failures {
    use super::*;

    #[test]
    fn a_panic_is_answered_with_500_and_ends_the_connection() {
        // WS68, WS73, WS96
        let outcome =
            talk(get("/").repeat(2), &|_: &mut Request<'_>| -> &'static str { panic!("expected by a test") });
        assert_eq!((outcome.response().status, outcome.response().closes()), (500, true));
        assert_eq!(outcome.response().text(), "500 Internal Server Error\n");
        assert_eq!(outcome.reports, ["GET / HTTP/1.1: the handler panicked: expected by a test"]);
    }

    #[test]
    fn a_report_is_one_line_whatever_is_in_it() {
        let text = "a\r\nGET / HTTP/1.1: forged\x1b[2J\u{85}\u{e4}\"\\";
        let app = move |request: &mut Request<'_>| -> http::Result<&'static str> {
            if request.path() == "/panic" { panic!("{text}") } else { Err(text.into()) }
        };
        let line = "a\\r\\nGET / HTTP/1.1: forged\\u{1b}[2J\\u{85}\u{e4}\"\\";
        assert_eq!(talk(get("/error?a"), &app).reports, [format!("GET /error?a HTTP/1.1: {line}")]);
        let report = format!("GET /panic HTTP/1.1: the handler panicked: {line}");
        assert_eq!(talk(get("/panic"), &app).reports, [report]);
    }

    /// A body that panics when it is dropped.
    struct Bad;

    impl Drop for Bad {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("expected by a test");
            }
        }
    }

    impl Iterator for Bad {
        type Item = &'static str;
        fn next(&mut self) -> Option<&'static str> {
            None
        }
    }

    #[test]
    fn a_body_that_is_not_sent_and_panics_when_it_is_dropped_does_not_cost_the_client_its_answer() {
        let app = |request: &mut Request<'_>| match request.path() {
            "/name" => Response::new(StatusCode::OK).header("no name", "").body(Body::stream(Bad)),
            "/204" => Response::new(StatusCode::NO_CONTENT).body(Body::stream(Bad)),
            "/coding" => Body::stream(Bad).into_response().header("Transfer-Encoding", "chunked"),
            _ => {
                let bad = Bad;
                Response::upgrade("tea", move |_| drop(bad))
            }
        };
        for (path, status) in [("/name", 500), ("/204", 500), ("/coding", 500), ("/upgrade", 426)] {
            let outcome = talk(get(path), &app);
            assert_eq!(outcome.statuses(), [status], "{path}");
            let last = outcome.reports.last().unwrap();
            assert_eq!(*last, format!("GET {path} HTTP/1.1: the handler panicked: expected by a test"));
        }
    }

    #[test]
    fn a_report_that_panics_does_not_cost_the_client_its_answer() {
        let config = Config::new().on_error(|_| panic!("expected by a test"));
        let fails = |_: &mut Request<'_>| -> http::Result<&'static str> { Err("expected by a test".into()) };
        let panics = |_: &mut Request<'_>| -> &'static str { panic!("expected by a test") };
        for app in [&fails as &dyn Handler, &panics] {
            let client = Client::sending(get("/"));
            serve_connection(client.clone(), app, &config).unwrap();
            assert!(client.output().starts_with(b"HTTP/1.1 500 "));
        }
    }

    #[test]
    fn a_kill_while_a_report_waits_does_not_cost_the_client_its_500() {
        fn bad_name() -> Response {
            Response::new(StatusCode::OK).header("no name", "")
        }
        // Where each of the reports is made: behind the handler, in place of its answer, and before a stream begins.
        let app = |request: &mut Request<'_>| -> http::Result<Response> {
            Ok(match request.path() {
                "/error" => return Err("expected by a test".into()),
                "/panic" => panic!("expected by a test"),
                "/name" => bad_name(),
                "/dropped" => bad_name().body(Body::stream(Bad)),
                "/status" => Response::new(StatusCode::CONTINUE),
                "/framing" => "".into_response().header("Transfer-Encoding", "chunked"),
                "/empty" => Response::new(StatusCode::NO_CONTENT).body(Body::stream(Bad)),
                "/stream" => {
                    Body::stream((0..1).map(|_| -> &str { panic!("expected by a test") })).into_response()
                }
                "/upgrade" => Response::upgrade("tea", |_| Ok(())),
                "/tunnel" => Response::tunnel(|_| Ok(())),
                "/body" => Response::tunnel(|_| Ok(())).body("no"),
                path => panic!("{path}"),
            })
        };
        let paths = [
            "/error", "/panic", "/name", "/dropped", "/status", "/framing", "/empty", "/stream", "/upgrade",
            "/tunnel", "/body",
        ];
        for path in paths {
            let request = format!("GET {path} HTTP/1.1\r\nUpgrade: tea\r\nConnection: upgrade\r\n\r\n");
            for (is_killed, waits_for) in [(true, 1), (false, 1), (true, 2)] {
                let client = Client::sending(&request);
                let reports = Rc::new(Cell::new(0));
                let connection = greenloop::spawn({
                    let (client, reports) = (client.clone(), reports.clone());
                    move || {
                        let config = Config::new().on_error(move |_| {
                            reports.set(reports.get() + 1);
                            if reports.get() == waits_for {
                                greenloop::sleep(Duration::from_secs(3600));
                            }
                        });
                        match is_killed {
                            true => drop(serve_connection(client, &app, &config)),
                            false => {
                                let limit = Duration::from_millis(5);
                                let expired =
                                    greenloop::timeout(limit, || serve_connection(client, &app, &config));
                                assert!(expired.is_err());
                            }
                        }
                    }
                });
                greenloop::yield_now();
                if is_killed {
                    connection.kill();
                }
                connection.wait();
                let [answer] = &answers(&client.output(), &[])[..] else { panic!("{path}") };
                assert_eq!((answer.status, answer.closes(), reports.get() > 0), (500, true, true), "{path}");
            }
        }
    }

    #[test]
    fn a_panic_with_a_value_is_reported_and_the_value_may_panic_as_well() {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("expected by a test");
            }
        }
        let app = |_: &mut Request<'_>| -> &'static str { std::panic::panic_any(Bad) };
        let outcome = talk(get("/"), &app);
        assert_eq!(outcome.statuses(), [500]);
        assert_eq!(outcome.reports, ["GET / HTTP/1.1: the handler panicked: a value that is not text"]);
    }

    #[test]
    fn an_error_is_answered_with_500_and_reported_once_with_the_request_line() {
        // WS68
        let app =
            |_: &mut Request<'_>| -> http::Result<String> { Ok(std::fs::read_to_string("/no/such/file")?) };
        let outcome = talk(get("/a?b").repeat(2), &app);
        assert_eq!((outcome.response().status, outcome.response().closes()), (500, true));
        let [report] = &outcome.reports[..] else { panic!("{:?}", outcome.reports) };
        assert!(report.starts_with("GET /a?b HTTP/1.1: No such file"), "{report}");
        assert!(!outcome.response().text().contains("No such file"));
    }

    const CUT: &str = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab";

    /// A body that ends too early, one that is late, one whose client resets the connection, and one that is malformed.
    fn faulty_bodies() -> [(Client, &'static str); 4] {
        let reset = [Step::Bytes(CUT.into()), Step::Fail(io::ErrorKind::ConnectionReset)];
        [
            (Client::sending(CUT), "400 unexpected end of file while reading the request body\n"),
            (Client::new([Step::Bytes(CUT.into()), Step::Silence]), "408 the request body took too long\n"),
            (Client::new(reset), "400 unexpected end of file while reading the request body\n"),
            (
                Client::sending("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"),
                "400 malformed chunk\n",
            ),
        ]
    }

    #[test]
    fn a_failure_of_its_own_behind_a_fault_that_a_handler_has_swallowed_is_a_reported_500() {
        let own = |request: &mut Request<'_>| -> http::Result<&str> {
            assert!(request.body().read_to_end(&mut Vec::new()).is_err());
            Err("the database is gone".into())
        };
        let header = |request: &mut Request<'_>| {
            assert!(request.body().read_to_end(&mut Vec::new()).is_err());
            Response::new(StatusCode::OK).header("no name", "")
        };
        for (app, report) in [
            (&own as &dyn Handler, "POST / HTTP/1.1: the database is gone"),
            (&header, "POST / HTTP/1.1: malformed response header name"),
        ] {
            for (client, _) in faulty_bodies() {
                let outcome = serve(&client, Limits::default(), app);
                assert_eq!((outcome.statuses(), outcome.response().closes()), (vec![500], true));
                assert_eq!(outcome.reports.len(), 1);
                assert!(outcome.reports[0].starts_with(report), "{:?}", outcome.reports);
            }
        }
    }

    #[test]
    fn a_failure_that_tells_of_the_fault_of_a_body_is_answered_as_the_fault() {
        /// Does not say what its source says.
        #[derive(Debug)]
        struct BadUpload(io::Error);
        impl std::fmt::Display for BadUpload {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bad upload")
            }
        }
        impl std::error::Error for BadUpload {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        fn read(request: &mut Request<'_>) -> io::Result<usize> {
            request.body().read_to_end(&mut Vec::new())
        }
        type App = fn(&mut Request<'_>) -> http::Result<String>;
        let apps: [App; 5] = [
            |request| Ok(read(request)?.to_string()),
            |request| Ok(read(request).map_err(BadUpload)?.to_string()),
            |request| Ok(read(request).map_err(io::Error::other)?.to_string()),
            |request| Ok(read(request).map_err(|error| format!("cannot take it: {error}"))?.to_string()),
            // An error is final, so it can be met again.
            |request| Ok(read(request).or_else(|_| read(request))?.to_string()),
        ];
        for app in apps {
            for (client, expected) in faulty_bodies() {
                let outcome =
                    serve(&client, Limits::default(), &move |request: &mut Request<'_>| app(request));
                let answer = outcome.response();
                assert_eq!(format!("{} {}", answer.status, answer.text()), expected);
                assert!(answer.closes() && outcome.reports.is_empty(), "{:?}", outcome.reports);
            }
        }
    }

    #[test]
    fn a_handler_sees_how_its_client_has_gone() {
        let [_, _, (client, _), _] = faulty_bodies();
        let seen = RefCell::new(None);
        serve(&client, Limits::default(), &|request: &mut Request<'_>| {
            *seen.borrow_mut() = request.body().read_to_end(&mut Vec::new()).err();
            "gone"
        });
        let error = seen.take().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let text = format!("unexpected end of file while reading the request body: {reset}");
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_stream_that_panics_ends_without_its_last_chunk() {
        // WS70
        let app = |_: &mut Request<'_>| {
            Body::stream(
                ["a", "b"].into_iter().inspect(|piece| assert_eq!(*piece, "a", "expected by a test")),
            )
        };
        let outcome = talk(get("/").repeat(2), &app);
        let response = outcome.response();
        assert_eq!((response.chunks.unwrap(), response.is_whole), (vec![b"a".to_vec()], false));
        let [report] = &outcome.reports[..] else { panic!("{:?}", outcome.reports) };
        assert!(
            report.starts_with("GET / HTTP/1.1: the handler panicked: ") && !report.contains('\n'),
            "{report}"
        );
    }

    #[test]
    fn a_stream_that_panics_before_its_first_piece_is_answered_with_500() {
        let app =
            |_: &mut Request<'_>| Body::stream((0..1).map(|_| -> &str { panic!("expected by a test") }));
        let outcome = talk(get("/").repeat(2), &app);
        assert_eq!((outcome.statuses(), outcome.reports.len()), (vec![500], 1));
    }

    #[test]
    fn a_reader_that_fails_is_reported() {
        struct Bad(u32);
        impl Read for Bad {
            fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                place[0] = b'x';
                if self.0 > 1 { Err(io::Error::other("bad disk")) } else { Ok(1) }
            }
        }
        let outcome = talk(get("/"), &|_: &mut Request<'_>| Body::reader(Bad(0)));
        assert!(!outcome.response().is_whole);
        assert!(outcome.reports[0].contains("bad disk"), "{:?}", outcome.reports);
        let outcome = talk(get("/"), &|_: &mut Request<'_>| Body::reader(Bad(1)));
        assert_eq!(outcome.statuses(), [500]);
    }

    #[test]
    fn what_follows_connect_is_not_taken_for_a_request() {
        let outcome = talk("CONNECT h:80 HTTP/1.1\r\n\r\n".to_owned() + &get("/"), &hello);
        assert!(outcome.response().closes());
    }

    #[test]
    fn only_a_tunnel_is_a_success_for_connect() {
        // A client would take what follows for the other end of a tunnel.
        struct Source(Rc<Cell<bool>>);
        impl Iterator for Source {
            type Item = &'static str;
            fn next(&mut self) -> Option<&'static str> {
                Some("more")
            }
        }
        impl Drop for Source {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        const CONNECT: &str = "CONNECT h:80 HTTP/1.1\r\n\r\n";
        let outcome = talk(CONNECT, &hello);
        let answer = outcome.response();
        assert_eq!((answer.status, answer.closes(), answer.text()), (501, true, "there is no tunnel here\n"));
        let dropped = Rc::new(Cell::new(false));
        let flag = dropped.clone();
        let stream = move |_: &mut Request<'_>| (StatusCode::ACCEPTED, Body::stream(Source(flag.clone())));
        assert_eq!((talk(CONNECT, &stream).response().status, dropped.get()), (501, true));
        let no = |_: &mut Request<'_>| (StatusCode::FORBIDDEN, "not you");
        let outcome = talk(CONNECT, &no);
        assert_eq!((outcome.response().status, outcome.response().text()), (403, "not you"));
        assert!(outcome.reports.is_empty());
    }

    #[test]
    fn an_unlimited_head_is_read_in_a_few_pieces() {
        let fields: String = (0..1000).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let input = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        let client = Client::cut(input.as_bytes(), &[7]);
        let limits =
            Limits::default().max_request_line(usize::MAX).max_head(usize::MAX).max_headers(usize::MAX);
        assert_eq!(serve(&client, limits, &hello).statuses(), [200]);
        let reads = client.events().iter().filter(|event| matches!(event, Event::Read(_))).count();
        assert!(reads < 20, "{reads}");
    }

    #[test]
    fn a_handler_that_consumes_too_much_does_not_touch_the_next_request() {
        let outcome = talk(post("ab") + &get("/"), &|request: &mut Request<'_>| {
            request.body().fill_buf()?;
            request.body().consume(1000);
            Ok("ok")
        });
        assert_eq!(outcome.statuses(), [200, 200]);
    }

    #[test]
    fn a_client_that_goes_away_ends_the_stream_quietly() {
        // WS93
        struct Endless(Rc<Cell<u32>>);
        impl Iterator for Endless {
            type Item = &'static str;
            fn next(&mut self) -> Option<&'static str> {
                Some("more")
            }
        }
        impl Drop for Endless {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        for kind in [
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::TimedOut,
        ] {
            let drops = Rc::new(Cell::new(0));
            let count = drops.clone();
            let client = Client::sending(get("/")).failing_writes_after(1000, kind);
            let outcome = serve(&client, Limits::default(), &move |_: &mut Request<'_>| {
                Body::stream(Endless(count.clone()))
            });
            assert!(outcome.result.is_ok() && outcome.reports.is_empty());
            assert_eq!(drops.get(), 1);
        }
        let client = Client::sending(get("/")).failing_writes_after(0, io::ErrorKind::PermissionDenied);
        assert!(serve(&client, Limits::default(), &hello).result.is_err());
    }
}

mod requests {
    use super::*;

    #[test]
    fn headers_are_found_whatever_their_case_and_repeat_in_order() {
        // WS60, WS62 (a name with an underscore is just a name), WS87, WS88
        let input = "GET /%D1%8F?%D1%8F HTTP/1.1\r\nHOST: h\r\nCookie: a\r\nX_Y: z\r\ncookie: b\r\nE:\r\nX: \u{e9}\r\n\r\n";
        talk(input, &|request: &mut Request<'_>| {
            assert_eq!((request.path(), request.query()), ("/%D1%8F", Some("%D1%8F"))); // WS63
            assert_eq!(request.header("host"), Some("h"));
            assert_eq!(request.header_all("Cookie").collect::<Vec<_>>(), [b"a", b"b"]);
            assert_eq!((request.header("x_y"), request.header("x-y")), (Some("z"), None));
            assert_eq!((request.header("e"), request.header("x")), (Some(""), Some("\u{e9}")));
            assert_eq!(request.headers().get_all("cookie").iter().count(), 2);
            assert_eq!(request.peer_addr().unwrap().to_string(), "192.0.2.1:4711");
            "ok"
        });
    }

    #[test]
    fn what_the_head_says_can_be_kept_while_the_body_is_read() {
        let outcome = talk(post("body"), &|request: &mut Request<'_>| {
            let (path, host) = (request.path(), request.header("host"));
            let mut body = String::new();
            request.body().read_to_string(&mut body)?;
            Ok(format!("{path} {host:?} {body}"))
        });
        assert_eq!(outcome.response().text(), "/ Some(\"localhost\") body");
    }

    #[test]
    fn secrets_are_not_shown() {
        // WS80
        let input = "GET / HTTP/1.1\r\nAuthorization: s3cret\r\nproxy-authorization: s3cret\r\nCookie: s3cret\r\n\
                     Set-Cookie: s3cret\r\nX-Api-Key: s3cret\r\nX-Auth-Token: s3cret\r\nX-Amz-Security-Token: s3cret\r\n\
                     X-Hub-Signature: s3cret\r\nKeep-Alive: 5\r\nAccept: visible\r\n\r\n";
        let outcome = talk(input, &|request: &mut Request<'_>| format!("{request:?}"));
        let text = outcome.response().text().to_owned();
        assert!(!text.contains("s3cret") && text.contains("visible") && text.contains("<hidden>"), "{text}");
    }
}

mod handlers {
    use super::*;

    #[test]
    fn everything_that_is_a_response_can_be_returned() {
        let input = get("/");
        let status = |outcome: http_support::Outcome| outcome.response().status;
        assert_eq!(status(talk(&input, &|_: &mut Request<'_>| "text")), 200);
        assert_eq!(status(talk(&input, &|_: &mut Request<'_>| String::from("text"))), 200);
        assert_eq!(status(talk(&input, &|_: &mut Request<'_>| vec![1u8])), 200);
        assert_eq!(status(talk(&input, &|_: &mut Request<'_>| b"bytes")), 200);
        assert_eq!(status(talk(&input, &|_: &mut Request<'_>| StatusCode::ACCEPTED)), 202);
        assert_eq!(status(talk(&input, &|_: &mut Request<'_>| (StatusCode::ACCEPTED, "x"))), 202);
        assert_eq!(status(talk(&input, &|_: &mut Request<'_>| Body::empty())), 200);
        assert_eq!(status(talk(&input, &hello)), 200);
        let failing =
            |_: &mut Request<'_>| if true { Err("no".into()) } else { Ok((StatusCode::CREATED, "x")) };
        assert_eq!(status(talk(&input, &failing)), 500);
    }
}
