//! What the library itself has to say, on standard error.
//!
//! `eprintln!` panics where nobody reads any more: a pipe whose reader has gone, a full disk. A report is made at places that must not
//! be left so, such as the loop of a hub, so this one ends there without a word, as that of the standard library's panic hook does.
//! It is still `eprint!` that writes, as tests that capture their output have it captured too.

use std::fmt;
use std::io::stderr;
use std::os::fd::AsFd;

use crate::sys::descriptor;
use crate::unwind;

/// Writes a line to standard error, in one piece, if anybody reads there. Never panics.
#[cold]
pub(crate) fn line(text: fmt::Arguments<'_>) {
    // What is formatted may be the user's, and panic as well.
    let _ = unwind::catch(|| {
        let line = format!("{text}\n");
        // Asked first, so that the panic hook, which may be one that prints, is left in peace in the usual case.
        if !descriptor::is_cut_off(stderr().as_fd()) {
            eprint!("{line}");
        }
    });
}
