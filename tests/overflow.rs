//! Running off the end of a greenlet's stack ends the process with a sentence that names the greenlet.
#![cfg(unix)]

mod common;

use std::os::unix::process::ExitStatusExt;

use common::{is_child, on_a_thread, run_as_child};
use greenloop::{Builder, sleep, spawn, yield_now};

/// Each level takes at least this much stack.
const FRAME: usize = 512;

#[inline(never)]
fn recurse(levels: u64) -> u64 {
    let frame = std::hint::black_box([levels as u8; FRAME]);
    if levels == 0 { 0 } else { recurse(levels - 1) + u64::from(frame[FRAME / 2] == levels as u8) }
}

/// Runs the calling test again in a process of its own that does `overflow`, and gives what it wrote to standard error.
#[track_caller]
fn stderr_of(name: &str, signal: i32, overflow: impl FnOnce()) -> Option<String> {
    if is_child(name) {
        overflow();
        std::process::exit(0);
    }
    let output = run_as_child(name);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(signal), "{:?}: {text}", output.status);
    Some(text)
}

#[test]
fn an_overflow_names_the_greenlet_its_number_and_its_stack() {
    let name = "an_overflow_names_the_greenlet_its_number_and_its_stack";
    let text = stderr_of(name, libc::SIGABRT, || {
        drop(spawn(|| ()));
        let g = Builder::new().name("deep diver").spawn(|| recurse(u64::MAX)).unwrap();
        assert_eq!(g.id(), 2);
        g.wait();
    })
    .unwrap();
    assert!(text.contains("greenlet #2 `deep diver` has overflowed its stack (256 KiB)"), "{text}");
    assert!(text.contains("stack_size"), "it says what to do: {text}");
}

#[test]
fn an_overflow_of_a_greenlet_without_a_name_gives_its_number() {
    let name = "an_overflow_of_a_greenlet_without_a_name_gives_its_number";
    let text = stderr_of(name, libc::SIGABRT, || spawn(|| recurse(u64::MAX)).wait()).unwrap();
    assert!(text.contains("greenlet #1 has overflowed its stack (256 KiB)"), "{text}");
}

#[test]
fn an_overflow_gives_the_size_that_was_asked_for() {
    let name = "an_overflow_gives_the_size_that_was_asked_for";
    let text = stderr_of(name, libc::SIGABRT, || {
        let g = Builder::new().name("big").stack_size(1 << 20).spawn(|| recurse(u64::MAX)).unwrap();
        g.wait();
    })
    .unwrap();
    assert!(text.contains("`big` has overflowed its stack (1024 KiB)"), "{text}");
}

#[test]
fn an_overflow_on_another_thread_and_after_many_switches_is_told_too() {
    let name = "an_overflow_on_another_thread_and_after_many_switches_is_told_too";
    let text = stderr_of(name, libc::SIGABRT, || {
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
        on_a_thread(|| {
            for _ in 0..10 {
                drop(Builder::new().name("bystander").spawn(|| (0..100).for_each(|_| yield_now())).unwrap());
            }
            let body = || {
                (0..50).for_each(|_| yield_now());
                sleep(std::time::Duration::from_millis(1));
                recurse(u64::MAX)
            };
            Builder::new().name("culprit").spawn(body).unwrap().wait();
        });
    })
    .unwrap();
    assert!(text.contains("greenlet #11 `culprit` has overflowed"), "{text}");
}

#[test]
fn an_overflow_while_a_panic_unwinds_is_told_too() {
    let name = "an_overflow_while_a_panic_unwinds_is_told_too";
    let text = stderr_of(name, libc::SIGABRT, || {
        let body = || {
            let _guard = common::OnDrop(|| assert_eq!(recurse(u64::MAX), 0));
            panic!("expected");
        };
        Builder::new().name("unlucky").spawn(body).unwrap().wait();
    })
    .unwrap();
    assert!(text.contains("`unlucky` has overflowed"), "{text}");
}

// Everything else is left to whoever handled it before.
#[test]
fn an_overflow_of_the_threads_own_stack_is_told_by_the_standard_library() {
    let name = "an_overflow_of_the_threads_own_stack_is_told_by_the_standard_library";
    let text = stderr_of(name, libc::SIGABRT, || {
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
        let thread = std::thread::Builder::new().name("plain thread".into());
        let overflow = || {
            spawn(|| ()).wait();
            recurse(u64::MAX)
        };
        thread.spawn(overflow).unwrap().join().unwrap();
    })
    .unwrap();
    assert!(text.contains("plain thread") && text.contains("has overflowed its stack"), "{text}");
    assert!(!text.contains("greenlet #"), "{text}");
}

#[test]
fn a_bad_access_inside_a_greenlet_is_not_taken_for_an_overflow() {
    let name = "a_bad_access_inside_a_greenlet_is_not_taken_for_an_overflow";
    let text = stderr_of(name, libc::SIGSEGV, || {
        let bad = std::ptr::without_provenance::<u8>(std::hint::black_box(8));
        // SAFETY: none: the page at address 0 is never mapped, so this ends the process, which is the point.
        drop(spawn(move || unsafe { bad.read_volatile() }).join());
    })
    .unwrap();
    assert!(!text.contains("overflowed"), "{text}");
}

#[test]
fn a_recursion_that_fits_is_no_overflow() {
    // 256 KiB less a margin for the frames of an unoptimised build around the arrays.
    let levels = 100;
    assert_eq!(spawn(move || recurse(levels)).join().unwrap(), levels);
}
