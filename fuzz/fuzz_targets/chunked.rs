#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    greenloop_fuzz::check(&[head, input].concat(), &[]);
});
