#![no_main]

// Two sizes of the pieces that it comes in, then frames: the first byte of the head, a length, as much payload. They are masked here, as the
// fuzzer would not find out. Behind a frame of opcode 7 come bytes as they are.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (sizes, mut rest) = data.split_at(data.len().min(2));
    let mut input = Vec::new();
    while let [first, length, payload @ ..] = rest {
        if first & 0x0f == 7 {
            input.extend_from_slice(payload);
            break;
        }
        let (payload, behind) = payload.split_at(payload.len().min(usize::from(*length)));
        input.push(*first);
        match payload.len() {
            length @ ..126 => input.push(0x80 | length as u8),
            length => input.extend([0xfe, 0, length as u8]),
        }
        let mask = [1, 2, 3, 4];
        input.extend(mask);
        input.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        rest = behind;
    }
    greenloop_fuzz::check_websocket(&input, &sizes.repeat(input.len()));
});
