#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| greenloop_fuzz::check(input, &[]));
