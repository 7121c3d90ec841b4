//! The rule of the house for what is said of calls: whatever may switch says what it does instead in a destructor that is run by
//! an unwind, in a paragraph of its own behind **Switches**.

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
