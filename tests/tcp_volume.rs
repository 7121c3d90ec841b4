//! Much data, in pieces of all sizes, and who gets how much of the hub.

mod net_support;

use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Instant;

use greenloop::net::TcpStream;
use greenloop::queue::Queue;
use greenloop::{join_all, sleep, spawn, yield_now};
use net_support::{Flag, Numbers, Pattern, connection, ms};

/// Sends `total` bytes of the pattern in pieces of random size up to `most`, then says that it ends.
fn send(stream: &TcpStream, total: u64, most: usize, seed: u64) -> io::Result<()> {
    let (mut pattern, mut numbers, mut stream) = (Pattern::new(), Numbers(seed), stream);
    while pattern.offset() < total {
        let size = (1 + numbers.below(most)).min((total - pattern.offset()) as usize);
        let piece = pattern.peek(size);
        let count = match numbers.below(4) {
            0 => {
                let (first, second) = piece.split_at(piece.len() / 3);
                stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)])?
            }
            1 => {
                stream.write_all(piece)?;
                piece.len()
            }
            _ => stream.write(piece)?,
        };
        pattern.advance(count);
    }
    stream.shutdown(Shutdown::Write)
}

/// Checks that the pattern comes, in reads of random size up to `most`; gives the number of bytes.
fn receive(stream: &TcpStream, most: usize, seed: u64) -> io::Result<u64> {
    let (mut pattern, mut numbers, mut stream) = (Pattern::new(), Numbers(seed), stream);
    let mut place = vec![0; most];
    loop {
        let size = 1 + numbers.below(most);
        match stream.read(&mut place[..size])? {
            0 => return Ok(pattern.offset()),
            count => pattern.check(&place[..count]),
        }
    }
}

/// Sends in both directions of one connection at once, from four greenlets.
fn exchange(total: u64, most: usize) {
    let (a, b) = connection();
    let start = |stream: &TcpStream, seed| {
        let (sending, receiving) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        let sender = spawn(move || send(&sending, total, most, seed).map(|()| total));
        [sender, spawn(move || receive(&receiving, most, seed + 1))]
    };
    let all = join_all(start(&a, 11).into_iter().chain(start(&b, 23)));
    for count in all {
        assert_eq!(count.unwrap().unwrap(), total);
    }
}

// SK01, SK04
#[test]
fn much_data_arrives_whole_in_both_directions_in_pieces_of_random_size() {
    exchange(64 << 20, 300_000);
}

#[test]
fn small_pieces_arrive_whole() {
    exchange(2 << 20, 500);
}

#[test]
fn single_bytes_arrive_whole() {
    exchange(30_000, 1);
}

// SK01
#[test]
fn a_large_buffer_is_written_at_once_and_read_to_its_end() {
    let (mut a, mut b) = connection();
    let text: String = (0..20_000).map(|n| format!("{n:05} ")).collect();
    let sender = spawn({
        let text = text.clone();
        move || {
            a.write_all(text.as_bytes()).unwrap();
            drop(a);
        }
    });
    let mut received = String::new();
    b.read_to_string(&mut received).unwrap();
    sender.join().unwrap();
    assert!(received == text);
}

#[test]
fn many_connections_carry_data_at_once() {
    let pairs = (0..50_u64).map(|n| {
        let (a, b) = connection();
        let sender = spawn(move || send(&a, 200_000 + n, 10_000, n + 1).map(|()| 200_000 + n));
        (sender, spawn(move || receive(&b, 10_000, n + 2)))
    });
    let pairs: Vec<_> = pairs.collect();
    for (sender, receiver) in pairs {
        assert_eq!(sender.join().unwrap().unwrap(), receiver.join().unwrap().unwrap());
    }
}

/// A connection in whose one end `most` bytes, or as many as the kernel takes, are waiting.
fn laden(most: usize) -> (TcpStream, std::net::TcpStream, usize) {
    let (a, b) = connection();
    let mut a = a.into_std().unwrap();
    a.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while sent < most {
        match a.write(&vec![7; (most - sent).min(16 << 10)]) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
    }
    (b, a, sent)
}

#[test]
fn readers_that_never_have_to_wait_are_served_evenly_and_starve_no_timer_and_no_other_greenlet() {
    const CLIENTS: usize = 20;
    const PIECE: usize = 32;
    let (served, over) = (Rc::new([const { Cell::new(0_usize) }; CLIENTS]), Flag::default());
    let clients: Vec<_> = (0..CLIENTS).map(|_| laden(128 << 10)).collect();
    assert!(clients.iter().all(|(.., sent)| *sent > 64 << 10), "the kernel takes too little for this test");
    let (ticks, turns) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let count = |counter: &Rc<Cell<u32>>, pause: fn()| {
        let (counter, over) = (counter.clone(), over.clone());
        spawn(move || {
            while !over.is_up() {
                pause();
                counter.update(|count| count + 1);
            }
        })
    };
    let others = [count(&ticks, || sleep(ms(1))), count(&turns, yield_now)];
    let readers = clients.into_iter().enumerate().map(|(number, (mut stream, peer, _))| {
        let (served, over) = (served.clone(), over.clone());
        spawn(move || {
            // Until the first of them has nothing left.
            while served[number].get() < (64 << 10) / PIECE && !over.is_up() {
                stream.read_exact(&mut [0; PIECE]).unwrap();
                served[number].update(|count| count + 1);
            }
            over.raise();
            drop(peer);
        })
    });
    join_all(readers);
    join_all(others);
    let counts: Vec<_> = served.iter().map(Cell::get).collect();
    let (least, most) = (*counts.iter().min().unwrap(), *counts.iter().max().unwrap());
    assert!(least * 2 >= most, "{counts:?}");
    assert!(ticks.get() >= 3, "{} ticks of the timer", ticks.get());
    assert!(turns.get() >= 20, "{} turns of the other greenlet", turns.get());
}

#[test]
fn a_writer_that_never_has_to_wait_lets_the_others_run() {
    let (a, b) = connection();
    let (turns, over) = (Rc::new(Cell::new(0)), Flag::default());
    let other = spawn({
        let (turns, over) = (turns.clone(), over.clone());
        move || {
            while !over.is_up() {
                yield_now();
                turns.update(|turns| turns + 1);
            }
        }
    });
    for _ in 0..1000 {
        assert_eq!((&a).write(b"x").unwrap(), 1);
    }
    over.raise();
    other.join().unwrap();
    assert!(turns.get() >= 10, "{} turns", turns.get());
    drop((a, b));
}

// A look at the descriptors after so many turns is not enough when each of them is long.
#[test]
fn greenlets_with_long_turns_hold_input_up_for_a_few_turns_only() {
    let (turns, over) = (Rc::new(Cell::new(0_u32)), Flag::default());
    let busy = [(); 3].map(|()| {
        let (turns, over) = (turns.clone(), over.clone());
        spawn(move || {
            while !over.is_up() {
                let start = Instant::now();
                while start.elapsed() < ms(1) {
                    std::hint::spin_loop();
                }
                turns.update(|turns| turns + 1);
                yield_now();
            }
        })
    });
    let (mut a, mut b) = connection();
    let came = Queue::bounded(1);
    let reader = spawn({
        let (came, turns) = (came.clone(), turns.clone());
        move || {
            while b.read(&mut [0]).unwrap() == 1 {
                came.put(turns.get()).unwrap();
            }
        }
    });
    let waited = (0..20).map(|n| {
        (0..n % 7).for_each(|_| yield_now());
        let before = turns.get();
        a.write_all(b"x").unwrap();
        came.get().unwrap() - before
    });
    let waited: Vec<_> = waited.collect();
    over.raise();
    drop(a);
    reader.join().unwrap();
    join_all(busy);
    assert!(waited.iter().all(|&turns| turns <= 20), "{waited:?} turns");
}
