//! Files as responses, and folders of them.
#![cfg(feature = "http")]

mod http_support;

use greenloop::http::{self, IntoResponse, Request, Response, StaticFiles};
use greenloop::{spawn, yield_now};
use http_support::{Answer, answers, talk};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A folder that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("greenloop-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// A file that was changed an hour ago.
    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let then = SystemTime::now() - Duration::from_secs(3600);
        fs::File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ask(path: &Path, line: &str, fields: &str) -> Answer {
    let app = |request: &mut Request<'_>| Ok(Response::file(request, path)?);
    let outcome = talk(format!("{line} / HTTP/1.1\r\n{fields}\r\n"), &app);
    assert!(outcome.reports.is_empty(), "{:?}", outcome.reports);
    let [answer] = <[Answer; 1]>::try_from(answers(&outcome.output, &[line == "HEAD"])).unwrap();
    answer
}

mod one_file {
    use super::*;

    #[test]
    fn a_file_is_sent_with_its_type_length_and_validators() {
        let folder = Folder::new("whole");
        let text = "0123456789".repeat(30_000);
        let path = folder.file("page.HTML", &text);
        let answer = ask(&path, "GET", "");
        assert_eq!(answer.status, 200);
        assert!(answer.is_whole && answer.text() == text);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("content-length"), Some("300000"));
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        assert!(answer.header("last-modified").unwrap().ends_with(" GMT"));
        assert!(answer.header("etag").unwrap().starts_with('"'));
    }

    #[test]
    fn an_empty_file_is_an_empty_body() {
        let folder = Folder::new("empty");
        let path = folder.file("empty.bin", "");
        let answer = ask(&path, "GET", "");
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        assert_eq!(ask(&path, "GET", "Range: bytes=0-\r\n").status, 416);
        assert_eq!(ask(&path, "GET", "Range: bytes=-1\r\n").status, 200);
    }

    #[test]
    fn head_is_answered_without_the_file_and_without_a_part() {
        // WS83
        let folder = Folder::new("head");
        let path = folder.file("a.txt", "0123456789");
        let (get, head) = (ask(&path, "GET", ""), ask(&path, "HEAD", "Range: bytes=1-2\r\n"));
        assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
        assert_eq!(head.header("etag"), get.header("etag"));
    }

    #[test]
    fn a_range_is_answered_with_that_part() {
        let folder = Folder::new("range");
        let path = folder.file("a.txt", "0123456789");
        for (range, status, place, text) in [
            ("bytes=0-0", 206, Some("bytes 0-0/10"), "0"),
            ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
            ("bytes=7-", 206, Some("bytes 7-9/10"), "789"),
            ("bytes=-3", 206, Some("bytes 7-9/10"), "789"),
            ("bytes=5-99", 206, Some("bytes 5-9/10"), "56789"),
            ("bytes=0-1,4-5", 200, None, "0123456789"),
            ("bytes=4-2", 200, None, "0123456789"),
            ("lines=4-5", 200, None, "0123456789"),
            ("bytes=10-", 416, Some("bytes */10"), "the file has no such part\n"),
            ("bytes=-0", 416, Some("bytes */10"), "the file has no such part\n"),
        ] {
            let answer = ask(&path, "GET", &format!("Range: {range}\r\n"));
            assert_eq!(
                (answer.status, answer.header("content-range"), answer.text()),
                (status, place, text),
                "{range}"
            );
        }
        assert_eq!(ask(&path, "GET", "Range: bytes=0-0\r\nRange: bytes=1-1\r\n").status, 200);
        assert_eq!(ask(&path, "POST", "Range: bytes=0-0\r\n").status, 200);
    }

    #[test]
    fn a_client_that_has_the_file_is_told_so() {
        // WS22
        let folder = Folder::new("conditions");
        let path = folder.file("a.txt", "0123456789");
        let first = ask(&path, "GET", "");
        let (tag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
        for (fields, status) in [
            (format!("If-None-Match: {tag}\r\n"), 304),
            (format!("If-None-Match: \"x\", W/{tag}\r\n"), 304),
            (format!("If-Modified-Since: {date}\r\n"), 304),
            ("If-None-Match: \"x\"\r\n".into(), 200),
            ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".into(), 200),
            (format!("If-Match: {tag}\r\n"), 200),
            ("If-Match: \"x\"\r\n".into(), 412),
            ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".into(), 412),
            (format!("If-Range: {tag}\r\nRange: bytes=1-2\r\n"), 206),
            (format!("If-Range: {date}\r\nRange: bytes=1-2\r\n"), 206),
            ("If-Range: \"x\"\r\nRange: bytes=1-2\r\n".into(), 200),
            (format!("If-None-Match: {tag}\r\nRange: bytes=1-2\r\n"), 304),
        ] {
            for method in ["GET", "HEAD"] {
                let status = if method == "HEAD" && status == 206 { 200 } else { status };
                let answer = ask(&path, method, &fields);
                assert_eq!(answer.status, status, "{method} {fields}");
                assert_eq!(answer.header("etag"), Some(tag), "{method} {fields}");
            }
        }
        folder.file("a.txt", "another text");
        assert_eq!(ask(&path, "GET", &format!("If-None-Match: {tag}\r\n")).status, 200);
        assert_eq!(
            ask(&path, "GET", &format!("If-Range: {tag}\r\nRange: bytes=1-2\r\n")).text(),
            "another text"
        );
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_sent_cuts_the_response() {
        // WS86
        let folder = Folder::new("shrinks");
        let path = folder.file("a.txt", "0123456789");
        let app = |request: &mut Request<'_>| {
            let response = Response::file(request, &path)?;
            fs::write(&path, "01").unwrap();
            Ok(response)
        };
        let outcome = talk("GET / HTTP/1.1\r\n\r\n", &app);
        assert!(!outcome.response().is_whole && outcome.reports[0].contains("8 bytes shorter"));
    }

    #[test]
    fn a_kill_at_any_step_of_a_file_ends_the_connection() {
        // WS95
        let folder = Folder::new("killed");
        let path = folder.file("a.bin", vec![7; 1 << 20]);
        for turns in 0..40 {
            let path = path.clone();
            let connection = spawn(move || {
                let app = |request: &mut Request<'_>| Ok(Response::file(request, &path)?);
                talk("GET / HTTP/1.1\r\n\r\n", &app)
            });
            (0..turns).for_each(|_| yield_now());
            connection.kill();
            match connection.join() {
                Ok(outcome) => assert_eq!(outcome.response().body.len(), 1 << 20),
                Err(error) => assert!(error.is_killed()),
            }
        }
    }

    #[test]
    fn what_is_no_regular_file_is_an_error() {
        let folder = Folder::new("kinds");
        let fifo = folder.0.join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for (path, text) in [
            (folder.0.clone(), "not a regular file"),
            (fifo, "not a regular file"),
            (folder.0.join("nothing"), "nothing"),
        ] {
            let app = |request: &mut Request<'_>| Ok(Response::file(request, &path)?);
            let outcome = talk("GET / HTTP/1.1\r\n\r\n", &app);
            assert_eq!(outcome.response().status, 500);
            assert!(outcome.reports.len() == 1 && outcome.reports[0].contains(text), "{:?}", outcome.reports);
        }
    }
}

mod folders {
    use super::*;

    fn get(files: &StaticFiles, target: &str) -> Answer {
        let outcome = talk(format!("GET {target} HTTP/1.1\r\n\r\n"), files);
        assert!(outcome.reports.is_empty(), "{target}: {:?}", outcome.reports);
        outcome.response()
    }

    fn site(name: &str) -> (Folder, StaticFiles) {
        let folder = Folder::new(name);
        folder.file("secret.txt", "outside");
        folder.file("site/index.html", "home");
        folder.file("site/css/main.css", "css");
        folder.file("site/docs/index.html", "docs");
        folder.file("site/docs/a b.txt", "a b");
        folder.file("site/.hidden", "hidden");
        folder.file("site/.well-known/x.txt", "known");
        let files = StaticFiles::new(folder.0.join("site")).unwrap();
        (folder, files)
    }

    #[test]
    fn paths_name_files_below_the_folder() {
        let (_folder, files) = site("folder");
        for (target, text, kind) in [
            ("/", "home", "text/html; charset=utf-8"),
            ("/index.html", "home", "text/html; charset=utf-8"),
            ("/css/main.css?v=3", "css", "text/css; charset=utf-8"),
            ("/docs/", "docs", "text/html; charset=utf-8"),
            ("/docs/a%20b.txt", "a b", "text/plain; charset=utf-8"),
            ("/%64ocs/a%20b%2etxt", "a b", "text/plain; charset=utf-8"),
            ("/.well-known/x.txt", "known", "text/plain; charset=utf-8"),
            ("http://host/css/main.css", "css", "text/css; charset=utf-8"),
        ] {
            let answer = get(&files, target);
            assert_eq!((answer.status, answer.text()), (200, text), "{target}");
            assert_eq!(answer.header("content-type"), Some(kind), "{target}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let (_folder, files) = site("escape");
        let long = format!("/{}", "x".repeat(3000));
        for target in [
            "/../secret.txt",
            "/css/../../secret.txt",
            "/css/../index.html",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/%2e%2e%2fsecret.txt",
            "/..\\secret.txt",
            "/..%5csecret.txt",
            "//secret.txt",
            "//etc/passwd",
            "/%2fetc/passwd",
            "/./index.html",
            "/css//main.css",
            "/.hidden",
            "/css/.",
            "/css/..",
            "/index.html%00",
            "/index.html%00.css",
            "/%",
            "/%zz",
            "/nothing",
            "/nothing/",
            "/css/",
            "/index.html/",
            "/index.html/x",
            &long,
        ] {
            assert_eq!(get(&files, target).status, 404, "{target}");
        }
    }

    #[test]
    fn links_are_followed_within_the_folder_only() {
        let (folder, files) = site("links");
        let site = folder.0.join("site");
        symlink("css/main.css", site.join("inside.css")).unwrap();
        symlink("../secret.txt", site.join("outside.txt")).unwrap();
        symlink("/etc", site.join("etc")).unwrap();
        symlink("circle", site.join("circle")).unwrap();
        assert_eq!(get(&files, "/inside.css").text(), "css");
        // As a tool may lay them out that names files by their content.
        folder.file("site/store/0f3a", "<p>hello");
        symlink("store/0f3a", site.join("hello.html")).unwrap();
        let linked = get(&files, "/hello.html");
        assert_eq!(
            (linked.text(), linked.header("content-type")),
            ("<p>hello", Some("text/html; charset=utf-8"))
        );
        for target in ["/outside.txt", "/etc/passwd", "/etc", "/etc/", "/circle"] {
            assert_eq!(get(&files, target).status, 404, "{target}");
        }
    }

    #[test]
    fn a_folder_without_its_slash_is_redirected() {
        let (_folder, files) = site("redirect");
        let answer = get(&files, "/docs?x=1");
        assert_eq!((answer.status, answer.header("location")), (301, Some("/docs/?x=1")));
    }

    #[test]
    fn only_get_and_head_are_answered() {
        let (_folder, files) = site("methods");
        let outcome = talk("POST / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n", &files);
        let answers = answers(&outcome.output, &[false, true]);
        assert_eq!((answers[0].status, answers[0].header("allow")), (405, Some("GET, HEAD")));
        assert_eq!((answers[1].status, answers[1].header("content-length")), (200, Some("4")));
    }

    #[test]
    fn a_prefix_is_taken_off() {
        let (_folder, files) = site("prefix");
        let files = files.prefix("/static/");
        assert_eq!(get(&files, "/static/css/main.css").text(), "css");
        assert_eq!(get(&files, "/static/").text(), "home");
        for target in ["/static", "/staticcss/main.css", "/css/main.css", "/static/../secret.txt"] {
            assert_eq!(get(&files, target).status, 404, "{target}");
        }
        assert_eq!(get(&files, "/static/docs").header("location"), Some("/static/docs/"));
    }

    #[test]
    fn pipes_are_not_waited_for() {
        let (folder, files) = site("pipes");
        let fifo = folder.0.join("site/fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert_eq!(get(&files, "/fifo").status, 404);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error = StaticFiles::new("/nothing/here").unwrap_err();
        assert!(error.to_string().contains("/nothing/here"), "{error}");
        let error = StaticFiles::new("Cargo.toml").unwrap_err();
        assert!(error.to_string().contains("is not a folder"), "{error}");
    }

    #[test]
    fn it_can_be_called_from_another_handler() {
        let (_folder, files) = site("inner");
        let app = |request: &mut Request<'_>| match request.path() {
            "/" => "hello".into_response(),
            _ => http::Handler::handle(&files, request),
        };
        assert_eq!(talk("GET /css/main.css HTTP/1.1\r\n\r\n", &app).response().text(), "css");
        assert_eq!(talk("GET / HTTP/1.1\r\n\r\n", &app).response().text(), "hello");
    }
}
