//! Shows that the sanitizer's step can fail: `.ci/asan` runs this first, and goes on only if it was stopped and named.

use greenloop::spawn;

#[test]
#[ignore = "reads memory that was given back: a sanitizer must stop it"]
#[allow(unsafe_code)]
fn a_greenlet_that_reads_what_was_freed() {
    let read = spawn(|| {
        let freed = Box::into_raw(Box::new(7_u8));
        // SAFETY: it came from a box, and nothing else has it.
        drop(unsafe { Box::from_raw(freed) });
        // SAFETY: none: it is gone. This is the fault to be found.
        unsafe { freed.read_volatile() }
    });
    let _ = read.join();
}
