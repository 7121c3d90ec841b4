//! The rules of the house that can be checked: layers only point down, `unsafe` only where it is said to be, no file holds
//! too much. `docs/rationale.md` says why the layers lie as they do.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the bottom. A module may use those of its own group and of the groups before it.
const LAYERS: [&[&str]; 15] = [
    &["sys", "error", "unwind", "report", "fifo"],
    &["stack"],
    &["coro"],
    &["hub", "reactor", "waitlist"],
    &["park"],
    &["event", "lock", "queue", "timeout", "greenlet", "local"],
    &["sync", "future"],
    &["pool", "threadpool"],
    &["wait"],
    &["io"],
    &["net", "fs", "signal"],
    &["tls", "process"],
    &["server"],
    &["http"],
    &["testing"],
];

/// Beside these two folders and `coro`, as `docs/rationale.md` says.
const MAY_BE_UNSAFE: [&str; 6] =
    ["sys/", "stack/", "coro", "hub/current.rs", "threadpool/borrow.rs", "greenlet/scope/erase.rs"];

/// A face without code: names of higher layers, under a module where users look for them.
const FACES: [&str; 1] = ["hub/public.rs"];

/// What Miri can run, which knows neither coroutines nor our system calls: the order of the wait lists, the timers, the order of
/// the queues, the inbox and the line between threads.
const PURE: [&str; 7] = [
    "fifo.rs",
    "hub/timers.rs",
    "hub/inbox.rs",
    "queue/heap.rs",
    "queue/storage.rs",
    "sync/line.rs",
    "unwind.rs",
];

/// What those may name beside each other. The waker is the default of a parameter, which tests choose otherwise.
const PURE_USES: [&str; 5] = ["fifo::", "sys::shared::", "sys::driver::Waker", "storage::", "unwind::"];

const MOST_CODE_LINES: usize = 400;

struct Source {
    /// Relative to `src`.
    path: String,
    /// Without comments and without the tests at the end.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_string();
                sources.push(Source { path, code: code_of(&text) });
            }
        }
    }
    assert!(sources.len() > 30, "only {} files were found", sources.len());
    sources
}

fn code_of(text: &str) -> String {
    let marks = ["#[cfg(test)]\nmod tests", "#[cfg(all(test, not(greenloop_loom)))]\nmod tests"];
    let text = marks.iter().fold(text, |text, mark| text.split(mark).next().unwrap_or_default());
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//") && !line.trim().is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn module_of(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or_default()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|group| group.contains(&module))
}

/// The modules of this crate that the code names, macros apart.
fn uses(code: &str) -> Vec<String> {
    let after = code.match_indices("crate::").map(|(at, _)| &code[at + "crate::".len()..]);
    let names = after.map(|rest| {
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (rest[name.len()..].starts_with('!'), name)
    });
    names.filter(|(is_macro, name)| !is_macro && !name.is_empty()).map(|(_, name)| name).collect()
}

/// What is wrong with the imports of one file.
fn upward(path: &str, code: &str) -> Vec<String> {
    let module = module_of(path);
    let Some(own) = layer_of(module) else { return vec![format!("{path}: `{module}` has no layer")] };
    let wrong = uses(code).into_iter().filter(|used| layer_of(used).is_none_or(|layer| layer > own));
    wrong.map(|used| format!("{path} may not use `{used}`")).collect()
}

#[test]
fn layers_only_point_down() {
    let sources = sources();
    let layered = sources.iter().filter(|s| s.path != "lib.rs" && !FACES.contains(&s.path.as_str()));
    let wrong: Vec<_> = layered.flat_map(|s| upward(&s.path, &s.code)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_face_has_names_and_no_code() {
    for Source { path, code } in sources().into_iter().filter(|s| FACES.contains(&s.path.as_str())) {
        assert!(code.lines().all(|line| line.starts_with("pub use ")), "{path}: {code}");
    }
}

#[test]
fn a_use_of_a_higher_layer_is_found() {
    assert_eq!(upward("park.rs", "use crate::hub::Hub;"), Vec::<String>::new());
    assert_eq!(upward("park.rs", "use crate::net::TcpStream;"), ["park.rs may not use `net`"]);
    assert_eq!(upward("hub/turn.rs", "fn f() { crate::park::park() }"), ["hub/turn.rs may not use `park`"]);
    assert_eq!(upward("new.rs", ""), ["new.rs: `new` has no layer"]);
}

#[test]
fn unsafe_stands_only_where_the_rationale_says() {
    for Source { path, code } in sources() {
        let allowed = MAY_BE_UNSAFE.iter().any(|place| path.starts_with(place));
        let found = code.lines().find(|line| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe" || word == "unsafe_code")
        });
        let found = found.filter(|line| *line != "#![deny(unsafe_code)]");
        assert!(allowed || found.is_none(), "{path}: {found:?}");
    }
}

#[test]
fn only_coro_names_corosensei() {
    for Source { path, code } in sources() {
        assert!(path.starts_with("coro") || !code.contains("corosensei"), "{path} names corosensei");
    }
}

#[test]
fn what_miri_can_run_names_nothing_that_it_cannot() {
    let sources = sources();
    for path in PURE {
        let code = &sources.iter().find(|s| s.path == path).unwrap().code;
        let named = ["crate::", "super::"]
            .map(|start| code.match_indices(start).map(move |(at, _)| at + start.len()));
        for at in named.into_iter().flatten() {
            let is_pure = PURE_USES.iter().any(|pure| code[at..].starts_with(pure));
            assert!(is_pure, "{path} names `{}`", code[at..].lines().next().unwrap_or_default());
        }
    }
}

#[test]
fn the_loop_resumes_in_one_place_and_greenlets_suspend_in_one() {
    let sources = sources();
    let places = |call: &str| -> Vec<&str> {
        sources.iter().filter(|s| s.code.contains(call)).map(|s| s.path.as_str()).collect()
    };
    assert_eq!(places("coro::suspend()"), ["park.rs"]);
    assert_eq!(places("coroutine.resume()"), ["hub/turn.rs"]);
}

#[test]
fn no_file_holds_too_much() {
    for Source { path, code } in sources() {
        let lines = code.lines().count();
        assert!(lines <= MOST_CODE_LINES, "{path} has {lines} lines of code; the most is {MOST_CODE_LINES}");
    }
}
