//! Locks of whole files.

use std::io;

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use super::file::File;
use crate::io::patience;

/// Why [`File::try_lock`] has not locked: `std::fs::TryLockError`.
///
/// # Examples
/// ```
/// use greenloop::fs::{File, TryLockError};
/// # let path = std::env::temp_dir().join(format!("greenloop-lock-error-{}", std::process::id()));
///
/// let (one, other) = (File::create(&path)?, File::create(&path)?);
/// one.lock()?;
/// match other.try_lock() {
///     Ok(()) => unreachable!("the other is ours"),
///     Err(TryLockError::WouldBlock) => println!("somebody is at work"),
///     Err(TryLockError::Error(error)) => return Err(error),
/// }
/// # greenloop::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Error)]
pub enum TryLockError {
    /// The system has refused.
    #[error(transparent)]
    Error(io::Error),
    /// Somebody else has the lock.
    #[error("somebody else has locked the file")]
    WouldBlock,
}

impl From<TryLockError> for io::Error {
    fn from(error: TryLockError) -> io::Error {
        match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        }
    }
}

impl File {
    /// Locks the file for itself alone, against all others that lock it: other processes, and files that were opened otherwise, here as well.
    ///
    /// The lock (`flock`) belongs to the open file: clones share it, and it is given up by [`unlock`](Self::unlock) or when the last of them is
    /// dropped. It keeps nobody from reading and writing without one. To lock again in
    /// the other way gives the first lock up before, also if it then fails.
    ///
    /// **Switches**: yes. While somebody else has the lock it asks again and again, after pauses of up to 10 ms, and occupies no thread
    /// meanwhile; so who comes first is not sure to get it first, and a deadlock is not noticed. To bound it, put a
    /// [`timeout`](crate::timeout()) around it. In a destructor run by a panic or a kill it does not wait and returns an error.
    ///
    /// # Errors
    /// If the system refuses, or the file system knows no locks.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{fs::File, spawn};
    /// # let path = std::env::temp_dir().join(format!("greenloop-lock-{}", std::process::id()));
    ///
    /// let mine = File::create(&path)?;
    /// mine.lock()?;
    /// let other = File::open(&path)?;
    /// let waiting = spawn(move || other.lock());
    /// drop(mine); // gives it up
    /// waiting.join().unwrap()?;
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn lock(&self) -> io::Result<()> {
        self.lock_patiently(FlockOperation::NonBlockingLockExclusive)
    }

    /// [`lock`](Self::lock), but together with others that share it.
    ///
    /// **Switches**: as `lock` does.
    ///
    /// # Errors
    /// As for `lock`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::File;
    /// # let path = std::env::temp_dir().join(format!("greenloop-lock-shared-{}", std::process::id()));
    ///
    /// let (one, other, writer) = (File::create(&path)?, File::open(&path)?, File::open(&path)?);
    /// one.lock_shared()?;
    /// other.lock_shared()?;
    /// assert!(writer.try_lock().is_err());
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn lock_shared(&self) -> io::Result<()> {
        self.lock_patiently(FlockOperation::NonBlockingLockShared)
    }

    /// [`lock`](Self::lock), unless somebody else has the lock.
    ///
    /// **Switches**: yes, for the trip to the pool.
    ///
    /// # Errors
    /// `WouldBlock` if somebody else has it; as for `lock`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{File, TryLockError};
    /// # let path = std::env::temp_dir().join(format!("greenloop-try-lock-{}", std::process::id()));
    ///
    /// let (one, other) = (File::create(&path)?, File::open(&path)?);
    /// one.try_lock()?;
    /// assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    /// one.unlock()?;
    /// other.try_lock()?;
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.try_to_lock(FlockOperation::NonBlockingLockExclusive)
    }

    /// [`lock_shared`](Self::lock_shared), unless somebody has the lock for itself alone.
    ///
    /// **Switches**: yes, for the trip to the pool.
    ///
    /// # Errors
    /// As for [`try_lock`](Self::try_lock).
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::File;
    /// # let path = std::env::temp_dir().join(format!("greenloop-try-lock-shared-{}", std::process::id()));
    ///
    /// let (one, other) = (File::create(&path)?, File::open(&path)?);
    /// one.try_lock_shared()?;
    /// other.try_lock_shared()?;
    /// assert!(other.try_lock().is_err()); // not alone
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.try_to_lock(FlockOperation::NonBlockingLockShared)
    }

    /// Gives the lock up. If there is none, nothing happens.
    ///
    /// **Switches**: yes, for the trip to the pool.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::File;
    /// # let path = std::env::temp_dir().join(format!("greenloop-unlock-{}", std::process::id()));
    ///
    /// let (one, other) = (File::create(&path)?, File::open(&path)?);
    /// one.lock()?;
    /// one.unlock()?;
    /// other.lock()?;
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn unlock(&self) -> io::Result<()> {
        self.act("unlock", |file| Ok(flock(file, FlockOperation::Unlock)?))
    }

    #[track_caller]
    fn lock_patiently(&self, how: FlockOperation) -> io::Result<()> {
        patience::repeat(&"the lock of a file", None, || Ok(self.try_to_lock(how)?))
    }

    #[track_caller]
    fn try_to_lock(&self, how: FlockOperation) -> Result<(), TryLockError> {
        let locked = self.act("lock", |file| match flock(file, how) {
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            done => Ok(done.map(|()| true)?),
        });
        match locked {
            Ok(true) => Ok(()),
            Ok(false) => Err(TryLockError::WouldBlock),
            Err(error) => Err(TryLockError::Error(error)),
        }
    }
}
