//! Servers without sockets, in virtual time.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::Together;
use crate::event::Event;
use crate::queue::Queue;
use crate::server::{Listener, StreamServer};
use crate::testing::{elapsed, virtual_time, wait_all_parked};
use crate::{shield, sleep, spawn, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Who comes in waits so long, then leaves.
#[derive(Clone)]
struct Door(Queue<Duration>);

impl Door {
    fn new() -> Door {
        Door(Queue::unbounded())
    }

    fn enter(&self, time: Duration) {
        self.0.put(time).unwrap();
    }
}

impl Listener for Door {
    type Stream = Duration;
    type Addr = &'static str;

    fn accept(&self) -> io::Result<(Duration, &'static str)> {
        let time = self.0.get().map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        Ok((time, "a guest"))
    }

    fn local_addr(&self) -> io::Result<&'static str> {
        Ok("a door")
    }
}

fn server(door: &Door, handler: impl Fn(Duration) + 'static) -> StreamServer<Door> {
    StreamServer::from_listener(door.clone()).unwrap().handle(move |time, _| handler(time))
}

fn together<const N: usize>(servers: [&StreamServer<Door>; N]) -> Together {
    Together::new(servers.map(|server| Box::new(server.part()) as _).into())
}

/// Two servers that have started, with a guest each.
fn two(handler: impl Fn(Duration) + Clone + 'static, time: Duration) -> ([StreamServer<Door>; 2], Together) {
    let doors = [Door::new(), Door::new()];
    let servers = doors.each_ref().map(|door| server(door, handler.clone()));
    let both = together(servers.each_ref());
    both.start().unwrap();
    doors.iter().for_each(|door| door.enter(time));
    wait_all_parked();
    assert!(servers.iter().all(|server| server.is_accepting() && server.connections() == 1));
    (servers, both)
}

fn assert_ended(servers: &[StreamServer<Door>]) {
    assert!(servers.iter().all(|server| !server.is_started() && server.connections() == 0));
}

// SV19
#[test]
fn a_stop_gives_all_handlers_one_grace() {
    virtual_time(|| {
        let (servers, both) = two(sleep, 3 * SECOND);
        both.stop(4 * SECOND);
        assert_eq!(elapsed(), 3 * SECOND, "they came to their ends");
        assert_ended(&servers);
    });
    virtual_time(|| {
        let (servers, both) = two(sleep, 10 * SECOND);
        both.stop(4 * SECOND);
        assert_eq!(elapsed(), 4 * SECOND, "they were killed at the same time");
        assert_ended(&servers);
    });
    virtual_time(|| {
        let (_, both) = two(|time| shield(|| sleep(time)), 10 * SECOND);
        both.stop(4 * SECOND);
        assert_eq!(elapsed(), 5 * SECOND, "the second that the killed have is the same for all");
    });
}

#[test]
fn no_door_is_open_while_a_stop_waits() {
    virtual_time(|| {
        let (servers, both) = two(sleep, 10 * SECOND);
        let stopping = spawn(move || both.stop(4 * SECOND));
        wait_all_parked();
        assert!(servers.iter().all(|server| !server.is_started() && server.connections() == 1));
        stopping.join().unwrap();
    });
}

#[test]
fn a_stop_that_is_interrupted_has_stopped_all() {
    virtual_time(|| {
        let (servers, both) = two(sleep, 10 * SECOND);
        let serving = spawn({
            let both = both.clone();
            move || both.serve_forever()
        });
        wait_all_parked();
        timeout(SECOND, || both.stop(4 * SECOND)).unwrap_err();
        assert!(servers.iter().all(|server| !server.is_started()));
        serving.join().unwrap().unwrap();
        assert_eq!(elapsed(), SECOND);
    });
}

#[test]
fn a_handler_that_stops_all_is_not_waited_for() {
    virtual_time(|| {
        let (first, second) = (Door::new(), Door::new());
        let (ready, ended) = (Event::new(), Rc::new(Cell::new(false)));
        let both: Rc<Cell<Option<Together>>> = Rc::default();
        let servers = [
            server(&first, sleep),
            server(&second, {
                let (both, ready, ended) = (both.clone(), ready.clone(), ended.clone());
                move |_| {
                    both.take().unwrap().stop(4 * SECOND);
                    ready.set();
                    sleep(SECOND);
                    ended.set(true);
                }
            }),
        ];
        let all = together(servers.each_ref());
        all.start().unwrap();
        both.set(Some(all.clone()));
        first.enter(2 * SECOND);
        second.enter(SECOND);
        all.serve_forever().unwrap();
        ready.wait();
        assert_eq!(elapsed(), 2 * SECOND);
        assert!(!ended.get());
        sleep(2 * SECOND);
        assert!(ended.get());
    });
}

// SV18: for one of them.
#[test]
fn a_listener_that_breaks_ends_all_and_is_the_reason() {
    virtual_time(|| {
        let doors = [Door::new(), Door::new(), Door::new()];
        let servers = doors.each_ref().map(|door| server(door, sleep));
        let all = together(servers.each_ref());
        let serving = spawn(move || all.serve_forever());
        wait_all_parked();
        doors[0].enter(SECOND);
        wait_all_parked();
        doors[1].0.close();
        let error = serving.join().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert!(servers.iter().all(|server| !server.is_started()));
        assert_eq!(servers[0].connections(), 1, "handlers go on");
    });
}

#[test]
fn a_listener_that_breaks_ends_all_also_while_nobody_waits_for_that() {
    virtual_time(|| {
        let doors = [Door::new(), Door::new()];
        let servers = doors.each_ref().map(|door| server(door, sleep));
        let all = together(servers.each_ref());
        all.start().unwrap();
        doors[0].enter(SECOND);
        wait_all_parked();
        doors[1].0.close();
        wait_all_parked();
        assert!(servers.iter().all(|server| !server.is_started()));
        assert_eq!(servers[0].connections(), 1, "handlers go on");
        assert_eq!(all.wait_for_end().unwrap_err().raw_os_error(), Some(libc::EBADF));
    });
}

#[test]
fn a_wait_for_the_end_that_is_interrupted_stops_all() {
    virtual_time(|| {
        let (servers, both) = two(sleep, 10 * SECOND);
        timeout(SECOND, || both.serve_forever()).unwrap_err();
        assert!(servers.iter().all(|server| !server.is_started() && server.connections() == 1));
        sleep(2 * SECOND);
        assert_ended(&servers);
    });
}

#[test]
fn none_starts_if_one_cannot() {
    virtual_time(|| {
        let (first, second) = (server(&Door::new(), sleep), server(&Door::new(), sleep));
        second.stop(Duration::ZERO);
        let both = together([&first, &second]);
        assert_eq!(both.start().unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert!(!first.is_started());
    });
}
