//! The behaviour of coroutines, and of the handler of overflows in them.

use std::cell::{Cell, RefCell};
use std::process::{Command, Output};
use std::rc::Rc;

use super::*;
use crate::stack::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE, StackPool};

fn label() -> Label {
    Label { id: 7, name: Some("worker".into()) }
}

fn coroutine(body: impl FnOnce() + 'static) -> Coroutine {
    Coroutine::new(StackPool::new().take(DEFAULT_STACK_SIZE).unwrap(), label(), body)
}

type Log = Rc<RefCell<Vec<&'static str>>>;

/// Logs its drop.
struct Witness(Log, &'static str);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

#[test]
fn resume_and_suspend_alternate() {
    let log = Log::default();
    let inner = Rc::clone(&log);
    let mut coroutine = coroutine(move || {
        inner.borrow_mut().push("one");
        suspend();
        inner.borrow_mut().push("two");
    });
    assert!(!coroutine.started());
    assert_eq!(coroutine.resume(), Step::Suspended);
    assert!(coroutine.started());
    log.borrow_mut().push("between");
    assert_eq!(coroutine.resume(), Step::Finished);
    assert_eq!(*log.borrow(), ["one", "between", "two"]);
}

#[test]
fn a_coroutine_may_move_between_resumes() {
    let mut first = coroutine(|| (0..3).for_each(|_| suspend()));
    assert_eq!(first.resume(), Step::Suspended);
    let mut second = Box::new(first);
    assert_eq!(second.resume(), Step::Suspended);
    let mut third = [*second];
    assert_eq!(third[0].resume(), Step::Suspended);
    assert_eq!(third[0].resume(), Step::Finished);
}

#[test]
fn suspend_returns_to_the_resumer_of_the_innermost() {
    let log = Log::default();
    let (outer_log, inner_log) = (Rc::clone(&log), Rc::clone(&log));
    let mut outer = coroutine(move || {
        let mut inner = coroutine(move || {
            inner_log.borrow_mut().push("inner 1");
            suspend();
            inner_log.borrow_mut().push("inner 2");
        });
        assert_eq!(inner.resume(), Step::Suspended);
        outer_log.borrow_mut().push("outer 1");
        suspend();
        assert_eq!(inner.resume(), Step::Finished);
        outer_log.borrow_mut().push("outer 2");
    });
    assert_eq!(outer.resume(), Step::Suspended);
    log.borrow_mut().push("root");
    assert_eq!(outer.resume(), Step::Finished);
    assert_eq!(*log.borrow(), ["inner 1", "outer 1", "root", "inner 2", "outer 2"]);
}

#[test]
fn a_coroutine_may_be_resumed_from_different_coroutines() {
    let shared = Rc::new(RefCell::new(coroutine(suspend)));
    let users: Vec<_> = [Rc::clone(&shared), shared]
        .into_iter()
        .map(|shared| {
            coroutine(move || {
                shared.borrow_mut().resume();
                suspend();
            })
        })
        .collect();
    for mut user in users {
        assert_eq!(user.resume(), Step::Suspended);
        assert_eq!(user.resume(), Step::Finished);
    }
}

#[test]
fn is_running_tells_the_stacks_apart() {
    assert!(!is_running());
    let mut coroutine = coroutine(|| {
        assert!(is_running());
        suspend();
        assert!(is_running());
    });
    coroutine.resume();
    assert!(!is_running());
    coroutine.resume();
    assert!(!is_running());
}

#[test]
#[should_panic = "suspend was called on a thread's own stack"]
fn suspend_outside_of_a_coroutine_panics() {
    suspend();
}

#[test]
#[should_panic = "a finished coroutine was resumed"]
fn a_finished_coroutine_cannot_be_resumed() {
    let mut coroutine = coroutine(|| ());
    coroutine.resume();
    coroutine.resume();
}

#[test]
fn a_finished_coroutine_returns_its_stack() {
    let pool = StackPool::new();
    let stack = pool.take(DEFAULT_STACK_SIZE).unwrap();
    let base = stack.base();
    let mut coroutine = Coroutine::new(stack, label(), || ());
    coroutine.resume();
    assert_eq!(coroutine.into_stack().base(), base);
}

#[test]
fn a_coroutine_never_started_returns_its_stack_and_drops_its_closure() {
    let log = Log::default();
    let witness = Witness(Rc::clone(&log), "dropped");
    let coroutine = coroutine(move || drop(witness));
    let _stack = coroutine.into_stack();
    assert_eq!(*log.borrow(), ["dropped"]);
}

#[test]
fn a_coroutine_never_started_drops_its_closure_when_dropped() {
    let log = Log::default();
    for large in [[0_u8; 1], [1; 1]] {
        let witness = Witness(Rc::clone(&log), "dropped");
        let ballast = [large[0]; 2000];
        if large[0] == 1 {
            drop(coroutine(move || drop((witness, ballast))));
        } else {
            drop(coroutine(move || drop(witness)));
        }
    }
    assert_eq!(*log.borrow(), ["dropped", "dropped"]);
}

#[test]
fn a_panic_of_a_closure_dropped_unstarted_goes_on_and_drops_it_once() {
    struct Bomb(Rc<Cell<u32>>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            panic!("bomb");
        }
    }
    let drops = Rc::new(Cell::new(0));
    for dropping in [drop::<Coroutine>, |coroutine: Coroutine| drop(coroutine.into_stack())] {
        let bomb = Bomb(Rc::clone(&drops));
        let coroutine = coroutine(move || drop(bomb));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dropping(coroutine)));
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"bomb"));
    }
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_suspended_coroutine_dropped_runs_no_destructors_and_keeps_its_frames() {
    let log = Log::default();
    let frame = Rc::new(Cell::new(std::ptr::null::<u64>()));
    let (witness, address) = (Witness(Rc::clone(&log), "dropped"), Rc::clone(&frame));
    let mut coroutine = coroutine(move || {
        let _witness = witness;
        let local = std::hint::black_box(42);
        address.set(&local);
        suspend();
        std::hint::black_box(&local);
    });
    coroutine.resume();
    drop(coroutine);
    assert!(log.borrow().is_empty());
    // SAFETY: the frame belongs to a coroutine that was forgotten, with its stack, while it was suspended.
    assert_eq!(unsafe { *frame.get() }, 42);
}

#[test]
#[should_panic = "the stack of a suspended coroutine was asked for"]
fn the_stack_of_a_suspended_coroutine_is_not_given_out() {
    let mut coroutine = coroutine(suspend);
    coroutine.resume();
    coroutine.into_stack();
}

#[test]
fn closures_of_any_size_and_alignment_run() {
    #[repr(align(4096))]
    struct Aligned(u8);
    fn run<T: 'static>(value: T, check: fn(&T) -> bool) {
        let passed = Rc::new(Cell::new(false));
        let result = Rc::clone(&passed);
        coroutine(move || result.set(check(&value))).resume();
        assert!(passed.get());
    }
    run((), |_| true);
    run([7_u8; 1016], |bytes| bytes.iter().all(|&byte| byte == 7));
    run([7_u8; 1017], |bytes| bytes.iter().all(|&byte| byte == 7));
    run([7_u8; 100_000], |bytes| bytes.iter().all(|&byte| byte == 7));
    run(Aligned(7), |value| value.0 == 7 && (&raw const *value).addr() % 4096 == 0);
}

#[test]
fn a_panic_caught_inside_does_not_disturb_the_coroutine() {
    let mut coroutine = coroutine(|| {
        let caught = std::panic::catch_unwind(|| {
            suspend();
            std::panic::resume_unwind(Box::new(5));
        });
        suspend();
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&5));
    });
    assert_eq!(coroutine.resume(), Step::Suspended);
    assert_eq!(coroutine.resume(), Step::Suspended);
    assert_eq!(coroutine.resume(), Step::Finished);
}

#[test]
fn many_coroutines_share_one_pool() {
    let pool = StackPool::new();
    for _ in 0..3 {
        let sum = Rc::new(Cell::new(0));
        let mut coroutines: Vec<_> = (0..1000)
            .map(|number| {
                let sum = Rc::clone(&sum);
                Coroutine::new(
                    pool.take(MIN_STACK_SIZE).unwrap(),
                    Label { id: number, name: None },
                    move || {
                        suspend();
                        sum.set(sum.get() + number);
                    },
                )
            })
            .collect();
        for expected in [Step::Suspended, Step::Finished] {
            assert!(coroutines.iter_mut().all(|coroutine| coroutine.resume() == expected));
        }
        coroutines.into_iter().for_each(|coroutine| pool.give(coroutine.into_stack()));
        assert_eq!((sum.get(), pool.live()), (499_500, 0));
    }
}

/// Runs one test of this program in a process of its own, which finds itself a child.
fn run_child(test: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{}::{test}", module_path!().split_once("::").unwrap().1), "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap()
}

const CHILD: &str = "GREENLOOP_TEST_CHILD";

fn is_child() -> bool {
    let child = std::env::var_os(CHILD).is_some();
    if child {
        // A core file of a child that dies on purpose helps nobody.
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the limit is a valid structure.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
    }
    child
}

#[track_caller]
fn assert_killed(output: &Output, signal: i32, sentence: &str) {
    use std::os::unix::process::ExitStatusExt;
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(signal), "{text}");
    assert!(text.contains(sentence), "{text}");
}

/// Uses up any stack.
fn overflow_stack() {
    std::hint::black_box(recurse(0));
}

fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { recurse(depth + 1) + frame[0] }
}

const OVERFLOW: &str =
    "greenlet #7 `worker` has overflowed its stack (256 KiB); give it more with Builder::stack_size\n";

#[test]
fn an_overflow_names_the_greenlet_and_aborts() {
    if is_child() {
        overflow::install();
        coroutine(overflow_stack).resume();
    }
    assert_killed(&run_child("an_overflow_names_the_greenlet_and_aborts"), libc::SIGABRT, OVERFLOW);
}

#[test]
fn an_overflow_after_a_switch_and_a_trim_is_found() {
    if is_child() {
        overflow::install();
        let pool = StackPool::new();
        let stacks: Vec<_> = (0..300).map(|_| pool.take(MIN_STACK_SIZE).unwrap()).collect();
        stacks.into_iter().for_each(|stack| pool.give(stack));
        pool.trim();
        let mut stacks: Vec<_> = (0..300).map(|_| pool.take(MIN_STACK_SIZE).unwrap()).collect();
        // The last one taken is the coldest.
        let stack = stacks.pop().unwrap();
        let mut coroutine = Coroutine::new(stack, Label { id: 300, name: None }, || {
            coroutine(|| ()).resume();
            suspend();
            overflow_stack();
        });
        coroutine.resume();
        coroutine.resume();
    }
    let sentence = "greenlet #300 has overflowed its stack (";
    assert_killed(&run_child("an_overflow_after_a_switch_and_a_trim_is_found"), libc::SIGABRT, sentence);
}

#[test]
fn an_overflow_on_a_thread_of_foreign_code_is_told() {
    extern "C" fn thread(_: *mut libc::c_void) -> *mut libc::c_void {
        overflow::install();
        coroutine(overflow_stack).resume();
        std::ptr::null_mut()
    }
    if is_child() {
        run_foreign_thread(thread);
    }
    assert_killed(&run_child("an_overflow_on_a_thread_of_foreign_code_is_told"), libc::SIGABRT, OVERFLOW);
}

#[test]
fn the_alternate_stack_of_a_foreign_thread_is_freed_at_its_end() {
    extern "C" fn thread(_: *mut libc::c_void) -> *mut libc::c_void {
        overflow::install();
        overflow::install();
        std::ptr::null_mut()
    }
    if is_child() {
        run_foreign_thread(thread);
        let before = map_count();
        (0..100).for_each(|_| run_foreign_thread(thread));
        // Some areas may come and go with the threads themselves.
        assert!(map_count() < before + 50);
        return;
    }
    assert!(run_child("the_alternate_stack_of_a_foreign_thread_is_freed_at_its_end").status.success());
}

fn map_count() -> usize {
    crate::sys::limits::map_count().unwrap_or(0)
}

fn run_foreign_thread(body: extern "C" fn(*mut libc::c_void) -> *mut libc::c_void) {
    let mut thread = std::mem::MaybeUninit::uninit();
    // SAFETY: the thread is joined before this function returns, and its body takes no argument.
    unsafe {
        let none = std::ptr::null_mut();
        assert_eq!(libc::pthread_create(thread.as_mut_ptr(), std::ptr::null(), body, none), 0);
        libc::pthread_join(thread.assume_init(), std::ptr::null_mut());
    }
}

#[test]
fn another_fault_in_a_coroutine_dies_as_usual() {
    if is_child() {
        overflow::install();
        coroutine(fault).resume();
    }
    let output = run_child("another_fault_in_a_coroutine_dies_as_usual");
    assert_killed(&output, libc::SIGSEGV, "");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("overflowed"));
}

#[test]
fn a_handler_set_before_gets_the_other_faults() {
    extern "C" fn handler(_: libc::c_int) {
        // SAFETY: _exit may be called from a signal handler.
        unsafe { libc::_exit(42) }
    }
    if is_child() {
        let address = handler as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the handler has the shape that signal asks for.
        unsafe { libc::signal(libc::SIGSEGV, address) };
        overflow::install();
        coroutine(fault).resume();
    }
    assert_eq!(run_child("a_handler_set_before_gets_the_other_faults").status.code(), Some(42));
}

#[test]
fn the_default_action_applies_to_a_signal_that_was_sent() {
    if is_child() {
        // SAFETY: restoring the default action and sending a signal touch no memory.
        unsafe {
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            overflow::install();
            libc::raise(libc::SIGSEGV);
        }
        std::process::exit(0);
    }
    assert_killed(&run_child("the_default_action_applies_to_a_signal_that_was_sent"), libc::SIGSEGV, "");
}

/// Reads where nothing is.
fn fault() {
    // SAFETY: not at all; the process which calls this is meant to die here.
    let value = unsafe { std::ptr::with_exposed_provenance::<u8>(std::hint::black_box(8)).read_volatile() };
    std::hint::black_box(value);
}

#[test]
fn a_panic_that_escapes_from_a_body_ends_the_process() {
    if is_child() {
        coroutine(|| panic!("out")).resume();
    }
    let output = run_child("a_panic_that_escapes_from_a_body_ends_the_process");
    assert_killed(&output, libc::SIGABRT, "a panic has escaped from the root of a greenlet");
}
