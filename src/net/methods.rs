//! Methods that several sockets have, written once: each type gets them as its own. The types have a field `inner`, a
//! [`Shared`](super::shared::Shared).

/// What every socket has.
macro_rules! socket_methods {
    ($Socket:ident, $Std:ty, $Address:ty) => {
        impl $Socket {
            /// Takes over a socket of the standard library. It is made non-blocking. **Switches**: no.
            ///
            /// # Errors
            /// If the system refuses to make it non-blocking or to watch it.
            ///
            /// # Examples
            /// ```
            /// use std::os::fd::AsRawFd;
            #[doc = $crate::net::examples::example!(set_up $Socket)]
            /// let number = socket.as_raw_fd();
            /// let std = socket.into_std()?; // from another library, for example
            #[doc = concat!("let socket = ", stringify!($Socket), "::from_std(std)?;")]
            /// assert_eq!(socket.as_raw_fd(), number); // still the same
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn from_std(socket: $Std) -> io::Result<Self> {
                Ok($Socket { inner: Shared::from_std(socket)? })
            }

            /// Gives the socket back to the standard library, blocking again. It must have no clones: for them it would block, too,
            /// and with them the whole thread. **Switches**: no.
            ///
            /// # Errors
            /// `ResourceBusy` if there are clones; they keep the socket. If the system refuses to make it blocking.
            ///
            /// # Examples
            /// ```
            #[doc = $crate::net::examples::example!(set_up $Socket)]
            /// let std = socket.into_std()?;
            /// assert!(!rustix::fs::fcntl_getfl(&std)?.contains(rustix::fs::OFlags::NONBLOCK)); // it blocks the thread
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn into_std(self) -> io::Result<$Std> {
                self.inner.into_std()
            }

            /// Another handle to the same socket, with the same time limits; the socket is closed with the last of them.
            /// **Switches**: no.
            ///
            /// # Errors
            /// None at present; the result is the standard library's.
            ///
            /// # Examples
            /// ```
            /// use std::os::fd::AsRawFd;
            #[doc = $crate::net::examples::example!(set_up $Socket)]
            /// let clone = socket.try_clone()?;
            /// assert_eq!(clone.as_raw_fd(), socket.as_raw_fd());
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn try_clone(&self) -> io::Result<Self> {
                Ok($Socket { inner: self.inner.clone() })
            }

            /// The own address, with what the system has chosen where it was asked to choose. **Switches**: no.
            ///
            /// # Errors
            /// If the system does not tell.
            ///
            /// # Examples
            /// ```
            #[doc = $crate::net::examples::example!(set_up $Socket)]
            #[doc = $crate::net::examples::example!(local_addr $Socket)]
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn local_addr(&self) -> io::Result<$Address> {
                self.inner.std().local_addr()
            }

            /// The pending error of the socket, which is cleared. **Switches**: no.
            ///
            /// # Errors
            /// If the system does not tell.
            ///
            /// # Examples
            /// ```
            #[doc = $crate::net::examples::example!(set_up $Socket)]
            /// assert!(socket.take_error()?.is_none()); // nothing has gone wrong
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.inner.std().take_error()
            }
        }

        impl AsFd for $Socket {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.inner.std().as_fd()
            }
        }

        /// As it is, non-blocking; a duplicate if there are clones.
        ///
        /// # Panics
        /// If there are clones, and the system refuses to duplicate the descriptor.
        impl From<$Socket> for OwnedFd {
            #[track_caller]
            fn from(socket: $Socket) -> OwnedFd {
                let descriptor = socket.inner.into_descriptor();
                descriptor.unwrap_or_else(|error| panic!("a socket could not be duplicated: {error}"))
            }
        }

        impl AsRawFd for $Socket {
            fn as_raw_fd(&self) -> RawFd {
                self.inner.std().as_raw_fd()
            }
        }

        impl fmt::Debug for $Socket {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.inner.std(), f)
            }
        }
    };
}

/// The time limits of a socket that carries data. `$read` and `$write` name the operations.
macro_rules! limit_methods {
    ($Socket:ident, $read:literal, $write:literal) => {
        impl $Socket {
            #[doc = concat!("Limits how long a single ", $read, " may wait; `None` is for ever. It holds for all clones. One that")]
            /// takes longer fails with `TimedOut` and has taken nothing. **Switches**: no.
            ///
            /// # Errors
            /// `InvalidInput` for a limit of zero, as in the standard library.
            ///
            /// # Examples
            /// ```
            #[doc = $crate::net::examples::example!(use_wait $Socket)]
            #[doc = $crate::net::examples::example!(set_up $Socket)]
            /// socket.set_read_timeout(Some(Duration::from_millis(1)))?;
            #[doc = $crate::net::examples::example!(wait $Socket)]
            /// assert_eq!(error.kind(), ErrorKind::TimedOut);
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
                self.inner.set_read_timeout(limit)
            }

            #[doc = concat!("Limits how long a single ", $write, " may wait; `None` is for ever. It holds for all clones. To bound")]
            /// several together, put a [`timeout`](crate::timeout()) around them. **Switches**: no.
            ///
            /// # Errors
            /// `InvalidInput` for a limit of zero, as in the standard library.
            ///
            /// # Examples
            /// ```
            /// use std::{io::ErrorKind, time::Duration};
            #[doc = $crate::net::examples::example!(set_up $Socket)]
            /// socket.set_write_timeout(Some(Duration::from_secs(5)))?;
            /// let error = socket.set_write_timeout(Some(Duration::ZERO)).unwrap_err();
            /// assert_eq!(error.kind(), ErrorKind::InvalidInput); // the limit stays as it was
            /// assert_eq!(socket.write_timeout()?, Some(Duration::from_secs(5)));
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
                self.inner.set_write_timeout(limit)
            }

            /// The limit set by [`set_read_timeout`](Self::set_read_timeout). **Switches**: no.
            ///
            /// # Errors
            /// None; the result is the standard library's.
            ///
            /// # Examples
            /// ```
            /// use std::time::Duration;
            #[doc = $crate::net::examples::example!(set_up $Socket)]
            /// assert_eq!(socket.read_timeout()?, None);
            /// socket.set_read_timeout(Some(Duration::from_secs(5)))?;
            /// assert_eq!(socket.try_clone()?.read_timeout()?, Some(Duration::from_secs(5)));
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.inner.read_timeout())
            }

            /// The limit set by [`set_write_timeout`](Self::set_write_timeout). **Switches**: no.
            ///
            /// # Errors
            /// None; the result is the standard library's.
            ///
            /// # Examples
            /// ```
            /// use std::time::Duration;
            #[doc = $crate::net::examples::example!(set_up $Socket)]
            /// assert_eq!(socket.write_timeout()?, None);
            /// socket.set_write_timeout(Some(Duration::from_secs(5)))?;
            /// assert_eq!(socket.try_clone()?.write_timeout()?, Some(Duration::from_secs(5)));
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.inner.write_timeout())
            }
        }
    };
}

/// What a stream of bytes has.
macro_rules! stream_methods {
    ($Stream:ident, $Address:ty) => {
        impl $Stream {
            /// The address of the peer. **Switches**: no.
            ///
            /// # Errors
            /// If the connection is broken.
            ///
            /// # Examples
            /// ```
            #[doc = $crate::net::examples::example!(set_up $Stream)]
            #[doc = $crate::net::examples::example!(peer_addr $Stream)]
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn peer_addr(&self) -> io::Result<$Address> {
                self.inner.std().peer_addr()
            }

            /// Closes one direction or both. Greenlets that wait on it are woken. **Switches**: no.
            ///
            /// # Errors
            /// If the connection is broken already.
            ///
            /// # Examples
            /// ```
            /// use std::{io::Read, net::Shutdown};
            #[doc = $crate::net::examples::example!(set_up $Stream)]
            /// socket.shutdown(Shutdown::Write)?;
            /// assert_eq!((&peer).read(&mut [0; 8])?, 0); // that is the end
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.inner.std().shutdown(how)?;
                self.inner.was_shut_down(how);
                Ok(())
            }
        }

        impl Read for &$Stream {
            #[track_caller]
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.inner.read(buf)
            }

            #[track_caller]
            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.inner.read_vectored(bufs)
            }
        }

        impl Write for &$Stream {
            #[track_caller]
            #[inline]
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.inner.write(buf)
            }

            #[track_caller]
            #[inline]
            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.inner.write_all(buf)
            }

            #[track_caller]
            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.inner.write_vectored(bufs)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Read for $Stream {
            #[track_caller]
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.inner.read(buf)
            }

            #[track_caller]
            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.inner.read_vectored(bufs)
            }
        }

        impl Write for $Stream {
            #[track_caller]
            #[inline]
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.inner.write(buf)
            }

            #[track_caller]
            #[inline]
            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.inner.write_all(buf)
            }

            #[track_caller]
            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.inner.write_vectored(bufs)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    };
}

/// What a listener has beside `accept`.
macro_rules! listener_methods {
    ($Listener:ident, $Stream:ident) => {
        impl $Listener {
            /// The connections as they come, for ever. **Switches**: no, but each step does if no connection is waiting.
            ///
            /// # Examples
            /// ```
            #[doc = $crate::net::examples::example!(incoming $Listener)]
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn incoming(&self) -> Incoming<'_, $Listener> {
                Incoming { listener: self }
            }
        }

        impl<'a> IntoIterator for &'a $Listener {
            type Item = io::Result<$Stream>;
            type IntoIter = Incoming<'a, $Listener>;

            fn into_iter(self) -> Self::IntoIter {
                self.incoming()
            }
        }

        impl Iterator for Incoming<'_, $Listener> {
            type Item = io::Result<$Stream>;

            #[track_caller]
            fn next(&mut self) -> Option<Self::Item> {
                Some(self.listener.accept().map(|(socket, _)| socket))
            }
        }
    };
}

/// Options that the standard library has under the same names: setter, getter, type, and a value for the examples.
macro_rules! option_methods {
    ($Socket:ident by $set_up:ident: $($(#[$doc:meta])* $set:ident, $get:ident: $type:ty = $value:literal;)*) => {
        impl $Socket {$(
            $(#[$doc])*
            /// **Switches**: no.
            ///
            /// # Errors
            /// If the system refuses.
            ///
            /// # Examples
            /// ```
            #[doc = $crate::net::examples::example!($set_up $Socket)]
            #[doc = concat!("socket.", stringify!($set), "(", stringify!($value), ")?;")]
            #[doc = concat!("assert_eq!(socket.", stringify!($get), "()?, ", stringify!($value), ");")]
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn $set(&self, value: $type) -> io::Result<()> {
                self.inner.std().$set(value)
            }

            #[doc = concat!("What [`", stringify!($set), "`](Self::", stringify!($set), ") sets. **Switches**: no.")]
            ///
            /// # Errors
            /// If the system does not tell.
            ///
            /// # Examples
            /// ```
            #[doc = $crate::net::examples::example!($set_up $Socket)]
            #[doc = concat!("socket.", stringify!($set), "(", stringify!($value), ")?;")]
            #[doc = concat!("assert_eq!(socket.", stringify!($get), "()?, ", stringify!($value), ");")]
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn $get(&self) -> io::Result<$type> {
                self.inner.std().$get()
            }
        )*}
    };
}

pub(super) use {limit_methods, listener_methods, option_methods, socket_methods, stream_methods};
