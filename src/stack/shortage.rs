//! Why there is no further stack, told so that somebody can act on it.

use std::fmt;
use std::io;

use crate::sys::limits;

/// What was missing for a further stack.
pub(super) enum Shortage {
    /// A slab could not be mapped.
    Map { len: usize, error: io::Error },
    /// The guards made by access rights are used up.
    Guards { guards: usize, max_map_count: usize },
    /// A guard could not be made by markers.
    Mark(io::Error),
    /// A guard could not be made by access rights.
    Protect(io::Error),
}

impl Shortage {
    /// The error for a stack of `size` bytes, when `live`, pairs of a number and a size, are in use.
    pub(super) fn into_error(self, size: usize, live: &[(usize, usize)]) -> io::Error {
        let kind = match &self {
            Shortage::Map { error, .. } | Shortage::Mark(error) | Shortage::Protect(error) => error.kind(),
            Shortage::Guards { .. } => io::ErrorKind::OutOfMemory,
        };
        let text = format!(
            "no greenlet stack of {} KiB can be made while {} in use: {self}",
            size / 1024,
            Live(live)
        );
        io::Error::new(kind, text)
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortage::Map { len, error } => {
                write!(f, "mapping {} KiB of address space failed ({error}). {}", len / 1024, Advice)
            }
            Shortage::Guards { guards, max_map_count } => write!(
                f,
                "this kernel has no guard markers (Linux 6.13 and later have), so each guard page takes two areas \
                 of memory, and all {guards} guards are taken that fit in 40 % of vm.max_map_count = \
                 {max_map_count}. Raise it (`sysctl -w vm.max_map_count=1000000`), or run fewer greenlets at once"
            ),
            Shortage::Mark(error) => write!(f, "its guard page could not be marked ({error}). {}", Advice),
            Shortage::Protect(error) => write!(
                f,
                "its guard page could not be protected ({error}). Each takes two areas of memory, which \
                 vm.max_map_count limits: raise it (`sysctl -w vm.max_map_count=1000000`), or run fewer \
                 greenlets at once"
            ),
        }
    }
}

/// How many stacks of which sizes are in use.
struct Live<'a>(&'a [(usize, usize)]);

impl fmt::Display for Live<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.0.iter().filter(|(count, _)| *count > 0).peekable();
        if parts.peek().is_none() {
            return f.write_str("none is");
        }
        let mut separator = "";
        for (count, size) in parts {
            write!(f, "{separator}{count} of {} KiB", size / 1024)?;
            separator = ", ";
        }
        f.write_str(" are")
    }
}

/// The limit that was probably hit when the kernel had no memory, and what to do about it.
struct Advice;

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(limit) = limits::address_space() {
            write!(
                f,
                "The address space of this process is limited to {} KiB (RLIMIT_AS): raise the limit (`ulimit \
                 -v`), ask for smaller stacks with Builder::stack_size, or run fewer greenlets at once",
                limit / 1024
            )
        } else if limits::counts_reserved_memory() {
            f.write_str(
                "This system counts reserved memory as used (vm.overcommit_memory = 2): set it to 0 or 1, ask \
                 for smaller stacks with Builder::stack_size, or run fewer greenlets at once",
            )
        } else if let Some((areas, limit)) = areas_near_limit() {
            write!(
                f,
                "This process has {areas} areas of memory, and vm.max_map_count = {limit} limits them: raise it \
                 (`sysctl -w vm.max_map_count=1000000`), or run fewer greenlets at once"
            )
        } else {
            f.write_str(
                "No limit of this process explains it (RLIMIT_AS, vm.overcommit_memory, vm.max_map_count), so \
                 the memory of the system or of its control group is probably used up: ask for smaller stacks \
                 with Builder::stack_size, or run fewer greenlets at once",
            )
        }
    }
}

/// The number of areas of memory and its limit, when less than a tenth of the limit is left.
fn areas_near_limit() -> Option<(usize, usize)> {
    let limit = limits::max_map_count()?;
    let areas = limits::map_count()?;
    (areas >= limit - limit / 10).then_some((areas, limit))
}
