//! Clients that always have data waiting are served alike.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream as Pipe;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use greenloop::event::Event;
use greenloop::net::UnixStream;
use greenloop::server::StreamServer;
use greenloop::{join_all, sleep, spawn, sync, yield_now};

const CLIENTS: usize = 50;
/// So many reads of all clients together.
const READS: u32 = 20_000;

/// A read takes so much, and a client has sent so much before the first: more than it can get rid of.
const PIECE: usize = 16;
const SENT: usize = 16 * 1024;

/// How often each client was served until all together had been so often; `work` is done for each read.
fn served(work: fn()) -> Vec<u32> {
    let counts: Rc<RefCell<Vec<Rc<Cell<u32>>>>> = Rc::default();
    let (total, done) = (Rc::new(Cell::new(0)), Event::new());
    let all_have_sent = sync::Event::new();
    let server = StreamServer::bind("127.0.0.1:0").unwrap().handle({
        let (counts, done, begin, all_are_here) =
            (counts.clone(), done.clone(), all_have_sent.clone(), Event::new());
        move |mut socket, _| -> io::Result<()> {
            let count = Rc::new(Cell::new(0));
            counts.borrow_mut().push(count.clone());
            if counts.borrow().len() == CLIENTS {
                all_are_here.set();
            }
            all_are_here.wait();
            begin.wait();
            let mut bytes = [0; PIECE];
            while total.get() < READS && socket.read(&mut bytes)? > 0 {
                work();
                count.set(count.get() + 1);
                total.set(total.get() + 1);
            }
            done.set();
            Ok(())
        }
    });
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    let clients = thread::spawn(move || {
        let connect = |_| {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.write_all(&[7; SENT]).unwrap();
            socket
        };
        let sockets: Vec<TcpStream> = (0..CLIENTS).map(connect).collect();
        all_have_sent.set();
        // Until the server has had enough of them.
        sockets.into_iter().for_each(|mut socket| drop(socket.read(&mut [0; 1])));
    });
    done.wait();
    server.stop(Duration::from_secs(10));
    clients.join().unwrap();
    counts.take().iter().map(|count| count.get()).collect()
}

fn assert_alike(counts: &[u32]) {
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert_eq!(counts.len(), CLIENTS);
    assert!(*most <= 2 * least, "between {least} and {most} of {READS} reads: {counts:?}");
}

#[test]
fn fifty_clients_with_data_waiting_are_served_alike() {
    assert_alike(&served(|| ()));
}

#[test]
fn a_client_that_has_just_come_does_not_wait_until_another_has_no_more_data() {
    let read = Rc::new(Cell::new(0));
    let served_after = Rc::new(Cell::new(None));
    let server = StreamServer::bind("127.0.0.1:0").unwrap().handle({
        let (read, served_after) = (read.clone(), served_after.clone());
        let first = Cell::new(true);
        move |mut socket, peer| -> io::Result<()> {
            let mut bytes = [0; PIECE];
            if !first.take() {
                served_after.set(served_after.get().or(Some(read.get())));
                return socket.write_all(b"x");
            }
            socket.read_exact(&mut bytes)?;
            // The second client has connected before the first is read on: its connection waits to be accepted.
            let other = TcpStream::connect(socket.local_addr()?)?;
            while read.get() < SENT / PIECE - 1 {
                socket.read_exact(&mut bytes)?;
                read.set(read.get() + 1);
            }
            drop((other, peer));
            socket.write_all(b"x")
        }
    });
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    let client = thread::spawn(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(&[7; SENT]).unwrap();
        socket.read_exact(&mut [0; 1]).unwrap();
    });
    while served_after.get().is_none() {
        greenloop::sleep(Duration::from_millis(1));
    }
    server.stop(Duration::from_secs(10));
    client.join().unwrap();
    let after = served_after.get().unwrap();
    assert!(after <= SENT / PIECE / 2, "the first was read {after} times before");
}

#[test]
fn fifty_clients_are_served_alike_by_a_server_that_is_slowed_down() {
    assert_alike(&served(|| thread::sleep(Duration::from_micros(20))));
}

#[test]
fn who_is_due_by_the_clock_does_not_stand_behind_all_who_can_read() {
    const READERS: usize = 400;
    // The other ends are the system's own: who writes through them does not switch, however much it writes.
    let (here, there): (Vec<_>, Vec<_>) = (0..READERS).map(|_| Pipe::pair().unwrap()).unzip();
    let have_read = Rc::new(Cell::new(0));
    let readers: Vec<_> = here
        .into_iter()
        .map(|socket| {
            let mut socket = UnixStream::from_std(socket).unwrap();
            let have_read = have_read.clone();
            spawn(move || {
                socket.read_exact(&mut [0; 1]).unwrap();
                have_read.set(have_read.get() + 1);
            })
        })
        .collect();
    let sleeper = spawn({
        let have_read = have_read.clone();
        move || {
            sleep(Duration::from_millis(1));
            have_read.get()
        }
    });
    yield_now();
    // All can read, and the sleeper is due, when the hub looks next.
    there.iter().for_each(|mut socket| socket.write_all(b"x").unwrap());
    thread::sleep(Duration::from_millis(2));
    let before = sleeper.join().unwrap();
    assert!(before <= READERS / 4, "{before} of {READERS} had their turn before");
    join_all(readers);
    assert_eq!(have_read.get(), READERS);
}
