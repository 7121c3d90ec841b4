//! Any descriptor: waiting for it, whoever reads it, and operations that park.
#![cfg(target_os = "linux")]

mod net_support;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use greenloop::io::{Direction, Watched};
use greenloop::{sleep, spawn, timeout, yield_now};
use net_support::{LONG, Log, PROMPT, SHORT, ms, panic_of, spawn_parked};
use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

#[test]
fn a_timer_of_the_system_is_waited_for_and_read_by_its_owner() {
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::empty()).unwrap();
    let watched = Watched::new(timer).unwrap();
    for _ in 0..3 {
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: 0, tv_nsec: 5_000_000 },
        };
        rustix::time::timerfd_settime(watched.get_ref(), TimerfdTimerFlags::empty(), &once).unwrap();
        timeout(PROMPT, || watched.readable()).unwrap().unwrap();
        let mut count = [0; 8];
        // The descriptor is blocking, so this read would stop the thread if nothing was there.
        rustix::io::read(watched.get_ref(), &mut count).unwrap();
        assert_eq!(u64::from_ne_bytes(count), 1);
    }
}

// The library under the descriptor reads some of what is there, all of it, or nothing, and nobody tells the latches.
#[test]
fn readable_asks_the_system_however_much_was_read_behind_its_back() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let watched = Watched::new(ours).unwrap();
    for _ in 0..3 {
        theirs.write_all(b"abcdef").unwrap();
        watched.readable().unwrap();
        watched.readable().unwrap();
        watched.get_ref().read_exact(&mut [0; 3]).unwrap();
        watched.readable().unwrap();
        watched.get_ref().read_exact(&mut [0; 3]).unwrap();
        assert_eq!(watched.readable_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    drop(theirs);
    watched.readable().unwrap();
}

#[test]
fn writable_waits_for_room() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let watched = Watched::new(ours).unwrap();
    watched.writable().unwrap();
    let mut sent = 0;
    while let Ok(count) = watched.get_ref().write(&[7; 4096]) {
        sent += count;
    }
    assert_eq!(watched.writable_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    let writer = spawn_parked(move || watched.writable());
    assert!(!writer.is_finished());
    theirs.read_exact(&mut vec![0; sent]).unwrap();
    timeout(PROMPT, || writer.join()).unwrap().unwrap().unwrap();
}

#[test]
fn an_operation_is_repeated_until_it_does_not_block() {
    let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap();
    let teller = event.try_clone().unwrap();
    let watched = Watched::new(event).unwrap();
    let reader = spawn_parked(move || {
        let mut count = [0; 8];
        watched.with_io(Direction::Read, |event| Ok(rustix::io::read(event, &mut count)?)).unwrap();
        u64::from_ne_bytes(count)
    });
    assert!(!reader.is_finished());
    rustix::io::write(&teller, &5u64.to_ne_bytes()).unwrap();
    assert_eq!(timeout(PROMPT, || reader.join()).unwrap().unwrap(), 5);
}

#[test]
fn an_operation_on_a_blocking_descriptor_is_refused() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let watched = Watched::new(ours).unwrap();
    let read = || watched.with_io(Direction::Read, |mut socket| socket.read(&mut [0; 1]));
    let error = read().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("is blocking"), "{error}");
    watched.get_ref().set_nonblocking(true).unwrap();
    timeout(SHORT, read).unwrap_err();
}

#[test]
fn regular_files_and_folders_are_sent_to_fs() {
    for path in ["/proc/self/exe", "/tmp"] {
        let error = Watched::new(std::fs::File::open(path).unwrap()).unwrap_err();
        assert!(error.to_string().contains("`fs`"), "{error}");
    }
}

#[test]
fn a_descriptor_is_watched_once_and_its_duplicates_by_themselves() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let first = Watched::new(ours.as_fd()).unwrap();
    let error = Watched::new(&ours).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("watches the descriptor already"), "{error}");
    let second = Watched::new(ours.try_clone().unwrap()).unwrap();
    theirs.write_all(b"x").unwrap();
    first.readable().unwrap();
    second.readable().unwrap();
    assert_eq!(first.into_inner().as_raw_fd(), ours.as_raw_fd());
    Watched::new(&ours).unwrap().readable().unwrap();
}

#[test]
fn two_greenlets_cannot_wait_for_the_same_and_can_for_different_directions() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    while (&ours).write(&[7; 4096]).is_ok() {}
    let watched = std::rc::Rc::new(Watched::new(ours).unwrap());
    let reader = spawn_parked({
        let watched = watched.clone();
        move || watched.readable()
    });
    let writer = spawn_parked({
        let watched = watched.clone();
        move || watched.writable()
    });
    let error = watched.readable().unwrap_err();
    assert!(
        error.to_string().contains(&format!("already being read by greenlet #{}", reader.id())),
        "{error}"
    );
    theirs.write_all(b"x").unwrap();
    timeout(PROMPT, || reader.join()).unwrap().unwrap().unwrap();
    assert!(!writer.is_finished());
    theirs.read_exact(&mut [0; 65536]).unwrap();
    drop(theirs);
    timeout(PROMPT, || writer.join()).unwrap().unwrap().unwrap();
}

#[test]
fn a_killed_or_timed_out_wait_leaves_the_descriptor_as_it_was() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let watched = std::rc::Rc::new(Watched::new(ours).unwrap());
    let killed = spawn_parked({
        let watched = watched.clone();
        move || watched.readable()
    });
    killed.kill();
    assert!(killed.join().unwrap_err().is_killed());
    timeout(SHORT, || watched.readable()).unwrap_err();
    theirs.write_all(b"still there").unwrap();
    timeout(PROMPT, || watched.readable()).unwrap().unwrap();
    let mut text = [0; 11];
    watched.get_ref().read_exact(&mut text).unwrap();
    assert_eq!(&text, b"still there");
}

#[test]
fn others_run_while_one_waits_and_a_ready_one_takes_turns() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let log = Log::new();
    let other = spawn({
        let log = log.clone();
        move || {
            while log.len() < 100 {
                log.add(());
                yield_now();
            }
            drop(theirs);
            sleep(ms(1));
        }
    });
    let watched = Watched::new(ours).unwrap();
    timeout(LONG, || watched.readable()).unwrap().unwrap();
    assert_eq!(log.take().len(), 100);
    // Ready for ever: whoever asks again and again lets the others run.
    timeout(PROMPT, || {
        while !other.is_finished() {
            watched.readable().unwrap();
        }
    })
    .unwrap();
}

#[test]
fn a_wait_that_nothing_can_end_but_the_peer_is_no_deadlock_and_one_in_a_destructor_is_refused() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let watched = Watched::new(ours).unwrap();
    let text = panic_of(|| {
        struct Waits<'a>(&'a Watched<UnixStream>, &'a std::cell::RefCell<String>);
        impl Drop for Waits<'_> {
            fn drop(&mut self) {
                *self.1.borrow_mut() = self.0.readable().unwrap_err().to_string();
            }
        }
        let said = std::cell::RefCell::default();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _waits = Waits(&watched, &said);
            panic!("expected");
        }));
        caught.unwrap_err();
        panic!("{}", said.borrow());
    });
    assert!(text.contains("destructors do not block"), "{text}");
    let thread = std::thread::spawn(move || {
        std::thread::sleep(ms(20));
        drop(theirs);
    });
    watched.readable().unwrap();
    thread.join().unwrap();
}
