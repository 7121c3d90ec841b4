//! A folder of files, served. No request gets out of the folder.
//!
//! ```text
//!   /css/a%20b.css ──▶ prefix off ──▶ cut at `/`, each part decoded ──▶ looked at ──▶ joined to the folder
//!                                       %2F stays within its part        │              │
//!                                                                       404      links followed: inside? else 404
//! ```
//!
//! A part is not taken that is empty, begins with a dot (`.`, `..`, hidden files), or has a slash, a backslash or a NUL in it. So the path that
//! is joined names something below the folder, and the only way out is a symbolic link. Links are followed before the file is opened, and the
//! place that they lead to must be below the folder as well; whoever can change the folder at that moment can read files anyway.

use super::error::Result;
use super::file::{self, Opened};
use super::percent;
use super::request::Request;
use super::response::{Handler, IntoResponse, Response};
use crate::fs;
use ::http::{Method, StatusCode};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A handler that serves the files of a folder, each as [`Response::file`] does.
///
/// A path that ends with a slash is a folder, for which its `index.html` is served; a folder without the slash is redirected to
/// the one with it. Everything else is a 404, also hidden files (those whose name begins with a dot, `.well-known` apart) and links that lead
/// out of the folder. Only `GET` and `HEAD` are answered.
///
/// **Switches**: yes, wherever the file system is asked.
///
/// ```
/// use greenloop::http::{self, StaticFiles};
/// # let folder = std::env::temp_dir().join(format!("greenloop-static-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
///
/// std::fs::write(folder.join("index.html"), "<p>hello")?;
/// let files = StaticFiles::new(&folder)?;
/// assert!(http::exchange(&files, b"GET / HTTP/1.1\r\n\r\n").ends_with(b"\r\n\r\n<p>hello"));
/// assert!(http::exchange(&files, b"GET /../etc/passwd HTTP/1.1\r\n\r\n").starts_with(b"HTTP/1.1 404 "));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct StaticFiles {
    folder: PathBuf,
    prefix: String,
}

impl StaticFiles {
    /// Serves this folder. Links in its own path are followed now, once.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If there is no such folder.
    ///
    /// ```
    /// use greenloop::http::{StaticFiles, TestClient};
    ///
    /// let client = TestClient::new(StaticFiles::new("src")?);
    /// assert_eq!(client.get("/lib.rs").send().status(), 200);
    /// assert_eq!(client.get("/../Cargo.toml").send().status(), 404);
    /// assert!(StaticFiles::new("Cargo.toml").unwrap_err().to_string().contains("it is not a folder"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(folder: impl AsRef<Path>) -> io::Result<StaticFiles> {
        let folder = fs::canonicalize(folder)?;
        if !fs::metadata(&folder)?.is_dir() {
            let text = format!("cannot serve the files in `{}`: it is not a folder", folder.display());
            return Err(io::Error::new(io::ErrorKind::NotADirectory, text));
        }
        Ok(StaticFiles { folder, prefix: String::new() })
    }

    /// Serves only paths that begin with this, such as `/static`, and looks for what follows in the folder.
    ///
    /// ```
    /// use greenloop::http::{self, Body, Handler, IntoResponse, Request, StaticFiles};
    ///
    /// let files = StaticFiles::new(".")?.prefix("/static");
    /// let app = |request: &mut Request<'_>| match request.path() {
    ///     "/" => "hello".into_response(),
    ///     _ => files.handle(request),
    /// };
    /// let answer = http::exchange(&app, b"GET /static/Cargo.toml HTTP/1.1\r\n\r\n");
    /// assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn prefix(self, prefix: impl Into<String>) -> StaticFiles {
        let mut prefix = prefix.into();
        prefix.truncate(prefix.trim_end_matches('/').len());
        StaticFiles { prefix, ..self }
    }

    fn respond(&self, request: &Request<'_>) -> Result<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let response = Response::new(StatusCode::METHOD_NOT_ALLOWED).header("Allow", "GET, HEAD");
            return Ok(response.body("there are only files here\n"));
        }
        match self.find(request) {
            Ok(Some(response)) => Ok(response),
            Ok(None) => Ok(missing()),
            Err(error) if is_missing(&error) => Ok(missing()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Ok((StatusCode::FORBIDDEN, "this file cannot be read\n").into_response())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn find(&self, request: &Request<'_>) -> io::Result<Option<Response>> {
        let Some(path) = request.path().strip_prefix(&self.prefix).and_then(|path| path.strip_prefix('/'))
        else {
            return Ok(None);
        };
        let Some(below) = below(path) else { return Ok(None) };
        let names_folder = path.is_empty() || path.ends_with('/');
        let mut named = self.folder.join(below);
        if names_folder {
            named.push("index.html");
        }
        let (folder, name) = (self.folder.clone(), named.clone());
        let Some(opened) = fs::look(|| fs::cannot("open", &named), move || open_below(&folder, &name))?
        else {
            return Ok(None);
        };
        let metadata = &opened.metadata;
        if metadata.is_dir() && !names_folder {
            let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
            let target = format!("{}/{query}", request.path());
            return Ok(Some(Response::new(StatusCode::MOVED_PERMANENTLY).header("Location", target)));
        }
        if !metadata.is_file() {
            return Ok(None);
        }
        // What it is says the name that was asked for: links often lead to names without a meaning.
        file::respond(request, opened, &named).map(Some)
    }
}

impl Handler for StaticFiles {
    fn handle(&self, request: &mut Request<'_>) -> Response {
        self.respond(request).into_response()
    }
}

/// Opens what has the name, wherever links lead, if that is in the folder. On a thread of the pool, all in one trip.
fn open_below(folder: &Path, name: &Path) -> io::Result<Option<Opened>> {
    let place = std::fs::canonicalize(name)?;
    if place.starts_with(folder) { Opened::at(place).map(Some) } else { Ok(None) }
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "there is no such file\n").into_response()
}

/// Whether the error only says that nothing has this name, or that nothing can.
fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename | InvalidInput)
        // A link in a circle; a socket or a pipe without anybody at its end.
        || matches!(code_of(error), Some(libc::ELOOP | libc::ENXIO))
}

/// The number that the system has given, also behind the text that names the path.
fn code_of(error: &io::Error) -> Option<i32> {
    let cause = || error.get_ref()?.source()?.downcast_ref::<io::Error>()?.raw_os_error();
    error.raw_os_error().or_else(cause)
}

/// The place below a folder that a path names, `None` if a part of it is not taken. A slash at the end is passed over.
fn below(path: &str) -> Option<PathBuf> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut place = PathBuf::new();
    for (depth, part) in path.split('/').enumerate() {
        if path.is_empty() {
            break;
        }
        let part = percent::decode(part)?;
        let is_hidden = part.starts_with(b".") && !(depth == 0 && part == b".well-known");
        if part.is_empty() || is_hidden || part.iter().any(|b| matches!(b, b'/' | b'\\' | 0)) {
            return None;
        }
        place.push(OsString::from_vec(part));
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    #[test]
    fn a_path_is_taken_part_by_part() {
        let taken = [
            ("", ""),
            ("a", "a"),
            ("a/b%20c", "a/b c"),
            ("a/", "a"),
            (".well-known/x", ".well-known/x"),
            ("a..b/c.", "a..b/c."),
            ("%25", "%"),
        ];
        for (path, expected) in taken {
            assert_eq!(below(path), Some(PathBuf::from(expected)), "{path}");
        }
        let refused = [
            "..",
            ".",
            "../a",
            "a/..",
            "a/../b",
            "a/./b",
            "%2e%2e/a",
            ".%2E",
            "a%2Fb",
            "..%2f",
            "a\\b",
            "a%5cb",
            "/a",
            "a//b",
            "a%00",
            ".git/config",
            "a/.htaccess",
            "a/.well-known",
            "%",
            "%zz",
            "//",
            "%2fetc",
        ];
        for path in refused {
            assert_eq!(below(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leads_out(path in "[-./\\\\%0-9a-fA-F ~:]{0,40}") {
            if let Some(place) = below(&path) {
                prop_assert!(place.components().all(|part| matches!(part, Component::Normal(_))), "{place:?}");
            }
        }
    }
}
