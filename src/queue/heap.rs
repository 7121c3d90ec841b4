//! A heap whose order survives a comparison that panics.
//!
//! `std`'s heap moves items while it compares them, so that one whose `Ord` panics may be dropped or stay inside although its
//! `push` has failed. Here each operation first compares, then moves:
//!
//! ```text
//!   push(2):   where would it stand?   then along the way up, in one go
//!                  1                       1
//!                3   4      2 < 3        2   4
//!               5 (2)       2 > 1       5 3
//! ```
//!
//! Equal items are given back in the order in which they came.

use std::cmp::Ordering;

use super::storage::{Mark, Storage};

/// The smallest is first.
pub(super) struct Heap<T> {
    entries: Vec<Entry<T>>,
    arrivals: u64,
}

struct Entry<T> {
    item: T,
    arrival: u64,
}

impl<T: Ord> Entry<T> {
    fn is_before(&self, other: &Entry<T>) -> bool {
        match self.item.cmp(&other.item) {
            Ordering::Less => true,
            Ordering::Equal => self.arrival < other.arrival,
            Ordering::Greater => false,
        }
    }
}

fn parent(at: usize) -> usize {
    (at - 1) / 2
}

impl<T: Ord> Heap<T> {
    /// How far up `entry` belongs if it comes to `at`.
    fn place_above(&self, entry: &Entry<T>, mut at: usize) -> usize {
        while at > 0 && entry.is_before(&self.entries[parent(at)]) {
            at = parent(at);
        }
        at
    }

    /// Where the last entry comes to stand if the first leaves.
    fn place_of_last(&self) -> usize {
        let last = self.entries.len() - 1;
        let (mut at, mut child) = (0, 1);
        while child < last {
            let right = child + 1;
            if right < last && self.entries[right].is_before(&self.entries[child]) {
                child = right;
            }
            if !self.entries[child].is_before(&self.entries[last]) {
                break;
            }
            (at, child) = (child, 2 * child + 1);
        }
        at
    }

    /// Moves the last entry to `top`, and those on the way from there one down.
    fn raise_last(&mut self, top: usize) {
        let mut at = self.entries.len() - 1;
        while at != top {
            self.entries.swap(at, parent(at));
            at = parent(at);
        }
    }

    fn pop_entry(&mut self) -> Option<Entry<T>> {
        if self.entries.is_empty() {
            return None;
        }
        let mut at = self.place_of_last();
        let mut moving = self.entries.pop()?;
        if self.entries.is_empty() {
            return Some(moving);
        }
        // The last goes to its place, and those above it one up, until the first is left over.
        loop {
            std::mem::swap(&mut self.entries[at], &mut moving);
            if at == 0 {
                return Some(moving);
            }
            at = parent(at);
        }
    }
}

impl<T> Default for Heap<T> {
    fn default() -> Heap<T> {
        Heap { entries: Vec::new(), arrivals: 0 }
    }
}

impl<T: Ord> Storage for Heap<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        let entry = Entry { item, arrival: self.arrivals };
        let top = self.place_above(&entry, self.entries.len());
        self.arrivals += 1;
        self.entries.push(entry);
        self.raise_last(top);
    }

    fn pop(&mut self) -> Option<T> {
        self.pop_entry().map(|entry| entry.item)
    }

    fn lend(&mut self) -> Option<(T, Mark)> {
        self.pop_entry().map(|entry| (entry.item, Mark(entry.arrival)))
    }

    /// If a comparison panics here the item is inside, at a place without meaning: better than lost.
    fn restore(&mut self, item: T, mark: Mark) {
        let last = self.entries.len();
        self.entries.push(Entry { item, arrival: mark.0 });
        let top = self.place_above(&self.entries[last], last);
        self.raise_last(top);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    /// Compared by its rank alone; panics when the fuse, which all share, has burnt down.
    #[derive(Clone, Debug)]
    struct Item {
        rank: u8,
        number: usize,
        fuse: Rc<Cell<u32>>,
    }

    impl Ord for Item {
        fn cmp(&self, other: &Item) -> Ordering {
            match self.fuse.get() {
                0 => std::panic::resume_unwind(Box::new("expected")),
                left => self.fuse.set(left - 1),
            }
            self.rank.cmp(&other.rank)
        }
    }

    impl PartialOrd for Item {
        fn partial_cmp(&self, other: &Item) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl PartialEq for Item {
        fn eq(&self, other: &Item) -> bool {
            self.cmp(other) == Ordering::Equal
        }
    }

    impl Eq for Item {}

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8),
        Pop,
        /// Lend, push these, restore.
        Lend(Vec<u8>),
    }

    proptest! {
        /// Against a vector sorted by rank and arrival; now and then a comparison panics.
        #[test]
        fn it_behaves_like_a_sorted_list_also_when_comparisons_panic(steps in prop::collection::vec(
            (prop_oneof![
                4 => (0..5_u8).prop_map(Step::Push),
                3 => Just(Step::Pop),
                1 => prop::collection::vec(0..5_u8, 0..4).prop_map(Step::Lend),
            ], prop_oneof![3 => Just(u32::MAX), 1 => 0..4_u32]), 0..200))
        {
            let (mut heap, mut model) = (Heap::default(), Vec::new());
            let fuse = Rc::new(Cell::new(u32::MAX));
            let mut number = 0;
            let mut push = |heap: &mut Heap<Item>, model: &mut Vec<(u8, usize)>, rank| {
                number += 1;
                let item = Item { rank, number, fuse: fuse.clone() };
                if catch_unwind(AssertUnwindSafe(|| heap.push(item))).is_ok() {
                    model.push((rank, number));
                    model.sort_unstable();
                }
            };
            for (step, sparks) in steps {
                fuse.set(sparks);
                match step {
                    Step::Push(rank) => push(&mut heap, &mut model, rank),
                    Step::Pop => {
                        if let Ok(popped) = catch_unwind(AssertUnwindSafe(|| heap.pop())) {
                            let expected = (!model.is_empty()).then(|| model.remove(0));
                            prop_assert_eq!(popped.map(|item| (item.rank, item.number)), expected);
                        }
                    }
                    Step::Lend(ranks) => {
                        fuse.set(u32::MAX);
                        let Some((item, mark)) = heap.lend() else { continue };
                        prop_assert_eq!((item.rank, item.number), model[0]);
                        ranks.into_iter().for_each(|rank| push(&mut heap, &mut model, rank));
                        heap.restore(item, mark);
                    }
                }
                prop_assert_eq!(heap.entries.len(), model.len());
            }
            fuse.set(u32::MAX);
            let rest: Vec<_> = std::iter::from_fn(|| heap.pop()).map(|item| (item.rank, item.number)).collect();
            prop_assert_eq!(rest, model);
        }
    }

    #[test]
    fn a_comparison_that_panics_while_an_item_is_put_back_loses_none() {
        let fuse = Rc::new(Cell::new(u32::MAX));
        let mut heap = Heap::default();
        (0..5).for_each(|rank| heap.push(Item { rank, number: 0, fuse: fuse.clone() }));
        let (item, mark) = heap.lend().unwrap();
        fuse.set(0);
        assert!(catch_unwind(AssertUnwindSafe(|| heap.restore(item, mark))).is_err());
        fuse.set(u32::MAX);
        let mut ranks: Vec<_> = std::iter::from_fn(|| heap.pop()).map(|item| item.rank).collect();
        ranks.sort_unstable();
        assert_eq!(ranks, [0, 1, 2, 3, 4]);
    }
}
