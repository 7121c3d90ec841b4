//! `Channel`: putter and getter meet, and an item is with one of them at any time.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use common::{Flag, LONG, Log, OnDrop, SHORT, ignore};
use greenloop::queue::{Channel, GetError, PutError};
use greenloop::{
    Greenlet, LoopExit, join_all, select, sleep, spawn, timeout, wait_all, wait_any_timeout, yield_now,
};

/// A greenlet that is parked in `get`.
fn getter<T: 'static>(channel: &Channel<T>) -> Greenlet<Result<T, GetError>> {
    let channel = channel.clone();
    let g = spawn(move || channel.get());
    yield_now();
    g
}

/// A greenlet that is parked in `put`.
fn putter<T: 'static>(channel: &Channel<T>, item: T) -> Greenlet<Result<(), PutError<T>>> {
    let channel = channel.clone();
    let g = spawn(move || channel.put(item));
    yield_now();
    g
}

// QU01, QU04
#[test]
fn nothing_can_be_put_without_a_getter_and_nothing_got_without_a_putter() {
    let channel = Channel::new();
    assert_eq!(channel.try_put(1), Err(PutError::Full(1)));
    assert_eq!(channel.try_put(2), Err(PutError::Full(2)));
    assert_eq!(channel.put_timeout(3, Duration::ZERO), Err(PutError::Full(3)));
    assert_eq!(channel.try_get(), Err(GetError::Empty));
    assert_eq!(channel.get_timeout(Duration::ZERO), Err(GetError::Empty));
    assert_eq!(format!("{channel:?}"), "Channel(0 getting, 0 putting)");
}

// QU02, QU40
#[test]
fn a_try_put_reaches_a_parked_getter_which_runs_later() {
    let channel = Channel::new();
    let g = getter(&channel);
    assert_eq!(channel.try_put(5), Ok(()));
    assert!(!g.is_finished());
    assert_eq!(channel.try_put(6), Err(PutError::Full(6)), "there was one getter only");
    yield_now();
    assert!(g.is_finished());
    assert_eq!(g.join().unwrap(), Ok(5));
}

// QU03
#[test]
fn a_getter_under_a_timeout_receives_an_item_that_comes_in_time() {
    let channel = Channel::new();
    let g = spawn({
        let channel = channel.clone();
        move || timeout(LONG, || channel.get())
    });
    yield_now();
    channel.put("hi").unwrap();
    assert_eq!(g.join().unwrap(), Ok(Ok("hi")));
}

// QU16
#[test]
fn a_channel_is_always_empty_and_full() {
    let channel = Channel::new();
    assert_eq!((channel.is_empty(), channel.is_full(), channel.len()), (true, true, 0));
    let p = putter(&channel, 1);
    assert_eq!((channel.is_empty(), channel.is_full(), channel.len()), (true, true, 0));
    assert!(!p.is_finished());
    assert_eq!(channel.try_get(), Ok(1));
    assert_eq!(channel.try_get(), Err(GetError::Empty));
    yield_now();
    assert!(p.is_finished());
    assert_eq!(p.join().unwrap(), Ok(()));
}

// QU17
#[test]
fn a_put_returns_only_when_the_item_is_taken() {
    let channel = Channel::new();
    let p = putter(&channel, 1);
    wait_all();
    assert!(!p.is_finished());
    let g = getter(&channel);
    wait_all();
    assert!(p.is_finished() && g.is_finished());
    assert_eq!(g.join().unwrap(), Ok(1));
}

// QU18
#[test]
fn the_receiver_runs_before_the_sender_goes_on() {
    let (channel, log) = (Channel::new(), Log::new());
    let receiver = spawn({
        let (channel, log) = (channel.clone(), log.clone());
        move || (0..2).for_each(|_| log.add(channel.get().unwrap()))
    });
    log.add("sending");
    channel.put("hello").unwrap();
    log.add("sent hello");
    channel.put("world").unwrap();
    log.add("sent world");
    receiver.join().unwrap();
    assert_eq!(log.take(), ["sending", "hello", "sent hello", "world", "sent world"]);
}

// QU19
#[test]
fn a_receiver_that_asks_twice_is_served_twice() {
    let (channel, log) = (Channel::new(), Log::new());
    let sender = spawn({
        let (channel, log) = (channel.clone(), log.clone());
        move || {
            log.add("sending hello");
            channel.put("hello").unwrap();
            log.add("sending world");
            channel.put("world").unwrap();
            log.add("sent world");
        }
    });
    log.add("waiting");
    log.add(channel.get().unwrap());
    log.add(channel.get().unwrap());
    assert_eq!(log.take(), ["waiting", "sending hello", "hello", "sending world", "world"]);
    yield_now();
    assert_eq!(log.take(), ["sent world"]);
    sender.join().unwrap();
}

#[test]
fn an_iteration_ends_when_the_channel_is_closed() {
    let channel = Channel::new();
    let consumer = spawn({
        let channel = channel.clone();
        move || channel.into_iter().collect::<Vec<_>>()
    });
    (0..10).for_each(|n| channel.put(n).unwrap());
    channel.close();
    assert_eq!(consumer.join().unwrap(), Vec::from_iter(0..10));
    assert_eq!((&channel).into_iter().next(), None);
}

// QU09, QU10, QU40
#[test]
fn both_sides_are_served_first_come_first_served() {
    let channel = Channel::new();
    let putters: Vec<_> = (0..50).map(|n| putter(&channel, n)).collect();
    assert_eq!((0..50).map(|_| channel.get().unwrap()).collect::<Vec<_>>(), Vec::from_iter(0..50));
    assert!(join_all(putters).into_iter().all(|put| put.unwrap().is_ok()));
    let getters: Vec<_> = (0..50).map(|_| getter(&channel)).collect();
    for n in 0..50 {
        match n % 2 {
            0 => channel.put(n).unwrap(),
            _ => channel.try_put(n).unwrap(),
        }
    }
    let got: Vec<_> = join_all(getters).into_iter().map(|got| got.unwrap().unwrap()).collect();
    assert_eq!(got, Vec::from_iter(0..50));
}

// QU12
#[test]
fn an_item_outlives_its_sender() {
    let channel = Channel::new();
    let g = getter(&channel);
    spawn({
        let channel = channel.clone();
        move || channel.try_put("sent")
    })
    .join()
    .unwrap()
    .unwrap();
    assert_eq!(g.join().unwrap(), Ok("sent"));
}

// QU11, QU14, QU35
#[test]
fn getters_that_gave_up_take_nothing() {
    let channel = Channel::new();
    let bogus = [(); 2].map(|()| {
        let channel = channel.clone();
        spawn(move || (channel.get_timeout(SHORT), timeout(SHORT, || channel.get_timeout(LONG)).is_err()))
    });
    for result in join_all(bogus) {
        assert_eq!(result.unwrap(), (Err(GetError::Empty), true));
    }
    let p = putter(&channel, 1);
    wait_all();
    assert!(!p.is_finished());
    assert_eq!(channel.get_timeout(LONG), Ok(1));
}

// QU36, QU42
#[test]
fn putters_that_gave_up_have_put_nothing() {
    let channel = Channel::new();
    assert_eq!(channel.put_timeout(1, SHORT), Err(PutError::Full(1)));
    assert!(timeout(SHORT, || channel.put(2)).is_err());
    assert!(timeout(SHORT, || channel.put_timeout(3, LONG)).is_err());
    assert_eq!(channel.try_get(), Err(GetError::Empty));
    let last = putter(&channel, 4);
    assert_eq!(channel.get(), Ok(4));
    last.join().unwrap().unwrap();
}

// QU42
#[test]
fn a_putter_killed_while_parked_puts_nothing_and_its_item_is_dropped() {
    let (channel, item) = (Channel::new(), Rc::new(1));
    let first = putter(&channel, item.clone());
    let second = putter(&channel, Rc::new(2));
    // It is not dead yet when the getter comes, but its item is its own.
    first.kill_nowait();
    assert_eq!(channel.try_get().as_deref(), Ok(&2));
    assert!(first.join().unwrap_err().is_killed());
    assert_eq!(Rc::strong_count(&item), 1);
    second.join().unwrap().unwrap();
    assert_eq!(format!("{channel:?}"), "Channel(0 getting, 0 putting)");
}

// QU42: taken, then killed: the put has succeeded, and the kill waits for the next park.
#[test]
fn a_putter_killed_after_its_item_was_taken_has_put_it() {
    let (channel, log) = (Channel::new(), Log::new());
    let p = spawn({
        let (channel, log) = (channel.clone(), log.clone());
        move || {
            log.add(channel.put(1).is_ok());
            sleep(LONG);
        }
    });
    yield_now();
    assert_eq!(channel.try_get(), Ok(1));
    p.kill();
    assert_eq!(log.take(), [true]);
}

// QU41
#[test]
fn killing_a_parked_getter_loses_no_item() {
    let channel = Channel::new();
    let getters = [(); 3].map(|()| getter(&channel));
    getters[0].kill();
    getters[1].kill_nowait(); // not dead yet when the item comes
    assert_eq!(channel.try_put(1), Ok(()));
    let [_, second, third] = getters.map(Greenlet::join);
    assert!(second.unwrap_err().is_killed());
    assert_eq!(third.unwrap(), Ok(1));
}

// QU41: it was given an item, then it is killed: it comes out with the item and meets the kill at its next park.
#[test]
fn a_getter_killed_after_an_item_was_given_to_it_has_it() {
    let (channel, log) = (Channel::new(), Log::new());
    for put in [|channel: &Channel<u32>| channel.try_put(1), |channel: &Channel<u32>| channel.put(1)] {
        let g = spawn({
            let (channel, log) = (channel.clone(), log.clone());
            move || {
                log.add(channel.get());
                sleep(LONG);
            }
        });
        yield_now();
        let p = spawn({
            let channel = channel.clone();
            move || put(&channel)
        });
        let killer = spawn({
            let g = g.handle();
            move || g.kill()
        });
        p.join().unwrap().unwrap();
        killer.join().unwrap();
        assert_eq!(log.take(), [Ok(1)]);
    }
}

// QU41: called, but another was faster: it waits on in front.
#[test]
fn a_running_greenlet_may_take_the_item_of_a_called_getter_which_waits_on_in_front() {
    let (channel, log) = (Channel::new(), Log::new());
    for n in 0..2 {
        let (channel, log) = (channel.clone(), log.clone());
        drop(spawn(move || ignore(channel.get().map(|item| log.add((n, item))))));
    }
    yield_now();
    let p = spawn({
        let channel = channel.clone();
        move || channel.put(1)
    });
    let thief = spawn({
        let channel = channel.clone();
        move || channel.try_get()
    });
    // The putter calls the first getter, and the thief runs before that.
    yield_now();
    assert_eq!(thief.join().unwrap(), Ok(1));
    p.join().unwrap().unwrap();
    channel.put(2).unwrap();
    channel.put(3).unwrap();
    wait_all();
    assert_eq!(log.take(), [(0, 2), (1, 3)]);
}

// QU11, QU42: each side runs out of time in the turn in which the other comes.
#[test]
fn who_comes_as_the_time_of_the_other_runs_out_loses_nothing() {
    for first_puts in [true, false] {
        let channel = Channel::new();
        let impatient = spawn({
            let channel = channel.clone();
            move || match first_puts {
                true => channel.put_timeout(1, SHORT).is_ok(),
                false => channel.get_timeout(SHORT).is_ok(),
            }
        });
        yield_now();
        std::thread::sleep(2 * SHORT); // due, and nobody has looked
        let partner = spawn({
            let channel = channel.clone();
            move || match first_puts {
                true => channel.get_timeout(4 * SHORT).is_ok(),
                false => channel.put_timeout(1, 4 * SHORT).is_ok(),
            }
        });
        assert_eq!(impatient.join().unwrap(), partner.join().unwrap());
    }
}

// QU26, QU28
#[test]
fn closing_wakes_everybody_and_gives_the_putters_their_items_back() {
    let channel = Channel::<u32>::new();
    let getters = [(); 3].map(|()| getter(&channel));
    channel.close();
    channel.close();
    assert!(join_all(getters).into_iter().all(|got| got.unwrap() == Err(GetError::Closed)));
    let channel = Channel::new();
    let putters = [1, 2, 3].map(|n| putter(&channel, n));
    channel.close();
    // Before the putters have run.
    assert_eq!(channel.try_get(), Err(GetError::Closed));
    let back: Vec<_> = join_all(putters).into_iter().map(|put| put.unwrap().unwrap_err()).collect();
    assert_eq!(back, [1, 2, 3].map(PutError::Closed));
    assert!(channel.is_closed());
    assert_eq!(channel.put(4), Err(PutError::Closed(4)));
    assert_eq!(channel.try_put(4), Err(PutError::Closed(4)));
    assert_eq!(channel.put_timeout(4, LONG), Err(PutError::Closed(4)));
    assert_eq!((channel.get(), channel.get_timeout(LONG)), (Err(GetError::Closed), Err(GetError::Closed)));
}

// QU28: an item that was given before the close is got.
#[test]
fn a_getter_that_was_given_an_item_before_the_close_has_it() {
    let channel = Channel::new();
    let getters = [(); 2].map(|()| getter(&channel));
    channel.try_put(1).unwrap();
    channel.close();
    let got: Vec<_> = join_all(getters).into_iter().map(Result::unwrap).collect();
    assert_eq!(got, [Ok(1), Err(GetError::Closed)]);
}

// QU43
#[test]
fn tries_never_switch() {
    let (channel, other) = (Channel::new(), Flag::new());
    let p = putter(&channel, 7);
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    assert_eq!(channel.try_get(), Ok(7));
    for n in 0..100 {
        assert!(channel.try_put(n).is_err() && channel.try_get().is_err());
    }
    assert!(!other.is_up() && !p.is_finished());
}

// HB01
#[test]
fn a_meeting_that_cannot_take_place_is_a_deadlock() {
    let channel = Channel::<u32>::new();
    let calls: [fn(&Channel<u32>); 2] = [|channel| ignore(channel.get()), |channel| ignore(channel.put(1))];
    for (call, text) in calls.into_iter().zip(["channel (get)", "channel (put)"]) {
        let payload = catch_unwind(AssertUnwindSafe(|| call(&channel))).unwrap_err();
        assert!(LoopExit::from_panic(&*payload).unwrap().report().contains(text));
    }
}

#[test]
fn items_may_use_the_channel_in_their_destructors() {
    let channel = Channel::<Option<Box<dyn std::any::Any>>>::new();
    let log = Log::new();
    let item = OnDrop({
        let (channel, log) = (channel.clone(), log.clone());
        move || log.add(channel.try_put(None).is_err())
    });
    let p = putter(&channel, Some(Box::new(item)));
    p.kill();
    assert_eq!(log.take(), [true]);
}

// In a destructor run by a kill nobody waits.
#[test]
fn a_destructor_puts_into_no_channel_unless_somebody_waits() {
    let (channel, log) = (Channel::new(), Log::new());
    for waiting in [false, true] {
        let dying = spawn({
            let (channel, log) = (channel.clone(), log.clone());
            move || {
                let _last = OnDrop(move || log.add((channel.get(), channel.try_put(1))));
                sleep(LONG);
            }
        });
        let g = waiting.then(|| getter(&channel));
        yield_now();
        dying.kill();
        let put = if waiting { Ok(()) } else { Err(PutError::Full(1)) };
        assert_eq!(log.take(), [(Err(GetError::Empty), put)]);
        assert!(g.is_none_or(|g| g.join().unwrap() == Ok(1)));
    }
}

#[test]
fn a_select_takes_from_a_putter_and_leaves_it_alone_otherwise() {
    let (first, second) = (Channel::new(), Channel::new());
    let p = putter(&second, 2);
    let got = select! {
        item = first.get() => item,
        item = second.get() => item,
    };
    assert_eq!(got, Ok(2));
    p.join().unwrap().unwrap();
    // Parked: whoever comes first.
    let selecting = spawn({
        let (first, second) = (first.clone(), second.clone());
        move || {
            select! {
                item = first.get() => item,
                item = second.get() => item,
            }
        }
    });
    yield_now();
    assert_eq!(first.try_put(1), Err(PutError::Full(1)), "nobody is in get");
    let [one, two] = [putter(&first, 1), putter(&second, 2)];
    assert_eq!(selecting.join().unwrap(), Ok(1));
    one.join().unwrap().unwrap();
    wait_all();
    assert!(!two.is_finished());
    assert_eq!(wait_any_timeout(&[&first, &second], LONG), Some(1));
    assert_eq!(second.get(), Ok(2));
}

// A select that was called and takes something else calls the next in line.
#[test]
fn a_select_that_takes_something_else_leaves_the_putter_to_the_next_getter() {
    let (channel, other) = (Channel::new(), Channel::new());
    let selecting = spawn({
        let (channel, other) = (channel.clone(), other.clone());
        move || {
            select! {
                item = other.get() => item,
                item = channel.get() => item,
            }
        }
    });
    yield_now();
    let next = getter(&channel);
    let [one, two] =
        [(other.clone(), 1), (channel.clone(), 2)].map(|(channel, item)| spawn(move || channel.put(item)));
    assert_eq!(selecting.join().unwrap(), Ok(1));
    assert_eq!(next.join().unwrap(), Ok(2));
    assert!(one.join().unwrap().is_ok() && two.join().unwrap().is_ok());
}
