//! A supervisor: it keeps child processes running, and starts again those that fail.
//!
//! Prints the life of two workers: one does its work at once, the other fails twice before it succeeds. With the argument `forever`
//! it keeps a third one running until Ctrl-C or `SIGTERM`.

use greenloop::process::Command;
use greenloop::{select, signal, sleep, spawn};
use std::io;
use std::time::Duration;

/// Runs a worker until it succeeds, with a pause before each new try; gives the number of tries.
fn supervise(name: &str, script: &str, limit: u32) -> io::Result<u32> {
    for attempt in 1..=limit {
        let mut worker = Command::new("sh");
        worker.args(["-c", script]).env("ATTEMPT", attempt.to_string()).kill_on_drop(true);
        let status = worker.spawn()?.wait()?;
        if status.success() {
            println!("{name}: done at attempt {attempt}");
            return Ok(attempt);
        }
        println!("{name}: {status}, started again");
        sleep(Duration::from_millis(20 * u64::from(attempt)));
    }
    Err(io::Error::other(format!("{name} has failed {limit} times")))
}

fn main() -> io::Result<()> {
    let steady = spawn(|| supervise("steady", "exit 0", 3));
    steady.join().expect("no panic")?;
    let flaky = spawn(|| supervise("flaky", "test $ATTEMPT -ge 3 || exit $((ATTEMPT + 6))", 5));
    flaky.join().expect("no panic")?;

    let hopeless = spawn(|| supervise("hopeless", "kill -9 $$", 2));
    if let Err(error) = hopeless.join().expect("no panic") {
        println!("given up: {error}");
    }

    if std::env::args().nth(1).as_deref() == Some("forever") {
        let stop = signal::on_termination()?;
        let endless = spawn(|| supervise("endless", "exec sleep 1000", u32::MAX));
        println!("running");
        select! {
            _ = endless.wait() => {}
            _ = stop.wait() => println!("stopped by {}", stop.wait()?),
        }
        endless.kill(); // and with it its child
    }
    Ok(())
}
