use super::*;
use crate::http::websocket::deflate::outgoing::Deflating;
use proptest::prelude::*;

const MASK: [u8; 4] = [0x12, 0x34, 0xab, 0xcd];

fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(bit | length as u8),
        length @ 126..65536 => {
            bytes.push(bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(bit | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    let mask = mask.unwrap_or_default();
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The first byte, the mask, what it hid.
type Plain = (u8, Option<[u8; 4]>, Vec<u8>);
/// The opcode, with FIN if it is a control frame, and the whole payload.
type Whole = (u8, Vec<u8>);

/// The frames that come out, when the input comes in these pieces and is taken in pieces of `room`.
fn plain_frames(is_masked: bool, pieces: &[&[u8]], room: usize) -> Result<Vec<Plain>, Fault> {
    let mut incoming = Incoming::new(is_masked, usize::MAX, usize::MAX);
    let (mut input, mut output) = (Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let mut place = vec![0; room];
            let (used, count) = incoming.read(&input, &mut place)?;
            assert!(incoming.ready.len() <= HEAD + PIECE);
            input.drain(..used);
            output.extend_from_slice(&place[..count]);
            if count == 0 {
                break;
            }
        }
    }
    assert!(incoming.ready.is_empty() && incoming.ready.capacity() == 0);
    let (mut frames, mut rest) = (Vec::new(), &output[..]);
    while let Some(head) = Head::parse(rest) {
        let end = head.length + head.payload as usize;
        let mask = head.mask.unwrap_or_default();
        let payload = rest[head.length..end].iter().zip(mask.iter().cycle());
        frames.push((head.first, head.mask, payload.map(|(byte, mask)| byte ^ mask).collect()));
        rest = &rest[end..];
    }
    assert!(rest.is_empty());
    Ok(frames)
}

/// The messages and control frames in what comes out: what fragments there are is left open.
fn joined(frames: Vec<Plain>) -> Vec<Whole> {
    let mut all: Vec<Whole> = Vec::new();
    let mut message: Option<Whole> = None;
    for (first, _, payload) in frames {
        if first & 0x08 != 0 {
            all.push((first, payload));
            continue;
        }
        match &mut message {
            Some((_, whole)) if first & OPCODE == CONTINUE => whole.extend(payload),
            None if first & OPCODE != CONTINUE => message = Some((first & !FIN, payload)),
            _ => panic!("a frame {first:#x} out of order"),
        }
        if first & FIN != 0 {
            all.extend(message.take());
        }
    }
    assert!(message.is_none(), "a message without an end");
    all
}

fn inflated(input: &[u8]) -> Result<Vec<Whole>, Fault> {
    plain_frames(false, &[input], 4096).map(joined)
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    Deflating::begin(15).piece(plain, true)
}

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[test]
fn the_examples_of_rfc_7692_section_7_2_3_are_inflated() {
    let hello = || vec![(1, b"Hello".to_vec())];
    // 7.2.3.1, in one frame and in two.
    assert_eq!(inflated(&frame(0xc1, &HELLO, None)).unwrap(), hello());
    let two = [[0x41, 0x03, 0xf2, 0x48, 0xcd].as_slice(), &[0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00]].concat();
    assert_eq!(inflated(&two).unwrap(), hello());
    // 7.2.3.3: a block without compression.
    let stored = [0xc1, 0x0b, 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(inflated(&stored).unwrap(), hello());
    // 7.2.3.4: a block that says to be the last.
    let last = [0xc1, 0x08, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(inflated(&last).unwrap(), hello());
    // 7.2.3.5: two blocks in one message.
    let two = [0xc1, 0x0d, 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflated(&two).unwrap(), hello());
    // 7.2.3.6: an empty message, with an empty block of one kind and of the other.
    assert_eq!(inflated(&[0xc1, 0x01, 0x00]).unwrap(), [(1, Vec::new())]);
    assert_eq!(inflated(&[0xc1, 0x02, 0x02, 0x00]).unwrap(), [(1, Vec::new())]);
    // Neither is in the RFC, and others inflate both: nothing at all, and the last block with nothing behind it.
    assert_eq!(inflated(&[0xc2, 0x00]).unwrap(), [(2, Vec::new())]);
    assert_eq!(inflated(&frame(0xc1, &last[2..9], None)).unwrap(), hello());
}

#[test]
fn the_context_of_one_message_is_gone_with_the_next() {
    // 7.2.3.2: the second message refers to the first, which takes a context that nobody has agreed on.
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let both = [frame(0xc1, &HELLO, None), frame(0xc1, &second, None)].concat();
    assert_eq!(inflated(&both), Err(CORRUPT));
    let twice = [frame(0xc1, &HELLO, None), frame(0xc1, &HELLO, None)].concat();
    assert_eq!(inflated(&twice).unwrap().len(), 2);
}

#[test]
fn a_small_message_becomes_one_frame() {
    for mask in [None, Some(MASK)] {
        let frames = plain_frames(mask.is_some(), &[&frame(0xc1, &HELLO, mask)], 4096).unwrap();
        assert_eq!(frames, [(0x81, mask.map(|_| [0; 4]), b"Hello".to_vec())]);
    }
}

#[test]
fn every_cut_gives_the_same() {
    let long: Vec<u8> = (0..3000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
    for mask in [None, Some(MASK)] {
        let packed = deflated(&long);
        let (one, two) = packed.split_at(packed.len() / 3);
        let input = [
            frame(0x81, b"plain", mask),
            frame(0x42, one, mask),
            frame(0x89, b"ping", mask),
            frame(0x00, b"", mask),
            frame(0x8a, b"", mask),
            frame(0x80, two, mask),
            frame(0x01, b"pl", mask),
            frame(0x80, b"ain", mask),
            frame(0xc1, &HELLO, mask),
        ]
        .concat();
        let expected = [
            (1, b"plain".to_vec()),
            (0x89, b"ping".to_vec()),
            (0x8a, Vec::new()),
            (2, long.clone()),
            (1, b"plain".to_vec()),
            (1, b"Hello".to_vec()),
        ];
        for cut in 0..=input.len() {
            let (one, two) = input.split_at(cut);
            let frames = plain_frames(mask.is_some(), &[one, two], 4096).unwrap();
            assert_eq!(joined(frames), expected, "{cut}");
        }
        for room in [1, 2, 7] {
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(joined(plain_frames(mask.is_some(), &bytes, room).unwrap()), expected);
        }
    }
}

#[test]
fn frames_that_belong_to_no_compressed_message_pass_as_they_are() {
    let inside = [frame(0x41, &HELLO[..3], None), frame(0x80, &HELLO[3..], None)].concat();
    for first in [0xc0, 0x40, 0xc9, 0xc8, 0xca, 0xa1, 0x91, 0xe1, 0xd2, 0xc3, 0xcb, 0x83, 0x80, 0x00] {
        let odd = frame(first, b"odd", None);
        let frames = plain_frames(false, &[&odd, &inside], 4096).unwrap();
        assert_eq!(frames[0], (first, None, b"odd".to_vec()), "{first:#x}");
    }
    // In the middle of a compressed one: its first frame has left before, so that the second beginning is seen to be one.
    for first in [0x81, 0xc1, 0x42, 0xc0, 0xa0, 0x90] {
        let input = [frame(0x41, b"", None), frame(first, b"odd", None)].concat();
        let frames = plain_frames(false, &[&input], 4096).unwrap();
        assert_eq!(frames, [(0x01, None, Vec::new()), (first, None, b"odd".to_vec())], "{first:#x}");
    }
    // Masked where it must not be, and the other way round.
    for mask in [None, Some(MASK)] {
        let input = frame(0xc1, &HELLO, mask);
        let frames = plain_frames(mask.is_none(), &[&input], 4096).unwrap();
        assert_eq!(frames, [(0xc1, mask, HELLO.to_vec())]);
    }
}

#[test]
fn what_is_corrupt_is_a_fault() {
    let cases: [(&str, &[u8]); 9] = [
        ("a reserved type of block", &[0x06]),
        ("a stored block with unequal lengths", &[0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48]),
        ("a reference to before the beginning", &[0xf2, 0x00, 0x11, 0x00, 0x00]),
        ("noise", &[0xff; 20]),
        ("a block without its end", &HELLO[..3]),
        ("a stored block without its end", &[0x00, 0x50, 0x00, 0xaf, 0xff, 0x48]),
        ("a stored block without its length", &[0x00, 0x05]),
        ("a last block, and noise", &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x06]),
        ("a message with a part of its tail", &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff]),
    ];
    for (what, payload) in cases {
        assert_eq!(inflated(&frame(0xc2, payload, None)), Err(CORRUPT), "{what}");
    }
}

/// Everything that comes before the fault, or the end.
fn taken(mut incoming: Incoming, input: &[u8], room: usize) -> (usize, Option<Fault>) {
    let (mut used, mut total) = (0, 0);
    loop {
        match incoming.read(&input[used..], &mut vec![0; room]) {
            Ok((_, 0)) => return (total, None),
            Ok((more, count)) => (used, total) = (used + more, total + count),
            Err(fault) => {
                assert_eq!(incoming.read(&input[used..], &mut [0; 10]), Err(fault), "it stays so");
                return (total, Some(fault));
            }
        }
    }
}

#[test]
fn a_message_and_a_frame_are_bounded_by_what_they_inflate_to() {
    let input = frame(0xc2, &deflated(&[7; 1000]), None);
    for (most, expected) in [(1000, None), (999, Some(TOO_LARGE))] {
        // All that there is room for comes out before.
        assert_eq!(taken(Incoming::new(false, usize::MAX, most), &input, 4096), (most + 4, expected));
        assert_eq!(taken(Incoming::new(false, most, usize::MAX), &input, 7), (most + 4, expected));
    }
    // Frames each for itself, and together.
    let half = Deflating::begin(15).piece(&[7; 1000], false);
    let input = [frame(0x42, &half, None), frame(0x00, &half, None), frame(0x80, &[0], None)].concat();
    assert_eq!(taken(Incoming::new(false, 2000, 1000), &input, 4096), (2010, None));
    assert_eq!(taken(Incoming::new(false, 1999, 1000), &input, 4096), (2007, Some(TOO_LARGE)));
}

#[test]
fn what_was_inflated_before_a_fault_comes_out_however_the_input_is_cut() {
    // "abc", stored, and a block of a reserved type.
    let corrupt = frame(0xc1, &[0x00, 0x03, 0x00, 0xfc, 0xff, b'a', b'b', b'c', 0x06], None);
    assert_eq!(taken(Incoming::new(false, 100, 100), &corrupt, 4096), (5, Some(CORRUPT)));
    let mut incoming = Incoming::new(false, 100, 100);
    assert_eq!(incoming.read(&corrupt[..10], &mut [0; 100]), Ok((10, 5)));
    assert_eq!(incoming.read(&corrupt[10..], &mut [0; 100]), Err(CORRUPT));
}

#[test]
fn a_bomb_is_inflated_only_as_fast_as_it_is_taken() {
    let bomb = deflated(&vec![0; 8 << 20]);
    assert!(bomb.len() < 20_000);
    let mut incoming = Incoming::new(false, usize::MAX, usize::MAX);
    let input = frame(0xc2, &bomb, None);
    let (mut used, mut taken) = (0, 0);
    while taken < 1 << 20 {
        let (more, count) = incoming.read(&input[used..], &mut [0; 4096]).unwrap();
        assert!(count > 0 && incoming.ready.capacity() <= HEAD + PIECE);
        (used, taken) = (used + more, taken + count);
    }
    assert!(used < input.len() / 4, "it has gone far ahead: {used}");
}

#[test]
fn a_head_as_long_as_can_be_is_no_trouble() {
    for first in [0xc2, 0x82, 0x40, 0xff] {
        let head = [&[first, 0x7f][..], &[0xff; 8]].concat();
        let mut incoming = Incoming::new(false, usize::MAX, usize::MAX);
        let read = incoming.read(&[&head[..], &HELLO].concat(), &mut [0; 100]).unwrap();
        assert!(read.0 > 0);
        let mut incoming = Incoming::new(false, usize::MAX, usize::MAX);
        assert_eq!(incoming.read(&head[..9], &mut [0; 100]), Ok((0, 0)));
    }
}

/// Of few kinds of bytes, so that there is something to compress, or of all.
fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(97..101_u8, 0..3000),
        prop::collection::vec(any::<u8>(), 0..3000),
        (any::<u8>(), 0..40_000_usize).prop_map(|(byte, count)| vec![byte; count]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_deflated_comes_back_however_it_is_cut(
        messages in prop::collection::vec((message(), any::<bool>(), 1..5000_usize, 0..4_usize), 1..5),
        window in 9..=15_u8,
        is_masked in any::<bool>(),
        step in 1..5000_usize,
        room in 16..5000_usize,
    ) {
        let mask = is_masked.then_some(MASK);
        let (mut input, mut expected) = (Vec::new(), Vec::new());
        for (plain, is_compressed, size, stop) in messages {
            expected.push((2, plain.clone()));
            let count = plain.len().div_ceil(size).max(1);
            let mut deflating = Deflating::begin(window);
            for n in 0..count {
                let piece = &plain[n * size..plain.len().min((n + 1) * size)];
                let is_last = n + 1 == count;
                if n == stop {
                    deflating.store_the_rest();
                }
                let payload = if is_compressed { deflating.piece(piece, is_last) } else { piece.to_vec() };
                let first = if is_last { FIN } else { 0 } | if n > 0 { 0 } else if is_compressed { 0x42 } else { 2 };
                input.extend(frame(first, &payload, mask));
            }
        }
        let pieces: Vec<&[u8]> = input.chunks(step).collect();
        prop_assert_eq!(joined(plain_frames(is_masked, &pieces, room).unwrap()), expected);
    }

    #[test]
    fn no_bytes_make_it_panic_or_stand_still(
        head in prop::sample::select(vec![0xc1_u8, 0xc2, 0x41, 0x42, 0x81, 0x80]),
        payload in prop::collection::vec(any::<u8>(), 0..300),
        rest in prop::collection::vec(any::<u8>(), 0..300),
        step in 1..50_usize,
    ) {
        let input = [frame(head, &payload, None), rest].concat();
        let mut incoming = Incoming::new(false, usize::MAX, usize::MAX);
        let mut waiting = Vec::new();
        for piece in input.chunks(step) {
            waiting.extend_from_slice(piece);
            loop {
                let Ok((used, count)) = incoming.read(&waiting, &mut [0; 256]) else { return Ok(()) };
                waiting.drain(..used);
                if count == 0 {
                    break;
                }
            }
            // What is not used is the beginning of a head.
            prop_assert!(waiting.len() < 14);
        }
    }
}
