//! A first-in-first-out queue whose entries can be withdrawn from anywhere in constant time.
//!
//! A doubly linked list over a slab: pushing reuses the places of entries that have left, so a queue that has reached its
//! working size allocates nothing. It knows neither greenlets nor the hub; [`WaitList`](crate::waitlist::WaitList) is
//! built on it.

use slab::Slab;

const NONE: u32 = u32::MAX;

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
    value: T,
}

/// See the module's head.
pub(crate) struct Fifo<T> {
    nodes: Slab<Node<T>>,
    first: u32,
    last: u32,
    serial: u32,
}

impl<T> Fifo<T> {
    pub(crate) const fn new() -> Self {
        Fifo { nodes: Slab::new(), first: NONE, last: NONE, serial: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Adds an entry at the end.
    pub(crate) fn push_back(&mut self, value: T) -> Ticket {
        let previous = self.last;
        let ticket = self.insert(previous, NONE, value);
        self.last = ticket.index;
        match previous {
            NONE => self.first = ticket.index,
            _ => self.nodes[previous as usize].next = ticket.index,
        }
        ticket
    }

    /// Adds an entry in front of all others.
    pub(crate) fn push_front(&mut self, value: T) -> Ticket {
        let next = self.first;
        let ticket = self.insert(NONE, next, value);
        self.first = ticket.index;
        match next {
            NONE => self.last = ticket.index,
            _ => self.nodes[next as usize].previous = ticket.index,
        }
        ticket
    }

    /// Takes the entry that has been here longest.
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        if self.first == NONE {
            return None;
        }
        Some(self.unlink(self.first))
    }

    /// Takes the entry that `ticket` names, if it is still here.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        let node = self.nodes.get(ticket.index as usize)?;
        if node.serial != ticket.serial {
            return None;
        }
        Some(self.unlink(ticket.index))
    }

    fn insert(&mut self, previous: u32, next: u32, value: T) -> Ticket {
        // A ticket would be mistaken for another only after 2³² pushes during one park.
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let index = self.nodes.insert(Node { previous, next, serial, value }) as u32;
        Ticket { index, serial }
    }

    fn unlink(&mut self, index: u32) -> T {
        let node = self.nodes.remove(index as usize);
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
    use std::collections::VecDeque;

    #[test]
    fn a_stale_ticket_removes_nothing() {
        let mut fifo = Fifo::new();
        let old = fifo.push_back(1);
        assert_eq!(fifo.pop_front(), Some(1));
        let new = fifo.push_back(2);
        assert_eq!(fifo.remove(old), None);
        assert_eq!(fifo.remove(new), Some(2));
        assert!(fifo.is_empty());
    }

    #[derive(Clone, Debug)]
    enum Step {
        PushBack,
        PushFront,
        Pop,
        Remove(usize),
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_deque_with_removal(steps in prop::collection::vec(
            prop_oneof![
                3 => Just(Step::PushBack),
                1 => Just(Step::PushFront),
                2 => Just(Step::Pop),
                2 => any::<usize>().prop_map(Step::Remove),
            ], 0..300))
        {
            let (mut fifo, mut model, mut tickets) = (Fifo::new(), VecDeque::new(), Vec::new());
            for (value, step) in steps.into_iter().enumerate() {
                match step {
                    Step::PushBack => {
                        model.push_back(value);
                        tickets.push((value, fifo.push_back(value)));
                    }
                    Step::PushFront => {
                        model.push_front(value);
                        tickets.push((value, fifo.push_front(value)));
                    }
                    Step::Pop => prop_assert_eq!(fifo.pop_front(), model.pop_front()),
                    Step::Remove(_) if tickets.is_empty() => {}
                    Step::Remove(which) => {
                        let (value, ticket) = tickets[which % tickets.len()];
                        let expected = model.iter().position(|&v| v == value).and_then(|at| model.remove(at));
                        prop_assert_eq!(fifo.remove(ticket), expected);
                    }
                }
                prop_assert_eq!(fifo.len(), model.len());
                prop_assert_eq!(fifo.is_empty(), model.is_empty());
            }
        }
    }
}
