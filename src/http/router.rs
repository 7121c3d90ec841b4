//! Which handler answers: by path and method. And what stands in front of all of them.
//!
//! ```text
//!   request ──▶ middleware, the first one outermost ──▶ path ──▶ method ──▶ handler
//!                                                         │        └─ none: OPTIONS is answered, others get 405
//!                                                         └─ none: fallback, or 404
//! ```
//!
//! A nested router is dissolved when it is mounted: each of its handlers goes behind its middleware and into the tables of the
//! outer one, so a request is looked up once. Nothing is allocated for a request.

use super::params::{self, MOST, Params};
use super::request::Request;
use super::response::{Handler, IntoResponse, Response};
use ::http::{HeaderValue, Method, StatusCode, header};
use std::cmp::Reverse;
use std::fmt;
use std::rc::Rc;

/// Chooses the handler of a request by its path and its method.
///
/// A pattern is a path in which `{name}` stands for one segment and `{*name}`, at the end, for all that is left, but not for
/// nothing. What is written out goes before what is not; `{*name}` and `{name}` cannot stand at the same place. Patterns are held against the path as it was sent; the
/// handler gets the decoded values by [`Request::param`].
///
/// `HEAD` is answered by the handler of `GET`, unless it has its own. `OPTIONS` is answered with the methods that there are, and
/// so is a method without a handler, by 405. A path without a route is answered with 404, one with malformed
/// percent-encoding in a parameter with 400.
///
/// ```
/// use greenloop::http::{Request, Router, TestClient};
///
/// let app = Router::new()
///     .get("/", |_: &mut Request<'_>| "home")
///     .get("/tea/{kind}", |request: &mut Request<'_>| format!("a cup of {}", request.param("kind").unwrap()))
///     .post("/tea/{kind}", |_: &mut Request<'_>| "brewed");
/// let client = TestClient::new(app);
/// assert_eq!(client.get("/tea/earl%20grey").send().text(), "a cup of earl grey");
/// let refused = client.delete("/tea/mint").send();
/// assert_eq!((refused.status().as_u16(), refused.header("allow")), (405, Some("GET, HEAD, OPTIONS, POST")));
/// ```
#[derive(Default)]
pub struct Router {
    patterns: matchit::Router<usize>,
    routes: Vec<Route>,
    layers: Vec<Box<dyn Middleware>>,
    fallback: Option<Box<dyn Handler>>,
    /// Those of nested routers, the deepest first.
    fallbacks: Vec<Fallback>,
}

/// What answers below the prefix of a nested router where no route does. It has a table of its own, in which its wildcard
/// contradicts no other pattern.
struct Fallback {
    pattern: String,
    table: matchit::Router<()>,
    names: Rc<[Box<str>]>,
    handler: Box<dyn Handler>,
}

/// All that one pattern leads to.
struct Route {
    pattern: String,
    names: Rc<[Box<str>]>,
    handlers: Vec<(Method, Box<dyn Handler>)>,
    any: Option<Box<dyn Handler>>,
    allow: HeaderValue,
}

impl Router {
    /// A router without routes.
    ///
    /// ```
    /// use greenloop::http::{Router, TestClient};
    ///
    /// assert_eq!(TestClient::new(Router::new()).get("/").send().status(), 404);
    /// ```
    pub fn new() -> Router {
        Router::default()
    }

    /// Has `GET` and `HEAD` requests for `pattern` answered by `handler`.
    ///
    /// # Panics
    /// As [`route`](Router::route).
    ///
    /// ```
    /// use greenloop::http::{Request, Router, TestClient};
    ///
    /// let client = TestClient::new(Router::new().get("/tea", |_: &mut Request<'_>| "a cup"));
    /// assert_eq!(client.get("/tea").send().text(), "a cup");
    /// assert_eq!(client.head("/tea").send().header("content-length"), Some("5"));
    /// ```
    #[track_caller]
    pub fn get(self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.route(Method::GET, pattern, handler)
    }

    /// Has `POST` requests for `pattern` answered by `handler`.
    ///
    /// # Panics
    /// As [`route`](Router::route).
    ///
    /// ```
    /// use greenloop::http::{Request, Router, StatusCode, TestClient};
    ///
    /// let app = Router::new().post("/tea", |_: &mut Request<'_>| (StatusCode::CREATED, "brewed"));
    /// let client = TestClient::new(app);
    /// assert_eq!(client.post("/tea").body("mint").send().status(), 201);
    /// assert_eq!(client.get("/tea").send().status(), 405);
    /// ```
    #[track_caller]
    pub fn post(self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.route(Method::POST, pattern, handler)
    }

    /// Has `PUT` requests for `pattern` answered by `handler`.
    ///
    /// # Panics
    /// As [`route`](Router::route).
    ///
    /// ```
    /// use greenloop::http::{Request, Router, StatusCode, TestClient};
    ///
    /// let app = Router::new().put("/tea/{id}", |_: &mut Request<'_>| StatusCode::NO_CONTENT);
    /// assert_eq!(TestClient::new(app).put("/tea/7").body("mint").send().status(), 204);
    /// ```
    #[track_caller]
    pub fn put(self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.route(Method::PUT, pattern, handler)
    }

    /// Has `DELETE` requests for `pattern` answered by `handler`.
    ///
    /// # Panics
    /// As [`route`](Router::route).
    ///
    /// ```
    /// use greenloop::http::{Request, Router, TestClient};
    ///
    /// let app = Router::new().delete("/tea/{id}", |request: &mut Request<'_>| format!("no {} left", request.param("id").unwrap()));
    /// assert_eq!(TestClient::new(app).delete("/tea/7").send().text(), "no 7 left");
    /// ```
    #[track_caller]
    pub fn delete(self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.route(Method::DELETE, pattern, handler)
    }

    /// Has requests with this method for `pattern` answered by `handler`.
    ///
    /// # Panics
    /// If the pattern does not begin with `/`, is malformed, has more than 8 parameters or contradicts another one, and if
    /// there is a handler for it and this method.
    ///
    /// ```
    /// use greenloop::http::{Method, Request, Router, TestClient};
    ///
    /// let app = Router::new().route(Method::PATCH, "/tea", |_: &mut Request<'_>| "with milk");
    /// let client = TestClient::new(app);
    /// assert_eq!(client.request(Method::PATCH, "/tea").send().text(), "with milk");
    /// assert_eq!(client.get("/tea").send().header("allow"), Some("OPTIONS, PATCH"));
    /// ```
    #[track_caller]
    pub fn route(mut self, method: Method, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.insert(pattern, Some(method), Box::new(handler));
        self
    }

    /// Has requests for `pattern` with methods that have no handler of their own answered by `handler`.
    ///
    /// # Panics
    /// As [`route`](Router::route).
    ///
    /// ```
    /// use greenloop::http::{Request, Router, TestClient};
    ///
    /// let app = Router::new()
    ///     .get("/tea", |_: &mut Request<'_>| "a cup")
    ///     .any("/tea", |request: &mut Request<'_>| format!("{}?", request.method()));
    /// let client = TestClient::new(app);
    /// assert_eq!(client.get("/tea").send().text(), "a cup");
    /// assert_eq!(client.delete("/tea").send().text(), "DELETE?");
    /// ```
    #[track_caller]
    pub fn any(mut self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.insert(pattern, None, Box::new(handler));
        self
    }

    /// Has requests without a route answered by `handler` and not with 404.
    ///
    /// ```
    /// use greenloop::http::{Request, Router, StatusCode, TestClient};
    ///
    /// let app = Router::new()
    ///     .get("/", |_: &mut Request<'_>| "home")
    ///     .fallback(|request: &mut Request<'_>| (StatusCode::NOT_FOUND, format!("no page at {}", request.path())));
    /// assert_eq!(TestClient::new(app).get("/tee").send().text(), "no page at /tee");
    /// ```
    pub fn fallback(mut self, handler: impl Handler + 'static) -> Router {
        self.fallback = Some(Box::new(handler));
        self
    }

    /// Puts the routes of another router under `prefix`: its `/` becomes the prefix, its `/page` becomes `prefix/page`. Its
    /// middleware stays with its routes, its fallback answers what lies below the prefix. Handlers see the whole path.
    ///
    /// # Panics
    /// If the prefix does not begin with `/` or ends with one, and as [`route`](Router::route).
    ///
    /// ```
    /// use greenloop::http::{Request, Router, TestClient};
    ///
    /// let users = Router::new().get("/{id}", |request: &mut Request<'_>| request.param("id").unwrap().into_owned());
    /// let app = Router::new().nest("/users", users);
    /// assert_eq!(TestClient::new(app).get("/users/7").send().text(), "7");
    /// ```
    #[track_caller]
    pub fn nest(mut self, prefix: &str, inner: Router) -> Router {
        assert!(
            prefix.starts_with('/') && !prefix.ends_with('/'),
            "a router is mounted at a path such as `/api`, not at `{prefix}`"
        );
        let layers: Rc<[Box<dyn Middleware>]> = inner.layers.into();
        let behind = |handler: Box<dyn Handler>| -> Box<dyn Handler> {
            if layers.is_empty() { handler } else { Box::new(Layered { layers: layers.clone(), handler }) }
        };
        for route in inner.routes {
            let pattern = format!("{prefix}{}", if route.pattern == "/" { "" } else { &route.pattern });
            for (method, handler) in route.handlers {
                self.insert(&pattern, Some(method), behind(handler));
            }
            if let Some(handler) = route.any {
                self.insert(&pattern, None, behind(handler));
            }
        }
        for fallback in inner.fallbacks {
            self.add_fallback(format!("{prefix}{}", fallback.pattern), behind(fallback.handler));
        }
        if let Some(handler) = inner.fallback {
            self.add_fallback(format!("{prefix}/{{*path}}"), behind(handler));
        }
        self
    }

    /// Puts a function around all that this router answers, 404 and 405 included: it gets the request and what would answer it. The
    /// first one is the outermost.
    ///
    /// ```
    /// use greenloop::http::{Handler, IntoResponse, Request, Response, Router, StatusCode, TestClient};
    ///
    /// fn only_friends(request: &mut Request<'_>, next: &dyn Handler) -> Response {
    ///     match request.header("x-friend") {
    ///         Some(_) => next.handle(request).header("X-Welcome", "yes"),
    ///         None => StatusCode::FORBIDDEN.into_response(),
    ///     }
    /// }
    ///
    /// let app = Router::new().get("/", |_: &mut Request<'_>| "come in").wrap(only_friends);
    /// let client = TestClient::new(app);
    /// assert_eq!(client.get("/").send().status(), 403);
    /// assert_eq!(client.get("/").header("X-Friend", "alice").send().header("x-welcome"), Some("yes"));
    /// ```
    pub fn wrap(mut self, middleware: impl Middleware + 'static) -> Router {
        self.layers.push(Box::new(middleware));
        self
    }

    #[track_caller]
    fn insert(&mut self, pattern: &str, method: Option<Method>, handler: Box<dyn Handler>) {
        let at = match self.routes.iter().position(|route| route.pattern == pattern) {
            Some(known) => known,
            None => self.add_pattern(pattern),
        };
        let route = &mut self.routes[at];
        let is_taken = match &method {
            Some(method) => route.handlers.iter().any(|(known, _)| known == method),
            None => route.any.is_some(),
        };
        assert!(
            !is_taken,
            "`{pattern}` has two handlers for {}",
            method.as_ref().map_or("any", Method::as_str)
        );
        match method {
            Some(method) => route.handlers.push((method, handler)),
            None => route.any = Some(handler),
        }
        route.allow = route.allowed();
    }

    #[track_caller]
    fn add_pattern(&mut self, pattern: &str) -> usize {
        assert!(pattern.starts_with('/'), "a pattern begins with `/`, but this is `{pattern}`");
        let at = self.routes.len();
        if let Err(error) = self.patterns.insert(pattern, at) {
            panic!("the pattern `{pattern}` cannot be added: {error}");
        }
        let names = names(pattern);
        assert!(names.len() <= MOST, "`{pattern}` has more than {MOST} parameters");
        let allow = HeaderValue::from_static("");
        self.routes.push(Route { pattern: pattern.into(), names, handlers: Vec::new(), any: None, allow });
        at
    }

    #[track_caller]
    fn add_fallback(&mut self, pattern: String, handler: Box<dyn Handler>) {
        let mut table = matchit::Router::new();
        if let Err(error) = table.insert(&pattern, ()) {
            panic!("the pattern `{pattern}` cannot be added: {error}");
        }
        let names = names(&pattern);
        assert!(names.len() <= MOST, "`{pattern}` has more than {MOST} parameters");
        self.fallbacks.push(Fallback { pattern, table, names, handler });
        self.fallbacks.sort_by_key(|fallback| Reverse(fallback.pattern.matches('/').count()));
    }

    fn dispatch(&self, request: &mut Request<'_>) -> Response {
        let path = request.path();
        let Ok(found) = self.patterns.at(path) else { return self.without_route(request) };
        let route = &self.routes[*found.value];
        if let Some(refusal) = note(&found.params, &route.names, path, request) {
            return refusal;
        }
        match route.handler(request.method()) {
            Some(handler) => handler.handle(request),
            None => route.without_handler(request.method()),
        }
    }

    fn without_route(&self, request: &mut Request<'_>) -> Response {
        let path = request.path();
        let nested = self.fallbacks.iter().find_map(|it| it.table.at(path).ok().map(|found| (it, found)));
        if let Some((fallback, found)) = nested {
            let refusal = note(&found.params, &fallback.names, path, request);
            return refusal.unwrap_or_else(|| fallback.handler.handle(request));
        }
        match &self.fallback {
            Some(handler) => handler.handle(request),
            None if path == "*" => StatusCode::NO_CONTENT.into_response(),
            None => (StatusCode::NOT_FOUND, "not found\n").into_response(),
        }
    }
}

/// Gives the parameters to the request; or gives the answer to one whose parameters cannot be decoded.
fn note<'p>(
    found: &matchit::Params<'_, 'p>,
    names: &Rc<[Box<str>]>,
    path: &'p str,
    request: &mut Request<'_>,
) -> Option<Response> {
    if names.is_empty() {
        return None;
    }
    if found.iter().any(|(_, value)| params::decode(value).is_none()) {
        return Some((StatusCode::BAD_REQUEST, "malformed percent-encoding in the path\n").into_response());
    }
    request.set_params(Params::new(names, path, found.iter().map(|(_, value)| value)));
    None
}

/// The names of the parameters of a pattern that is known to be well-formed, in their order.
fn names(pattern: &str) -> Rc<[Box<str>]> {
    let literal = pattern.replace("{{", "").replace("}}", "");
    let after = literal.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    after.map(|name| Box::from(name.trim_start_matches('*'))).collect()
}

impl Route {
    fn handler(&self, method: &Method) -> Option<&dyn Handler> {
        let of = |wanted: &Method| self.handlers.iter().find(|(known, _)| known == wanted).map(|(_, h)| h);
        let by_get = || if *method == Method::HEAD { of(&Method::GET) } else { None };
        of(method).or_else(by_get).or(self.any.as_ref()).map(|handler| &**handler)
    }

    fn without_handler(&self, method: &Method) -> Response {
        let response = match *method == Method::OPTIONS {
            true => StatusCode::NO_CONTENT.into_response(),
            false => (StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n").into_response(),
        };
        response.header(header::ALLOW, self.allow.clone())
    }

    /// The methods that are answered, in alphabetical order.
    fn allowed(&self) -> HeaderValue {
        let mut methods: Vec<_> = self.handlers.iter().map(|(method, _)| method.as_str()).collect();
        methods.push("OPTIONS");
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.sort_unstable();
        methods.dedup();
        HeaderValue::from_str(&methods.join(", ")).expect("methods are tokens")
    }
}

impl Handler for Router {
    fn handle(&self, request: &mut Request<'_>) -> Response {
        let end = |request: &mut Request<'_>| self.dispatch(request);
        Chain { layers: &self.layers, end: &end }.handle(request)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = self.routes.iter().map(|route| (&route.pattern, &route.allow));
        f.debug_map().entries(routes).finish()
    }
}

/// A function that stands in front of handlers: see [`Router::wrap`]. It may answer itself, ask `next`, and change what
/// comes back.
///
/// ```
/// use greenloop::http::{Handler, Middleware, Request};
///
/// fn is_middleware(_: impl Middleware) {}
/// is_middleware(|request: &mut Request<'_>, next: &dyn Handler| next.handle(request));
/// ```
pub trait Middleware {
    /// Answers one request.
    fn call(&self, request: &mut Request<'_>, next: &dyn Handler) -> Response;
}

impl<F, R> Middleware for F
where
    F: for<'r, 'c, 'n> Fn(&'r mut Request<'c>, &'n dyn Handler) -> R,
    R: IntoResponse,
{
    fn call(&self, request: &mut Request<'_>, next: &dyn Handler) -> Response {
        self(request, next).into_response()
    }
}

/// A handler of a nested router with the middleware of that router.
struct Layered {
    layers: Rc<[Box<dyn Middleware>]>,
    handler: Box<dyn Handler>,
}

impl Handler for Layered {
    fn handle(&self, request: &mut Request<'_>) -> Response {
        Chain { layers: &self.layers, end: &*self.handler }.handle(request)
    }
}

/// What is still to come for a request: some middleware, then the end.
struct Chain<'a> {
    layers: &'a [Box<dyn Middleware>],
    end: &'a dyn Handler,
}

impl Handler for Chain<'_> {
    fn handle(&self, request: &mut Request<'_>) -> Response {
        match self.layers.split_first() {
            Some((first, layers)) => first.call(request, &Chain { layers, end: self.end }),
            None => self.end.handle(request),
        }
    }
}
