//! Values that each greenlet has for itself.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use crate::hub::{Hub, Key};

/// Declares values of which each greenlet has its own: the `thread_local!` of greenlets.
///
/// The initialiser runs in each greenlet at its first use. The value is dropped at the end of the greenlet, whoever
/// still has a handle of it, the youngest first; that of a thread's root at the end of the thread. Greenlets that live
/// when their thread ends are forgotten with their values.
///
/// # Examples
/// ```
/// use greenloop::{greenlet_local, spawn};
/// use std::cell::Cell;
///
/// greenlet_local! {
///     /// How many requests this greenlet has served.
///     pub static SERVED: Cell<u32> = Cell::new(0);
/// }
///
/// SERVED.set(7);
/// assert_eq!(spawn(|| SERVED.get()).join().unwrap(), 0);
/// assert_eq!(SERVED.get(), 7);
/// ```
#[macro_export]
macro_rules! greenlet_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::local::LocalKey<$type> = {
            fn init() -> $type {
                $init
            }
            $crate::local::LocalKey::__new(init)
        };
        $($crate::greenlet_local! { $($rest)* })?
    };
}

/// A value that each greenlet has for itself, declared by [`greenlet_local!`](crate::greenlet_local).
///
/// # Examples
/// ```
/// use greenloop::{greenlet_local, spawn};
/// use std::cell::RefCell;
///
/// greenlet_local! { static LOG: RefCell<Vec<u32>> = RefCell::default(); }
/// LOG.with_borrow_mut(|log| log.push(1));
/// spawn(|| LOG.with_borrow(|log| assert!(log.is_empty()))).join().unwrap();
/// ```
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
}

/// A greenlet that is giving its values up has this one no more.
///
/// # Examples
/// ```
/// use greenloop::{greenlet_local, local::AccessError, spawn};
/// use std::cell::Cell;
///
/// thread_local! { static SEEN: Cell<Option<AccessError>> = const { Cell::new(None) }; }
/// greenlet_local! { static NAME: String = "ada".into(); static LAST: Goodbye = Goodbye }
/// struct Goodbye;
/// impl Drop for Goodbye {
///     fn drop(&mut self) {
///         SEEN.set(NAME.try_with(String::len).err()); // it was never made, and now it is too late
///     }
/// }
/// spawn(|| LAST.with(|_| ())).join().unwrap();
/// assert_eq!(SEEN.get(), Some(AccessError));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the greenlet is at its end, and this value is gone already or was never made")]
pub struct AccessError;

impl<T: 'static> LocalKey<T> {
    /// For `greenlet_local!` alone: a key is known by the address of its `static`.
    #[doc(hidden)]
    pub const fn __new(init: fn() -> T) -> LocalKey<T> {
        LocalKey { init }
    }

    /// Shows the value of the current greenlet to `f`; makes it if this is the first use.
    ///
    /// **Switches**: only if `f` or the initialiser does.
    ///
    /// **While unwinding** nothing waits in them either.
    ///
    /// # Panics
    /// In the destructor of a local value at the end of a greenlet, if this one is gone already or was never made.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{current, greenlet_local, spawn};
    ///
    /// greenlet_local! { static NAME: String = format!("greenlet {}", current().id()) }
    /// let g = spawn(|| NAME.with(|name| name.clone())); // its own, made now
    /// let expected = format!("greenlet {}", g.id());
    /// assert_eq!(g.join().unwrap(), expected);
    /// ```
    ///
    /// A reference does not leave the closure:
    /// ```compile_fail
    /// greenloop::greenlet_local! { static NAME: String = String::new(); }
    /// let name: &String = NAME.with(|name| name);
    /// ```
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.value() {
            Ok(value) => f(&value),
            Err(error) => panic!("greenlet local: {error}"),
        }
    }

    /// [`with`](Self::with) without its panic.
    ///
    /// # Errors
    /// [`AccessError`] in the destructor of a local value at the end of a greenlet, if this one is gone already or was
    /// never made.
    ///
    /// # Examples
    /// ```
    /// use greenloop::greenlet_local;
    ///
    /// greenlet_local! { static NAME: String = "nobody".to_string(); }
    /// assert_eq!(NAME.try_with(|name| name.len()), Ok(6));
    /// ```
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        self.value().map(|value| f(&value))
    }

    /// The value, with a share in it: it lives while it is used, and no borrow is held while user code runs.
    fn value(&'static self) -> Result<Rc<T>, AccessError> {
        let key = std::ptr::from_ref(self) as Key;
        let task = Hub::current().running();
        if let Some(value) = task.extras().locals.get(key) {
            return Ok(own(value));
        }
        if task.extras().locals.are_closed() {
            return Err(AccessError);
        }
        let made = Rc::new((self.init)());
        // The initialiser may have used this very key.
        match task.extras().locals.get(key) {
            Some(value) => Ok(own(value)),
            None => {
                task.extras().locals.add(key, made.clone());
                Ok(made)
            }
        }
    }
}

fn own<T: 'static>(value: Rc<dyn Any>) -> Rc<T> {
    value.downcast().unwrap_or_else(|_| unreachable!("a key names values of its own type"))
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the value of the current greenlet.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{greenlet_local, spawn};
    /// use std::cell::Cell;
    ///
    /// greenlet_local! { static STEP: Cell<u32> = Cell::new(0) }
    /// STEP.set(3);
    /// spawn(|| STEP.set(9)).join().unwrap(); // its own
    /// assert_eq!(STEP.get(), 3);
    /// ```
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// A copy of the value of the current greenlet.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{greenlet_local, spawn};
    /// use std::cell::Cell;
    ///
    /// greenlet_local! { static ID: Cell<u64> = Cell::new(greenloop::current().id()) }
    /// let g = spawn(|| ID.get());
    /// assert_eq!((ID.get(), g.id()), (0, g.join().unwrap()));
    /// ```
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value of the current greenlet and leaves the default.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    ///
    /// # Examples
    /// ```
    /// use greenloop::greenlet_local;
    /// use std::cell::Cell;
    ///
    /// greenlet_local! { static NOTES: Cell<Vec<u8>> = Cell::new(vec![1, 2]) }
    /// assert_eq!(NOTES.take(), [1, 2]);
    /// assert!(NOTES.take().is_empty());
    /// ```
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Sets the value of the current greenlet and gives the old one.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    ///
    /// # Examples
    /// ```
    /// use greenloop::greenlet_local;
    /// use std::cell::Cell;
    ///
    /// greenlet_local! { static USER: Cell<&'static str> = Cell::new("nobody") }
    /// assert_eq!(USER.replace("ada"), "nobody");
    /// assert_eq!(USER.get(), "ada");
    /// ```
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Shows the contents of the current greenlet's cell to `f`.
    ///
    /// # Panics
    /// If it is mutably borrowed. As [`with`](Self::with).
    ///
    /// # Examples
    /// ```
    /// use greenloop::greenlet_local;
    /// use std::cell::RefCell;
    ///
    /// greenlet_local! { static PATH: RefCell<String> = RefCell::new("/".into()) }
    /// assert_eq!(PATH.with_borrow(|path| path.len()), 1);
    /// ```
    #[track_caller]
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Shows the contents of the current greenlet's cell to `f`, to be changed.
    ///
    /// # Panics
    /// If it is borrowed. As [`with`](Self::with).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{greenlet_local, spawn};
    /// use std::cell::RefCell;
    ///
    /// greenlet_local! { static LOG: RefCell<Vec<u8>> = RefCell::default() }
    /// let lines = || LOG.with_borrow_mut(|log| { log.push(1); log.len() });
    /// assert_eq!((lines(), lines()), (1, 2));
    /// assert_eq!(spawn(lines).join().unwrap(), 1); // its own
    /// ```
    #[track_caller]
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalKey(..)")
    }
}
