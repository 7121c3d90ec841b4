#![no_main]

// The first line is the sizes of the pieces, the rest is what the client sends: several requests, if the fuzzer gets so far.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|&b| b == b'\n').unwrap_or(0);
    let (sizes, rest) = data.split_at(end);
    greenloop_fuzz::check(rest.strip_prefix(b"\n").unwrap_or(rest), sizes);
});
