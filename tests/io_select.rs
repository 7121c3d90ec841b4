//! Many descriptors: `select`, `Poll`, and readiness beside unlike things.
#![cfg(target_os = "linux")]

mod net_support;

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenloop::event::Event;
use greenloop::io::{Direction, Interest, PipeReader, Poll, Readiness, pipe, select};
use greenloop::queue::Queue;
use greenloop::testing::assert_switches;
use greenloop::{iwait, net, sleep, spawn, spawn_later, timeout, wait_any, yield_now};
use net_support::{LONG, Log, PROMPT, SHORT, connection, ms, panic_of, spawn_parked};

/// A descriptor that is not open. Nobody opens a thousand meanwhile.
fn closed() -> BorrowedFd<'static> {
    // SAFETY: it is used only to be refused; no object is behind it.
    unsafe { BorrowedFd::borrow_raw(1 << 20) }
}

// SE01
#[test]
fn select_of_nothing_is_a_sleep() {
    let start = Instant::now();
    assert!(select(&[], &[], Some(ms(20))).unwrap().is_empty());
    assert!(start.elapsed() >= ms(20));
    let text = panic_of(|| drop(select(&[], &[], None)));
    assert!(text.contains("would block for ever"), "{text}");
}

// SE02
#[test]
fn select_and_poll_of_an_idle_pipe_return_when_the_time_is_up() {
    let (reader, _writer) = pipe().unwrap();
    let start = Instant::now();
    assert!(select(&[&reader], &[], Some(ms(20))).unwrap().is_empty());
    assert!(start.elapsed() >= ms(20));
    let poll = Poll::new().unwrap();
    poll.register(reader, Interest::READABLE).unwrap();
    let start = Instant::now();
    assert_eq!(poll.poll(Some(ms(20))).unwrap(), []);
    assert!(start.elapsed() >= ms(20) && start.elapsed() < PROMPT);
    assert_eq!(poll.poll(Some(Duration::ZERO)).unwrap(), []);
}

// SE03, SE07, SE11: closed before, so it is an error at once.
#[test]
fn a_closed_descriptor_is_an_error() {
    let (reader, _writer) = pipe().unwrap();
    for (read, write) in
        [(&[&reader as &dyn AsFd, &closed()][..], &[][..]), (&[&reader], &[&closed() as &dyn AsFd])]
    {
        let error = select(read, write, Some(LONG)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
    let error = Poll::new().unwrap().register(closed(), Interest::READABLE).unwrap_err().to_string();
    let number = closed().as_fd().as_raw_fd();
    assert!(error.starts_with(&format!("the system cannot watch descriptor {number}: Bad file")), "{error}");
    Readiness::of(&closed(), Direction::Read).unwrap_err();
}

// SE04
#[test]
fn a_token_that_is_not_registered_is_unknown() {
    let (reader, _writer) = pipe().unwrap();
    let (poll, other) = (Poll::new().unwrap(), Poll::new().unwrap());
    let token = poll.register(&reader, Interest::READABLE).unwrap();
    assert_eq!(other.unregister(token).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(poll.len(), 1);
    poll.unregister(token).unwrap();
    assert_eq!(poll.unregister(token).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(poll.modify(token, Interest::WRITABLE).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(poll.get(token).is_none() && poll.is_empty());
    // The place is used again, the name is not.
    let again = poll.register(&reader, Interest::READABLE).unwrap();
    assert_ne!(again, token);
    assert_eq!(poll.unregister(token).unwrap_err().kind(), ErrorKind::NotFound);
    drop(other.register(&reader, Interest::READABLE));
}

// SE06: what is selected is borrowed and cannot be closed; a socket can be shut down under it.
#[test]
fn select_returns_when_a_socket_is_shut_down_or_its_peer_closes() {
    let (a, b) = connection();
    let selector = spawn_parked({
        let a = a.try_clone().unwrap();
        move || select(&[&a], &[], None).unwrap().readable
    });
    assert!(!selector.is_finished());
    a.shutdown(Shutdown::Both).unwrap();
    assert_eq!(timeout(PROMPT, || selector.join()).unwrap().unwrap(), [0]);
    let (c, d) = connection();
    let selector = spawn_parked(move || select(&[&b, &c], &[], None).map(|found| (found.readable, b, c)));
    drop((a, d));
    let (readable, ..) = timeout(PROMPT, || selector.join()).unwrap().unwrap().unwrap();
    assert!(!readable.is_empty());
}

// SE08: a registered socket belongs to the `Poll`, so it is shut down instead of closed, and unregistered afterwards.
#[test]
fn poll_tells_of_a_socket_that_is_shut_down_while_it_is_parked() {
    let (a, _b) = connection();
    let poll = Rc::new(Poll::new().unwrap());
    let token = poll.register(a.try_clone().unwrap(), Interest::READABLE).unwrap();
    let poller = spawn_parked({
        let poll = poll.clone();
        move || poll.poll(None).unwrap()
    });
    a.shutdown(Shutdown::Both).unwrap();
    let events = timeout(PROMPT, || poller.join()).unwrap().unwrap();
    assert!(events.len() == 1 && events[0].token == token && events[0].readable);
    poll.unregister(token).unwrap();
    assert_eq!(poll.poll(Some(SHORT)).unwrap(), []);
}

#[test]
fn what_is_unregistered_while_somebody_polls_is_not_told_and_what_is_registered_is() {
    let (first, mut to_first) = pipe().unwrap();
    let (second, mut to_second) = pipe().unwrap();
    let poll = Rc::new(Poll::new().unwrap());
    let token = poll.register(first, Interest::READABLE).unwrap();
    let poller = spawn_parked({
        let poll = poll.clone();
        move || poll.poll(None).unwrap()
    });
    let first = poll.unregister(token).unwrap();
    to_first.write_all(b"x").unwrap();
    sleep(SHORT);
    assert!(!poller.is_finished());
    to_second.write_all(b"x").unwrap();
    let token = poll.register(second, Interest::READABLE).unwrap();
    let events = timeout(PROMPT, || poller.join()).unwrap().unwrap();
    assert!(events.len() == 1 && events[0].token == token);
    drop(first);
}

// A read of what is there may switch, too: whoever has read so often gives the others a turn.
#[test]
fn what_was_got_is_read_while_another_registers_and_unregisters() {
    let poll = Rc::new(Poll::new().unwrap());
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..40).map(|_| net::UnixStream::pair().unwrap()).unzip();
    for (ours, mut theirs) in ours.into_iter().zip(&theirs) {
        poll.register(ours, Interest::READABLE).unwrap();
        theirs.write_all(b"x").unwrap();
    }
    let rounds = Rc::new(Cell::new(0));
    let other = spawn({
        let (poll, rounds) = (poll.clone(), rounds.clone());
        move || {
            let (mut silent, _kept) = net::UnixStream::pair().unwrap();
            loop {
                let token = poll.register(silent, Interest::READABLE).unwrap();
                yield_now();
                silent = Rc::into_inner(poll.unregister(token).unwrap()).unwrap();
                rounds.set(rounds.get() + 1);
                yield_now();
            }
        }
    });
    let events = poll.poll(Some(LONG)).unwrap();
    assert_eq!(events.len(), 40);
    let before = rounds.get();
    for event in events {
        assert_eq!((&*poll.get(event.token).unwrap()).read(&mut [0; 8]).unwrap(), 1);
    }
    yield_now();
    assert!(rounds.get() > before && !other.is_finished());
    other.kill();
}

#[test]
fn what_was_got_stays_open_although_it_is_unregistered() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let poll = Poll::new().unwrap();
    let token = poll.register(ours, Interest::READABLE).unwrap();
    let got = poll.get(token).unwrap();
    drop(poll.unregister(token).unwrap());
    theirs.write_all(b"x").unwrap();
    assert_eq!(poll.poll(Some(SHORT)).unwrap(), []);
    assert_eq!((&*got).read(&mut [0; 8]).unwrap(), 1);
    drop(got);
    assert!(theirs.write_all(b"x").is_err());
}

/// Data of the user's around a descriptor.
struct Client(UnixStream, &'static str);

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

// SE09
#[test]
fn what_is_registered_comes_with_the_data_of_its_user_and_an_echo_completes() {
    let (server, mut client) = UnixStream::pair().unwrap();
    let poll = Poll::new().unwrap();
    let token = poll.register(Client(server, "user data"), Interest::READABLE).unwrap();
    client.write_all(b"ping").unwrap();
    let events = poll.poll(Some(LONG)).unwrap();
    assert!(events.len() == 1 && events[0].token == token && !events[0].writable);
    let entry = poll.get(token).unwrap();
    assert_eq!(entry.1, "user data");
    let mut word = [0; 4];
    (&entry.0).read_exact(&mut word).unwrap();
    drop(entry);
    poll.modify(token, Interest::WRITABLE).unwrap();
    let events = poll.poll(Some(LONG)).unwrap();
    assert!(events.len() == 1 && events[0].writable && !events[0].readable);
    (&poll.get(token).unwrap().0).write_all(&word).unwrap();
    client.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ping");
    poll.modify(token, Interest::READABLE | Interest::WRITABLE).unwrap();
    client.write_all(b"x").unwrap();
    let events = poll.poll(Some(LONG)).unwrap();
    assert!(events[0].writable && events[0].readable);
}

// SE10
#[test]
fn all_of_ten_ready_sockets_are_told_at_once() {
    let (pairs, poll) = ((0..10).map(|_| connection()).collect::<Vec<_>>(), Poll::new().unwrap());
    let mut tokens: Vec<_> =
        pairs.iter().map(|(a, _)| poll.register(a, Interest::READABLE).unwrap()).collect();
    assert_eq!(poll.poll(Some(Duration::ZERO)).unwrap(), []);
    for (_, b) in &pairs {
        (&*b).write_all(b"x").unwrap();
    }
    let mut told = Vec::new();
    while told.len() < 10 {
        told = poll.poll(Some(LONG)).unwrap().into_iter().map(|event| event.token).collect();
    }
    told.sort();
    tokens.sort();
    assert_eq!(told, tokens);
    let ends: Vec<&dyn AsFd> = pairs.iter().map(|(a, _)| a as &dyn AsFd).collect();
    let found = select(&ends, &ends, Some(LONG)).unwrap();
    assert!(found.readable.iter().copied().eq(0..10) && found.writable.iter().copied().eq(0..10));
}

// SE13
#[test]
fn a_select_or_poll_that_finds_something_at_once_lets_the_others_run() {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"x").unwrap();
    assert_switches(|| select(&[&reader], &[], None)).unwrap();
    assert_switches(|| select(&[&reader], &[], Some(Duration::ZERO))).unwrap();
    let poll = Poll::new().unwrap();
    poll.register(&reader, Interest::READABLE).unwrap();
    assert_switches(|| poll.poll(None)).unwrap();
}

#[test]
fn select_knows_regular_files_duplicates_and_both_directions_of_one() {
    let (a, mut b) = connection();
    b.write_all(b"x").unwrap();
    let found = select(&[&a, &a], &[&a], Some(LONG)).unwrap();
    assert!(found.writable == [0]);
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    assert_eq!(select(&[&file], &[], None).unwrap().readable, [0]);
    let (reader, writer) = pipe().unwrap();
    let selector = spawn_parked(move || select(&[&reader, &reader], &[&reader], None).unwrap());
    drop(writer);
    assert_eq!(timeout(PROMPT, || selector.join()).unwrap().unwrap().readable, [0, 1]);
}

#[test]
fn sockets_may_be_read_by_one_while_another_selects_them() {
    let (a, mut b) = connection();
    let reader = spawn_parked({
        let mut a = a.try_clone().unwrap();
        move || a.read(&mut [0; 8]).unwrap()
    });
    let selector = spawn_parked(move || select(&[&a], &[], None).unwrap().readable);
    b.write_all(b"x").unwrap();
    assert_eq!(timeout(PROMPT, || reader.join()).unwrap().unwrap(), 1);
    // The reader may have been faster; then the next byte is for the selector.
    b.write_all(b"y").unwrap();
    assert_eq!(timeout(PROMPT, || selector.join()).unwrap().unwrap(), [0]);
}

#[test]
fn a_killed_or_timed_out_select_or_poll_leaves_nothing_behind() {
    let (reader, mut writer) = pipe().unwrap();
    let reader = Rc::new(reader);
    let poll = Rc::new(Poll::<Rc<PipeReader>>::new().unwrap());
    let token = poll.register(reader.clone(), Interest::READABLE).unwrap();
    let parked: [greenloop::Greenlet<()>; 2] = [
        spawn_parked({
            let reader = reader.clone();
            move || drop(select(&[&reader], &[], None))
        }),
        spawn_parked({
            let poll = poll.clone();
            move || drop(poll.poll(None))
        }),
    ];
    assert!(poll.poll(Some(LONG)).unwrap_err().to_string().contains("already being read"));
    greenloop::kill_all(&parked);
    assert!(parked.into_iter().all(|greenlet| greenlet.join().unwrap_err().is_killed()));
    timeout(SHORT, || select(&[&reader], &[], None)).unwrap_err();
    timeout(SHORT, || poll.poll(None)).unwrap_err();
    writer.write_all(b"x").unwrap();
    assert_eq!(timeout(PROMPT, || poll.poll(None)).unwrap().unwrap()[0].token, token);
    assert_eq!(timeout(PROMPT, || select(&[&reader], &[], None)).unwrap().unwrap().readable, [0]);
}

#[test]
fn a_regular_file_cannot_be_registered_and_no_descriptor_twice() {
    let poll: Poll<Box<dyn AsFd>> = Poll::new().unwrap();
    let error = poll.register(Box::new(std::fs::File::open("/proc/self/exe").unwrap()), Interest::READABLE);
    assert!(error.unwrap_err().to_string().contains("`fs`"));
    let (reader, _writer) = pipe().unwrap();
    let poll = Poll::new().unwrap();
    poll.register(&reader, Interest::READABLE).unwrap();
    assert_eq!(poll.register(&reader, Interest::WRITABLE).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(poll.len(), 1);
}

// What is ready stays so until somebody reads it, however often it is asked for.
#[test]
fn poll_tells_again_what_nobody_has_read() {
    let (mut reader, mut writer) = pipe().unwrap();
    let poll = Poll::new().unwrap();
    poll.register(reader.as_fd().try_clone_to_owned().unwrap(), Interest::READABLE).unwrap();
    for _ in 0..3 {
        writer.write_all(b"ab").unwrap();
        for _ in 0..3 {
            assert_eq!(timeout(PROMPT, || poll.poll(None)).unwrap().unwrap().len(), 1);
        }
        reader.read_exact(&mut [0; 2]).unwrap();
        assert_eq!(poll.poll(Some(SHORT)).unwrap(), []);
    }
}

#[test]
fn readiness_is_selected_beside_a_queue_and_waited_for_beside_an_event() {
    let (reader, mut writer) = pipe().unwrap();
    let (queue, never) = (Queue::<u8>::unbounded(), Event::new());
    let log = Log::new();
    let selector = spawn_parked({
        let (queue, log) = (queue.clone(), log.clone());
        move || {
            let readiness = Readiness::of(&reader, Direction::Read).unwrap();
            for _ in 0..4 {
                greenloop::select! {
                    item = queue.get() => log.add(item.unwrap()),
                    _ = readiness.wait() => {
                        let mut byte = [0];
                        (&reader).read_exact(&mut byte).unwrap();
                        log.add(byte[0]);
                    }
                }
            }
            assert_eq!(iwait(&[&never, &readiness]).timeout(SHORT).next(), None);
            log.add(0);
            assert_eq!(wait_any(&[&never, &readiness]), 1);
        }
    });
    for n in 0..2 {
        queue.put(10 + n).unwrap();
        timeout(PROMPT, || {
            while log.len() == 2 * n as usize {
                sleep(ms(1))
            }
        })
        .unwrap();
        writer.write_all(&[20 + n]).unwrap();
        timeout(PROMPT, || {
            while log.len() == 2 * n as usize + 1 {
                sleep(ms(1))
            }
        })
        .unwrap();
    }
    timeout(PROMPT, || {
        while log.len() < 5 {
            sleep(ms(1))
        }
    })
    .unwrap();
    assert_eq!(log.take(), [10, 20, 11, 21, 0]);
    drop(writer);
    timeout(PROMPT, || selector.join()).unwrap().unwrap();
}

#[test]
fn readiness_of_a_socket_does_not_disturb_its_reader_and_does_not_wait_for_what_is_gone() {
    let (a, mut b) = connection();
    let readiness = Readiness::of(&a, Direction::Read).unwrap();
    b.write_all(b"x").unwrap();
    timeout(PROMPT, || (&a).read(&mut [0; 8])).unwrap().unwrap();
    assert_eq!(iwait(&[&readiness]).timeout(SHORT).next(), None);
    assert!(format!("{readiness:?}").contains("not ready"));
    let writable = Readiness::of(&a, Direction::Write).unwrap();
    assert_eq!(wait_any(&[&readiness, &writable]), 1);
    let later = spawn_later(ms(5), move || drop(b));
    assert_eq!(timeout(PROMPT, || wait_any(&[&readiness])).unwrap(), 0);
    later.join().unwrap();
    drop((readiness, writable));
    // With it goes the reason to go on.
    assert!(panic_of(|| Event::new().wait()).contains("would block for ever"));
}

/// The processor's time that this thread has used.
fn time_of_thread() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().unwrap()
}

// The driver for other systems tells of a descriptor by level, each time that it is asked to tell of the next event.
#[test]
fn a_readiness_that_nobody_acts_upon_costs_nothing() {
    let (reader, mut writer) = pipe().unwrap();
    let readiness = Readiness::of(&reader, Direction::Read).unwrap();
    writer.write_all(b"x").unwrap();
    sleep(SHORT);
    let before = time_of_thread();
    sleep(ms(300));
    let used = time_of_thread() - before;
    assert!(used < ms(100), "{used:?}");
    assert_eq!(wait_any(&[&readiness]), 0);
}

// Two wait for the same and are both told; what one of them takes the other waits for again.
#[test]
fn everyone_who_waits_for_a_readiness_is_told_each_time() {
    let (a, mut b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    let (a, log) = (Rc::new(a), Log::new());
    let waiters: [greenloop::Greenlet<()>; 2] = [(); 2].map(|()| {
        let (a, log) = (a.clone(), log.clone());
        spawn_parked(move || {
            let readiness = Readiness::of(&*a, Direction::Read).unwrap();
            loop {
                greenloop::select! { _ = readiness.wait() => {} }
                // The other one may have taken it.
                if let Ok(count) = (&*a).read(&mut [0; 8]) {
                    log.add(count);
                }
            }
        })
    });
    for _ in 0..50 {
        b.write_all(b"x").unwrap();
        let taken = timeout(PROMPT, || {
            while log.len() == 0 {
                sleep(ms(1));
            }
            log.take()
        });
        assert_eq!(taken.unwrap(), [1]);
    }
    greenloop::kill_all(&waiters);
}

#[test]
fn a_poll_can_be_waited_for_beside_other_things() {
    let (reader, mut writer) = pipe().unwrap();
    let (poll, never) = (Poll::new().unwrap(), Event::new());
    poll.register(reader, Interest::READABLE).unwrap();
    let readiness = Readiness::of(&poll, Direction::Read).unwrap();
    assert_eq!(iwait(&[&never, &readiness]).timeout(SHORT).next(), None);
    spawn(move || {
        writer.write_all(b"x").unwrap();
        writer
    });
    assert_eq!(timeout(PROMPT, || wait_any(&[&never, &readiness])).unwrap(), 1);
    assert_eq!(poll.poll(Some(Duration::ZERO)).unwrap().len(), 1);
}

#[test]
fn a_set_of_hundreds_tells_of_each_in_time() {
    let poll = Poll::new().unwrap();
    let pairs: Vec<_> = (0..300).map(|_| UnixStream::pair().unwrap()).collect();
    for (ours, theirs) in &pairs {
        poll.register(ours, Interest::READABLE).unwrap();
        (&*theirs).write_all(b"x").unwrap();
    }
    let mut seen = std::collections::HashSet::new();
    timeout(PROMPT, || {
        while seen.len() < pairs.len() {
            for event in poll.poll(None).unwrap() {
                let ours = poll.unregister(event.token).unwrap();
                assert!(seen.insert(ours.as_raw_fd()));
            }
        }
    })
    .unwrap();
}
