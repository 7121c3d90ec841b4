//! What must not compile: greenlets and what they share stay on their thread, and borrow nothing, or what outlives their
//! scope.
//!
//! The files beside the cases hold the compiler's own words, which change from one version to the next. So this runs on
//! demand, as `.ci/run` does: `cargo test --test compile_fail -- --ignored`. The doctests of `spawn` and `Greenlet` and the
//! checks in `threads.rs` say the most important things in every test run.

#[test]
#[ignore = "compares messages of Rust 1.95"]
fn what_would_be_unsound_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
}
