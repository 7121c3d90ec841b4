//! The contract: gevent's behaviours by their ids, and what proves each of them.
//!
//! An id is proved by a test that cites it in a comment, or it stands below with the reason why none does. Where this crate
//! behaves otherwise than gevent, it has a reason and perhaps a test of what was decided. Nothing is
//! missing and nothing stale: `docs/contract.md` is generated from both, and this test compares it. To write it anew:
//! `GREENLOOP_WRITE=1 cargo test --test contract`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Sections of the contract: prefix, title, numbers.
#[rustfmt::skip]
const SECTIONS: &[(&str, &str, &str)] = &[
    ("GL", "Greenlets: states and start", "01 02 03 04 06 07 10 11 12 14 15 16 17 18 19 20 22 23 24 25 26 28 30 31 32 33 35 36 38 39 40 41 42 43"),
    ("LK", "Links", "01 02 03 04 06 07 08 09 10 11 12 14 15"),
    ("KL", "Kill", "01 02 03 04 06 08 09 10 11 12 14 15 16 17 18 19 20 22 23 24 25 26 27 28 29 30 31"),
    ("JO", "join, get, joinall, wait, iwait", "01 02 03 04 06 07 08 09 10 11 12 14 15 16 17 18 19 20 22 23 24 25 26 27 28 30 31 32 33 34 35 36"),
    ("SL", "sleep, idle, the loop, timers", "01 02 03 04 06 07 08 09 10 11 12 14 15 16 17 19 20 22 23 24 25 26"),
    ("TO", "Timeout", "01 02 03 06 07 08 10 11 12 14 15 16 17 18 20 22 24 25 26 27 28 29 30 31 32"),
    ("EV", "Event", "01 02 03 04 06 07 08 09 10 11 13 14 15"),
    ("AR", "AsyncResult", "01 02 03 04 06 07 08 09 10 11 12 13 14"),
    ("LO", "Locks", "01 02 03 04 06 07 08 09 10 11 12 14 15 16 17 18 19 20 22 23 24 25 26 27 28 30 31 32 33 34 35 36 37"),
    ("QU", "Queues", "01 02 03 04 06 07 08 09 10 11 12 14 16 17 18 19 20 22 23 24 25 26 27 28 30 31 32 33 34 35 36 38 39 40 41 42 43"),
    ("GP", "Group", "01 02 03 04 06 07 08 09 10 11 12 13 14 15"),
    ("PO", "Pool", "01 02 03 04 06 07 08 09 10 11 12 14 15 16 17 18 19 20 22 23 24 25 26 27 28"),
    ("IM", "imap, imap_unordered", "01 02 03 04 06 07 08 09 10 11 12 13"),
    ("TP", "ThreadPool", "01 02 03 04 06 07 09 10 11 12 14 15 16 17 18 19 20 22 24 25 26"),
    ("LC", "Greenlet-local storage, context variables", "01 03 06 08 09 10 11 13 14 15"),
    ("HB", "Hub, LoopExit, threads", "01 02 03 04 06 07 08 09 10"),
    ("SK", "Sockets", "01 02 03 04 06 07 08 09 10 11 12 14 15 18 19 20 22 24 25 26 27 28 31 32 33 34 35 36 37 38 39 40"),
    ("SE", "select, poll, selectors", "01 02 03 04 06 07 08 09 10 11 12 13"),
    ("TL", "TLS", "01 02 04 06 07"),
    ("FI", "File objects and raw descriptors", "01 02 04 06 07 08 09 11 12 14"),
    ("SP", "Subprocesses, signals", "01 02 03 04 06 07 08 09 11 12 14 15 18 19 20 21"),
    ("SV", "StreamServer, DatagramServer", "01 02 03 04 06 07 08 09 10 11 12 15 16 17 18 19 20 21 22 23 24 25 26 27"),
    ("WS", "HTTP server", "01 02 03 04 06 07 08 09 10 11 12 14 15 16 17 18 19 20 22 23 24 25 26 27 28 30 31 32 33 34 35 36 38 39 40 41 42 43 44 46 47 48 49 50 51 52 54 55 56 57 58 59 60 62 63 64 65 66 67 68 70 71 72 73 75 76 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97"),
];

/// Ids of which no test shows gevent's behaviour, and why. The kinds are those of `docs/contract.md`.
#[rustfmt::skip]
const OTHERWISE: &[(Kind, &str, &str)] = &[
    (Kind::Decided, "GL01", "there is no greenlet before it is spawned; `Builder` is not one"),
    (Kind::Meaningless, "GL06", "there is no `exc_info`; `join` gives a `Result`"),
    (Kind::Meaningless, "GL07", "a closure runs once, and nothing is started twice"),
    (Kind::Decided, "GL15", "an overflow cannot be caught: it ends the process with a message that names the greenlet (`tests/overflow.rs`)"),
    (Kind::Meaningless, "GL17", "no code of the user runs in the loop"),
    (Kind::Meaningless, "GL18 GL19 GL20", "there are no exceptions that end the interpreter; `std::process::exit` works from any greenlet"),
    (Kind::Meaningless, "GL23", "there is no current exception that could leak"),
    (Kind::Meaningless, "GL24", "the one handler of errors is the panic hook, and a panic in it ends the process"),
    (Kind::Decided, "GL30 GL31", "a number is not used again, so that it never means another greenlet"),
    (Kind::Decided, "GL39", "a scope passes on the panic that nobody has asked for, as that of the standard library does"),
    (Kind::Decided, "GL43", "a greenlet ends itself by returning, by panicking, or by `current().kill()`"),
    (Kind::Meaningless, "LK14", "no code of the user runs in the loop; callbacks run in greenlets"),
    (Kind::Decided, "KL06 KL10 KL11", "a kill carries no error of the killer: the outcome is `Killed`"),
    (Kind::Decided, "KL09", "a kill is no value: `join` gives an error of which `is_killed` is true"),
    (Kind::Meaningless, "KL15 KL18", "there are no raw greenlets and there is no `throw`"),
    (Kind::Decided, "JO04 TO03 TO15 TO18", "a timeout is `Err(Elapsed)` of its own scope, which the caller maps to what it likes"),
    (Kind::Meaningless, "JO30", "there are no timers without a purpose; what a greenlet waits for counts"),
    (Kind::Meaningless, "JO34 SL24 SL25", "a hub lives as long as its thread and cannot be destroyed from outside"),
    (Kind::Meaningless, "SL09 SL10 SL11 SL12 SL14 SL16 SL17 SL19", "the loop has no interface: no callbacks, no watchers"),
    (Kind::Meaningless, "SL22 SL23 SL26", "a hub is not carried over a `fork`; its descriptors are its own"),
    (Kind::Decided, "TO17", "an expiry that no `run` is there to take is a panic that says so"),
    (Kind::Decided, "TO30", "nothing is closed: a scope can be entered again, and what is not needed is dropped"),
    (Kind::Meaningless, "AR04", "a list of callbacks is not part of the interface"),
    (Kind::Decided, "AR12", "a second value is given back"),
    (Kind::Decided, "LO04 QU39 TP03", "the types have no negative numbers"),
    (Kind::Decided, "LO06", "there is no default: the count is said"),
    (Kind::Decided, "LO17", "`release` returns nothing; `available` gives the count"),
    (Kind::Decided, "LO28", "a wait takes the guard, so it has the lock by its type; that is a `Mutex`; notifying needs no lock"),
    (Kind::Meaningless, "LO23", "a lock is unlocked by dropping its guard, so there is none to drop if nobody holds it"),
    (Kind::Decided, "LO24", "a failed `try_acquire` does not switch: it would be no `try` otherwise; a spinning greenlet yields"),
    (Kind::Decided, "QU20", "iteration ends when the queue is closed"),
    (Kind::Decided, "QU38", "no limit is asked for by name, and room for 0 items is refused"),
    (Kind::Meaningless, "GP11", "there are no raw greenlets"),
    (Kind::Decided, "GP15", "failures of before the join count, too, so that none depends on timing to be seen"),
    (Kind::Decided, "PO18", "what is to happen with the value stands after `join`"),
    (Kind::Decided, "PO27", "a slot is free as soon as its member has ended"),
    (Kind::Decided, "PO28", "killing the caller of a map starts no more items"),
    (Kind::Decided, "TP17", "the limit can be set; the size follows from the jobs"),
    (Kind::Meaningless, "TP22", "no hook of the user runs when a job completes"),
    (Kind::Meaningless, "LC03 LC11", "a greenlet-local is a variable with a type, not an object with attributes"),
    (Kind::Decided, "LC13 LC14", "a value is bound for the length of a closure; there are no tokens and no contexts to enter"),
    (Kind::Meaningless, "HB03", "no code of the user runs in the hub"),
    (Kind::Meaningless, "HB04 HB06 HB08 HB09", "switching and waiters are not part of the interface"),
    (Kind::Decided, "HB07", "a socket cannot be closed while another greenlet waits for it; `shutdown` wakes that one"),
    (Kind::Meaningless, "SK28", "there are no watchers that could be told not to keep the loop alive"),
    (Kind::Meaningless, "SK37", "a hub is not carried over a `fork`, nor are its threads"),
    (Kind::Meaningless, "SE12", "a `Duration` is never negative"),
    (Kind::Meaningless, "FI09", "a pipe is not `Seek`"),
    (Kind::Decided, "TL02", "there is no non-blocking mode; a write with a limit ends with `TimedOut` (`tests/tls.rs`)"),
    (Kind::Meaningless, "SV12", "no handler runs in the loop: each has a greenlet, and may block"),
    (Kind::Decided, "WS55", "a go-ahead carries no headers of the handler, as in gevent today"),
    (Kind::Decided, "WS78", "an access log is a function, which calls what it likes; `Access::lines_to` makes one of a writer"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Rust, or this design, has nothing that it could be said of.
    Meaningless,
    /// The same need is met in another way.
    Decided,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Kind::Meaningless => "not meaningful in Rust",
            Kind::Decided => "decided otherwise",
        }
    }
}

type Proofs = BTreeMap<String, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All ids of the contract in order.
fn ids() -> impl Iterator<Item = String> {
    SECTIONS
        .iter()
        .flat_map(|(prefix, _, numbers)| numbers.split(' ').map(move |number| format!("{prefix}{number}")))
}

/// The ids in a comment: `KL04`, and ranges such as `KL04-KL09`, `KL04-09` and `KL04 to KL09`.
fn cited(comment: &str) -> Vec<String> {
    let mut found: Vec<(String, u32)> = Vec::new();
    let mut range = false;
    for word in comment
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .flat_map(|word| word.split_inclusive('-'))
    {
        let (name, dash) = (word.trim_end_matches('-'), word.ends_with('-'));
        let (prefix, digits) = name.split_at(name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len()));
        let number = (digits.len() == 2).then(|| digits.parse::<u32>().ok()).flatten();
        match (number, found.last().cloned()) {
            (Some(to), Some((last, from))) if range && (prefix.is_empty() || prefix == last) => {
                found.extend((from + 1..=to).map(|number| (last.clone(), number)));
            }
            (Some(number), _) if prefix.len() == 2 => found.push((prefix.to_string(), number)),
            _ => {}
        }
        range = dash || (range && name.is_empty()) || name == "to";
    }
    found.into_iter().map(|(prefix, number)| format!("{prefix}{number:02}")).collect()
}

/// Adds the citations of one file: a comment belongs to the function that it stands in or in front of.
fn read_proofs(path: &Path, proofs: &mut Proofs) {
    let text = fs::read_to_string(path).unwrap();
    let shown = path.strip_prefix(root()).unwrap().display().to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let name_of = |line: &str| {
        let rest =
            line.split_once("fn ").filter(|(before, _)| before.is_empty() || before.ends_with("pub "))?.1;
        Some(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
    };
    let mut current = None;
    for (number, line) in lines.iter().enumerate() {
        current = name_of(line).or(current);
        let Some((_, comment)) = line.split_once("//").filter(|(_, comment)| !comment.starts_with('!'))
        else {
            continue;
        };
        let after = lines[number..].iter().find(|line| !line.starts_with("//") && !line.starts_with('#'));
        let test =
            after.filter(|_| line.starts_with("//")).and_then(|line| name_of(line)).or(current.clone());
        for id in cited(comment) {
            let place = test.as_deref().map_or(shown.clone(), |test| format!("{shown}: `{test}`"));
            proofs.entry(id).or_default().insert(place);
        }
    }
}

fn proofs() -> Proofs {
    let mut proofs = Proofs::new();
    let mut folders: Vec<PathBuf> = vec![root().join("tests"), root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("contract.rs") {
                read_proofs(&path, &mut proofs);
            }
        }
    }
    proofs
}

fn reasons() -> BTreeMap<String, (Kind, &'static str)> {
    let entries =
        OTHERWISE.iter().flat_map(|&(kind, ids, reason)| ids.split(' ').map(move |id| (id, kind, reason)));
    let mut reasons = BTreeMap::new();
    for (id, kind, reason) in entries {
        assert!(reasons.insert(id.to_string(), (kind, reason)).is_none(), "{id} has two reasons");
    }
    reasons
}

fn table(proofs: &Proofs, reasons: &BTreeMap<String, (Kind, &str)>) -> String {
    let mut table = String::from(
        "# The contract\n\nGenerated by `GREENLOOP_WRITE=1 cargo test --test contract`. The ids are those of gevent's behaviours, as its own test \
         suite has them; the same ids stand in the tests. A test behind *decided otherwise* proves what was decided; `rationale.md` has the larger decisions.\n",
    );
    for (prefix, title, numbers) in SECTIONS {
        write!(table, "\n## {prefix}: {title}\n\n| id | proof |\n|---|---|\n").unwrap();
        for number in numbers.split(' ') {
            let id = format!("{prefix}{number}");
            let tests = proofs.get(&id).map(|places| places.iter().cloned().collect::<Vec<_>>().join("; "));
            let proof = match (tests, reasons.get(&id)) {
                (Some(tests), None) => tests,
                (Some(tests), Some((kind, reason))) => format!("*{}*: {reason}; {tests}", kind.text()),
                (None, Some((kind, reason))) => format!("*{}*: {reason}", kind.text()),
                (None, None) => String::from("**missing**"),
            };
            writeln!(table, "| {id} | {proof} |").unwrap();
        }
    }
    table
}

#[test]
fn every_id_of_the_contract_is_proved_or_has_a_reason() {
    let (proofs, reasons) = (proofs(), reasons());
    let missing: Vec<_> = ids().filter(|id| !proofs.contains_key(id) && !reasons.contains_key(id)).collect();
    assert!(missing.is_empty(), "neither a test nor a reason: {}", missing.join(" "));
    let tested = |id: &&String| proofs.contains_key(*id) && reasons[*id].0 == Kind::Meaningless;
    let both: Vec<_> = reasons.keys().filter(tested).cloned().collect();
    assert!(both.is_empty(), "these have a test, so they are meaningful: {}", both.join(" "));
    let known: BTreeSet<_> = ids().collect();
    let unknown: Vec<_> = reasons.keys().filter(|id| !known.contains(*id)).cloned().collect();
    assert!(unknown.is_empty(), "the contract has no {}", unknown.join(" "));
    let path = root().join("docs/contract.md");
    let table = table(&proofs, &reasons);
    if std::env::var_os("GREENLOOP_WRITE").is_some() {
        fs::write(&path, &table).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == table,
        "docs/contract.md is stale; write it anew"
    );
}

#[test]
fn citations_are_read_as_they_are_written() {
    assert_eq!(cited(" KL04, KL23"), ["KL04", "KL23"]);
    assert_eq!(
        cited(" PO10-12; GP01-GP03, IM01 to IM02"),
        ["PO10", "PO11", "PO12", "GP01", "GP02", "GP03", "IM01", "IM02"]
    );
    assert_eq!(cited(" two-way, 10 ms, RFC 9110, utf-8"), Vec::<String>::new());
}
