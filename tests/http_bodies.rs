//! Bodies that are made while they are sent, and what requests carry beside theirs, over a transport in memory.
#![cfg(feature = "http")]

mod http_support;

use greenloop::http::sse::{Event, Events};
use greenloop::http::{self, Body, IntoResponse, Limits, Request, Response, Server, StatusCode};
use greenloop::net::TcpStream;
use greenloop::queue::{PutError, Queue};
use greenloop::{Elapsed, event, sleep, spawn, timeout, yield_now};
use http_support::{Client, Step, answers, serve, talk};
use std::cell::{Cell, RefCell};
use std::io::{self, BufWriter, Read, Write};
use std::rc::Rc;
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\n\r\n";

mod iterators {
    use super::*;

    #[test]
    fn each_piece_leaves_as_it_is_made_and_the_last_together_with_the_end() {
        // WS12
        let client = Client::sending(GET);
        let app = |_: &mut Request<'_>| Body::stream(["START", "MIDDLE", "END"]);
        let answer = serve(&client, Limits::default(), &app).response();
        assert_eq!(answer.chunks.unwrap(), [&b"START"[..], b"MIDDLE", b"END"]);
        let writes = client.writes();
        assert!(writes[0].ends_with(b"\r\n\r\n5\r\nSTART\r\n"));
        assert_eq!(writes[1..], [&b"6\r\nMIDDLE\r\n"[..], b"3\r\nEND\r\n0\r\n\r\n"]);
    }

    #[test]
    fn an_iterator_that_does_not_know_its_end_has_no_piece_kept_back() {
        let client = Client::sending(GET);
        let mut left = 2;
        let pieces = move || {
            left -= 1;
            (left >= 0).then_some("piece")
        };
        let pieces = Cell::new(Some(std::iter::from_fn(pieces)));
        serve(&client, Limits::default(), &|_: &mut Request<'_>| Body::stream(pieces.take().unwrap()));
        assert_eq!(client.writes()[1..], [&b"5\r\npiece\r\n"[..], b"0\r\n\r\n"]);
    }

    #[test]
    fn an_iterator_that_is_wrong_about_its_end_loses_nothing() {
        struct Liar(u8);
        impl Iterator for Liar {
            type Item = &'static str;

            fn next(&mut self) -> Option<&'static str> {
                self.0 += 1;
                (self.0 <= 3).then_some("x")
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (0, Some(0))
            }
        }
        let answer = talk(GET, &|_: &mut Request<'_>| Body::stream(Liar(0))).response();
        assert!(answer.is_whole);
        assert_eq!(answer.chunks.unwrap(), [b"x", b"x", b"x"]);
    }

    #[test]
    fn the_last_piece_has_left_before_the_iterator_is_dropped() {
        struct Pieces<I> {
            inner: I,
            client: Client,
            seen: Rc<Cell<bool>>,
        }
        impl<I: Iterator> Iterator for Pieces<I> {
            type Item = I::Item;

            fn next(&mut self) -> Option<I::Item> {
                self.inner.next()
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.inner.size_hint()
            }
        }
        impl<I> Drop for Pieces<I> {
            fn drop(&mut self) {
                self.seen.set(self.client.output().ends_with(b"3\r\nEND\r\n0\r\n\r\n"));
            }
        }
        let (client, seen) = (Client::sending(GET), Rc::new(Cell::new(false)));
        let app = {
            let (client, seen) = (client.clone(), seen.clone());
            move |_: &mut Request<'_>| {
                Body::stream(Pieces {
                    inner: ["END"].into_iter(),
                    client: client.clone(),
                    seen: seen.clone(),
                })
            }
        };
        serve(&client, Limits::default(), &app);
        assert!(seen.get());
    }
}

mod writers {
    use super::*;

    #[test]
    fn each_write_is_one_chunk_sent_at_once() {
        // WS12, WS15, WS16
        let app = |_: &mut Request<'_>| {
            Body::writer(|out| {
                out.write_all(b"one")?;
                out.write_all(b"two")?;
                out.write_all(b"three")?;
                Ok(())
            })
        };
        let client = Client::sending(GET);
        let answer = serve(&client, Limits::default(), &app).response();
        assert_eq!(answer.chunks.unwrap(), [&b"one"[..], b"two", b"three"]);
        assert_eq!(client.writes().len(), 4);
    }

    #[test]
    fn nothing_written_leaves_no_stray_bytes() {
        // WS19
        let app = |_: &mut Request<'_>| {
            Body::writer(|out| {
                out.write_all(b"")?;
                out.flush()?;
                out.write_all(b"")?;
                Ok(())
            })
        };
        let outcome = talk([GET, GET].concat(), &app);
        for answer in outcome.responses() {
            assert!(answer.is_whole && answer.chunks.unwrap().is_empty());
        }
        assert_eq!(outcome.statuses(), [200, 200]);
    }

    #[test]
    fn a_declared_length_makes_it_one_plain_body() {
        // WS08, WS14
        let app = |_: &mut Request<'_>| {
            let body = Body::writer(|out| {
                let mut out = BufWriter::new(out);
                write!(out, "{} {}", 1, 2)?;
                Ok(out.flush()?)
            });
            body.into_response().header("Content-Length", "3")
        };
        let answer = talk(GET, &app).response();
        assert_eq!((answer.text(), answer.header("transfer-encoding")), ("1 2", None));
    }

    #[test]
    fn a_flush_sends_the_head_before_there_is_a_body() {
        let client = Client::sending(GET);
        let seen = Rc::new(RefCell::new(String::new()));
        let app = |_: &mut Request<'_>| {
            let (client, seen) = (client.clone(), seen.clone());
            Body::writer(move |out| {
                assert_eq!(client.output(), b"");
                out.flush()?;
                *seen.borrow_mut() = String::from_utf8(client.output())?;
                Ok(())
            })
        };
        assert_eq!(serve(&client, Limits::default(), &app).response().chunks.unwrap().len(), 0);
        assert!(seen.borrow().starts_with("HTTP/1.1 200 OK\r\n") && seen.borrow().ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_failure_before_the_first_write_is_answered_with_500_and_one_after_it_cuts_the_response() {
        // WS68, WS70
        for written in ["", "some"] {
            let app = move |_: &mut Request<'_>| {
                Body::writer(move |out| {
                    out.write_all(written.as_bytes())?;
                    Err("out of paper".into())
                })
            };
            let outcome = talk([GET, GET].concat(), &app);
            let report = "GET / HTTP/1.1: the body of the response failed: out of paper";
            assert_eq!(outcome.reports, [report]);
            let answer = outcome.response();
            match written {
                "" => assert!(answer.status == 500 && answer.closes() && answer.is_whole),
                _ => assert!(answer.status == 200 && !answer.is_whole),
            }
        }
    }

    #[test]
    fn a_client_that_goes_away_is_an_error_again_and_again_and_no_failure() {
        // WS93
        let client = Client::sending(GET).failing_writes_after(200, io::ErrorKind::BrokenPipe);
        let kinds = Rc::new(RefCell::new(Vec::new()));
        let app = |_: &mut Request<'_>| {
            let kinds = kinds.clone();
            Body::writer(move |out| {
                for _ in 0..3 {
                    let sent = out.write_all(&[b'x'; 200]);
                    kinds.borrow_mut().push(sent.unwrap_err().kind());
                }
                kinds.borrow_mut().push(out.flush().unwrap_err().kind());
                Err("it could not be sent".into())
            })
        };
        let outcome = serve(&client, Limits::default(), &app);
        assert_eq!(*kinds.borrow(), [io::ErrorKind::BrokenPipe; 4]);
        assert!(outcome.reports.is_empty() && outcome.result.is_ok(), "{outcome:?}");
    }

    #[test]
    fn writing_more_than_was_declared_is_reported_even_if_the_writer_hides_it() {
        // WS86
        let app = |_: &mut Request<'_>| {
            let body = Body::writer(|out| {
                let _ = out.write_all(b"four");
                Ok(())
            });
            body.into_response().header("Content-Length", "3")
        };
        let outcome = talk(GET, &app);
        assert_eq!(outcome.reports.len(), 1);
        assert!(outcome.reports[0].contains("longer than its Content-Length"), "{:?}", outcome.reports);
        assert_eq!(outcome.response().status, 500);
    }

    #[test]
    fn a_writer_does_not_run_for_a_head_request() {
        // WS83
        let has_run = Rc::new(Cell::new(false));
        let app = |_: &mut Request<'_>| {
            let has_run = has_run.clone();
            Body::writer(move |_| {
                has_run.set(true);
                Ok(())
            })
        };
        let outcome = talk("HEAD / HTTP/1.1\r\n\r\n", &app);
        assert_eq!(answers(&outcome.output, &[true])[0].status, 200);
        assert!(!has_run.get());
    }

    /// Sets a flag when it is dropped.
    struct OnDrop(Rc<Cell<bool>>);

    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    #[test]
    fn a_kill_and_a_timeout_unwind_the_writer_and_say_no_more() {
        // WS95
        let run = |is_killed: bool| {
            let (client, dropped) = (Client::sending(GET), Rc::new(Cell::new(false)));
            let connection = spawn({
                let (client, dropped) = (client.clone(), dropped.clone());
                move || {
                    let app = |_: &mut Request<'_>| {
                        let guard = OnDrop(dropped.clone());
                        Body::writer(move |out| {
                            let _guard = guard;
                            out.write_all(b"first")?;
                            sleep(Duration::from_secs(3600));
                            Ok(out.write_all(b"second")?)
                        })
                    };
                    let limit = Duration::from_secs(if is_killed { 3600 } else { 0 });
                    timeout(limit, || serve(&client, Limits::default(), &app).reports)
                }
            });
            while !client.output().ends_with(b"first\r\n") {
                yield_now();
            }
            if is_killed {
                connection.kill();
            }
            let outcome = connection.join();
            assert!(dropped.get() && client.output().ends_with(b"first\r\n"));
            match is_killed {
                true => assert!(outcome.unwrap_err().is_killed()),
                false => assert!(outcome.unwrap().is_err()),
            }
        };
        run(true);
        run(false);
    }

    // WS95
    #[test]
    fn a_kill_and_a_timeout_before_the_head_are_answered_with_500() {
        let run = |path: &'static str, is_killed: bool| {
            let client = Client::sending(format!("GET /first HTTP/1.1\r\n\r\nGET {path} HTTP/1.1\r\n\r\n"));
            let reached = Rc::new(Cell::new(false));
            let connection = spawn({
                let (client, reached) = (client.clone(), reached.clone());
                move || {
                    let wait = move || {
                        reached.set(true);
                        sleep(Duration::from_secs(3600));
                    };
                    let app = move |request: &mut Request<'_>| match request.path() {
                        "/first" => "first".into_response(),
                        "/handler" => {
                            wait();
                            "late".into_response()
                        }
                        _ => {
                            let wait = wait.clone();
                            Body::writer(move |out| Ok(out.write_all(format!("{:?}", wait()).as_bytes())?))
                                .into_response()
                        }
                    };
                    let limit = Duration::from_secs(if is_killed { 3600 } else { 0 });
                    timeout(limit, || serve(&client, Limits::default(), &app).reports)
                }
            });
            while !reached.get() {
                yield_now();
            }
            if is_killed {
                connection.kill();
            }
            match connection.join() {
                Ok(outcome) => assert!(!is_killed && outcome.is_err()),
                Err(error) => assert!(is_killed && error.is_killed()),
            }
            let answers = answers(&client.output(), &[]);
            let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!((statuses, answers[0].text()), (vec![200, 500], "first"), "{path}");
            assert!(answers[1].closes() && answers[1].is_whole);
        };
        for path in ["/handler", "/body"] {
            run(path, true);
            run(path, false);
        }
    }

    #[test]
    fn a_panic_of_the_writer_cuts_the_response() {
        // WS70
        let app = |_: &mut Request<'_>| {
            Body::writer(|out| {
                out.write_all(b"some")?;
                panic!("the writer")
            })
        };
        let outcome = talk(GET, &app);
        assert!(!outcome.response().is_whole && outcome.result.is_ok());
        assert_eq!(outcome.reports, ["GET / HTTP/1.1: the handler panicked: the writer"]);
    }
}

mod bytes {
    use super::*;

    #[test]
    fn bytes_that_the_handler_has_changed_are_sent_as_they_are_then() {
        // WS10
        let app = |_: &mut Request<'_>| {
            let mut bytes = b"hello world".to_vec();
            bytes[0] = b'j';
            bytes.truncate(5);
            bytes
        };
        let answer = talk(GET, &app).response();
        assert_eq!((answer.text(), answer.header("content-length")), ("jello", Some("5")));
        assert!(answer.chunks.is_none());
    }
}

mod readers {
    use super::*;

    /// Gives what is asked for and counts it.
    struct Endless(Rc<Cell<usize>>);

    impl Read for Endless {
        fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
            self.0.set(self.0.get() + place.len());
            place.fill(b'x');
            Ok(place.len())
        }
    }

    #[test]
    fn a_reader_of_known_length_is_sent_plain_and_not_read_beyond_it() {
        let read = Rc::new(Cell::new(0));
        let app = |_: &mut Request<'_>| Body::sized_reader(Endless(read.clone()), 200_000);
        let answer = talk(GET, &app).response();
        assert_eq!(answer.header("content-length"), Some("200000"));
        assert!(answer.is_whole && answer.body.iter().all(|&b| b == b'x'));
        assert_eq!(read.get(), 200_000);
    }

    #[test]
    fn a_reader_of_known_length_tells_it_to_a_head_request_and_is_not_read() {
        let read = Rc::new(Cell::new(0));
        let app = |_: &mut Request<'_>| Body::sized_reader(Endless(read.clone()), 7);
        let outcome = talk("HEAD / HTTP/1.1\r\n\r\n", &app);
        assert_eq!(answers(&outcome.output, &[true])[0].header("content-length"), Some("7"));
        assert_eq!(read.get(), 0);
    }

    #[test]
    fn a_reader_that_is_shorter_than_its_length_is_reported_and_the_connection_ends() {
        // WS86
        let app = |_: &mut Request<'_>| Body::sized_reader(&b"hi"[..], 5);
        let outcome = talk([GET, GET].concat(), &app);
        assert!(!outcome.response().is_whole);
        assert!(outcome.reports[0].contains("3 bytes shorter than its Content-Length"));
    }

    #[test]
    fn a_reader_of_length_zero_is_an_empty_body() {
        let app = |_: &mut Request<'_>| Body::sized_reader(io::empty(), 0);
        let outcome = talk([GET, GET].concat(), &app);
        assert_eq!(outcome.statuses(), [200, 200]);
    }

    #[test]
    fn a_length_of_the_handlers_own_is_held_against_the_reader() {
        let app = |_: &mut Request<'_>| {
            Body::sized_reader(&b"hello"[..], 5).into_response().header("Content-Length", "3")
        };
        let outcome = talk(GET, &app);
        assert_eq!((outcome.response().status, outcome.reports.len()), (500, 1));
    }

    #[test]
    fn a_body_of_known_length_is_refused_where_none_may_be() {
        // WS23
        let app = |_: &mut Request<'_>| {
            Response::new(StatusCode::NOT_MODIFIED).body(Body::sized_reader(&b"hello"[..], 5))
        };
        assert_eq!(talk(GET, &app).response().status, 500);
    }
}

mod queues {
    use super::*;

    #[test]
    fn a_queue_is_a_body_each_item_one_chunk_sent_when_it_is_put() {
        // WS12
        let client = Client::sending(GET);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let app = |_: &mut Request<'_>| {
            let (queue, client, seen) = (Queue::unbounded(), client.clone(), seen.clone());
            let body = queue.clone();
            spawn(move || {
                for piece in ["START", "MIDDLE", "END"] {
                    queue.put(piece).unwrap();
                    // The connection parks again only when it has sent this.
                    yield_now();
                    yield_now();
                    seen.borrow_mut().push(client.output().ends_with(format!("{piece}\r\n").as_bytes()));
                }
                queue.close();
            });
            body
        };
        let answer = serve(&client, Limits::default(), &app).response();
        assert_eq!(answer.chunks.unwrap(), [&b"START"[..], b"MIDDLE", b"END"]);
        assert_eq!(*seen.borrow(), [true; 3]);
    }

    #[test]
    fn a_queue_that_is_closed_already_is_sent_to_its_end() {
        let app = |_: &mut Request<'_>| {
            let queue = Queue::unbounded().with_items(["a", "", "b"]);
            queue.close();
            queue
        };
        assert_eq!(talk(GET, &app).response().chunks.unwrap(), [b"a", b"b"]);
    }

    #[test]
    fn those_who_put_learn_that_the_client_has_gone() {
        // WS93
        let client = Client::sending(GET).failing_writes_after(300, io::ErrorKind::ConnectionReset);
        let queue = Queue::bounded(1);
        let producer = spawn({
            let queue = queue.clone();
            move || (0..).map(|_| queue.put(vec![b'x'; 100])).find_map(Result::err)
        });
        let app = |_: &mut Request<'_>| queue.clone();
        let outcome = serve(&client, Limits::default(), &app);
        assert!(matches!(producer.join().unwrap(), Some(PutError::Closed(_))));
        assert!(outcome.reports.is_empty() && outcome.result.is_ok());
    }

    #[test]
    fn the_queue_of_a_head_request_is_closed() {
        // WS83
        let queue = Queue::<String>::bounded(1);
        let app = |_: &mut Request<'_>| queue.clone();
        let outcome = talk("HEAD / HTTP/1.1\r\n\r\n", &app);
        assert_eq!(answers(&outcome.output, &[true])[0].status, 200);
        assert!(queue.put("late".into()).is_err());
    }

    #[test]
    fn a_kill_while_the_body_waits_closes_the_queue() {
        // WS95
        let queue = Queue::<String>::bounded(1);
        let client = Client::sending(GET);
        let connection = spawn({
            let (queue, client) = (queue.clone(), client.clone());
            move || serve(&client, Limits::default(), &move |_: &mut Request<'_>| queue.clone()).reports
        });
        queue.put("first".into()).unwrap();
        while !client.output().ends_with(b"first\r\n") {
            yield_now();
        }
        connection.kill();
        assert!(connection.join().unwrap_err().is_killed());
        assert!(queue.is_closed() && !client.output().ends_with(b"0\r\n\r\n"));
    }

    #[test]
    fn a_timeout_around_the_connection_closes_the_queue() {
        let queue = Queue::<String>::bounded(1);
        let app = |_: &mut Request<'_>| queue.clone();
        let outcome = timeout(Duration::from_millis(20), || talk(GET, &app).reports);
        assert!(matches!(outcome, Err(Elapsed { .. })) && queue.is_closed());
    }
}

mod events {
    use super::*;

    #[test]
    fn events_are_sent_as_they_come_behind_a_head_that_does_not_wait_for_them() {
        let client = Client::sending(GET);
        let app = |_: &mut Request<'_>| {
            let (queue, client) = (Queue::unbounded(), client.clone());
            let events = Events::new(queue.clone());
            spawn(move || {
                while !client.output().ends_with(b"\r\n\r\n") {
                    yield_now();
                }
                queue.put(Event::new("a\nb").id("1")).unwrap();
                queue.put(Event::comment("bye")).unwrap();
                queue.close();
            });
            events
        };
        let answer = serve(&client, Limits::default(), &app).response();
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.text(), "id: 1\ndata: a\ndata: b\n\n: bye\n\n");
        assert_eq!(answer.chunks.unwrap().len(), 2);
    }

    #[test]
    fn silence_is_filled_with_pings() {
        let app = |_: &mut Request<'_>| {
            let queue = Queue::unbounded();
            spawn({
                let queue = queue.clone();
                move || {
                    sleep(Duration::from_millis(100));
                    queue.put(Event::new("x")).unwrap();
                    queue.close();
                }
            });
            Events::new(queue).ping_every(Duration::from_millis(10))
        };
        let answer = talk(GET, &app).response();
        let pings = answer.text().strip_suffix("data: x\n\n").unwrap();
        assert!(pings.len() >= 3 && pings.split_inclusive("\n\n").all(|ping| ping == ":\n\n"), "{pings}");
    }
}

mod requests {
    use super::*;

    fn chunked(path: &str, rest: &str) -> String {
        format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{rest}")
    }

    /// The trailers, after as many bytes of the body as the path says.
    fn trailers(request: &mut Request<'_>) -> http::Result<String> {
        let count: usize = request.path()[1..].parse()?;
        request.body().read_exact(&mut vec![0; count])?;
        let trailers = request.body().trailers()?;
        assert!(request.body().trailers()?.is_empty());
        Ok(trailers.iter().map(|(name, value)| format!("{name}={};", value.to_str().unwrap())).collect())
    }

    #[test]
    fn trailers_can_be_read_behind_the_body() {
        // WS39
        let rest = "3\r\nabc\r\n0\r\nX-A: 1\r\nx-b:\t2 \r\nX-A: 3\r\nContent-Length: 9\r\nHost: evil\r\n\r\n";
        let whole = format!("{}{}", chunked("/3", rest), chunked("/0", rest));
        for cut in 1..whole.len() {
            let outcome = serve(&Client::cut(whole.as_bytes(), &[cut]), Limits::default(), &trailers);
            let texts: Vec<_> = outcome.responses().iter().map(|answer| answer.text().to_string()).collect();
            assert_eq!(texts, ["x-a=1;x-a=3;x-b=2;"; 2], "cut at {cut}");
        }
    }

    #[test]
    fn trailers_whose_reader_was_interrupted_are_read_again() {
        let interrupted = event::Event::new();
        let app = {
            let interrupted = interrupted.clone();
            move |request: &mut Request<'_>| {
                if request.path() == "/next" {
                    return Ok("next".to_string());
                }
                let first = timeout(Duration::from_millis(2), || request.body().trailers().map(drop));
                assert!(first.is_err(), "they have all come already");
                interrupted.set();
                let trailers = request.body().trailers()?;
                Ok(trailers.iter().map(|(name, value)| format!("{name}={value:?};")).collect::<String>())
            }
        };
        let server = Server::bind("127.0.0.1:0").unwrap().start(app).unwrap();
        let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        client.write_all(chunked("/", "2\r\nhi\r\n0\r\nX-One: 1\r\nX-Two-").as_bytes()).unwrap();
        interrupted.wait();
        client.write_all(b"Three: 2\r\n\r\nGET /next HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        let answers = io::read_to_string(client).unwrap();
        assert!(answers.contains("\r\n\r\nx-one=\"1\";x-two-three=\"2\";HTTP/1.1 "), "{answers}");
        assert!(answers.ends_with("\r\n\r\nnext"), "{answers}");
        server.stop(Duration::ZERO);
    }

    #[test]
    fn there_are_no_trailers_behind_other_bodies() {
        for post in [
            "POST /2 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello".to_string(),
            "GET /0 HTTP/1.1\r\n\r\n".to_string(),
            chunked("/1", "1\r\na\r\n0\r\n\r\n"),
        ] {
            let outcome =
                talk([post.as_str(), GET].concat(), &|request: &mut Request<'_>| match request.path() {
                    "/" => Ok("next".to_string()),
                    _ => trailers(request),
                });
            let texts: Vec<_> = outcome.responses().iter().map(|answer| answer.text().to_string()).collect();
            assert_eq!(texts, ["", "next"], "{post}");
        }
    }

    #[test]
    fn faulty_trailers_are_the_peers_fault() {
        // WS42, WS43, WS44
        let long = format!("0\r\nX: {}\r\n\r\n", "y".repeat(9000));
        for rest in ["0\r\nGET / HTTP/1.1\r\n\r\n", "0\r\nA b: c\r\n\r\n", "0\r\nA: b", &long] {
            let outcome = talk(chunked("/0", rest), &trailers);
            let answer = outcome.response();
            assert!(
                answer.status == 400 && answer.closes() && outcome.reports.is_empty(),
                "{rest:.40}: {answer:?}"
            );
        }
    }

    #[test]
    fn a_read_never_goes_past_the_length() {
        // WS48
        for size in [2, 10, 10_000] {
            let app = |request: &mut Request<'_>| {
                let mut place = vec![0; size];
                let count = request.body().read(&mut place)?;
                assert_eq!(request.body().read(&mut place[count..])?, 0);
                place.truncate(count);
                Ok(place)
            };
            let post = "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n12";
            let outcome = talk([post, post].concat(), &app);
            assert!(outcome.responses().iter().all(|answer| answer.text() == "12"), "{size}");
            assert_eq!(outcome.statuses(), [200, 200]);
        }
    }

    fn form(content_type: &str, body: &str) -> http_support::Outcome {
        let app = |request: &mut Request<'_>| {
            let pairs: Vec<_> =
                request.form()?.into_iter().map(|(name, value)| format!("{name}:{value}")).collect();
            Ok(pairs.join(" "))
        };
        let length = body.len();
        talk(format!("POST / HTTP/1.1\r\n{content_type}Content-Length: {length}\r\n\r\n{body}"), &app)
    }

    #[test]
    fn a_form_is_its_pairs() {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        assert_eq!(form(kind, "a=1&b=x+y%21&a=").response().text(), "a:1 b:x y! a:");
        assert_eq!(form(kind, "").response().text(), "");
        let kind = "content-type: Application/X-WWW-Form-URLencoded ; charset=UTF-8\r\n";
        assert_eq!(form(kind, "a=%C3%B6").response().text(), "a:ö");
    }

    #[test]
    fn what_is_no_form_is_answered_with_415_and_not_reported() {
        for kind in
            ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded2\r\n"]
        {
            let outcome = form(kind, "a=1");
            let answer = outcome.response();
            assert!(answer.status == 415 && answer.closes() && outcome.reports.is_empty(), "{kind}");
        }
    }

    #[test]
    fn a_form_that_is_cut_off_is_the_peers_fault() {
        let head =
            "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n";
        let steps = [Step::Bytes(head.into()), Step::Bytes(b"a=1".to_vec())];
        let app = |request: &mut Request<'_>| request.form().map(|_| "whole").map_err(http::Error::from);
        let outcome = serve(&Client::new(steps), Limits::default(), &app);
        assert_eq!((outcome.response().status, outcome.reports.len()), (400, 0));
    }
}
