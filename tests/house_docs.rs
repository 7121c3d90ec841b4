//! The rule of the house for what is said of calls: whatever may switch says what it does instead in a destructor that is run by
//! an unwind, in a paragraph of its own behind **Switches**. And every public item has an example that runs.

use std::fs;
use std::path::Path;

/// What is held to the rule, in `src`.
const PLACES: [&str; 12] = [
    "greenlet",
    "event",
    "lock",
    "queue",
    "pool",
    "threadpool",
    "wait",
    "sync",
    "future",
    "local",
    "testing",
    "timeout.rs",
];

const SWITCHES: &str = "**Switches**: ";
const UNWINDING: &str = "**While unwinding** ";

fn texts(path: &Path, into: &mut Vec<(String, String)>) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| texts(&entry.unwrap().path(), into));
    } else {
        into.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
    }
}

/// The documentation of each item, and the first line of what it belongs to.
fn documented(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut docs = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("#[doc = ")) {
            docs += doc.trim();
            docs.push('\n');
        } else if !line.starts_with("#[") && !docs.is_empty() {
            found.push((std::mem::take(&mut docs), line.to_string()));
        }
    }
    found
}

/// None if the item does not switch; otherwise, does it say what it does while unwinding?
fn says_what_unwinding_does(docs: &str) -> Option<bool> {
    let (_, answer) = docs.split_once(SWITCHES)?;
    let mut paragraphs = answer.split("\n\n");
    let first_word = paragraphs.next()?.split(|c: char| !c.is_alphanumeric()).next()?;
    if first_word == "no" {
        return None;
    }
    let next = paragraphs.next().unwrap_or_default().trim();
    Some(next.starts_with(UNWINDING) && next.ends_with('.'))
}

#[test]
fn what_may_switch_says_what_it_does_while_unwinding() {
    let mut files = Vec::new();
    for place in PLACES {
        texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(place), &mut files);
    }
    let (mut silent, mut switching) = (Vec::new(), 0);
    for (path, text) in files {
        for (docs, item) in documented(&text) {
            let says = says_what_unwinding_does(&docs);
            switching += usize::from(says.is_some());
            if says == Some(false) {
                silent.push(format!(
                    "{path}: `{item}` has no paragraph \"{UNWINDING}..\" behind that of \"{SWITCHES}\""
                ));
            }
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    assert!(switching > 100, "only {switching} items were found that switch");
}

#[test]
fn an_item_that_switches_and_does_not_say_more_is_found() {
    let source = "
        /// Waits.
        ///
        /// **Switches**: yes, and
        /// often.
        ///
        /// **While unwinding** it returns at once.
        ///
        /// # Panics
        #[track_caller]
        pub fn good() {}

        /// Waits. **Switches**: nobody knows.
        #[inline]
        pub fn silent() {}

        /// **Switches**: yes. **While unwinding** it returns at once.
        pub fn hidden() {}

        /// **Switches**: yes.
        ///
        /// # Panics
        /// If nothing is left.
        ///
        /// **While unwinding** it returns at once.
        pub fn late() {}

        /// **Switches**: no, unless the destructor of an item does.
        pub fn harmless() {}

        #[doc = concat!(\"Takes the \", $first, \" item. **Switches**: no.\")]
        pub fn made() {}

        /// A type.
        pub struct Type;
    ";
    let found = documented(source);
    let said: Vec<_> =
        found.iter().map(|(docs, item)| (item.as_str(), says_what_unwinding_does(docs))).collect();
    assert_eq!(
        said,
        [
            ("pub fn good() {}", Some(true)),
            ("pub fn silent() {}", Some(false)),
            ("pub fn hidden() {}", Some(false)),
            ("pub fn late() {}", Some(false)),
            ("pub fn harmless() {}", None),
            ("pub fn made() {}", None),
            ("pub struct Type;", None),
        ]
    );
}

const LIMITS: &str = "](crate#time-limits)";

/// Does the item wait with a limit, and not say what limits mean?
fn hides_its_limit(docs: &str, item: &str) -> bool {
    let name = item.strip_prefix("pub fn ").and_then(|rest| words(rest).next()).unwrap_or_default();
    let waits = name.contains("_timeout")
        && docs.split_once(SWITCHES).is_some_and(|(_, answer)| !answer.starts_with("no."));
    waits && !docs.contains(LIMITS)
}

#[test]
fn what_waits_with_a_limit_says_where_it_is_told_what_limits_mean() {
    let mut files = Vec::new();
    texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let (mut silent, mut limited) = (Vec::new(), 0);
    for (path, text) in files {
        for (docs, item) in documented(&text) {
            limited += usize::from(docs.contains(LIMITS));
            if hides_its_limit(&docs, &item) {
                silent.push(format!("{path}: `{item}` has no link to `crate#time-limits`"));
            }
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    assert!(limited > 40, "only {limited} items were found that have a limit");
    assert!(hides_its_limit(
        "Waits at most for `timeout`. **Switches**: yes.\n",
        "pub fn wait_timeout(&self) {"
    ));
    assert!(!hides_its_limit("The limit. **Switches**: no.\n", "pub fn read_timeout(&self) {"));
}

/// Whose public items have an example each, in `src`: all that has any.
const SHOWN_PLACES: [&str; 23] = [
    "error.rs",
    "event",
    "fs",
    "future",
    "greenlet",
    "http",
    "hub/public.rs",
    "io",
    "local",
    "lock",
    "net",
    "pool",
    "process",
    "queue",
    "reactor",
    "server",
    "signal",
    "sync",
    "testing",
    "threadpool",
    "timeout.rs",
    "tls",
    "wait",
];

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The names that a module passes on to whoever is above it.
fn passed_on(text: &str) -> Vec<&str> {
    let uses = text.match_indices("pub use ").map(|(at, start)| &text[at + start.len()..]);
    uses.filter_map(|rest| rest.split_once(';')).flat_map(|(list, _)| words(list)).collect()
}

/// What an item is called, if the line declares one of those that need an example.
fn public_item(line: &str) -> Option<&str> {
    if let Some(declared) = line.strip_prefix("macro_rules! ") {
        return words(declared).next();
    }
    let mut words = words(line.trim().strip_prefix("pub ")?);
    let kind = words.find(|word| !["const", "unsafe", "async"].contains(word))?;
    words.next().filter(|_| ["fn", "struct", "enum", "trait", "type"].contains(&kind))
}

/// Is one of its blocks of code run? Each has a fence before it and one behind it.
fn has_example(docs: &str) -> bool {
    let mut openings = docs.lines().filter(|line| line.starts_with("```")).step_by(2);
    openings.any(|fence| ["```", "```should_panic", "```no_run"].contains(&fence))
}

/// The public items that have documentation without an example. Methods are reached by their type; what stands at the margin of a file
/// is reached if a module above passes its name on.
fn without_example(text: &str, is_reached: impl Fn(&str) -> bool) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let (mut found, mut docs, mut attributes) = (Vec::new(), String::new(), String::new());
    let mut in_attribute = false;
    for line in code.lines() {
        let trimmed = line.trim();
        if let Some(doc) = trimmed.strip_prefix("///") {
            docs += doc.trim();
            docs.push('\n');
        } else if in_attribute || trimmed.starts_with("#[") {
            attributes += trimmed;
            in_attribute = !trimmed.ends_with(']');
        } else {
            let is_documented = !docs.is_empty() && !attributes.contains("#[doc(hidden)]");
            let name = public_item(line).filter(|_| is_documented && !has_example(&docs));
            let is_public = |name: &str| match line.starts_with("macro_rules! ") {
                true => attributes.contains("#[macro_export]"),
                false => line.starts_with(' ') || is_reached(name),
            };
            found.extend(name.filter(|name| is_public(name)).map(String::from));
            docs.clear();
            attributes.clear();
        }
    }
    found
}

#[test]
fn every_public_item_has_an_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut all, mut core) = (Vec::new(), Vec::new());
    texts(&root, &mut all);
    SHOWN_PLACES.iter().for_each(|place| texts(&root.join(place), &mut core));
    let passed_on: Vec<_> = all.iter().flat_map(|(_, text)| passed_on(text)).collect();
    let mut silent = Vec::new();
    for (path, text) in core.iter().filter(|(path, _)| !path.contains("/tests")) {
        let found = without_example(text, |name| path.ends_with("/mod.rs") || passed_on.contains(&name));
        silent.extend(found.iter().map(|item| format!("{path}: `{item}` has no example")));
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn a_public_item_without_an_example_is_found() {
    let source = "
/// Shown.
/// ```
/// assert!(true);
/// ```
#[derive(Debug)]
pub struct Shown;

/// Not shown.
#[error(
    \"an attribute of several lines\"
)]
pub struct Bare;

/// Not to be had from outside.
pub struct Unreached;

impl Shown {
    /// ```compile_fail
    /// it does not run
    /// ```
    pub const fn refused(self) {}

    /// For macros alone.
    #[doc(hidden)]
    pub fn hidden() {}

    /// Inside only.
    pub(crate) fn inside() {}
}

/// For everybody.
#[macro_export]
macro_rules! exported { () => {}; }

/// For this crate.
macro_rules! own { () => {}; }
";
    let names = passed_on("pub use one::{Shown,\n Bare};\npub(crate) use one::Unreached;");
    assert_eq!(names, ["one", "Shown", "Bare"]);
    let found = without_example(source, |name| name != "Unreached");
    assert_eq!(found, ["Bare", "refused", "exported"]);
}
