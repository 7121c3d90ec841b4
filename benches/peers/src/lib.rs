//! What the contenders and the client have in common.
//!
//! A contender is a program with fixed commands (`switch`, `spawn`, ..., `http PORT`); `README.md` lists them. It prints
//! lines of the form `name value unit`, which the script `run` collects.

pub mod measure;
pub mod sockets;

use std::time::Duration;

/// How many sleepers or timers a measurement of timeouts finds pending.
pub const PENDING: u64 = 1000;
/// The time that every measured timeout allows, and that never passes.
pub const FAR: Duration = Duration::from_secs(60);
/// The room of the queue in `chan`.
pub const CHANNEL: usize = 1000;
/// The answer of every HTTP server.
pub const HELLO: &str = "Hello, World!";
/// The pause in the middle of every stream.
pub const PAUSE: Duration = Duration::from_millis(100);
/// The size of the read buffer of an echo server.
pub const ECHO_BUFFER: usize = 2048;

/// The arguments of the command line: a command, then numbers.
pub struct Arguments {
    words: Vec<String>,
}

impl Arguments {
    pub fn new() -> Arguments {
        Arguments { words: std::env::args().skip(1).collect() }
    }

    pub fn command(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The number at place `place` behind the command, or the default if there are not so many.
    pub fn number(&self, place: usize, default: u64) -> u64 {
        match self.words.get(place) {
            None => default,
            Some(word) => word.parse().unwrap_or_else(|_| fail(&format!("`{word}` should be a number"))),
        }
    }

    /// The port to listen on, which has no default.
    pub fn port(&self) -> u16 {
        match self.words.get(1).map(|word| word.parse()) {
            Some(Ok(port)) => port,
            _ => fail("a port is needed"),
        }
    }

    /// The value behind `--name`.
    pub fn option<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        let at = self.words.iter().position(|word| word.strip_prefix("--") == Some(name))?;
        let value = self.words.get(at + 1).and_then(|word| word.parse().ok());
        Some(value.unwrap_or_else(|| fail(&format!("--{name} needs a value"))))
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Arguments::new()
    }
}

/// Ends the program with a message.
pub fn fail(what: &str) -> ! {
    eprintln!("{}: {what}", std::env::args().next().unwrap_or_default());
    std::process::exit(2)
}
