//! Values that greenlets inherit from the one that spawns them.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::hub::{Bound, Hub, Key, Task};

/// Declares values that are bound for the length of a closure, and that greenlets inherit which are spawned in it: a request's
/// identity, a tracing span, a language.
///
/// # Examples
/// ```
/// use greenloop::{inherited, spawn};
///
/// inherited! {
///     /// Whom the current work is for.
///     static USER: String;
/// }
///
/// let job = USER.bind("ada".into(), || spawn(|| spawn(|| USER.get()).join().unwrap()));
/// assert_eq!(USER.get(), None); // bound no longer
/// assert_eq!(job.join().unwrap(), Some("ada".into())); // but inherited, also by the grandchild
/// ```
#[macro_export]
macro_rules! inherited {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::local::Inherited<$type> = $crate::local::Inherited::__new();
        $($crate::inherited! { $($rest)* })?
    };
}

/// A value that is bound for the length of a closure and inherited by greenlets, declared by
/// [`inherited!`](crate::inherited).
///
/// What is bound never changes: a greenlet that binds another value does so for itself and for those that it spawns
/// meanwhile. The value is dropped when the closure and all that have inherited it have ended. What another thread spawns, by a
/// [`Remote`](crate::sync::Remote), and the handlers of signals inherit nothing.
///
/// # Examples
/// ```
/// use greenloop::{inherited, spawn};
///
/// inherited! { static TENANT: String; }
/// let work = || TENANT.with(|tenant| tenant.map_or(0, String::len));
/// let inside = TENANT.bind("acme".into(), || spawn(work));
/// assert_eq!((inside.join().unwrap(), work()), (4, 0));
/// ```
pub struct Inherited<T: 'static> {
    /// Gives the static a place, hence an address, of its own.
    _place: u8,
    _type: PhantomData<fn() -> T>,
}

impl<T: 'static> Inherited<T> {
    /// For `inherited!` alone: a key is known by the address of its `static`.
    #[doc(hidden)]
    pub const fn __new() -> Inherited<T> {
        Inherited { _place: 0, _type: PhantomData }
    }

    /// Runs `f` with `value` bound. It hides what was bound before until `f` has returned or unwound.
    ///
    /// **Switches**: only if `f` does.
    ///
    /// **While unwinding** nothing waits in `f` either.
    ///
    /// # Examples
    /// ```
    /// greenloop::inherited! { static USER: &'static str; }
    ///
    /// USER.bind("ada", || {
    ///     assert_eq!(USER.bind("eve", || USER.get()), Some("eve"));
    ///     assert_eq!(USER.get(), Some("ada")); // again
    /// });
    /// assert_eq!(USER.get(), None);
    /// ```
    pub fn bind<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let task = Hub::current().running();
        let bound = task.extras().inherited.with(self.key(), Rc::new(value));
        let outer = task.extras().inherited.replace(bound);
        let _rebind = Rebind { task, outer };
        f()
    }

    /// Shows the value to `f` if one is bound in the current greenlet.
    ///
    /// **Switches**: only if `f` does.
    ///
    /// **While unwinding** nothing waits in `f` either.
    ///
    /// # Examples
    /// ```
    /// greenloop::inherited! { static DEPTH: u32; }
    ///
    /// let deeper = || DEPTH.with(|depth| depth.copied().unwrap_or(0) + 1);
    /// assert_eq!(deeper(), 1);
    /// assert_eq!(DEPTH.bind(5, deeper), 6);
    /// ```
    pub fn with<R>(&'static self, f: impl FnOnce(Option<&T>) -> R) -> R {
        let value =
            Hub::current().running().extras_if_any().and_then(|extras| extras.inherited.get(self.key()));
        f(value.as_deref().map(as_own))
    }

    /// A clone of the value if one is bound in the current greenlet.
    ///
    /// **Switches**: only if `T::clone` does.
    ///
    /// **While unwinding** nothing waits in that either.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{inherited, spawn};
    ///
    /// inherited! { static LANGUAGE: String; }
    /// assert_eq!(LANGUAGE.get(), None);
    /// let page = LANGUAGE.bind("it".into(), || spawn(|| LANGUAGE.get()));
    /// assert_eq!(page.join().unwrap().as_deref(), Some("it"));
    /// ```
    pub fn get(&'static self) -> Option<T>
    where
        T: Clone,
    {
        self.with(|value| value.cloned())
    }

    fn key(&'static self) -> Key {
        std::ptr::from_ref(self) as Key
    }
}

fn as_own<T: 'static>(value: &dyn Any) -> &T {
    value.downcast_ref().unwrap_or_else(|| unreachable!("a key names values of its own type"))
}

/// Ends a binding.
struct Rebind {
    task: Rc<Task>,
    outer: Bound,
}

impl Drop for Rebind {
    fn drop(&mut self) {
        drop(self.task.extras().inherited.replace(self.outer.take()));
    }
}

impl<T: 'static> fmt::Debug for Inherited<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inherited(..)")
    }
}
