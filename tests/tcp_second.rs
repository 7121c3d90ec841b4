//! Two greenlets that read, or write, the same connection: the second is told, whenever it comes, and the first gets or gives its whole.

mod net_support;

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;

use greenloop::event::Event;
use greenloop::net::TcpStream;
use greenloop::{Greenlet, spawn, timeout};
use net_support::{PROMPT, connection, spawn_parked};

const SIZE: usize = 32 << 20;

/// Takes what is there, without a turn for anybody.
fn take(stream: &TcpStream, room: &mut [u8]) -> usize {
    rustix::io::read(stream.as_fd(), room).unwrap_or(0)
}

/// A greenlet that does `f` when a byte comes at the other end, which this gives as well.
fn when_told<T: 'static>(f: impl FnOnce() -> T + 'static) -> (TcpStream, Greenlet<T>) {
    let (other, mut own) = connection();
    let greenlet = spawn_parked(move || {
        own.read_exact(&mut [0]).unwrap();
        f()
    });
    (other, greenlet)
}

fn assert_taken<T: std::fmt::Debug>(outcome: io::Result<T>, what: &str, first: u64) {
    let text = outcome.unwrap_err().to_string();
    assert!(text.contains(&format!("already being {what} by greenlet #{first}")), "{text}");
}

// SK26
#[test]
fn a_second_reader_is_told_also_between_the_event_and_the_turn_of_the_first() {
    let (mut a, b) = connection();
    let has_half = Rc::new(Event::new());
    let first = spawn_parked({
        let (mut b, has_half) = (b.try_clone().unwrap(), has_half.clone());
        move || {
            let mut place = [0; 8];
            b.read_exact(&mut place[..4]).unwrap();
            has_half.set();
            b.read_exact(&mut place[4..]).map(|()| place)
        }
    });
    a.write_all(b"abcd").unwrap();
    has_half.wait();
    let (mut teller, second) = when_told(move || (&b).read(&mut [0; 8]));
    // One look of the hub finds both events, in this order.
    teller.write_all(b"!").unwrap();
    a.write_all(b"efghijkl").unwrap();
    assert_taken(second.join().unwrap(), "read", first.id());
    assert_eq!(&first.join().unwrap().unwrap(), b"abcdefgh");
}

// SK26
#[test]
fn a_second_writer_is_told_also_between_the_event_and_the_turn_of_the_first() {
    let (a, mut b) = connection();
    let first = spawn_parked({
        let mut a = a.try_clone().unwrap();
        move || a.write_all(&vec![7; SIZE])
    });
    let (mut teller, second) = when_told(move || (&a).write_all(b"second"));
    let mut room = vec![0; SIZE];
    let mut taken = 0;
    teller.write_all(b"!").unwrap();
    // All that is under way, so that there is room again at the other end.
    loop {
        match take(&b, &mut room[taken..]) {
            0 => break,
            count => taken += count,
        }
    }
    assert_taken(second.join().unwrap(), "written", first.id());
    b.read_exact(&mut room[taken..]).unwrap();
    assert!(room.iter().all(|byte| *byte == 7));
    first.join().unwrap().unwrap();
}

// SK26, SK01: a `write_all` that has used its turn up goes on behind the others, but nobody writes in between.
#[test]
fn a_second_writer_is_told_wherever_the_turn_of_the_first_ends() {
    for operations in 0..40 {
        let (a, mut b) = connection();
        let first = spawn({
            let mut a = a.try_clone().unwrap();
            move || {
                for _ in 0..operations {
                    assert_eq!(a.write(b"\x07").unwrap(), 1);
                }
                a.write_all(&vec![7; SIZE / 4])
            }
        });
        let second = spawn(move || (&a).write_all(b"second"));
        // Where the turn of the first ends before its large piece, the second comes in front of that.
        let mut room = vec![0; SIZE / 4 + operations];
        let reader = spawn(move || b.read_exact(&mut room).map(|()| room));
        let first_id = first.id();
        timeout(PROMPT, || first.join()).expect("room").unwrap().expect("to be alone");
        let whole = reader.join().unwrap().unwrap();
        match second.join().unwrap() {
            Ok(()) => {
                let before = whole.iter().position(|byte| *byte != 7).expect("the second's");
                assert!(before <= operations, "{before} of {operations}");
            }
            outcome => {
                assert_taken(outcome, "written", first_id);
                assert!(whole.iter().all(|byte| *byte == 7));
            }
        }
    }
}
