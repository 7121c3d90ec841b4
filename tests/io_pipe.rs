//! Pipes, and the standard streams of the process.
#![cfg(target_os = "linux")]

mod net_support;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use greenloop::io::{PipeReader, PipeWriter, pipe, stderr, stdin, stdout};
use greenloop::{sleep, spawn, spawn_later, timeout, yield_now};
use net_support::{LONG, Log, PROMPT, Pattern, SHORT, in_a_child, ms, open_descriptors, spawn_parked};
use rustix::fs::{OFlags, fcntl_getfl};

fn is_nonblocking(io: impl AsFd) -> bool {
    fcntl_getfl(io).unwrap().contains(OFlags::NONBLOCK)
}

// FI04
#[test]
fn closing_the_ends_of_a_pipe_in_any_order_is_no_error() {
    for first in [true, false] {
        let (mut reader, mut writer) = pipe().unwrap();
        if first {
            drop(reader);
            assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        } else {
            writer.write_all(b"left").unwrap();
            drop(writer);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "left");
            assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
        }
    }
}

// FI07
#[test]
fn a_read_waits_for_another_greenlet_that_writes_and_gets_the_end() {
    let (mut reader, mut writer) = pipe().unwrap();
    let feeder = spawn_later(ms(5), move || writer.write_all(b"hello").unwrap());
    let mut place = [0; 32];
    assert_eq!(timeout(PROMPT, || reader.read(&mut place)).unwrap().unwrap(), 5);
    assert_eq!(&place[..5], b"hello");
    assert_eq!(timeout(PROMPT, || reader.read(&mut place)).unwrap().unwrap(), 0);
    feeder.join().unwrap();
}

// FI12
#[test]
fn a_megabyte_passes_while_the_consumer_comes_later_and_others_run() {
    const SIZE: usize = 1_000_000;
    let (mut reader, mut writer) = pipe().unwrap();
    let log = Log::new();
    let producer = spawn({
        let log = log.clone();
        move || {
            let mut pattern = Pattern::new();
            while pattern.offset() < SIZE as u64 {
                let piece = pattern.peek(SIZE - pattern.offset() as usize).to_vec();
                writer.write_all(&piece).unwrap();
                pattern.advance(piece.len());
            }
            log.add("all written");
        }
    });
    spawn({
        let log = log.clone();
        move || log.add("others run")
    });
    sleep(ms(50));
    assert_eq!(log.take(), ["others run"]);
    let (mut pattern, mut place) = (Pattern::new(), [0; 10_000]);
    loop {
        match timeout(PROMPT, || reader.read(&mut place)).unwrap().unwrap() {
            0 => break,
            count => pattern.check(&place[..count]),
        }
    }
    assert_eq!(pattern.offset(), SIZE as u64);
    producer.join().unwrap();
    assert_eq!(log.take(), ["all written"]);
}

#[test]
fn dropping_one_end_wakes_who_waits_at_the_other() {
    let (mut reader, writer) = pipe().unwrap();
    let waiting = spawn_parked(move || reader.read(&mut [0; 8]).unwrap());
    drop(writer);
    assert_eq!(timeout(PROMPT, || waiting.join()).unwrap().unwrap(), 0);
    let (reader, mut writer) = pipe().unwrap();
    let waiting = spawn_parked(move || writer.write_all(&vec![7; 1 << 20]).unwrap_err().kind());
    drop(reader);
    assert_eq!(timeout(PROMPT, || waiting.join()).unwrap().unwrap(), ErrorKind::BrokenPipe);
}

#[test]
fn a_killed_or_timed_out_read_or_write_loses_nothing() {
    let (reader, writer) = pipe().unwrap();
    let (reader, writer) = (Rc::new(reader), Rc::new(writer));
    let killed = spawn_parked({
        let reader = reader.clone();
        move || (&*reader).read(&mut [0; 8]).unwrap()
    });
    killed.kill();
    timeout(SHORT, || (&*reader).read(&mut [0; 8])).unwrap_err();
    // A write that was ended has written a part, and no more after it.
    let mut pattern = Pattern::new();
    let piece = pattern.peek(60_000).to_vec();
    let mut written = 0;
    while let Ok(count) = timeout(SHORT, || (&*writer).write(&piece[written % 60_000..])) {
        written += count.unwrap();
    }
    let killed = spawn_parked({
        let writer = writer.clone();
        move || (&*writer).write(b"never").unwrap()
    });
    killed.kill();
    drop((killed, writer));
    let mut all = Vec::new();
    timeout(PROMPT, || (&*reader).read_to_end(&mut all)).unwrap().unwrap();
    assert_eq!(all.len(), written);
    pattern.check(&all[..60_000]);
}

#[test]
fn nothing_is_read_and_written_without_waiting() {
    let (mut reader, mut writer) = pipe().unwrap();
    timeout(SHORT, || reader.read(&mut [0; 8])).unwrap_err();
    let read = || (reader.read(&mut []), reader.read_vectored(&mut [IoSliceMut::new(&mut [])]));
    let (plain, vectored) = timeout(PROMPT, read).expect("it waits for something to read");
    assert_eq!((plain.unwrap(), vectored.unwrap()), (0, 0));
    timeout(SHORT, || writer.write_all(&[7; 1_000_000])).unwrap_err();
    let write = || (writer.write(&[]), writer.write_vectored(&[IoSlice::new(&[])]));
    let (plain, vectored) = timeout(PROMPT, write).expect("it waits for room");
    assert_eq!((plain.unwrap(), vectored.unwrap()), (0, 0));
}

#[test]
fn ends_are_nonblocking_here_and_blocking_elsewhere() {
    let (reader, writer) = pipe().unwrap();
    assert!(is_nonblocking(&reader) && is_nonblocking(&writer));
    assert!(is_nonblocking(OwnedFd::from(writer)));
    let mut reader = reader.into_std().unwrap();
    assert!(!is_nonblocking(&reader));
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
    let (reader, writer) = std::io::pipe().unwrap();
    let (mut reader, mut writer) =
        (PipeReader::from_std(reader).unwrap(), PipeWriter::from_std(writer).unwrap());
    let text = spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    write!(writer, "{} and {}", 1, 2).unwrap();
    drop(writer);
    assert_eq!(text.join().unwrap().unwrap(), "1 and 2");
}

#[test]
fn pipes_leave_no_descriptor_open() {
    in_a_child("pipes_leave_no_descriptor_open", "", || {
        let work = || {
            for _ in 0..20 {
                let (mut reader, writer) = pipe().unwrap();
                let parked = spawn_parked(move || drop(reader.read(&mut [0; 8])));
                parked.kill();
                drop(writer.into_std().unwrap());
            }
        };
        work();
        let before = open_descriptors();
        work();
        assert_eq!(open_descriptors(), before);
    });
}

/// What runs the test `name` of this binary again, with other streams. None if this is that run.
fn again(name: &str) -> Option<Command> {
    const MARK: &str = "GREENLOOP_TEST_STREAMS";
    if std::env::var(MARK).as_deref() == Ok(name) {
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(MARK, name);
    Some(command)
}

/// Runs the test `name` of this binary again, with pipes for its input and output, unless it is that run: then runs `body`.
fn with_streams(name: &str, body: impl FnOnce()) -> Option<Child> {
    let Some(mut command) = again(name) else {
        body();
        return None;
    };
    Some(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// Waits for it, and gives its output and what it wrote to standard error.
fn output_of(child: Child) -> (String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{out}{err}");
    (out, err)
}

fn until_it_says_more(output: &mut impl Read) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"more\n") {
        let mut place = [0; 64];
        let count = output.read(&mut place).unwrap();
        assert!(count > 0, "it has ended");
        seen.extend_from_slice(&place[..count]);
    }
}

#[test]
fn standard_input_is_read_while_others_run_and_a_kill_loses_nothing() {
    let name = "standard_input_is_read_while_others_run_and_a_kill_loses_nothing";
    let child = with_streams(name, || {
        assert!(!is_nonblocking(std::io::stdin()));
        let killed = spawn_parked(|| stdin().read(&mut [0; 8]).unwrap());
        timeout(SHORT, || stdin().read(&mut [0; 8])).unwrap_err();
        killed.kill();
        assert!(killed.join().unwrap_err().is_killed());
        // The parent sends nothing before this is written, by another than the one who waits for it.
        let other = spawn(|| {
            for _ in 0..20 {
                yield_now();
            }
            writeln!(stdout(), "ready").unwrap();
        });
        let mut line = String::new();
        timeout(LONG, || stdin().read_line(&mut line)).unwrap().unwrap();
        assert_eq!(line, "first\n");
        other.join().unwrap();
        writeln!(stdout(), "more").unwrap();
        let mut bytes = [0; 3];
        timeout(LONG, || stdin().read_exact(&mut bytes)).unwrap().unwrap();
        assert_eq!(&bytes, b"abc");
        let lines: Vec<_> = timeout(LONG, || stdin().lines().map(Result::unwrap).collect()).unwrap();
        assert_eq!(lines, ["def", "", "without an end"]);
        assert_eq!(stdin().read(&mut [0; 8]).unwrap(), 0);
        assert!(!is_nonblocking(std::io::stdin()) && !is_nonblocking(std::io::stdout()));
    });
    let Some(mut child) = child else { return };
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = String::new();
    let mut await_word = |word: &str| {
        while !seen.contains(word) {
            let mut place = [0; 64];
            let count = output.read(&mut place).unwrap();
            assert!(count > 0, "no `{word}` in {seen}");
            seen.push_str(std::str::from_utf8(&place[..count]).unwrap());
        }
    };
    await_word("ready\n");
    input.write_all(b"fir").unwrap();
    input.write_all(b"st\n").unwrap();
    await_word("more\n");
    input.write_all(b"abcdef\r\n\nwithout an end").unwrap();
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    output_of(child);
}

#[test]
fn two_readers_of_standard_input_share_what_comes() {
    let child = with_streams("two_readers_of_standard_input_share_what_comes", || {
        let log = Log::new();
        let readers = [0, 1].map(|_| {
            let log = log.clone();
            spawn(move || stdin().lines().for_each(|line| log.add(line.unwrap())))
        });
        timeout(LONG, || greenloop::join_all(readers)).unwrap().into_iter().for_each(Result::unwrap);
        let mut lines = log.take();
        lines.sort_by_key(|line| line.parse::<u32>().unwrap());
        assert!(lines.iter().map(String::as_str).eq((0..2000).map(|n| n.to_string())));
    });
    let Some(mut child) = child else { return };
    let text: String = (0..2000).map(|n| format!("{n}\n")).collect();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    output_of(child);
}

#[test]
fn a_long_line_of_standard_input_takes_no_longer_than_many_short_ones() {
    const LENGTH: usize = 8 << 20;
    let child = with_streams("a_long_line_of_standard_input_takes_no_longer_than_many_short_ones", || {
        let mut line = String::new();
        timeout(PROMPT, || stdin().read_line(&mut line)).expect("it takes too long").unwrap();
        assert_eq!(line.len(), LENGTH + 1);
        // Of a line that somebody has looked at, another takes the beginning.
        let mut bytes = [0; 3];
        let looking = spawn_parked(|| stdin().read_line(&mut String::new()).unwrap());
        writeln!(stdout(), "more").unwrap();
        sleep(SHORT);
        looking.kill();
        timeout(PROMPT, || stdin().read_exact(&mut bytes)).unwrap().unwrap();
        assert_eq!(&bytes, b"abc");
        let lines: Vec<_> = timeout(PROMPT, || stdin().lines().map(Result::unwrap).collect()).unwrap();
        assert_eq!(lines, ["def", "", "ghi"]);
    });
    let Some(mut child) = child else { return };
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    input.write_all(&[b'x'; LENGTH]).unwrap();
    input.write_all(b"\n").unwrap();
    until_it_says_more(&mut output);
    input.write_all(b"abcde").unwrap();
    std::thread::sleep(ms(50));
    input.write_all(b"f\n\nghi").unwrap();
    drop(input);
    output.read_to_end(&mut Vec::new()).unwrap();
    output_of(child);
}

#[test]
fn a_line_is_complete_although_another_reader_has_taken_its_beginning() {
    let child = with_streams("a_line_is_complete_although_another_reader_has_taken_its_beginning", || {
        let waiting = spawn(|| {
            let mut line = String::new();
            stdin().read_line(&mut line).unwrap();
            line
        });
        // It has looked at what has come, and found no newline, when another takes some of that.
        sleep(ms(50));
        let mut bytes = [0; 8];
        timeout(PROMPT, || stdin().read_exact(&mut bytes)).unwrap().unwrap();
        assert_eq!(&bytes, b"01234567");
        writeln!(stdout(), "more").unwrap();
        let line = timeout(PROMPT, || waiting.join()).expect("it waits beside a line").unwrap();
        assert_eq!(line, "89x\n");
    });
    let Some(mut child) = child else { return };
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    input.write_all(b"0123456789").unwrap();
    until_it_says_more(&mut output);
    input.write_all(b"x\n").unwrap();
    // Standard input stays open: the end of the input would end the wait as well.
    output.read_to_end(&mut Vec::new()).unwrap();
    output_of(child);
}

#[test]
fn readers_on_two_threads_see_the_end_of_standard_input_only_at_its_end() {
    const LENGTH: usize = 400_000;
    let child = with_streams("readers_on_two_threads_see_the_end_of_standard_input_only_at_its_end", || {
        let count = || {
            let read = || stdin().read(&mut [0; 3]).unwrap();
            let count = std::iter::from_fn(|| Some(read()).filter(|count| *count > 0)).sum::<usize>();
            assert_eq!(read(), 0, "there was an end in the middle");
            count
        };
        let others: Vec<_> = (0..3).map(|_| std::thread::spawn(count)).collect();
        let counts: Vec<usize> = others.into_iter().map(|other| other.join().unwrap()).collect();
        assert_eq!(counts.iter().sum::<usize>(), LENGTH, "{counts:?}");
    });
    let Some(mut child) = child else { return };
    // Whoever sees an end too early leaves the rest to nobody.
    let _ = child.stdin.take().unwrap().write_all(&[b'x'; LENGTH]);
    output_of(child);
}

#[test]
fn a_reader_that_ends_with_its_thread_leaves_standard_input_to_others() {
    let child = with_streams("a_reader_that_ends_with_its_thread_leaves_standard_input_to_others", || {
        std::thread::spawn(|| drop(spawn_parked(|| stdin().read(&mut [0; 8])))).join().unwrap();
        writeln!(stdout(), "more").unwrap();
        let mut line = String::new();
        timeout(PROMPT, || stdin().read_line(&mut line)).expect("somebody else still reads").unwrap();
        assert_eq!(line, "a line\n");
    });
    let Some(mut child) = child else { return };
    until_it_says_more(child.stdout.as_mut().unwrap());
    child.stdin.as_mut().unwrap().write_all(b"a line\n").unwrap();
    output_of(child);
}

#[test]
fn standard_input_that_is_a_file_a_device_or_closed_is_read_to_its_end() {
    let name = "standard_input_that_is_a_file_a_device_or_closed_is_read_to_its_end";
    for (prelude, expected) in [
        ("exec </dev/null; export EXPECTED=", ""),
        ("exec <&-; export EXPECTED=", ""),
        ("f=$(mktemp); echo text >$f; exec <$f; rm $f; export EXPECTED=", "text"),
    ] {
        let ran = in_a_child(name, &format!("{prelude}{expected}"), || {
            let mut text = String::new();
            timeout(LONG, || stdin().read_to_string(&mut text)).unwrap().unwrap();
            assert_eq!(text.trim_end(), std::env::var("EXPECTED").unwrap());
        });
        if ran.is_none() {
            return;
        }
    }
}

#[test]
fn lines_of_greenlets_are_not_mixed_and_a_slow_reader_stops_only_who_writes() {
    let name = "lines_of_greenlets_are_not_mixed_and_a_slow_reader_stops_only_who_writes";
    let child = with_streams(name, || {
        println!("before");
        let writers: Vec<_> = (0..3)
            .map(|n| {
                spawn(move || {
                    for k in 0..300 {
                        writeln!(stdout(), "{n}:{k}:{}", "x".repeat(400)).unwrap();
                    }
                })
            })
            .collect();
        // The pipe is full long before, and the parent reads only after this.
        sleep(ms(100));
        assert!(!writers[0].is_finished());
        let stuck = spawn_parked(|| writeln!(stdout(), "killed before it is written").unwrap());
        stuck.kill();
        writeln!(stderr(), "the hub runs").unwrap();
        timeout(LONG, || greenloop::join_all(writers)).unwrap();
        writeln!(stdout(), "end").unwrap();
    });
    let Some(mut child) = child else { return };
    let mut errors = [0; 13];
    child.stderr.as_mut().unwrap().read_exact(&mut errors).unwrap();
    assert_eq!(&errors, b"the hub runs\n");
    let (out, _) = output_of(child);
    let lines: Vec<_> = out.lines().collect();
    let place = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
    assert!(place("before") < place("0:0:"));
    assert!(!out.contains("killed before"));
    for n in 0..3 {
        let own: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix(&format!("{n}:"))).collect();
        assert_eq!(own.len(), 300);
        for (k, line) in own.iter().enumerate() {
            assert_eq!(*line, format!("{k}:{}", "x".repeat(400)));
        }
    }
    assert!(lines.contains(&"end"));
}

#[test]
fn a_stream_that_others_have_made_non_blocking_is_written_whole() {
    const NAME: &str = "a_stream_that_others_have_made_non_blocking_is_written_whole";
    const LINES: usize = 200;
    const LENGTH: usize = 2_000;
    if again(NAME).is_none() {
        // What the test harness has to say is said, as it could not wait for room.
        eprintln!("ready");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        (0..LINES).for_each(|_| writeln!(stdout(), "{}", "x".repeat(LENGTH)).unwrap());
        std::process::exit(0);
    }
    // Several processes compete for the last room in a pipe.
    let (mut reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let mut children = [(); 3].map(|()| {
        let (stdin, stdout) = (Stdio::piped(), writer.try_clone().unwrap());
        again(NAME).unwrap().stdin(stdin).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap()
    });
    drop(writer);
    for child in &mut children {
        let mut ready = [0; 6];
        child.stderr.as_mut().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
    }
    children.iter_mut().for_each(|child| child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap());
    let (mut text, mut place) = (Vec::new(), [0; 5_000]);
    while let count @ 1.. = reader.read(&mut place).unwrap() {
        text.extend_from_slice(&place[..count]);
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    children.into_iter().for_each(|child| drop(output_of(child)));
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().filter(|line| line.ends_with(&"x".repeat(LENGTH))).count(), 3 * LINES);
}

#[test]
fn input_that_others_have_made_non_blocking_and_read_as_well_is_read_to_its_end() {
    let name = "input_that_others_have_made_non_blocking_and_read_as_well_is_read_to_its_end";
    let Some(mut command) = again(name) else {
        let mut all = Vec::new();
        timeout(LONG, || stdin().read_to_end(&mut all)).unwrap().unwrap();
        println!("read {} bytes.", all.len());
        return;
    };
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    let child =
        command.stdin(reader.try_clone().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    drop(command);
    let (mut sent, mut taken) = (0, 0);
    let mut place = [0; 8];
    while sent < 60_000 {
        sent += writer.write(b"abc").unwrap_or(0);
        for _ in 0..20 {
            taken += reader.read(&mut place).unwrap_or(0);
        }
    }
    drop((reader, writer));
    let (out, err) = output_of(child.unwrap());
    assert!(out.contains(&format!("read {} bytes.", sent - taken)), "{sent} - {taken}: {out}{err}");
}
