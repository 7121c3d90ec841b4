//! What compressed messages cost in memory: a bomb no more than the limit of a message, a connection at rest nothing.
#![cfg(feature = "websocket")]

mod ws_support;

use greenloop::http::{Request, Server, WebSocket, WebSocketOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::time::Duration;
use ws_support::*;

struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

#[allow(unsafe_code)]
// SAFETY: every call goes to the system allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get() + layout.size() as isize);
        MOST.set(MOST.get().max(HELD.get()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

fn compressing() -> WebSocketOptions {
    WebSocketOptions::new().compress(true)
}

/// A compressed message of 64 MiB, as our own server makes it.
fn bomb() -> Vec<u8> {
    let (server, mut client) = serve(|request: &mut Request<'_>| {
        compressing().upgrade(request, |socket: WebSocket| Ok(socket.send(vec![0; 64 << 20])?))
    });
    shake_with(&mut client, OFFER);
    let mut payload = Vec::new();
    loop {
        let (first, piece) = read_frame(&mut client).unwrap();
        payload.extend(piece);
        if first & FIN != 0 {
            server.stop(Duration::ZERO);
            return payload;
        }
    }
}

#[test]
fn a_bomb_is_refused_before_it_has_grown() {
    let bomb = bomb();
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    for options in [compressing(), compressing().max_message(usize::MAX).max_frame(1 << 20)] {
        let (server, mut client, end) = noting_server_with(options, OFFER);
        let input = frame(FIN | 0x40 | BINARY, &bomb);
        let before = HELD.get();
        MOST.set(before);
        client.write_all(&input).unwrap();
        let (first, payload) = frames(&mut client).pop().unwrap();
        assert_eq!((first, &payload[..2]), (FIN | CLOSE, &1009_u16.to_be_bytes()[..]));
        let most = MOST.get() - before;
        // The buffer of a message of 1 MiB, and the one that it grew out of.
        assert!(most < 4 << 20, "{most}");
        assert_eq!(end.get_timeout(LONG).unwrap().unwrap().code(), Some(1009));
        server.stop(Duration::ZERO);
    }
}

/// What so many connections hold, both ends of them, when each has sent a message to and fro and rests.
fn held_by(count: usize, options: &WebSocketOptions) -> isize {
    let app = {
        let options = options.clone();
        move |request: &mut Request<'_>| {
            options.clone().upgrade(request, |socket: WebSocket| {
                for message in &socket {
                    socket.send(message?)?;
                }
                Ok(())
            })
        }
    };
    let server = Server::bind("127.0.0.1:0").unwrap().start(app).unwrap();
    let url = format!("ws://{}/", server.local_addr().unwrap());
    let before = HELD.get();
    let sockets: Vec<WebSocket> = (0..count)
        .map(|_| {
            let socket = options.clone().connect(&url).unwrap();
            socket.send("again and ".repeat(500)).unwrap();
            assert_eq!(socket.read().unwrap().bytes().len(), 5000);
            socket
        })
        .collect();
    let held = HELD.get() - before;
    for socket in &sockets {
        socket.close(1000, "").unwrap();
    }
    drop(sockets);
    server.stop(LONG);
    held
}

#[test]
fn connections_at_rest_hold_no_window() {
    // The first of a thread makes what the others share.
    held_by(1, &compressing());
    held_by(1, &WebSocketOptions::new());
    let (with, without) = (held_by(100, &compressing()), held_by(100, &WebSocketOptions::new()));
    assert!(with - without < 100 * 1024, "{with} with compression, {without} without");
}
