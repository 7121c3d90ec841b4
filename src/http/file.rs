//! A file as a response: what it is, whether the client has it already, and which part of it is wanted.

use super::conditions::{Validators, Verdict};
use super::media_type;
use super::ranges::{self, Part};
use super::request::Request;
use super::response::Response;
use super::response_body::Body;
use crate::fs::{self, File};
use ::http::{Method, StatusCode};
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

impl Response {
    /// A file as the answer to `request`: with its `Content-Type` by its extension, `Content-Length`, `Last-Modified` and `ETag`, and read
    /// while it is sent.
    ///
    /// Conditional requests (`If-None-Match`, `If-Modified-Since`, `If-Match`, `If-Unmodified-Since`) are answered with 304 or 412 where
    /// the RFC says so, and a byte range with that part (206) or with 416. Several ranges at once are answered with the
    /// whole. Set other headers, such as `Cache-Control` or another `Content-Type`, on what this returns.
    ///
    /// The path is taken as it is. Where it comes from the client, use [`StaticFiles`](super::StaticFiles).
    ///
    /// **Switches**: yes, the file is opened on the thread pool.
    ///
    /// # Errors
    /// If it cannot be opened, or is not a regular file ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    ///
    /// ```
    /// use greenloop::http::{self, Request, Response};
    /// # let path = std::env::temp_dir().join(format!("greenloop-report-{}.txt", std::process::id()));
    /// # std::fs::write(&path, "0123456789")?;
    ///
    /// let app = |request: &mut Request<'_>| {
    ///     Ok(Response::file(request, &path)?.header("Cache-Control", "max-age=60"))
    /// };
    /// let answer = http::exchange(&app, b"GET / HTTP/1.1\r\nRange: bytes=2-4\r\n\r\n");
    /// assert!(answer.starts_with(b"HTTP/1.1 206 Partial Content\r\n") && answer.ends_with(b"\r\n\r\n234"));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn file(request: &Request<'_>, path: impl AsRef<Path>) -> io::Result<Response> {
        let path = path.as_ref();
        let place = path.to_owned();
        let opened = fs::look(|| fs::cannot("open", path), move || Opened::at(place))?;
        respond(request, opened, path)
    }
}

/// A file that was opened, and what it is: one trip to the pool for both.
pub(super) struct Opened {
    file: File,
    pub(super) metadata: Metadata,
}

impl Opened {
    /// Opens a file without waiting for the other end of a pipe. It blocks the thread, so it belongs on one of the pool.
    pub(super) fn at(place: PathBuf) -> io::Result<Opened> {
        let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&place)?;
        let metadata = file.metadata()?;
        Ok(Opened { file: File::opened(file, place.into()), metadata })
    }
}

/// Reads a file from a place on: to set the position of the file would be another trip to the pool.
struct Reading {
    file: File,
    place: u64,
}

impl Read for Reading {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buf, self.place)?;
        self.place += count as u64;
        Ok(count)
    }
}

pub(super) fn respond(request: &Request<'_>, opened: Opened, path: &Path) -> io::Result<Response> {
    let Opened { file, metadata } = opened;
    if !metadata.is_file() {
        let text = format!("cannot send `{}`: it is not a regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let length = metadata.len();
    let validators = Validators::of(metadata.modified()?, length, SystemTime::now());
    let describe = |response: Response| {
        let response = response.header("ETag", validators.etag());
        match validators.last_modified() {
            Some(date) => response.header("Last-Modified", date),
            None => response,
        }
    };
    let part = match validators.judge(request) {
        Verdict::NotModified => return Ok(describe(Response::new(StatusCode::NOT_MODIFIED))),
        Verdict::Failed => {
            let text = "the file is not the one that the request means\n";
            return Ok(describe(Response::new(StatusCode::PRECONDITION_FAILED).body(text)));
        }
        Verdict::Send => wanted(request, length),
        Verdict::SendWhole => Part::Whole,
    };
    let accepting = |status| describe(Response::new(status)).header("Accept-Ranges", "bytes");
    let (response, range) = match part {
        Part::Whole => (accepting(StatusCode::OK), 0..length),
        Part::Range(range) => {
            let place = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            (accepting(StatusCode::PARTIAL_CONTENT).header("Content-Range", place), range)
        }
        Part::Nothing => {
            let response = accepting(StatusCode::RANGE_NOT_SATISFIABLE);
            let response = response.header("Content-Range", format!("bytes */{length}"));
            return Ok(response.body("the file has no such part\n"));
        }
    };
    let body = Body::sized_reader(Reading { file, place: range.start }, range.end - range.start);
    Ok(response.header("Content-Type", media_type::of(path)).body(body))
}

/// The part that is asked for. Only a `GET` can, and only once.
fn wanted(request: &Request<'_>, length: u64) -> Part {
    let mut values = request.header_all("range");
    match (values.next().map(std::str::from_utf8), values.next()) {
        (Some(Ok(value)), None) if *request.method() == Method::GET => ranges::parse(value, length),
        _ => Part::Whole,
    }
}
