//! A value that is made when it is first used.

use std::fmt;
use std::ops::Deref;

use super::OnceCell;

/// A value made by a function when it is first used; those that use it meanwhile wait.
///
/// Of the shape of [`std::cell::LazyCell`], but the function may switch, and it may be called again: if it panics or is killed,
/// the next that uses the value tries once more. So it is an `Fn`.
///
/// # Examples
/// ```
/// use greenloop::{lock::Lazy, yield_now};
///
/// let answer = Lazy::new(|| { yield_now(); 42 });
/// assert_eq!(*answer, 42);
/// ```
pub struct Lazy<T, F = fn() -> T> {
    cell: OnceCell<T>,
    make: F,
}

impl<T, F: Fn() -> T> Lazy<T, F> {
    /// A value that `make` makes when it is first used.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Lazy;
    /// use std::cell::Cell;
    ///
    /// let calls = Cell::new(0);
    /// let config = Lazy::new(|| { calls.set(calls.get() + 1); "config" });
    /// assert_eq!(calls.get(), 0); // not before it is used
    /// assert_eq!((*config, *config, calls.get()), ("config", "config", 1));
    /// ```
    pub const fn new(make: F) -> Lazy<T, F> {
        Lazy { cell: OnceCell::new(), make }
    }

    /// The value, which is made now if it was not before. `*lazy` does the same.
    ///
    /// **Switches**: if another greenlet is making the value, or if the function does.
    ///
    /// **While unwinding** it panics if another greenlet is making the value: use [`get`](Self::get) there.
    ///
    /// # Panics
    /// As [`OnceCell::get_or_init`].
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Lazy;
    ///
    /// let table = Lazy::new(|| (0..4).map(|n| n * n).collect::<Vec<_>>());
    /// assert_eq!(Lazy::force(&table), &[0, 1, 4, 9]);
    /// ```
    #[inline]
    #[track_caller]
    pub fn force(this: &Lazy<T, F>) -> &T {
        this.cell.get_or_init(&this.make)
    }

    /// The value, if it was made already. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Lazy;
    ///
    /// let answer = Lazy::new(|| 42);
    /// assert_eq!(Lazy::get(&answer), None);
    /// Lazy::force(&answer);
    /// assert_eq!(Lazy::get(&answer), Some(&42));
    /// ```
    #[inline]
    pub fn get(this: &Lazy<T, F>) -> Option<&T> {
        this.cell.get()
    }
}

impl<T, F: Fn() -> T> Deref for Lazy<T, F> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        Lazy::force(self)
    }
}

impl<T: Default> Default for Lazy<T> {
    fn default() -> Self {
        Lazy::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for Lazy<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cell.get() {
            Some(value) => f.debug_tuple("Lazy").field(value).finish(),
            None => f.write_str("Lazy(<not made>)"),
        }
    }
}
