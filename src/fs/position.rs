//! Who uses the position of an open file.
//!
//! The system keeps a lock around the position of a regular file, and a call at the position has it for as long as it takes, also
//! while it waits for a disk (`f_pos_lock` of Linux). A hub that asked for it meanwhile would stand still with all its greenlets. So on a
//! hub's thread nothing is done at the position unless nobody else can be at it.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

pub(super) struct Position(Mutex<Users>);

#[derive(Default)]
pub(super) struct Users {
    /// Calls on threads of the pool.
    calls: usize,
    /// Somebody has it whose calls are not counted here: a clone, another process, whoever was shown the descriptor.
    others: bool,
}

impl Position {
    /// Of a file that has just been opened.
    pub(super) fn own() -> Position {
        Position(Mutex::default())
    }

    pub(super) fn shared() -> Position {
        Position(Mutex::new(Users { calls: 0, others: true }))
    }

    /// From now on others may use it.
    pub(super) fn share(&self) {
        self.users().others = true;
    }

    /// A call that may be at the position until what this gives is dropped.
    pub(super) fn begin_call(&self) -> Call<'_> {
        self.users().calls += 1;
        Call(self)
    }

    /// Keeps everybody away who waits on a hub's thread, so it is for a moment only. `None` if somebody else may be at it.
    pub(super) fn try_hold(&self) -> Option<MutexGuard<'_, Users>> {
        let users = match self.0.try_lock() {
            Ok(users) => users,
            Err(TryLockError::Poisoned(users)) => users.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        (users.calls == 0 && !users.others).then_some(users)
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Call<'a>(&'a Position);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.users().calls -= 1;
    }
}
