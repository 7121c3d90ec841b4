//! In which order a queue gives its items back.

use std::collections::VecDeque;

/// The items of a queue that are not lent.
///
/// If an implementation panics, as the `Ord` of an item may, it has neither lost nor doubled any item inside.
pub(super) trait Storage: Default {
    type Item;

    /// Adds an item. If this panics it has not.
    fn push(&mut self, item: Self::Item);

    /// Takes the item that is next. If this panics the item is still inside.
    fn pop(&mut self) -> Option<Self::Item>;

    /// [`pop`](Self::pop) for a while: with the mark the item goes back to its place.
    fn lend(&mut self) -> Option<(Self::Item, Mark)>;

    /// Puts back what `lend` has given. Meanwhile items may have been pushed, but none popped.
    fn restore(&mut self, item: Self::Item, mark: Mark);
}

/// The place of a lent item, in terms of its storage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(pub(super) u64);

/// First in, first out.
impl<T> Storage for VecDeque<T> {
    type Item = T;

    #[inline]
    fn push(&mut self, item: T) {
        self.push_back(item);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn lend(&mut self) -> Option<(T, Mark)> {
        self.pop_front().map(|item| (item, Mark(0)))
    }

    fn restore(&mut self, item: T, _: Mark) {
        self.push_front(item);
    }
}

/// Last in, first out.
impl<T> Storage for Vec<T> {
    type Item = T;

    #[inline]
    fn push(&mut self, item: T) {
        self.push(item);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.pop()
    }

    fn lend(&mut self) -> Option<(T, Mark)> {
        self.pop().map(|item| (item, Mark(self.len() as u64)))
    }

    /// Below those that have been pushed meanwhile.
    fn restore(&mut self, item: T, mark: Mark) {
        self.insert(mark.0 as usize, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lends the next item while another comes, and gives all in their order.
    fn lent_meanwhile<S: Storage<Item = u32>>() -> Vec<u32> {
        let mut storage = S::default();
        (1..=3).for_each(|item| storage.push(item));
        let (item, mark) = storage.lend().unwrap();
        storage.push(4);
        storage.restore(item, mark);
        std::iter::from_fn(|| storage.pop()).collect()
    }

    #[test]
    fn a_lent_item_goes_back_to_its_place() {
        assert_eq!(lent_meanwhile::<VecDeque<u32>>(), [1, 2, 3, 4]);
        assert_eq!(lent_meanwhile::<Vec<u32>>(), [4, 3, 2, 1]);
        assert!(VecDeque::<u32>::new().lend().is_none() && Vec::<u32>::new().lend().is_none());
    }
}
