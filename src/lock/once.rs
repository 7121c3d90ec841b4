//! A value that the first who asks makes, while the others wait.

use std::cell::{Cell, OnceCell as StdOnceCell};
use std::fmt;

use super::refused;
use crate::hub::{Hub, Object, Reason};
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// A cell that is written once, by a function that may switch: the others that want the value wait for it.
///
/// Of the shape of [`std::sync::OnceLock`]. If the function panics, fails or is killed, the cell stays empty and the next of
/// those that wait tries with its own.
///
/// # Examples
/// ```
/// use greenloop::{join_all, lock::OnceCell, sleep, spawn};
/// use std::{cell::Cell, rc::Rc, time::Duration};
///
/// let (config, loads) = (Rc::new(OnceCell::new()), Rc::new(Cell::new(0)));
/// let seen = join_all((0..3).map(|_| {
///     let (config, loads) = (config.clone(), loads.clone());
///     spawn(move || *config.get_or_init(|| {
///         loads.set(loads.get() + 1);
///         sleep(Duration::from_millis(1)); // the others run, and wait for this
///         "loaded"
///     }))
/// }));
/// assert!(seen.into_iter().all(|value| value.unwrap() == "loaded"));
/// assert_eq!(loads.get(), 1);
/// ```
pub struct OnceCell<T> {
    value: StdOnceCell<T>,
    /// Who makes the value just now.
    maker: Cell<Option<u64>>,
    waiters: WaitList,
}

impl<T> OnceCell<T> {
    /// An empty cell.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::OnceCell;
    ///
    /// thread_local! { static NAME: OnceCell<String> = const { OnceCell::new() } }
    /// let length = || NAME.with(|name| name.get_or_init(|| "hub".into()).len());
    /// assert_eq!(length(), 3);
    /// ```
    pub const fn new() -> OnceCell<T> {
        OnceCell { value: StdOnceCell::new(), maker: Cell::new(None), waiters: WaitList::new() }
    }

    /// The value, if there is one. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let cell = greenloop::lock::OnceCell::new();
    /// assert_eq!(cell.get(), None);
    /// cell.set(1).unwrap();
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if there is one. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let mut cell = greenloop::lock::OnceCell::from(1);
    /// *cell.get_mut().unwrap() += 1;
    /// assert_eq!(cell.get(), Some(&2));
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// The value; without one, that which `f` makes. If another greenlet is making it, waits for that.
    ///
    /// **Switches**: if another greenlet is making the value, or if `f` does.
    ///
    /// **While unwinding** it panics if another greenlet is making the value: use [`get`](Self::get) there.
    ///
    /// # Panics
    /// If `f` does; if `f` asks for the value that it is to make. While unwinding, if another greenlet is making the value.
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever go on with making it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::OnceCell;
    ///
    /// let cell = OnceCell::new();
    /// assert_eq!(cell.get_or_init(|| 1), &1);
    /// assert_eq!(cell.get_or_init(|| 2), &1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_init<F>(&self, f: F) -> &T
    where
        F: FnOnce() -> T,
    {
        match self.get() {
            Some(value) => value,
            None => match self.value_or_turn() {
                Ok(Turn::Value(value)) => value,
                Ok(Turn::Make(making)) => making.put(f()),
                Err(Refused) => refused("OnceCell::get_or_init", "use OnceCell::get"),
            },
        }
    }

    /// The value; without one, that which `f` makes, unless it fails: then the cell stays empty.
    ///
    /// **Switches**: as [`get_or_init`](Self::get_or_init).
    ///
    /// **While unwinding** it panics if another greenlet is making the value: use [`get`](Self::get) there.
    ///
    /// # Errors
    /// That of `f`.
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::OnceCell;
    ///
    /// let port = OnceCell::new();
    /// assert!(port.get_or_try_init(|| "http".parse::<u16>()).is_err());
    /// assert_eq!(port.get_or_try_init(|| "80".parse::<u16>()), Ok(&80));
    /// ```
    #[track_caller]
    pub fn get_or_try_init<F, E>(&self, f: F) -> Result<&T, E>
    where
        F: FnOnce() -> Result<T, E>,
    {
        match self.value_or_turn() {
            Ok(Turn::Value(value)) => Ok(value),
            Ok(Turn::Make(making)) => f().map(|value| making.put(value)),
            Err(Refused) => refused("OnceCell::get_or_try_init", "use OnceCell::get"),
        }
    }

    /// Puts a value in, unless there is one.
    ///
    /// **Switches**: if another greenlet is making the value: waits to see whether that succeeds.
    ///
    /// **While unwinding** it gives `value` back at once.
    ///
    /// # Errors
    /// Gives the value back if there is one; while unwinding, also if another greenlet is making one.
    ///
    /// # Panics
    /// If it is called by what makes the value. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that
    /// could ever go on with making it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::OnceCell;
    ///
    /// let cell = OnceCell::new();
    /// assert_eq!((cell.get(), cell.set(1), cell.set(2)), (None, Ok(()), Err(2)));
    /// ```
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        match self.value_or_turn() {
            Ok(Turn::Make(making)) => {
                making.put(value);
                Ok(())
            }
            Ok(Turn::Value(_)) | Err(Refused) => Err(value),
        }
    }

    /// Takes the value out; the cell is empty again. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let mut token = greenloop::lock::OnceCell::from("old");
    /// assert_eq!((token.take(), token.take()), (Some("old"), None));
    /// assert_eq!(token.get_or_init(|| "new"), &"new"); // it can be filled again
    /// ```
    pub fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// The value, if there was one. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let cell = greenloop::lock::OnceCell::new();
    /// cell.get_or_init(|| String::from("made"));
    /// assert_eq!(cell.into_inner().as_deref(), Some("made"));
    /// ```
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    #[track_caller]
    fn value_or_turn(&self) -> Result<Turn<'_, T>, Refused> {
        let mut place = Place::default();
        loop {
            if let Some(value) = self.get() {
                return Ok(Turn::Value(value));
            }
            let me = Hub::current().running_id();
            let Some(maker) = self.maker.get() else {
                self.maker.set(Some(me));
                return Ok(Turn::Make(Making { cell: self }));
            };
            assert!(
                maker != me,
                "what makes the value of a OnceCell or Lazy has asked for this value itself; it can never have it"
            );
            let reason = Reason::of(&"once cell being made by", Object::Greenlet(maker));
            if park::wait_on(&self.waiters, &mut place, reason, Deadline::NEVER) == Woken::Refused {
                return Err(Refused);
            }
        }
    }
}

/// It would have to wait, and the thread is unwinding.
struct Refused;

/// What one that wants the value gets.
enum Turn<'a, T> {
    Value(&'a T),
    Make(Making<'a, T>),
}

/// The right to make the value. All that wait are woken at its end, also when there is no value: then the first of them has
/// the right, and what the others wait for is the new maker.
struct Making<'a, T> {
    cell: &'a OnceCell<T>,
}

impl<'a, T> Making<'a, T> {
    fn put(self, value: T) -> &'a T {
        // The cell is empty as long as somebody has this right, so the value that it gives is this one.
        self.cell.value.get_or_init(|| value)
    }
}

impl<T> Drop for Making<'_, T> {
    fn drop(&mut self) {
        self.cell.maker.set(None);
        self.cell.waiters.wake_all();
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        OnceCell::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    /// A cell with this value.
    fn from(value: T) -> Self {
        OnceCell { value: StdOnceCell::from(value), ..OnceCell::new() }
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => f.debug_tuple("OnceCell").field(value).finish(),
            None => f.write_str("OnceCell(<empty>)"),
        }
    }
}
