//! A first-in-first-out queue whose entries can be withdrawn from anywhere in constant time.
//!
//! A doubly linked list over a slab: pushing reuses the places of entries that have left, so a queue that has reached its
//! working size allocates nothing. It knows neither greenlets nor the hub; [`WaitList`](crate::waitlist::WaitList) is
//! built on it.

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

/// See the module's head.
pub(crate) struct Fifo<T> {
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
        Fifo { nodes: Slab::new(), first: NONE, last: NONE, serial: 0, arrivals: 0, again: NONE }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Adds an entry at the end. Its arrival is for [`push_again`](Self::push_again).
    pub(crate) fn push_back(&mut self, value: T) -> (Ticket, Arrival) {
        self.arrivals += 1;
        let arrival = Arrival(self.arrivals);
        (self.insert(self.last, NONE, arrival, value), arrival)
    }

    /// Adds an entry that has been here before, behind those that came before it and before those that came after.
    ///
    /// Those that come again mostly do so in their order, so the search begins at the last of them.
    pub(crate) fn push_again(&mut self, value: T, arrival: Arrival) -> Ticket {
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
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        if self.first == NONE {
            return None;
        }
        Some(self.unlink(self.first))
    }

    /// The entry that `ticket` names, if it is still here.
    pub(crate) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut T> {
        let node = self.nodes.get_mut(ticket.index as usize)?;
        (node.serial == ticket.serial).then_some(&mut node.value)
    }

    /// Takes the entry that `ticket` names, if it is still here.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        let node = self.nodes.get(ticket.index as usize)?;
        if node.serial != ticket.serial {
            return None;
        }
        Some(self.unlink(ticket.index))
    }

    /// The first entry that is such a one.
    pub(crate) fn find(&self, is_such: impl Fn(&T) -> bool) -> Option<Ticket> {
        let mut index = self.first;
        while let Some(node) = self.nodes.get(index as usize) {
            if is_such(&node.value) {
                return Some(Ticket { index, serial: node.serial });
            }
            index = node.next;
        }
        None
    }

    fn insert(&mut self, previous: u32, next: u32, arrival: Arrival, value: T) -> Ticket {
        // A ticket would be mistaken for another only after 2³² pushes during one park.
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
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
