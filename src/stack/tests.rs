//! The behaviour of pools and of their stacks.

use std::io;

use super::class::HOT_STACKS;
use super::guard::{Budget, Guards};
use super::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE, Stack, StackPool};
use crate::sys::memory::page_size;

fn take(pool: &StackPool) -> Stack {
    pool.take(DEFAULT_STACK_SIZE).unwrap()
}

fn error(result: io::Result<Stack>) -> io::Error {
    match result {
        Ok(_) => panic!("a stack where an error was expected"),
        Err(error) => error,
    }
}

/// The word at the top of a stack.
fn top(stack: &mut Stack) -> &mut u64 {
    let address = stack.base() - size_of::<u64>();
    // SAFETY: the word lies in the accessible part of the stack, which the borrowed `stack` owns, and any
    // content is a number.
    unsafe { &mut *std::ptr::with_exposed_provenance_mut(address) }
}

/// A pool with guards made by access rights, and a budget of its own.
fn pool_with_budget(max_map_count: usize) -> (StackPool, &'static Budget) {
    let budget: &'static Budget = Box::leak(Box::new(Budget::new(max_map_count)));
    (StackPool::with_guards(Guards::Rights, budget), budget)
}

#[test]
fn the_last_stack_given_is_the_first_taken() {
    let pool = StackPool::new();
    let (first, second) = (take(&pool), take(&pool));
    let (first_base, second_base) = (first.base(), second.base());
    pool.give(first);
    pool.give(second);
    let again = [take(&pool), take(&pool)];
    assert_eq!(again.each_ref().map(Stack::base), [second_base, first_base]);
}

#[test]
fn each_size_has_its_own_stacks() {
    let pool = StackPool::new();
    let small = pool.take(1).unwrap();
    assert!(small.size() >= MIN_STACK_SIZE);
    let (small_size, small_base) = (small.size(), small.base());
    pool.give(small);
    assert_eq!(take(&pool).size(), DEFAULT_STACK_SIZE);
    let again = pool.take(small_size).unwrap();
    assert_eq!((again.size(), again.base()), (small_size, small_base));
}

#[test]
fn a_stack_is_its_guard_and_what_lies_above_it() {
    let pool = StackPool::new();
    for _ in 0..20 {
        let mut stack = take(&pool);
        let top_of_memory = stack.limit() + stack.size();
        assert_eq!(stack.guard(), stack.limit()..stack.limit() + page_size());
        assert!(stack.base() <= top_of_memory && stack.base() >= top_of_memory - 15 * 64);
        assert_eq!(stack.base() % 16, 0);
        *top(&mut stack) = 1;
    }
}

#[test]
fn sixteen_stacks_in_a_row_have_sixteen_colours() {
    let pool = StackPool::new();
    let mut offsets: Vec<_> = (0..16).map(|_| take(&pool).base() % page_size()).collect();
    offsets.sort();
    offsets.dedup();
    assert_eq!(offsets.len(), 16);
}

#[test]
fn stacks_do_not_overlap() {
    let pool = StackPool::new();
    let mut stacks: Vec<_> = (0..100).map(|_| take(&pool)).collect();
    stacks.sort_by_key(Stack::limit);
    for pair in stacks.windows(2) {
        assert!(pair[0].limit() + pair[0].size() <= pair[1].limit());
    }
}

#[test]
fn an_absurd_size_is_refused() {
    let pool = StackPool::new();
    assert_eq!(error(pool.take(usize::MAX)).kind(), io::ErrorKind::InvalidInput);
    assert_eq!(pool.live(), 0);
}

#[test]
fn live_stacks_are_counted() {
    let pool = StackPool::new();
    let (stack, small) = (take(&pool), pool.take(MIN_STACK_SIZE).unwrap());
    assert_eq!(pool.live(), 2);
    pool.give(stack);
    assert_eq!(pool.live(), 1);
    pool.give(small);
    assert_eq!(pool.live(), 0);
}

#[test]
fn trim_cleans_the_cold_free_stacks_and_no_others() {
    let pool = StackPool::new();
    let (cold, mut live) = (100, take(&pool));
    *top(&mut live) = 7;
    let mut stacks: Vec<_> = (0..cold + HOT_STACKS).map(|_| take(&pool)).collect();
    stacks.iter_mut().for_each(|stack| *top(stack) = 7);
    stacks.into_iter().for_each(|stack| pool.give(stack));
    pool.trim();
    pool.trim();
    let mut contents: Vec<_> = (0..cold + HOT_STACKS)
        .map(|_| {
            let mut stack = take(&pool);
            let content = *top(&mut stack);
            std::mem::forget(stack);
            content
        })
        .collect();
    assert_eq!(*top(&mut live), 7);
    let clean = contents.split_off(HOT_STACKS);
    assert!(contents.iter().all(|&content| content == 7));
    assert_eq!(clean.len(), cold);
    #[cfg(target_os = "linux")]
    assert!(clean.iter().all(|&content| content == 0));
}

#[test]
fn one_trim_cleans_a_bounded_number_and_the_next_goes_on() {
    let pool = StackPool::new();
    let cold = 100;
    let mut stacks: Vec<_> = (0..cold + HOT_STACKS).map(|_| take(&pool)).collect();
    stacks.iter_mut().for_each(|stack| *top(stack) = 7);
    stacks.into_iter().for_each(|stack| pool.give(stack));
    pool.trim();
    let dirty = (0..cold + HOT_STACKS).filter(|_| *top(&mut take(&pool)) == 7).count();
    #[cfg(target_os = "linux")]
    assert_eq!(dirty, cold + HOT_STACKS - 64);
    let _ = dirty;
}

#[test]
fn a_stack_used_again_after_a_trim_is_cleaned_again() {
    let pool = StackPool::new();
    for round in 1..=3 {
        let mut stacks: Vec<_> = (0..HOT_STACKS + 10).map(|_| take(&pool)).collect();
        stacks.iter_mut().for_each(|stack| *top(stack) = round);
        stacks.into_iter().for_each(|stack| pool.give(stack));
        pool.trim();
    }
    let mut contents: Vec<_> = (0..HOT_STACKS + 10).map(|_| *top(&mut take(&pool))).collect();
    let clean = contents.split_off(HOT_STACKS);
    #[cfg(target_os = "linux")]
    assert!(clean.iter().all(|&content| content == 0));
    let _ = clean;
    assert!(contents.iter().all(|&content| content == 3));
}

#[test]
fn a_live_stack_outlives_its_pool() {
    let pool = StackPool::new();
    let (mut live, free) = (take(&pool), take(&pool));
    pool.give(free);
    *top(&mut live) = 7;
    drop(pool);
    assert_eq!(*top(&mut live), 7);
}

#[test]
fn a_stack_may_be_given_to_another_pool() {
    let (one, other) = (StackPool::new(), StackPool::new());
    let stack = take(&one);
    let base = stack.base();
    other.give(stack);
    drop(one);
    let mut stack = take(&other);
    assert_eq!(stack.base(), base);
    *top(&mut stack) = 7;
}

#[test]
fn a_dropped_stack_is_not_handed_out_again() {
    let pool = StackPool::new();
    let dropped = take(&pool).limit();
    let stacks: Vec<_> = (0..50).map(|_| take(&pool)).collect();
    assert!(stacks.iter().all(|stack| stack.limit() != dropped));
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn two_hundred_thousand_stacks_are_guarded_at_once_or_the_budget_says_why_not() {
    let pool = StackPool::new();
    let mut stacks = Vec::new();
    for _ in 0..200_000 {
        match pool.take(DEFAULT_STACK_SIZE) {
            Ok(stack) => stacks.push(stack),
            Err(error) => {
                assert!(error.to_string().contains("vm.max_map_count"), "{error}");
                break;
            }
        }
    }
    assert_eq!(pool.live(), stacks.len());
    for stack in stacks.iter_mut().step_by(10_000) {
        *top(stack) = 7;
    }
    if markers_work() {
        assert_eq!(stacks.len(), 200_000);
    }
}

/// Whether a pool of this build makes guards without spending from the budget.
fn markers_work() -> bool {
    let budget: &'static Budget = Box::leak(Box::new(Budget::new(1000)));
    let pool = StackPool::with_guards(Guards::of_build(), budget);
    let _stack = take(&pool);
    budget.used() == 0
}

#[test]
fn a_budget_used_up_names_the_limit_and_is_given_back() {
    // 40 % of 50 areas, two a guard.
    let (pool, budget) = pool_with_budget(50);
    let small = pool.take(MIN_STACK_SIZE).unwrap();
    let stacks: Vec<_> = (0..9).map(|_| take(&pool)).collect();
    assert_eq!(budget.used(), 10);
    let error = error(pool.take(DEFAULT_STACK_SIZE));
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    let text = error.to_string();
    let small_size = small.size() / 1024;
    for part in [
        "no greenlet stack of 256 KiB can be made while 9 of 256 KiB",
        &format!("1 of {small_size} KiB are in use"),
        "vm.max_map_count = 50",
        "sysctl -w vm.max_map_count",
    ] {
        assert!(text.contains(part), "{text}");
    }
    drop((stacks, small));
    drop(pool);
    assert_eq!(budget.used(), 0);
}

#[test]
fn free_stacks_of_another_size_make_room_before_an_error() {
    let (pool, budget) = pool_with_budget(50);
    let stacks: Vec<_> = (0..10).map(|_| take(&pool)).collect();
    stacks.into_iter().for_each(|stack| pool.give(stack));
    assert_eq!(budget.used(), 10);
    let small = pool.take(MIN_STACK_SIZE).unwrap();
    assert_eq!((budget.used(), pool.live()), (1, 1));
    pool.give(small);
    assert_eq!(take(&pool).size(), DEFAULT_STACK_SIZE);
}

#[test]
fn slabs_that_hold_live_stacks_stay_when_room_is_made() {
    let (pool, budget) = pool_with_budget(50);
    let mut live = take(&pool);
    *top(&mut live) = 7;
    let stacks: Vec<_> = (0..9).map(|_| take(&pool)).collect();
    stacks.into_iter().for_each(|stack| pool.give(stack));
    error(pool.take(MIN_STACK_SIZE));
    assert_eq!((budget.used(), *top(&mut live)), (10, 7));
    pool.give(live);
    assert_eq!(pool.take(MIN_STACK_SIZE).unwrap().size(), MIN_STACK_SIZE.max(2 * page_size()));
}

/// Runs `body` in a process of its own, with at most `bytes` of address space.
fn with_address_space(bytes: libc::rlim_t, test: &str, body: fn()) {
    const CHILD: &str = "GREENLOOP_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        // SAFETY: the limit is a valid structure.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        return body();
    }
    let path = module_path!().split_once("::").unwrap().1;
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{path}::{test}"), "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_the_address_space_is_used_up_to_the_last_stack_and_then_named() {
    let test = "a_limit_of_the_address_space_is_used_up_to_the_last_stack_and_then_named";
    with_address_space(512 << 20, test, || {
        let pool = StackPool::new();
        let mut stacks = Vec::new();
        let error = loop {
            match pool.take(DEFAULT_STACK_SIZE) {
                Ok(stack) => stacks.push(stack),
                Err(error) => break error,
            }
        };
        // 512 MiB are 2048 stacks, less what the program itself takes.
        assert!(stacks.len() > 1000, "{}", stacks.len());
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        let text = error.to_string();
        let live = format!("while {} of 256 KiB are in use", stacks.len());
        assert!(text.contains(&live) && text.contains("524288 KiB (RLIMIT_AS)"), "{text}");
        drop(stacks);
    });
}
