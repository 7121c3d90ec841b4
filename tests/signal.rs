//! Signals: handlers in greenlets, waiting, what is left afterwards. Each test has a process of its own, as signals have.
#![cfg(target_os = "linux")]

mod net_support;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use greenloop::event::Event;
use greenloop::net::TcpStream;
use greenloop::queue::Queue;
use greenloop::server::StreamServer;
use greenloop::signal::{self, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGUSR2, Signal, Signals};
use greenloop::testing::assert_no_switch;
use greenloop::{
    Elapsed, iwait, scope, select, sleep, spawn, spawn_later, timeout, wait_all, wait_all_timeout, wait_any,
    yield_now,
};
use net_support::{
    Flag, LONG, Log, OnDrop, PROMPT, SHORT, in_a_child, ms, open_descriptors, panic_of, spawn_parked,
};

/// Sends a signal to this process.
fn send(signal: Signal) {
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal.as_raw()) }, 0);
}

/// What a signal does now.
fn action_of(signal: Signal) -> usize {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the call fills the structure or fails.
    unsafe {
        assert_eq!(libc::sigaction(signal.as_raw(), std::ptr::null(), action.as_mut_ptr()), 0);
        action.assume_init().sa_sigaction
    }
}

/// Waits until `log` has so many entries.
fn until<T>(log: &Log<T>, count: usize) {
    timeout(PROMPT, || {
        while log.len() < count {
            sleep(ms(1));
        }
    })
    .expect("a handler has run");
}

// SP18, SP19
#[test]
fn a_handler_runs_in_a_greenlet_of_its_own_and_may_block_and_panic_and_stays() {
    in_a_child("a_handler_runs_in_a_greenlet_of_its_own_and_may_block_and_panic_and_stays", "", || {
        let (log, here) = (Log::new(), greenloop::current().id());
        let handler = signal::on(SIGUSR1, {
            let log = log.clone();
            move || {
                assert_ne!(greenloop::current().id(), here);
                sleep(SHORT);
                log.add(greenloop::current().name().unwrap().to_string());
                panic!("expected");
            }
        });
        let handler = handler.unwrap();
        for count in 1..=3 {
            send(SIGUSR1);
            until(&log, count);
        }
        assert_eq!(log.take(), ["SIGUSR1"; 3]);
        assert_eq!(handler.signal(), SIGUSR1);
    });
}

#[test]
fn a_handler_inherits_nothing_of_what_the_root_has_bound_when_the_signal_comes() {
    in_a_child("a_handler_inherits_nothing_of_what_the_root_has_bound_when_the_signal_comes", "", || {
        greenloop::inherited! { static USER: &'static str; }
        let log = Log::new();
        let _handler = signal::on(SIGUSR1, {
            let log = log.clone();
            move || log.add(USER.get())
        });
        USER.bind("root", || {
            send(SIGUSR1);
            until(&log, 1);
        });
        assert_eq!(log.take(), [None]);
    });
}

#[test]
fn one_handler_runs_beside_itself_while_it_blocks() {
    in_a_child("one_handler_runs_beside_itself_while_it_blocks", "", || {
        let (log, go) = (Log::new(), Event::new());
        let _handler = signal::on(SIGUSR1, {
            let (log, go) = (log.clone(), go.clone());
            move || {
                log.add("begins");
                go.wait();
                log.add("ends");
            }
        });
        for count in 1..=2 {
            send(SIGUSR1);
            until(&log, count);
        }
        go.set();
        until(&log, 4);
        assert_eq!(log.take(), ["begins", "begins", "ends", "ends"]);
    });
}

// JO31
#[test]
fn a_handler_keeps_no_program_going() {
    in_a_child("a_handler_keeps_no_program_going", "", || {
        let _handler = signal::on(SIGUSR1, || ()).unwrap();
        assert!(wait_all_timeout(PROMPT));
        // One that waits for a signal does not either.
        let waiting = spawn_parked(|| signal::wait(&[SIGUSR2]));
        assert!(wait_all_timeout(PROMPT));
        assert!(!waiting.is_finished());
        spawn(|| sleep(SHORT));
        wait_all();
    });
}

// HB10
#[test]
fn an_interrupt_while_main_waits_for_a_sleeping_greenlet_can_end_the_wait() {
    in_a_child("an_interrupt_while_main_waits_for_a_sleeping_greenlet_can_end_the_wait", "", || {
        let sleeper = spawn_parked(|| sleep(LONG));
        let handle = sleeper.handle();
        let _handler = signal::on(SIGINT, move || handle.kill()).unwrap();
        spawn(|| send(SIGINT));
        assert!(timeout(PROMPT, || sleeper.join()).unwrap().unwrap_err().is_killed());
    });
}

#[test]
fn a_wait_that_only_a_signal_can_end_is_no_deadlock() {
    in_a_child("a_wait_that_only_a_signal_can_end_is_no_deadlock", "", || {
        let stop = Event::new();
        let handler = signal::on(SIGTERM, {
            let stop = stop.clone();
            move || stop.set()
        });
        let killer = std::thread::spawn(|| {
            std::thread::sleep(ms(30));
            send(SIGTERM);
        });
        stop.wait();
        killer.join().unwrap();
        drop(handler);
        assert!(panic_of(|| Event::new().wait()).contains("would block for ever"));
    });
}

#[test]
fn waiting_gives_the_signal_that_came_and_keeps_those_between() {
    in_a_child("waiting_gives_the_signal_that_came_and_keeps_those_between", "", || {
        spawn_later(SHORT, || send(SIGUSR2));
        assert_eq!(signal::wait(&[SIGUSR1, SIGUSR2]).unwrap(), SIGUSR2);
        let signals = Signals::new(&[SIGUSR1, SIGUSR2]).unwrap();
        assert_eq!(signals.wait_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        send(SIGUSR1);
        sleep(SHORT);
        send(SIGUSR2);
        sleep(SHORT);
        send(SIGUSR1);
        sleep(SHORT);
        assert_eq!(assert_no_switch(|| signals.wait()).unwrap(), SIGUSR1);
        assert_eq!(signals.try_take(), Some(SIGUSR2));
        assert_eq!(signals.try_take(), None);
        spawn(|| send(SIGINT));
        timeout(PROMPT, signal::ctrl_c).unwrap().unwrap();
        let stop = signal::on_termination().unwrap();
        send(SIGTERM);
        assert_eq!(timeout(PROMPT, || stop.wait()).unwrap().unwrap(), SIGTERM);
    });
}

#[test]
fn a_signal_goes_to_one_waiter_and_none_is_lost_by_a_kill_or_a_timeout() {
    in_a_child("a_signal_goes_to_one_waiter_and_none_is_lost_by_a_kill_or_a_timeout", "", || {
        let signals = Rc::new(Signals::new(&[SIGUSR1]).unwrap());
        let log = Log::new();
        let waiter = || {
            let (signals, log) = (signals.clone(), log.clone());
            spawn_parked(move || log.add(signals.wait().unwrap()))
        };
        let (first, second) = (waiter(), waiter());
        first.kill();
        assert!(first.join().unwrap_err().is_killed());
        timeout(SHORT, || signals.wait()).unwrap_err();
        send(SIGUSR1);
        timeout(PROMPT, || second.join()).unwrap().unwrap();
        assert_eq!((log.take(), signals.try_take()), (vec![SIGUSR1], None));
        let waiters = [waiter(), waiter()];
        for count in 1..=2 {
            send(SIGUSR1);
            until(&log, count);
        }
        assert!(waiters.iter().all(|waiter| waiter.is_finished()));
        // A kill that comes when the signal has been handed over lets it be taken.
        let last = waiter();
        send(SIGUSR1);
        spawn({
            let handle = last.handle();
            move || handle.kill_nowait()
        });
        drop(timeout(PROMPT, || last.join()).unwrap());
        timeout(PROMPT, || {
            while signals.try_take().is_none() && log.len() < 3 {
                sleep(ms(1))
            }
        })
        .unwrap();
    });
}

#[test]
fn signals_are_selected_beside_other_things() {
    in_a_child("signals_are_selected_beside_other_things", "", || {
        let (signals, queue) = (Signals::new(&[SIGUSR1]).unwrap(), Queue::<u8>::unbounded());
        spawn_later(SHORT, || send(SIGUSR1));
        select! {
            _ = signals.wait() => assert_eq!(signals.try_take(), Some(SIGUSR1)),
            item = queue.get() => panic!("{item:?}"),
        }
        assert_eq!(iwait(&[&signals]).timeout(SHORT).next(), None);
        send(SIGUSR1);
        assert_eq!(timeout(PROMPT, || wait_any(&[&signals])), Ok(0));
        assert_eq!(format!("{signals:?}"), "Signals([SIGUSR1])");
    });
}

#[test]
fn the_last_one_restores_what_a_signal_did_before() {
    in_a_child("the_last_one_restores_what_a_signal_did_before", "", || {
        assert_eq!(action_of(SIGUSR1), libc::SIG_DFL);
        let (first, second) = (signal::on(SIGUSR1, || ()).unwrap(), Signals::new(&[SIGUSR1]).unwrap());
        assert_ne!(action_of(SIGUSR1), libc::SIG_DFL);
        drop(first);
        assert_ne!(action_of(SIGUSR1), libc::SIG_DFL);
        drop(second);
        assert_eq!(action_of(SIGUSR1), libc::SIG_DFL);
        // SAFETY: to ignore a signal involves no memory.
        unsafe { libc::signal(SIGUSR1.as_raw(), libc::SIG_IGN) };
        drop(signal::on(SIGUSR1, || ()).unwrap());
        assert_eq!(action_of(SIGUSR1), libc::SIG_IGN);
        send(SIGUSR1);
    });
}

static CHAINED: AtomicU32 = AtomicU32::new(0);

#[test]
fn a_handler_of_somebody_else_is_called_as_well_and_comes_back() {
    extern "C" fn other(signal: libc::c_int) {
        CHAINED.fetch_add(signal as u32, Ordering::Relaxed);
    }
    in_a_child("a_handler_of_somebody_else_is_called_as_well_and_comes_back", "", || {
        // SAFETY: the handler is async-signal-safe.
        unsafe { libc::signal(SIGUSR1.as_raw(), other as *const () as usize) };
        for round in 1..=2 {
            let signals = Signals::new(&[SIGUSR1]).unwrap();
            send(SIGUSR1);
            timeout(PROMPT, || signals.wait()).unwrap().unwrap();
            assert_eq!(CHAINED.load(Ordering::Relaxed), round * SIGUSR1.as_raw() as u32);
        }
        assert_eq!(action_of(SIGUSR1), other as *const () as usize);
    });
}

#[test]
fn all_handlers_of_all_hubs_run_in_their_order() {
    in_a_child("all_handlers_of_all_hubs_run_in_their_order", "", || {
        let (ready, seen) = (greenloop::sync::Semaphore::new(0), greenloop::sync::Semaphore::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (ready, seen) = (ready.clone(), seen.clone());
                std::thread::spawn(move || {
                    let log = Log::new();
                    let _handlers = [1, 2, 3].map(|number| {
                        let log = log.clone();
                        signal::on(SIGUSR1, move || log.add(number)).unwrap()
                    });
                    ready.release();
                    until(&log, 3);
                    assert_eq!(log.take(), [1, 2, 3]);
                    seen.release();
                })
            })
            .collect();
        timeout(PROMPT, || (0..3).for_each(|_| _ = ready.acquire())).unwrap();
        send(SIGUSR1);
        timeout(PROMPT, || (0..3).for_each(|_| _ = seen.acquire())).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(action_of(SIGUSR1), libc::SIG_DFL);
    });
}

#[test]
fn a_removed_handler_runs_no_more_even_if_the_signal_had_come() {
    in_a_child("a_removed_handler_runs_no_more_even_if_the_signal_had_come", "", || {
        let (log, keep) = (Log::new(), Signals::new(&[SIGUSR1]).unwrap());
        let handler = Rc::new(std::cell::Cell::new(None));
        // The first handler removes the second before that has had its turn.
        let _first = signal::on(SIGUSR1, {
            let (log, handler) = (log.clone(), handler.clone());
            move || {
                drop(handler.take());
                log.add("first");
            }
        });
        handler.set(Some({
            let log = log.clone();
            signal::on(SIGUSR1, move || log.add("second")).unwrap()
        }));
        for count in 1..=2 {
            send(SIGUSR1);
            until(&log, count);
            yield_now();
        }
        assert_eq!(log.take(), ["first", "first"]);
        timeout(PROMPT, || keep.wait()).unwrap().unwrap();
    });
}

#[test]
fn what_cannot_be_caught_is_an_error_that_names_it() {
    in_a_child("what_cannot_be_caught_is_an_error_that_names_it", "", || {
        let before = open_descriptors();
        let error = signal::on(SIGKILL, || ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("cannot catch SIGKILL"), "{error}");
        let broken = Signal::from_raw(libc::SIGSEGV).unwrap();
        let error = Signals::new(&[SIGUSR1, broken]).unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
        assert_eq!(action_of(SIGUSR1), libc::SIG_DFL);
        Signal::from_raw(65).unwrap_err();
        assert_eq!(Signal::from_raw(40).unwrap().to_string(), "signal 40");
        // The hub and one mailbox, which is used again.
        let some = open_descriptors();
        for _ in 0..20 {
            drop(Signals::new(&[SIGUSR1, SIGUSR2]).unwrap());
            signal::on(SIGKILL, || ()).unwrap_err();
        }
        assert!(open_descriptors() == some && some <= before + 6, "{before} {some}");
    });
}

#[test]
fn a_hub_whose_first_wish_for_a_signal_has_failed_leaves_its_mailbox_to_others() {
    in_a_child("a_hub_whose_first_wish_for_a_signal_has_failed_leaves_its_mailbox_to_others", "", || {
        yield_now(); // the hub is there
        signal::on(SIGKILL, || ()).unwrap_err();
        let after_a_failure = open_descriptors();
        std::thread::spawn(move || {
            yield_now();
            let before = open_descriptors();
            assert!(before > after_a_failure);
            let signals = Signals::new(&[SIGUSR1]).unwrap();
            assert_eq!(open_descriptors(), before, "a second mailbox was made");
            send(SIGUSR1);
            assert_eq!(timeout(PROMPT, || signals.wait()).unwrap().unwrap(), SIGUSR1);
        })
        .join()
        .unwrap();
    });
}

#[test]
fn signals_come_after_a_wish_for_them_that_found_no_descriptor() {
    /// Takes all descriptors that there are, but so many.
    fn all_but(left: usize) -> Vec<std::fs::File> {
        let files = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok());
        let mut files: Vec<_> = files.collect();
        files.truncate(files.len() - left);
        files
    }
    in_a_child("signals_come_after_a_wish_for_them_that_found_no_descriptor", "ulimit -n 64", || {
        yield_now(); // the hub is there
        let before = open_descriptors();
        for left in [0, 1, 0] {
            let taken = all_but(left);
            let error = Signals::new(&[SIGUSR1]).unwrap_err();
            assert_eq!(error.raw_os_error(), None);
            assert!(error.to_string().starts_with("cannot catch SIGUSR1: "), "{error}");
            drop(taken);
            assert_eq!((open_descriptors(), action_of(SIGUSR1)), (before, libc::SIG_DFL));
        }
        assert!(wait_all_timeout(PROMPT));
        let signals = Signals::new(&[SIGUSR1]).unwrap();
        send(SIGUSR1);
        assert_eq!(timeout(PROMPT, || signals.wait()).unwrap().unwrap(), SIGUSR1);
        drop(signals);
        // Its mailbox is there for whoever wants one when no descriptor can be had.
        let taken = all_but(0);
        let signals = Signals::new(&[SIGUSR2]).unwrap();
        send(SIGUSR2);
        assert_eq!(timeout(PROMPT, || signals.wait()).unwrap().unwrap(), SIGUSR2);
        drop(taken);
    });
}

#[test]
fn a_thread_that_ends_gives_its_signals_up() {
    in_a_child("a_thread_that_ends_gives_its_signals_up", "", || {
        for alive in [false, true, false, true] {
            std::thread::spawn(move || {
                // Never dropped: its greenlet is forgotten, or it is leaked.
                let handler = signal::on(SIGUSR1, || ()).unwrap();
                match alive {
                    true => drop(spawn_parked(move || {
                        let _handler = handler;
                        sleep(LONG);
                    })),
                    false => std::mem::forget(handler),
                }
            })
            .join()
            .unwrap();
            assert_eq!(action_of(SIGUSR1), libc::SIG_DFL);
        }
    });
}

// SV25
#[test]
fn a_port_forwarder_that_is_asked_to_end_serves_its_last_connection() {
    in_a_child("a_port_forwarder_that_is_asked_to_end_serves_its_last_connection", "", || {
        fn copy(mut from: &TcpStream, mut to: &TcpStream) {
            std::io::copy(&mut from, &mut to).unwrap();
            to.shutdown(Shutdown::Write).unwrap();
        }
        let echo = StreamServer::bind("127.0.0.1:0").unwrap().handle(|socket, _| copy(&socket, &socket));
        echo.start().unwrap();
        let target = echo.local_addr().unwrap();
        let forwarder = StreamServer::bind("127.0.0.1:0").unwrap().handle(move |socket, _| {
            let target = TcpStream::connect(target).unwrap();
            scope(|s| {
                s.spawn(|| copy(&socket, &target));
                s.spawn(|| copy(&target, &socket));
            });
        });
        forwarder.start().unwrap();
        let address = forwarder.local_addr().unwrap();
        let stop = signal::on_termination().unwrap();
        let ending = spawn({
            let forwarder = forwarder.clone();
            move || {
                stop.wait().unwrap();
                forwarder.stop(LONG);
            }
        });
        let mut client = TcpStream::connect(address).unwrap();
        let mut ping = || {
            client.write_all(b"ping").unwrap();
            let mut answer = [0; 4];
            timeout(PROMPT, || client.read_exact(&mut answer)).unwrap().unwrap();
            assert_eq!(&answer, b"ping");
        };
        ping();
        send(SIGTERM);
        timeout(PROMPT, || {
            while TcpStream::connect(address).is_ok() {
                sleep(ms(1))
            }
        })
        .unwrap();
        ping();
        assert!(!ending.is_finished());
        drop(client);
        let start = Instant::now();
        timeout(PROMPT, || ending.join()).unwrap().unwrap();
        assert!(start.elapsed() < PROMPT);
    });
}

#[test]
fn a_burst_of_signals_stops_nobody_and_ends() {
    in_a_child("a_burst_of_signals_stops_nobody_and_ends", "", || {
        let (log, signals) = (Log::new(), Signals::new(&[SIGUSR1, SIGUSR2]).unwrap());
        let _handler = signal::on(SIGUSR1, {
            let log = log.clone();
            move || log.add(())
        });
        let sender = std::thread::spawn(|| {
            for _ in 0..20_000 {
                send(SIGUSR1);
            }
            send(SIGUSR2);
        });
        let ticks = Flag::default();
        spawn_later(ms(1), {
            let ticks = ticks.clone();
            move || ticks.raise()
        });
        timeout(LONG, || while signals.wait().unwrap() != SIGUSR2 {}).unwrap();
        sender.join().unwrap();
        until(&log, 1);
        sleep(ms(1));
        assert!(ticks.is_up());
    });
}

#[test]
fn a_wait_in_a_destructor_is_refused_and_a_killed_one_restores_the_signal() {
    in_a_child("a_wait_in_a_destructor_is_refused_and_a_killed_one_restores_the_signal", "", || {
        let refused = Flag::default();
        let dying = spawn({
            let refused = refused.clone();
            move || {
                let _waits = OnDrop(|| {
                    let error = signal::wait(&[SIGUSR1]).unwrap_err();
                    assert!(error.to_string().contains("destructors do not block"));
                    refused.raise();
                });
                panic!("expected");
            }
        });
        dying.wait();
        assert!(refused.is_up());
        let waiting = spawn_parked(|| signal::wait(&[SIGUSR1]));
        assert_ne!(action_of(SIGUSR1), libc::SIG_DFL);
        waiting.kill();
        assert_eq!(action_of(SIGUSR1), libc::SIG_DFL);
        assert_eq!(timeout(SHORT, || signal::wait(&[SIGUSR1])).unwrap_err(), Elapsed);
        assert_eq!(action_of(SIGUSR1), libc::SIG_DFL);
    });
}
