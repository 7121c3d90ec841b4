//! Child processes: their ends, their streams, what is left of them. Each test of what is left has a process of its own.
#![cfg(target_os = "linux")]

mod net_support;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Instant;

use greenloop::event::Event;
use greenloop::fs;
use greenloop::io::pipe;
use greenloop::process::{Command, Stdio};
use greenloop::queue::Queue;
use greenloop::signal::{self, SIGKILL, SIGSTOP, SIGTERM, Signal};
use greenloop::{
    iwait, select, shield, sleep, spawn, timeout, wait, wait_all, wait_all_timeout, wait_any, yield_now,
};
use net_support::{
    Flag, LONG, Log, OnDrop, PROMPT, SHORT, in_a_child, ms, open_descriptors, panic_of, spawn_parked,
};
use rustix::fs::{OFlags, fcntl_getfl};

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn endless() -> Command {
    let mut command = Command::new("sleep");
    command.arg("1000");
    command
}

fn is_running(id: u32) -> bool {
    // SAFETY: no memory is involved; nothing is sent.
    unsafe { libc::kill(id as libc::pid_t, 0) == 0 }
}

/// Has this process no child, not even a dead one? Takes none away.
fn is_childless() -> bool {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is a valid place for the answer.
    let outcome = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), flags) };
    outcome == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD)
}

/// Lets the hub go on until it is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    timeout(PROMPT, || {
        while !is_so() {
            sleep(ms(1));
        }
    })
    .expect(what);
}

// SP01
#[test]
fn the_status_is_waited_for_and_can_be_asked_for() {
    assert_eq!(sh("exit 10").spawn().unwrap().wait().unwrap().code(), Some(10));
    let mut child = sh("exit 11").spawn().unwrap();
    wait(&[&child]);
    assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(11));
    assert_eq!(child.wait().unwrap().code(), Some(11));
    assert_eq!(child.wait_timeout(SHORT).unwrap().unwrap().code(), Some(11));
    assert_eq!(sh("exit 3").status().unwrap().code(), Some(3));
}

// SP02
#[test]
fn a_program_that_is_missing_is_an_error_and_nothing_is_left() {
    in_a_child("a_program_that_is_missing_is_an_error_and_nothing_is_left", "", || {
        drop(sh("true").output());
        let before = open_descriptors();
        for _ in 0..7 {
            let error = Command::new("/nowhere/at/all").stdout(Stdio::piped()).spawn().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains("cannot run `/nowhere/at/all`"), "{error}");
            let error = Command::new("true").current_dir("/no/folder").spawn().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().starts_with("cannot run `true` in `/no/folder`: "), "{error}");
            let error = Command::new("/nowhere/at/all").output_timeout(LONG).unwrap_err();
            assert_eq!(std::io::Error::from(error).kind(), ErrorKind::NotFound);
        }
        assert_eq!(open_descriptors(), before);
        assert!(is_childless());
    });
}

// SP03
#[test]
fn children_that_end_in_every_way_leave_no_descriptor_and_no_zombie() {
    in_a_child("children_that_end_in_every_way_leave_no_descriptor_and_no_zombie", "", || {
        let work = || {
            for _ in 0..5 {
                let mut child = sh("echo hello").stdout(Stdio::piped()).spawn().unwrap();
                child.wait().unwrap();
                drop(child.stdout.take());
                sh("cat; exit 1").output().unwrap();
                // Dropped without a wait: one that has ended and one that will.
                drop(sh("true").spawn().unwrap());
                drop(sh("sleep 0.01").stdin(Stdio::piped()).spawn().unwrap());
                drop(endless().kill_on_drop(true).stdout(Stdio::piped()).spawn().unwrap());
                endless().output_timeout(ms(5)).unwrap_err();
                timeout(ms(5), || endless().status()).unwrap_err();
                timeout(ms(5), || endless().output()).unwrap_err();
                let parked: [greenloop::Greenlet<()>; 3] = [
                    spawn_parked(|| drop(endless().status())),
                    spawn_parked(|| drop(endless().output())),
                    spawn_parked(|| drop(endless().kill_on_drop(true).spawn().unwrap().wait())),
                ];
                greenloop::kill_all(&parked);
            }
            until("all are reaped", is_childless);
        };
        work();
        let before = open_descriptors();
        work();
        assert_eq!(open_descriptors(), before);
    });
}

// However few descriptors are left, a spawn that fails leaves neither a process nor a descriptor.
#[test]
fn a_spawn_that_finds_no_descriptors_leaves_nothing_behind() {
    in_a_child("a_spawn_that_finds_no_descriptors_leaves_nothing_behind", "ulimit -n 64", || {
        sh("true").status().unwrap();
        let before = open_descriptors();
        let (mut failures, mut successes) = (0, 0);
        for left in 0..16 {
            let mut fill: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
            fill.truncate(fill.len() - left);
            let mut command = endless();
            let spawned = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn();
            drop(fill);
            match spawned {
                Ok(child) => {
                    successes += 1;
                    drop(child);
                }
                Err(error) => {
                    assert_eq!(
                        error.kind(),
                        std::io::Error::from_raw_os_error(libc::EMFILE).kind(),
                        "{error}"
                    );
                    failures += 1;
                }
            }
            until("all are reaped", || {
                drop(sh("true").status());
                is_childless()
            });
            assert_eq!(open_descriptors(), before, "{left} left");
        }
        assert!(failures > 0 && successes > 0, "{failures} {successes}");
    });
}

// Without pipes a child starts where its hub can open nothing to watch it by.
#[test]
fn a_child_that_cannot_be_watched_is_no_zombie() {
    in_a_child("a_child_that_cannot_be_watched_is_no_zombie", "ulimit -n 64", || {
        sleep(ms(1));
        let fill: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        let error = endless().spawn().unwrap_err();
        assert!(error.to_string().starts_with("cannot run `sleep`: "), "{error}");
        assert!(is_childless());
        drop(fill);
    });
}

// SP04
#[test]
fn communicate_feeds_the_input_and_gives_both_outputs() {
    let mut command = sh("cat; echo error >&2");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // More than the pipes hold, in both directions at once.
    let input: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
    let output = timeout(LONG, || command.spawn().unwrap().communicate(&input)).unwrap().unwrap();
    assert!(output.status.success() && output.stdout == input);
    assert_eq!(output.stderr, b"error\n");
    // One that reads nothing of it is no error.
    let mut child = sh("exec <&-; echo done");
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(timeout(LONG, || child.communicate(&input)).unwrap().unwrap().stdout, b"done\n");
    let error = sh("true").spawn().unwrap().communicate(b"input").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

// SP06
#[test]
fn a_child_sees_pipes_blocking() {
    let (reader, mut writer) = pipe().unwrap();
    // `cat` would fail with "Resource temporarily unavailable".
    let mut child = Command::new("cat").stdin(reader).stdout(Stdio::piped()).spawn().unwrap();
    sleep(ms(20));
    writer.write_all(b"late").unwrap();
    drop(writer);
    let output = timeout(PROMPT, || child.communicate(&[])).unwrap().unwrap();
    assert!(output.status.success() && output.stdout == b"late");
    let (mut reader, writer) = pipe().unwrap();
    let reading = spawn(move || {
        sleep(ms(20));
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes.len())
    });
    // As much as makes a non-blocking pipe refuse.
    let status = sh("dd if=/dev/zero bs=1000 count=300 2>/dev/null").stdout(writer).status().unwrap();
    assert!(status.success());
    assert_eq!(timeout(PROMPT, || reading.join()).unwrap().unwrap().unwrap(), 300_000);
}

// SP06: the open file is also that of those who have a duplicate, who would block with it.
#[test]
fn a_descriptor_is_passed_to_a_child_as_it_is() {
    let (reader, mut writer) = pipe().unwrap();
    let descriptor = reader.as_fd().try_clone_to_owned().unwrap();
    let output = Command::new("cat").stdin(descriptor).stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success(), "nothing is there yet, and `cat` is told so");
    assert!(fcntl_getfl(&reader).unwrap().contains(OFlags::NONBLOCK));
    let reading = spawn(move || (&reader).read(&mut [0; 8]));
    sleep(ms(1));
    writer.write_all(b"late").unwrap();
    assert_eq!(timeout(PROMPT, || reading.join()).unwrap().unwrap().unwrap(), 4);
}

// SP07, SP11
#[test]
fn check_output_fails_with_the_status_and_the_output() {
    let error = sh("echo out; echo err >&2; exit 44").check_output().unwrap_err();
    assert_eq!(error.status().unwrap().code(), Some(44));
    assert_eq!((error.stdout(), error.stderr(), error.is_timeout()), (&b"out\n"[..], &b"err\n"[..], false));
    assert!(error.to_string().contains("`sh` has failed (exit status: 44): err"), "{error}");
    assert_eq!(sh("echo fine").check_output().unwrap(), b"fine\n");
    let killed = sh("kill -9 $$").check_output().unwrap_err();
    assert_eq!(killed.status().unwrap().signal(), Some(9));
}

// SP08: any thread's hub may.
#[test]
fn children_are_spawned_and_waited_for_on_any_thread() {
    let threads: Vec<_> = (0..4)
        .map(|code| {
            std::thread::spawn(move || {
                let greenlets = (0..3).map(|_| spawn(move || sh(&format!("exit {code}")).status()));
                let codes = timeout(PROMPT, || greenloop::join_all(greenlets)).unwrap().into_iter();
                assert!(codes.into_iter().all(|status| status.unwrap().unwrap().code() == Some(code)));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn children_whose_hub_ends_before_them_are_reaped_by_a_later_spawn() {
    in_a_child("children_whose_hub_ends_before_them_are_reaped_by_a_later_spawn", "", || {
        let thread = std::thread::spawn(|| {
            drop(sh("sleep 0.05").spawn().unwrap());
            // The greenlet is forgotten with its thread, and its child with it.
            let waiting = spawn_parked(|| sh("sleep 0.05").spawn().unwrap().wait());
            assert!(!waiting.is_finished());
        });
        thread.join().unwrap();
        std::thread::sleep(ms(100));
        until("all are reaped", || {
            sh("true").status().unwrap();
            is_childless()
        });
    });
}

// SP09, SP11
#[test]
fn what_is_captured_and_what_is_not() {
    let output = sh("true").output().unwrap();
    assert!(output.stdout.is_empty() && output.stderr.is_empty() && output.status.success());
    let mut child = sh("true").stdout(Stdio::piped()).spawn().unwrap();
    assert!(child.stdin.is_none() && child.stdout.is_some() && child.stderr.is_none());
    child.wait().unwrap();
    let output = sh("echo $A-$B; pwd; exit 2")
        .env_clear()
        .env("A", "1")
        .envs([("B", "2"), ("C", "3")])
        .env_remove("C")
        .current_dir("/")
        .output()
        .unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b"1-2\n/\n"[..]));
    // Input is nothing unless it is set, and the same command may be spawned again, otherwise.
    let mut cat = Command::new("cat");
    assert_eq!(timeout(PROMPT, || cat.output()).unwrap().unwrap().stdout, b"");
    cat.stdout(Stdio::null());
    assert_eq!(cat.stdin(Stdio::null()).output().unwrap().stdout, b"");
    assert!(cat.spawn().unwrap().stdout.is_none());
    assert_eq!(format!("{:?}", sh("x")), r#""sh" "-c" "x""#);
    let from_std = Command::from(std::process::Command::new("true")).as_std_mut().arg("x").get_args().count();
    assert_eq!(from_std, 1);
}

#[test]
fn files_and_the_streams_of_this_process_are_streams_of_a_child() {
    let path = std::env::temp_dir().join(format!("greenloop-process-stream-{}", std::process::id()));
    fs::write(&path, "from the file\n").unwrap();
    let output = Command::new("cat").stdin(fs::File::open(&path).unwrap()).output().unwrap();
    assert_eq!(output.stdout, b"from the file\n");
    let mut echo = sh("echo to the file; echo and this >&2");
    let file = fs::File::create(&path).unwrap();
    echo.stdout(file.try_clone().unwrap()).stderr(file);
    assert!(echo.status().unwrap().success());
    assert_eq!(fs::read_to_string(&path).unwrap(), "to the file\nand this\n");
    fs::remove_file(&path).unwrap();
    let text = in_a_child("files_and_the_streams_of_this_process_are_streams_of_a_child", "", || {
        let crossed =
            sh("echo one; echo two >&2").stdout(greenloop::io::stderr()).stderr(std::io::stdout()).status();
        assert!(crossed.unwrap().success());
    });
    // What the test program has written to its standard output comes first.
    assert!(text.is_none_or(|text| text.find("two\n") < text.find("one\n")));
}

// SP12
#[test]
fn an_endless_child_is_killed_when_its_time_is_up_and_its_output_is_kept() {
    let mut command = sh("echo begun; echo trouble >&2; exec sleep 1000");
    let error = command.output_timeout(ms(300)).unwrap_err();
    assert!(error.is_timeout());
    assert_eq!((error.stdout(), error.stderr()), (&b"begun\n"[..], &b"trouble\n"[..]));
    assert_eq!(error.status().and_then(|status: ExitStatus| status.signal()), Some(libc::SIGKILL));
    assert!(error.to_string().contains("`sh` has not ended within 300ms and was killed"), "{error}");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::TimedOut);
    assert!(sh("exit 0").output_timeout(LONG).unwrap().status.success());
}

// A shield holds timeouts back, and lets calls with a limit of their own end by it.
#[test]
fn the_limit_of_an_output_holds_in_a_shield() {
    let (start, mut command) = (Instant::now(), sh("echo begun; exec sleep 1000"));
    let error = shield(|| command.output_timeout(ms(300))).unwrap_err();
    assert!(error.is_timeout() && error.stdout() == b"begun\n" && start.elapsed() < PROMPT);
    // With nothing to exchange it is the end that is waited for.
    let mut child = endless().kill_on_drop(true).spawn().unwrap();
    let error = shield(|| child.communicate_timeout(&[], SHORT)).unwrap_err();
    assert!(error.is_timeout() && start.elapsed() < PROMPT);
}

// SP14
#[test]
fn a_grandchild_that_holds_the_pipe_is_not_waited_for() {
    let start = Instant::now();
    let error = sh("echo words; sleep 30 & wait").output_timeout(ms(300)).unwrap_err();
    assert!(error.is_timeout() && error.stdout() == b"words\n");
    assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
}

// SP15
#[test]
fn a_loop_that_asks_without_switching_sees_the_end() {
    let mut child = sh("sleep 0.02; exit 5").spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < PROMPT);
    };
    assert_eq!(status.code(), Some(5));
}

// SP21
#[test]
fn input_that_was_not_taken_in_time_is_given_later() {
    let input: Vec<u8> = (0..500_000u32).map(|n| (n / 7) as u8).collect();
    let (gate, mut open) = pipe().unwrap();
    // The gate is its standard error: until it opens, nothing of the input is read.
    let mut command = sh("echo ready; read go <&2; cat");
    command.stderr(gate);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    timeout(PROMPT, || {
        while let Err(error) = child.communicate_timeout(&input, ms(30)) {
            assert!(error.is_timeout(), "{error}");
            if error.stdout() == b"ready\n" {
                break;
            }
        }
    })
    .unwrap();
    assert!(child.try_wait().unwrap().is_none());
    open.write_all(b"go\n").unwrap();
    let output = timeout(LONG, || child.communicate(&input)).unwrap().unwrap();
    assert!(output.stdout.strip_prefix(b"ready\n") == Some(&input[..]) && output.status.success());
}

// JO25
#[test]
fn a_child_is_waited_for_together_with_others() {
    let (mut quick, slow) = (sh("exit 1").spawn().unwrap(), endless().kill_on_drop(true).spawn().unwrap());
    let event = Event::new();
    assert_eq!(timeout(PROMPT, || wait_any(&[&event, &slow, &quick])).unwrap(), 2);
    assert_eq!(iwait(&[&slow]).timeout(SHORT).next(), None);
    let queue = Queue::<u8>::unbounded();
    select! {
        item = queue.get() => panic!("{item:?}"),
        _ = quick.wait() => assert_eq!(quick.try_wait().unwrap().unwrap().code(), Some(1)),
    }
}

#[test]
fn a_child_that_runs_is_a_reason_to_go_on_as_long_as_somebody_has_it() {
    in_a_child("a_child_that_runs_is_a_reason_to_go_on_as_long_as_somebody_has_it", "", || {
        let mut child = sh("sleep 0.05").spawn().unwrap();
        wait_all();
        assert!(child.try_wait().unwrap().unwrap().success());
        let mut child = endless().spawn().unwrap();
        assert!(!wait_all_timeout(SHORT));
        assert!(child.wait_timeout(SHORT).unwrap().is_none());
        let id = child.id();
        drop(child);
        assert!(wait_all_timeout(PROMPT));
        assert!(panic_of(|| Event::new().wait()).contains("would block for ever"));
        assert!(is_running(id));
        // SAFETY: no memory is involved.
        unsafe { libc::kill(id as libc::pid_t, libc::SIGKILL) };
        until("it is reaped", is_childless);
    });
}

#[test]
fn several_wait_for_one_child_and_all_are_told() {
    let mut child = sh("read x; exit 6").stdin(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take();
    let child = Rc::new(child);
    let waiters = [0, 1, 2].map(|_| {
        let child = child.clone();
        spawn_parked(move || wait(&[&*child]))
    });
    waiters[1].kill();
    assert!(!waiters[0].is_finished() && !waiters[2].is_finished());
    drop(input);
    timeout(PROMPT, || wait(&[&waiters[0], &waiters[2]])).unwrap();
    drop(waiters);
    assert_eq!(Rc::into_inner(child).unwrap().wait().unwrap().code(), Some(6));
}

#[test]
fn signals_reach_a_child_and_one_that_has_ended_gets_none() {
    let mut child = endless().spawn().unwrap();
    child.send_signal(SIGSTOP).unwrap();
    let state = format!("/proc/{}/stat", child.id());
    until("it is stopped", || std::fs::read_to_string(&state).unwrap().contains(") T "));
    assert!(child.wait_timeout(SHORT).unwrap().is_none());
    child.send_signal(SIGTERM).unwrap();
    assert!(child.wait_timeout(SHORT).unwrap().is_none(), "a stopped process ends later");
    child.send_signal(Signal::from_raw(libc::SIGCONT).unwrap()).unwrap();
    assert_eq!(timeout(PROMPT, || child.wait()).unwrap().unwrap().signal(), Some(libc::SIGTERM));
    child.kill().unwrap();
    child.send_signal(SIGKILL).unwrap();
    assert!(format!("{child:?}").contains("signal: 15"), "{child:?}");
}

// SP20: who waits for any child of the process takes statuses away.
#[test]
fn a_status_that_somebody_else_has_taken_is_an_error_and_no_hang() {
    in_a_child("a_status_that_somebody_else_has_taken_is_an_error_and_no_hang", "", || {
        let mut child = sh("read x").stdin(Stdio::piped()).spawn().unwrap();
        let id = child.id() as libc::pid_t;
        drop(child.stdin.take());
        // SAFETY: a status is not asked for.
        assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) }, id);
        let error = timeout(PROMPT, || child.wait()).unwrap().unwrap_err();
        assert!(error.to_string().contains("taken by somebody else"), "{error}");
        child.try_wait().unwrap_err();
        child.kill().unwrap();
        // Where the signal is ignored no status is kept; unless it is what the end is noticed by.
        // SAFETY: to ignore a signal involves no memory.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        let outcome = timeout(PROMPT, || sh("exit 1").status()).unwrap();
        assert!(outcome.is_err() || cfg!(greenloop_sigchld), "{outcome:?}");
    });
}

#[test]
fn handlers_of_sigchld_run_beside() {
    in_a_child("handlers_of_sigchld_run_beside", "", || {
        let seen = Flag::default();
        let _handler = signal::on(signal::SIGCHLD, {
            let seen = seen.clone();
            move || seen.raise()
        });
        assert_eq!(timeout(PROMPT, || sh("exit 4").status()).unwrap().unwrap().code(), Some(4));
        until("the handler has run", || seen.is_up());
    });
}

#[test]
fn a_hundred_children_at_once_end_each_with_its_own_status() {
    let greenlets = (0..100).map(|code| spawn(move || sh(&format!("exit {code}")).status().unwrap().code()));
    let codes = timeout(LONG, || greenloop::join_all(greenlets)).unwrap();
    assert!(codes.into_iter().map(Result::unwrap).eq((0..100).map(Some)));
}

#[test]
fn a_busy_hub_notices_the_end_of_a_child() {
    let stop = Flag::default();
    let busy = spawn({
        let stop = stop.clone();
        move || {
            while !stop.is_up() {
                yield_now()
            }
        }
    });
    let status = timeout(PROMPT, || sh("exit 8").status()).unwrap().unwrap();
    stop.raise();
    busy.join().unwrap();
    assert_eq!(status.code(), Some(8));
}

#[test]
fn children_of_a_thread_that_has_ended_are_reaped_by_the_next_spawn() {
    in_a_child("children_of_a_thread_that_has_ended_are_reaped_by_the_next_spawn", "", || {
        for alive in [false, true] {
            let id = std::thread::spawn(move || {
                let child = sh("read x").stdin(Stdio::piped()).spawn().unwrap();
                let id = child.id();
                if alive {
                    spawn_parked(move || {
                        let _child = child;
                        sleep(LONG);
                    });
                }
                id
            })
            .join()
            .unwrap();
            // SAFETY: no memory is involved.
            unsafe { libc::kill(id as libc::pid_t, libc::SIGKILL) };
            if !alive {
                until("it is reaped", || {
                    drop(sh("true").status());
                    !is_running(id)
                });
            }
        }
    });
}

#[test]
fn a_wait_in_a_destructor_is_refused_and_its_child_is_reaped_later() {
    in_a_child("a_wait_in_a_destructor_is_refused_and_its_child_is_reaped_later", "", || {
        let log = Log::new();
        let dying = spawn({
            let log = log.clone();
            move || {
                let _waits = OnDrop(|| {
                    log.add(endless().kill_on_drop(true).spawn().unwrap().wait().unwrap_err().to_string());
                    log.add(endless().output().unwrap_err().to_string());
                    log.add(endless().status().unwrap_err().to_string());
                });
                panic!("expected");
            }
        });
        dying.wait();
        let said = log.take();
        assert!(said.len() == 3 && said.iter().all(|text| text.contains("destructor")), "{said:?}");
        until("all are reaped", is_childless);
    });
}

#[test]
fn a_killed_wait_lets_the_child_run() {
    let mut child = endless().spawn().unwrap();
    let id = child.id();
    let waiter = spawn_parked(move || child.wait());
    waiter.kill();
    assert!(waiter.join().unwrap_err().is_killed());
    assert!(is_running(id));
    // SAFETY: no memory is involved.
    unsafe { libc::kill(id as libc::pid_t, libc::SIGKILL) };
    until("it is reaped", || !is_running(id));
}
