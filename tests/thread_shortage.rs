//! Calls that need a thread, or greenlets, and get none, or whose pool is killed before it comes to them.
#![cfg(all(feature = "tls", target_os = "linux"))]

mod net_support;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use greenloop::event::Event;
use greenloop::io::{stdin, stdout};
use greenloop::net::{TcpStream, lookup_host, lookup_host_timeout};
use greenloop::process::{Command, Stdio};
use greenloop::server::{Worker, workers};
use greenloop::tls::Roots;
use greenloop::{fs, spawn, threadpool, yield_now};
use net_support::{PROMPT, in_a_child, take_all_stacks};
use rustix::process::{Resource, Rlimit, setrlimit};

type Call = fn() -> io::Result<()>;

/// So much more memory would be addressed than is now.
fn allow_addresses(kibibytes: Option<u64>) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let now: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    let current = kibibytes.map(|more| (now + more) * 1024);
    setrlimit(Resource::As, Rlimit { current, maximum: None }).unwrap();
}

#[test]
fn a_call_that_gets_no_thread_in_its_address_space_is_an_error_that_says_so() {
    in_a_child(
        "a_call_that_gets_no_thread_in_its_address_space_is_an_error_that_says_so",
        "exec </dev/null",
        || {
            let calls: [(Call, &str); 8] = [
                (|| TcpStream::connect("localhost:1").map(drop), "cannot resolve the name `localhost`"),
                (
                    || TcpStream::connect_timeout("localhost:1", PROMPT).map(drop),
                    "cannot resolve the name `localhost`",
                ),
                (|| lookup_host("localhost:1").map(drop), "cannot resolve the name `localhost`"),
                (|| fs::metadata("/").map(drop), "cannot look at `/`"),
                (|| fs::create_dir("/"), "cannot make the directory `/`"),
                (|| stdin().read(&mut [0; 8]).map(drop), ""),
                (|| stdout().write_all(b"text\n"), ""),
                (|| Roots::system().map(drop), ""),
            ];
            spawn(|| ()).join().unwrap();
            // Less than the stack of a thread.
            allow_addresses(Some(1_000));
            let errors = calls.map(|(call, _)| call().unwrap_err());
            allow_addresses(None);
            for (error, (_, attempted)) in errors.iter().zip(calls) {
                let text = error.to_string();
                assert!(text.starts_with(attempted), "{text}");
                assert!(text.contains("the thread pool cannot start its first thread: "), "{text}");
                assert_eq!(error.kind(), io::ErrorKind::Other, "{text}");
            }
            // Nothing of it is left: with threads the same calls do what they are for.
            assert!(lookup_host_timeout("localhost:1", PROMPT).is_ok() && fs::exists("/").unwrap());
            assert_eq!(stdin().read(&mut [0; 8]).unwrap(), 0);
            stdout().write_all(b"text\n").unwrap();
        },
    );
}

#[test]
fn workers_that_get_no_threads_in_their_address_space_are_an_error_that_says_so_and_the_others_are_stopped() {
    in_a_child(
        "workers_that_get_no_threads_in_their_address_space_are_an_error_that_says_so_and_the_others_are_stopped",
        "",
        || {
            let ended = Arc::new(AtomicUsize::new(0));
            let start = |count| {
                let ended = ended.clone();
                workers("127.0.0.1:0", count, move |worker: &Worker| {
                    worker.wait();
                    ended.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                })
            };
            // Before there is a thread, and behind some: more than a hundred have no room for their stacks.
            for (room, count) in [(1_000, 2), (100_000, 200)] {
                allow_addresses(Some(room));
                let error = start(count).unwrap_err();
                allow_addresses(None);
                let text = error.to_string();
                assert_eq!(error.kind(), io::ErrorKind::Other, "{text}");
                assert!(text.starts_with("cannot start the thread of worker "), "{text}");
                assert!(text.contains(&format!(" of {count} for 127.0.0.1:")), "{text}");
                assert!(text.contains("the service has not begun") && text.contains("`ulimit -u`"), "{text}");
            }
            let workers = start(2).unwrap();
            workers.stop(PROMPT);
            workers.join().unwrap();
            let begun = Instant::now();
            while ended.load(Ordering::SeqCst) < 3 {
                assert!(begun.elapsed() < PROMPT, "those that had begun go on");
                std::thread::yield_now();
            }
        },
    );
}

#[test]
fn a_call_of_a_pool_that_is_killed_before_it_comes_to_it_is_an_error_that_says_so() {
    let pool = threadpool();
    pool.set_limit(0);
    let calls: [Call; 3] =
        [|| fs::metadata("/").map(drop), || fs::create_dir("/"), || lookup_host("localhost:1").map(drop)];
    let waiting = calls.map(spawn);
    yield_now();
    pool.kill();
    for call in waiting {
        let text = call.join().unwrap().unwrap_err().to_string();
        assert!(
            text.ends_with("the call was not made: the thread pool was killed before it came to it"),
            "{text}"
        );
    }
    pool.set_limit(1);
    assert!(fs::exists("/").unwrap());
}

#[test]
fn a_directory_whose_listing_fails_is_at_its_end() {
    let pool = threadpool();
    let mut entries = fs::read_dir("/").unwrap();
    pool.set_limit(0);
    let listing = spawn(move || entries.next().unwrap().is_err() && entries.next().is_none());
    yield_now();
    pool.kill();
    assert!(listing.join().unwrap());
    pool.set_limit(1);
}

#[test]
fn an_exchange_with_a_child_without_address_space_for_its_greenlets_is_an_error_that_says_so() {
    in_a_child(
        "an_exchange_with_a_child_without_address_space_for_its_greenlets_is_an_error_that_says_so",
        "",
        || {
            let start = || {
                let mut command = Command::new("cat");
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap()
            };
            let children = [start(), start()];
            let gate = Event::new();
            let mut others = take_all_stacks(&gate);
            // Without a stack, and with one.
            for mut child in children {
                let error = child.communicate(b"hello").unwrap_err();
                let text = error.to_string();
                assert!(text.starts_with("no greenlet stack of "), "{text}");
                let other = others.pop().unwrap();
                other.kill();
                drop(other.join());
                child.kill().unwrap();
                child.wait().unwrap();
            }
            gate.set();
        },
    );
}
