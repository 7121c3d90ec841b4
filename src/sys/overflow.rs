//! The overflow handler: a greenlet that runs off the end of its stack ends the process with a sentence that
//! names it, instead of a bare "Segmentation fault".
//!
//! ```text
//!   fault ──> on_fault ──> address in the guard of this thread's occupant? ──yes──> sentence, abort
//!                                       │ no
//!                                       └──> the action that was set before: std's handler, a sanitizer's,
//!                                            a crash reporter's, or the default
//! ```
//!
//! The handler runs wherever the thread was interrupted, so it takes no lock, allocates nothing and formats by
//! hand. It runs on the alternate signal stack, for the stack of the greenlet has no room left. What it must
//! know, the [`Occupant`] of the running stack, is found through one thread-local pointer without a destructor.

use std::cell::Cell;
use std::ops::Range;
use std::ptr;
use std::rc::Rc;
use std::sync::{Once, OnceLock};

use libc::{c_int, c_void, siginfo_t};

use super::altstack;

/// Whose stack this thread runs on, as the handler tells it.
pub(crate) struct Occupant {
    /// The inaccessible end of the stack.
    pub(crate) guard: Range<usize>,
    /// The size of the stack, as asked for.
    pub(crate) stack_size: usize,
    /// The number of the greenlet.
    pub(crate) id: u64,
    /// The name of the greenlet.
    pub(crate) name: Option<Rc<str>>,
}

thread_local! {
    /// Null while the thread runs on its own stack.
    static OCCUPANT: Cell<*const Occupant> = const { Cell::new(ptr::null()) };
}

/// Whose stack this thread runs on; null on its own stack.
#[inline]
pub(crate) fn occupant() -> *const Occupant {
    OCCUPANT.get()
}

/// Says whose stack this thread runs on from now on, and returns whose it was.
///
/// # Safety
///
/// `occupant` is null, or stays valid and is not written to until it is replaced.
#[inline]
pub(crate) unsafe fn occupy(occupant: *const Occupant) -> *const Occupant {
    OCCUPANT.replace(occupant)
}

/// The faults by which systems report an access to a guard.
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// What each of `SIGNALS` did before the handler was installed.
static PREVIOUS: [OnceLock<libc::sigaction>; 2] = [OnceLock::new(), OnceLock::new()];

/// Installs the handler, once for the process, and sees to it that this thread has an alternate signal stack.
///
/// Without one (no memory was left for it) an overflow still ends the process, but without the sentence.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
            install_for(signal, previous);
        }
    });
    altstack::ensure();
}

fn install_for(signal: c_int, previous: &OnceLock<libc::sigaction>) {
    // The previous action is known before the handler can run: another thread may fault at any moment.
    let Some(before) = current_action(signal) else { return };
    let mut action = *previous.get_or_init(|| before);
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `action` holds a handler of the shape that SA_SIGINFO asks for, and the mask of the action that
    // it may chain to.
    unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
}

fn current_action(signal: c_int) -> Option<libc::sigaction> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the call changes nothing, and fills the structure or fails.
    unsafe { (libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0).then(|| action.assume_init()) }
}

/// The handler.
extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes the description of the signal, and a fault has an address.
    let address = unsafe { (*info).si_addr() }.addr();
    // SAFETY: whoever set the occupant keeps it valid until it is replaced, and replacing it happens on this
    // thread, which is here.
    if let Some(occupant) = unsafe { occupant().as_ref() }
        && occupant.guard.contains(&address)
    {
        report(occupant);
        // SAFETY: abort may be called from a signal handler.
        unsafe { libc::abort() }
    }
    chain(signal, info, context);
}

/// Does what the previous action does with a signal that is not ours.
fn chain(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let previous = SIGNALS.iter().position(|&known| known == signal).and_then(|at| PREVIOUS[at].get());
    let Some(previous) = previous else { return };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => stand_aside(signal, info, previous),
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
            // SAFETY: with SA_SIGINFO the address is that of a handler of three arguments.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without SA_SIGINFO the address is that of a handler of one argument.
            let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(handler) };
            handler(signal);
        }
    }
}

/// Restores the previous action and returns, so that the fault repeats and the kernel deals with it. A signal
/// sent by a process does not repeat by itself: it is sent again.
fn stand_aside(signal: c_int, info: *mut siginfo_t, previous: &libc::sigaction) {
    // SAFETY: the kernel passes the description of the signal; the action is one that the kernel gave out;
    // sigaction and raise may be called from a signal handler, where the signal waits until it returns.
    unsafe {
        libc::sigaction(signal, previous, ptr::null_mut());
        if (*info).si_code <= 0 {
            libc::raise(signal);
        }
    }
}

/// Writes the sentence in one piece.
fn report(occupant: &Occupant) {
    let mut text = Text::new();
    text.push("greenlet #");
    text.push_number(occupant.id);
    if let Some(name) = &occupant.name {
        text.push(" `");
        text.push(shortened(name));
        text.push("`");
    }
    text.push(" has overflowed its stack (");
    text.push_number((occupant.stack_size / 1024) as u64);
    text.push(" KiB); give it more with Builder::stack_size\n");
    text.write();
}

/// The beginning of a name, short enough to leave room for the sentence.
fn shortened(name: &str) -> &str {
    let mut end = name.len().min(256);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// A text built without allocation; what does not fit is left out.
struct Text {
    bytes: [u8; 512],
    len: usize,
}

impl Text {
    fn new() -> Text {
        Text { bytes: [0; 512], len: 0 }
    }

    fn push(&mut self, part: &str) {
        for (to, from) in self.bytes[self.len..].iter_mut().zip(part.as_bytes()) {
            *to = *from;
            self.len += 1;
        }
    }

    fn push_number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        // Digits are always valid text.
        self.push(std::str::from_utf8(&digits[at..]).unwrap_or("?"));
    }

    /// To the standard error stream; nothing can be done about a failure.
    fn write(&self) {
        let bytes = &self.bytes[..self.len];
        // SAFETY: the buffer is valid for its length; write may be called from a signal handler.
        unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(build: impl FnOnce(&mut Text)) -> String {
        let mut text = Text::new();
        build(&mut text);
        String::from_utf8(text.bytes[..text.len].to_vec()).unwrap()
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 256, u64::MAX] {
            assert_eq!(text(|text| text.push_number(number)), number.to_string());
        }
    }

    #[test]
    fn a_text_too_long_is_cut() {
        assert_eq!(text(|text| (0..100).for_each(|_| text.push("0123456789"))).len(), 512);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let name = "x".repeat(255) + "é";
        assert_eq!(shortened(&name), "x".repeat(255));
        assert_eq!(shortened("worker"), "worker");
    }
}
