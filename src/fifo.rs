//! A first-in-first-out queue whose entries can be withdrawn from anywhere in constant time.
//!
//! A doubly linked list over a slab: pushing reuses the places of entries that have left, so a queue that has reached its
//! working size allocates nothing. It knows neither greenlets nor the hub; [`WaitList`](crate::waitlist::WaitList) is
//! built on it.
//!
//! Most queues never have more than one entry at a time: who waits for an event, a result, an item is mostly alone. The entry that
//! comes while nobody is here, the *sole* one, therefore stands beside the list, which then is not even allocated. Wherever both are
//! there, the arrivals say who is first.

use std::mem::ManuallyDrop;

use slab::Slab;

const NONE: u32 = u32::MAX;

/// When an entry first came, among those of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrival(u64);

/// Names one entry. A ticket whose entry has left names nothing, even when its place is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    index: u32,
    serial: u32,
}

struct Node<T> {
    previous: u32,
    next: u32,
    serial: u32,
    arrival: Arrival,
    value: T,
}

/// The entry that came while nobody was here.
struct Sole<T> {
    serial: u32,
    arrival: Arrival,
    /// Without a destructor the compiler keeps the parts of a value in registers on their way in and out. With one it writes them to the
    /// stack one by one and copies them in wider pieces at once, which the processor must wait for.
    value: ManuallyDrop<T>,
}

impl<T> Sole<T> {
    #[inline(always)]
    fn into_value(self) -> T {
        ManuallyDrop::into_inner(self.value)
    }
}

/// See the module's head.
pub(crate) struct Fifo<T> {
    sole: Option<Sole<T>>,
    nodes: Slab<Node<T>>,
    first: u32,
    last: u32,
    serial: u32,
    arrivals: u64,
    /// The last entry that came again, while it is here: the next one mostly belongs right behind it.
    again: u32,
}

impl<T> Fifo<T> {
    pub(crate) const fn new() -> Self {
        Fifo { sole: None, nodes: Slab::new(), first: NONE, last: NONE, serial: 0, arrivals: 0, again: NONE }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len() + usize::from(self.sole.is_some())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first == NONE && self.sole.is_none()
    }

    /// Adds an entry at the end. Its arrival is for [`push_again`](Self::push_again).
    #[inline]
    pub(crate) fn push_back(&mut self, value: T) -> (Ticket, Arrival) {
        let arrival = self.arrive();
        let ticket = match self.is_empty() {
            true => self.settle(value, arrival),
            false => self.insert(self.last, NONE, arrival, value),
        };
        (ticket, arrival)
    }

    /// Adds an entry that has left where it would stand if it had not. How long that takes depends on how many came before it.
    ///
    /// Those that come again mostly do so in their order, so the search begins at the last of them.
    pub(crate) fn push_again(&mut self, value: T, arrival: Arrival) -> Ticket {
        if self.is_empty() {
            return self.settle(value, arrival);
        }
        let (mut previous, mut next) = (NONE, self.first);
        if let Some(last) = self.nodes.get(self.again as usize).filter(|last| last.arrival < arrival) {
            (previous, next) = (self.again, last.next);
        }
        while let Some(node) = self.nodes.get(next as usize).filter(|node| node.arrival < arrival) {
            (previous, next) = (next, node.next);
        }
        let ticket = self.insert(previous, next, arrival, value);
        self.again = ticket.index;
        ticket
    }

    /// Takes the entry that has been here longest.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        match self.first {
            NONE => self.sole.take().map(Sole::into_value),
            _ => self.pop_first_of_many(),
        }
    }

    fn pop_first_of_many(&mut self) -> Option<T> {
        match &self.sole {
            Some(sole) if sole.arrival < self.nodes[self.first as usize].arrival => {
                self.sole.take().map(Sole::into_value)
            }
            _ => Some(self.unlink(self.first)),
        }
    }

    /// Takes the first entry that is such a one.
    #[inline]
    pub(crate) fn pop_first_such(&mut self, is_such: impl Fn(&T) -> bool) -> Option<T> {
        match self.first {
            NONE => self.sole.take_if(|sole| is_such(&sole.value)).map(Sole::into_value),
            _ => self.find(is_such).and_then(|ticket| self.remove(ticket)),
        }
    }

    /// The entry that `ticket` names, if it is still here.
    pub(crate) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut T> {
        match ticket.index {
            NONE => {
                self.sole.as_mut().filter(|sole| sole.serial == ticket.serial).map(|sole| &mut *sole.value)
            }
            index => {
                let node = self.nodes.get_mut(index as usize)?;
                (node.serial == ticket.serial).then_some(&mut node.value)
            }
        }
    }

    /// Takes the entry that `ticket` names, if it is still here.
    #[inline]
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        match ticket.index {
            NONE => self.sole.take_if(|sole| sole.serial == ticket.serial).map(Sole::into_value),
            _ => self.remove_from_many(ticket),
        }
    }

    fn remove_from_many(&mut self, ticket: Ticket) -> Option<T> {
        let node = self.nodes.get(ticket.index as usize)?;
        (node.serial == ticket.serial).then(|| self.unlink(ticket.index))
    }

    /// The first entry that is such a one.
    pub(crate) fn find(&self, is_such: impl Fn(&T) -> bool) -> Option<Ticket> {
        let mut index = self.first;
        let mut found = None;
        while let Some(node) = self.nodes.get(index as usize) {
            if is_such(&node.value) {
                found = Some((node.arrival, Ticket { index, serial: node.serial }));
                break;
            }
            index = node.next;
        }
        let sole = self.sole.as_ref().filter(|sole| is_such(&sole.value));
        let sole = sole.map(|sole| (sole.arrival, Ticket { index: NONE, serial: sole.serial }));
        sole.into_iter().chain(found).min_by_key(|(arrival, _)| *arrival).map(|(_, ticket)| ticket)
    }

    /// How many are such.
    pub(crate) fn count(&self, is_such: impl Fn(&T) -> bool) -> usize {
        let sole = self.sole.iter().filter(|sole| is_such(&sole.value)).count();
        sole + self.nodes.iter().filter(|(_, node)| is_such(&node.value)).count()
    }

    /// For an entry that comes now.
    #[inline]
    pub(crate) fn arrive(&mut self) -> Arrival {
        self.arrivals += 1;
        Arrival(self.arrivals)
    }

    /// Takes in an entry while nobody is here.
    #[inline]
    pub(crate) fn settle(&mut self, value: T, arrival: Arrival) -> Ticket {
        debug_assert!(self.is_empty());
        let serial = self.next_serial();
        self.sole = Some(Sole { serial, arrival, value: ManuallyDrop::new(value) });
        Ticket { index: NONE, serial }
    }

    #[inline]
    fn next_serial(&mut self) -> u32 {
        // A ticket would be mistaken for another only after 2³² pushes during one park.
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    fn insert(&mut self, previous: u32, next: u32, arrival: Arrival, value: T) -> Ticket {
        let serial = self.next_serial();
        let index = self.nodes.insert(Node { previous, next, serial, arrival, value }) as u32;
        match previous {
            NONE => self.first = index,
            _ => self.nodes[previous as usize].next = index,
        }
        match next {
            NONE => self.last = index,
            _ => self.nodes[next as usize].previous = index,
        }
        Ticket { index, serial }
    }

    fn unlink(&mut self, index: u32) -> T {
        let node = self.nodes.remove(index as usize);
        if self.again == index {
            self.again = NONE;
        }
        match node.previous {
            NONE => self.first = node.next,
            previous => self.nodes[previous as usize].next = node.next,
        }
        match node.next {
            NONE => self.last = node.previous,
            next => self.nodes[next as usize].previous = node.previous,
        }
        node.value
    }
}

impl<T> Drop for Fifo<T> {
    fn drop(&mut self) {
        drop(self.sole.take().map(Sole::into_value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stale_ticket_removes_nothing() {
        let mut fifo = Fifo::new();
        let (old, _) = fifo.push_back(1);
        assert_eq!(fifo.pop_front(), Some(1));
        let (new, _) = fifo.push_back(2);
        assert_eq!(fifo.remove(old), None);
        assert_eq!(fifo.remove(new), Some(2));
        assert!(fifo.is_empty());
    }

    #[test]
    fn the_first_of_those_that_are_such_is_found_wherever_it_stands() {
        let mut fifo = Fifo::new();
        let (_, first) = fifo.push_back(1);
        fifo.pop_front();
        let (sole, _) = fifo.push_back(2);
        let (behind, _) = fifo.push_back(3);
        let before = fifo.push_again(1, first);
        assert_eq!([1, 2, 3].map(|value| fifo.find(|&it| it == value)), [before, sole, behind].map(Some));
        assert_eq!((fifo.find(|_| true), fifo.find(|&it| it > 1)), (Some(before), Some(sole)));
        assert_eq!([before, sole, behind].map(|ticket| *fifo.get_mut(ticket).unwrap()), [1, 2, 3]);
        assert_eq!(fifo.remove(sole), Some(2));
        assert!(fifo.get_mut(sole).is_none() && fifo.find(|&it| it == 2).is_none());
    }

    #[test]
    fn what_is_left_in_it_is_dropped_with_it() {
        let witness = std::rc::Rc::new(());
        let mut fifo = Fifo::new();
        for _ in 0..3 {
            fifo.push_back(witness.clone());
        }
        drop(fifo);
        assert_eq!(std::rc::Rc::strong_count(&witness), 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        PushBack,
        PushAgain(usize),
        Pop,
        Remove(usize),
    }

    proptest! {
        /// Against a vector sorted by arrival, which here is the value itself.
        #[test]
        fn it_behaves_like_a_list_sorted_by_arrival(steps in prop::collection::vec(
            prop_oneof![
                3 => Just(Step::PushBack),
                2 => any::<usize>().prop_map(Step::PushAgain),
                2 => Just(Step::Pop),
                2 => any::<usize>().prop_map(Step::Remove),
            ], 0..300))
        {
            let (mut fifo, mut model) = (Fifo::new(), Vec::new());
            let (mut tickets, mut outside) = (Vec::new(), Vec::new());
            let mut arrivals = Vec::new();
            for step in steps {
                match step {
                    Step::PushBack => {
                        let value = arrivals.len();
                        let (ticket, arrival) = fifo.push_back(value);
                        model.push(value);
                        arrivals.push(arrival);
                        tickets.push((value, ticket));
                    }
                    Step::PushAgain(_) if outside.is_empty() => {}
                    Step::PushAgain(which) => {
                        let value = outside.swap_remove(which % outside.len());
                        let ticket = fifo.push_again(value, arrivals[value]);
                        model.push(value);
                        model.sort_unstable();
                        tickets.push((value, ticket));
                    }
                    Step::Pop => {
                        let expected = (!model.is_empty()).then(|| model.remove(0));
                        prop_assert_eq!(fifo.pop_front(), expected);
                        outside.extend(expected);
                    }
                    Step::Remove(_) if tickets.is_empty() => {}
                    Step::Remove(which) => {
                        let (value, ticket) = tickets.swap_remove(which % tickets.len());
                        let removed = fifo.remove(ticket);
                        // A ticket of an earlier stay removes nothing.
                        if let Some(removed) = removed {
                            prop_assert_eq!(removed, value);
                            model.retain(|&other| other != value);
                            outside.push(value);
                        }
                    }
                }
                prop_assert_eq!(fifo.len(), model.len());
                prop_assert_eq!(fifo.is_empty(), model.is_empty());
            }
            let rest: Vec<_> = std::iter::from_fn(|| fifo.pop_front()).collect();
            prop_assert_eq!(rest, model);
        }
    }
}
