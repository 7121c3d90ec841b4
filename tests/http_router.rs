//! Routes, middleware, the test client.
#![cfg(feature = "http")]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use greenloop::http::{
    self, Body, Handler, IntoResponse, Limits, Method, Request, Response, Router, StatusCode, TestClient,
};
use std::io::Read;

fn says(text: &'static str) -> impl Handler + 'static {
    move |_: &mut Request<'_>| text
}

fn param(name: &'static str) -> impl Handler + 'static {
    move |request: &mut Request<'_>| match request.param(name) {
        Some(value) => value.into_owned(),
        None => "none".to_string(),
    }
}

fn get<H: Handler>(client: &TestClient<H>, target: &str) -> (u16, String) {
    let answer = client.get(target).send();
    (answer.status().as_u16(), answer.text().to_string())
}

mod routes {
    use super::*;

    #[test]
    fn are_chosen_by_path_and_method() {
        let app = Router::new()
            .get("/", says("home"))
            .get("/things", says("list"))
            .post("/things", says("make"))
            .put("/things", says("put"))
            .delete("/things", says("delete"))
            .route(Method::from_bytes(b"PURGE").unwrap(), "/things", says("purge"))
            .any("/any", says("any"))
            .get("/any", says("get"));
        let client = TestClient::new(app);
        let ask = |method: &str, target| {
            let answer = client.request(method.parse().unwrap(), target).send();
            (answer.status().as_u16(), answer.text().to_string())
        };
        assert_eq!(ask("GET", "/"), (200, "home".into()));
        assert_eq!(ask("GET", "/things?a=b"), (200, "list".into()));
        assert_eq!(ask("GET", "http://host/things?a=b"), (200, "list".into()));
        assert_eq!(ask("GET", "http://host"), (200, "home".into()));
        for (method, text) in [("POST", "make"), ("PUT", "put"), ("DELETE", "delete"), ("PURGE", "purge")] {
            assert_eq!(ask(method, "/things"), (200, text.into()));
        }
        assert_eq!(ask("GET", "/any"), (200, "get".into()));
        for method in ["POST", "OPTIONS", "get"] {
            assert_eq!(ask(method, "/any"), (200, "any".into()));
        }
    }

    #[test]
    fn what_has_no_route_is_not_found() {
        let client = TestClient::new(Router::new().get("/a", says("a")).get("/b/{x}", says("b")));
        for target in ["/", "/A", "/a/", "/a/b", "/b", "/b/", "/b/c/d", "//a", "/%61", "/b/%2", "/b/%ff"] {
            let expected = if target.starts_with("/b/%") { 400 } else { 404 };
            assert_eq!(get(&client, target).0, expected, "{target}");
        }
        assert!(client.reports().is_empty());
    }

    #[test]
    fn a_fallback_answers_in_place_of_404() {
        let app = Router::new()
            .get("/a", says("a"))
            .fallback(|request: &mut Request<'_>| (StatusCode::GONE, format!("{} is gone", request.path())));
        assert_eq!(get(&TestClient::new(app), "/b"), (410, "/b is gone".into()));
    }

    #[test]
    fn a_method_without_a_handler_hears_which_have_one() {
        let app = Router::new().get("/a", says("a")).put("/a", says("a")).post("/b", says("b"));
        let client = TestClient::new(app);
        let refused = client.post("/a").send();
        assert_eq!((refused.status().as_u16(), refused.text()), (405, "method not allowed\n"));
        assert_eq!(refused.header("allow"), Some("GET, HEAD, OPTIONS, PUT"));
        let refused = client.head("/b").send();
        assert_eq!((refused.status().as_u16(), refused.header("allow")), (405, Some("OPTIONS, POST")));
    }

    #[test]
    fn options_are_answered_with_the_methods() {
        let app = Router::new().get("/a", says("a")).route(Method::OPTIONS, "/own", says("own"));
        let client = TestClient::new(app);
        let options = |target| client.request(Method::OPTIONS, target).send();
        let answer = options("/a");
        assert_eq!((answer.status().as_u16(), answer.header("allow")), (204, Some("GET, HEAD, OPTIONS")));
        assert_eq!(options("/own").text(), "own");
        assert_eq!(options("*").status(), 204);
        assert_eq!(options("/nowhere").status(), 404);
    }

    #[test]
    fn head_is_answered_by_get_unless_it_has_its_own() {
        let app = Router::new().get("/a", says("twelve bytes")).get("/b", says("get")).route(
            Method::HEAD,
            "/b",
            |_: &mut Request<'_>| "".into_response().header("X", "own"),
        );
        let client = TestClient::new(app);
        let answer = client.head("/a").send();
        assert_eq!((answer.status().as_u16(), answer.header("content-length")), (200, Some("12")));
        assert!(answer.body().is_empty() && answer.is_whole());
        assert_eq!(client.head("/b").send().header("x"), Some("own"));
    }

    #[test]
    fn what_is_written_out_goes_before_what_is_not() {
        let app = Router::new()
            .get("/{*rest}", param("rest"))
            .get("/users/{id}", param("id"))
            .get("/users/me", says("me"));
        let client = TestClient::new(app);
        assert_eq!(get(&client, "/users/me").1, "me");
        assert_eq!(get(&client, "/users/7").1, "7");
        assert_eq!(get(&client, "/users/7/x").1, "users/7/x");
        assert_eq!(get(&client, "/").0, 404);
    }

    #[test]
    fn parameters_are_decoded_and_can_be_kept() {
        let keep = |request: &mut Request<'_>| {
            let (first, second) = (request.param("first"), request.param("second"));
            let mut body = String::new();
            request.body().read_to_string(&mut body)?;
            assert!(request.param("third").is_none());
            Ok(format!("{} {} {body}", first.unwrap(), second.unwrap()))
        };
        let client = TestClient::new(Router::new().post("/{first}/x-{second}", keep));
        let answer = client.post("/%D1%8F%2Fb/x-c+d?second=no").body("body").send();
        assert_eq!(answer.text(), "\u{44f}/b c+d body");
    }

    #[test]
    fn eight_parameters_are_noted() {
        let app = Router::new().get("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", |request: &mut Request<'_>| {
            ["h", "a", "d"].map(|name| request.param(name).unwrap().into_owned()).concat()
        });
        assert_eq!(get(&TestClient::new(app), "/1/2/3/4/5/6/7/8").1, "814");
    }

    #[test]
    fn a_router_that_makes_no_sense_panics_where_it_is_made() {
        let panics = |make: fn() -> Router| catch_unwind(AssertUnwindSafe(make)).is_err();
        assert!(panics(|| Router::new().get("a", says("a"))));
        assert!(panics(|| Router::new().get("/a", says("a")).get("/a", says("b"))));
        assert!(panics(|| Router::new().any("/a", says("a")).any("/a", says("b"))));
        assert!(panics(|| Router::new().get("/{a}", says("a")).get("/{b}", says("b"))));
        assert!(panics(|| Router::new().get("/{a", says("a"))));
        assert!(panics(|| Router::new().get("/{*a}/b", says("a"))));
        assert!(panics(|| Router::new().get("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", says("a"))));
        assert!(panics(|| Router::new().nest("/a/", Router::new())));
        assert!(panics(|| Router::new().nest("a", Router::new())));
        assert!(!panics(|| Router::new().get("/a", says("a")).post("/a", says("b")).any("/a", says("c"))));
    }
}

mod nested {
    use super::*;

    #[test]
    fn routers_answer_below_their_prefix() {
        let things = Router::new()
            .get("/", says("things"))
            .get("/{id}", param("id"))
            .post("/{id}", says("made"))
            .fallback(says("no such thing"));
        let api = Router::new().nest("/things", things).get("/version", says("1"));
        let client = TestClient::new(Router::new().nest("/api/{tenant}", api).get("/", says("home")));
        assert_eq!(get(&client, "/").1, "home");
        assert_eq!(get(&client, "/api/t/things").1, "things");
        assert_eq!(get(&client, "/api/t/things/7").1, "7");
        assert_eq!(client.post("/api/t/things/7").send().text(), "made");
        assert_eq!(client.delete("/api/t/things/7").send().status(), 405);
        assert_eq!(get(&client, "/api/t/things/7/8").1, "no such thing");
        assert_eq!(get(&client, "/api/t/version").1, "1");
        assert_eq!(get(&client, "/api/t/x").0, 404);
        assert_eq!(get(&client, "/things").0, 404);
    }

    #[test]
    fn a_pattern_of_the_outer_router_may_add_a_method() {
        let inner = Router::new().get("/x", says("get"));
        let app = Router::new().post("/in/x", says("post")).nest("/in", inner);
        let client = TestClient::new(app);
        assert_eq!(get(&client, "/in/x").1, "get");
        assert_eq!(client.post("/in/x").send().text(), "post");
    }
}

mod middleware {
    use super::*;

    /// Middleware that notes when it is entered and left.
    fn noting(log: &Rc<RefCell<Vec<String>>>, name: &'static str) -> impl http::Middleware + 'static {
        let log = log.clone();
        move |request: &mut Request<'_>, next: &dyn Handler| {
            log.borrow_mut().push(format!("> {name}"));
            let response = next.handle(request);
            log.borrow_mut().push(format!("< {name} {}", response.status().as_u16()));
            response
        }
    }

    #[test]
    fn the_first_is_the_outermost_and_sees_every_answer() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let app = Router::new().wrap(noting(&log, "a")).get("/", says("home")).wrap(noting(&log, "b"));
        let client = TestClient::new(app);
        assert_eq!(get(&client, "/").1, "home");
        assert_eq!(log.take(), ["> a", "> b", "< b 200", "< a 200"]);
        assert_eq!(get(&client, "/x").0, 404);
        assert_eq!(log.take(), ["> a", "> b", "< b 404", "< a 404"]);
    }

    #[test]
    fn that_of_a_nested_router_is_for_its_routes_only() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let inner = Router::new().get("/x", says("x")).fallback(says("fallback")).wrap(noting(&log, "inner"));
        let app = Router::new().nest("/in", inner).get("/y", says("y")).wrap(noting(&log, "outer"));
        let client = TestClient::new(app);
        assert_eq!(get(&client, "/in/x").1, "x");
        assert_eq!(log.take(), ["> outer", "> inner", "< inner 200", "< outer 200"]);
        assert_eq!(get(&client, "/in/z").1, "fallback");
        assert_eq!(log.take(), ["> outer", "> inner", "< inner 200", "< outer 200"]);
        assert_eq!(get(&client, "/y").1, "y");
        assert_eq!(log.take(), ["> outer", "< outer 200"]);
    }

    #[test]
    fn may_answer_itself_and_change_what_comes_back() {
        fn guard(request: &mut Request<'_>, next: &dyn Handler) -> Response {
            match request.header("authorization") {
                Some("secret") => next.handle(request).header("X-Seen", "yes"),
                _ => StatusCode::UNAUTHORIZED.into_response(),
            }
        }
        let client = TestClient::new(Router::new().get("/", says("home")).wrap(guard));
        assert_eq!(client.get("/").send().status(), 401);
        let answer = client.get("/").header("Authorization", "secret").send();
        assert_eq!((answer.text(), answer.header("x-seen")), ("home", Some("yes")));
    }

    #[test]
    fn a_panic_goes_through_it_and_is_a_500() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let panics = |_: &mut Request<'_>| -> &str { panic!("expected") };
        let app = Router::new().get("/", panics).wrap(noting(&log, "a"));
        assert_eq!(TestClient::new(app).get("/").send().status(), 500);
        assert_eq!(log.take(), ["> a"]);
    }
}

mod test_client {
    use super::*;

    #[test]
    fn sees_what_a_client_would_see() {
        let app = |request: &mut Request<'_>| match request.path() {
            "/stream" => Body::stream(["ab", "", "c"]).into_response(),
            "/cut" => {
                Body::stream((0..3).map(|n| if n < 2 { "x" } else { panic!("expected") })).into_response()
            }
            "/empty" => StatusCode::NO_CONTENT.into_response(),
            "/two" => "".into_response().header("Set-Cookie", "a=1").header("Set-Cookie", "b=2"),
            "/host" => request.header("host").unwrap_or("none").to_string().into_response(),
            _ => Response::new(StatusCode::OK).header("X-Bad", "a\nb"),
        };
        let client = TestClient::new(app);
        let stream = client.get("/stream").send();
        assert_eq!((stream.text(), stream.is_whole()), ("abc", true));
        let cut = client.get("/cut").send();
        assert_eq!((cut.text(), cut.is_whole()), ("xx", false));
        assert_eq!(client.reports(), ["GET /cut HTTP/1.1: the handler panicked: expected"]);
        assert_eq!(client.get("/empty").send().status(), 204);
        assert_eq!(client.get("/two").send().headers().get_all("set-cookie").iter().count(), 2);
        assert_eq!(client.get("/host").send().text(), "localhost");
        assert_eq!(client.get("/host").header("Host", "example.org").send().text(), "example.org");
        assert!(client.reports().is_empty());
        assert_eq!(client.get("/bad").send().status(), 500);
        assert!(matches!(&client.reports()[..], [report] if report.starts_with("GET /bad HTTP/1.1: ")));
        assert!(client.reports().is_empty());
    }

    #[test]
    fn goes_through_limits_and_the_go_ahead() {
        let echo = |request: &mut Request<'_>| {
            let mut body = Vec::new();
            request.body().read_to_end(&mut body)?;
            Ok(body)
        };
        let client = TestClient::new(echo).limits(Limits::new().max_body(5));
        assert_eq!(client.post("/").body("12345").send().body(), b"12345");
        assert_eq!(client.put("/").body("123456").send().status(), 413);
        let answer = client.post("/").header("Expect", "100-continue").body("1234").send();
        assert_eq!((answer.status().as_u16(), answer.body()), (200, &b"1234"[..]));
    }
}
