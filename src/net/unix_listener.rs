//! Listeners for connections between processes of one machine.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;
use std::path::Path;

use super::methods::{listener_methods, socket_methods};
use super::shared::Shared;
use super::{Incoming, UnixStream};
use crate::io::with_context;
use crate::sys::unix_socket;

/// A listening Unix socket: `std::os::unix::net::UnixListener`, but only the greenlet waits.
///
/// Its file stays when it is dropped, as in the standard library: whoever made it removes it.
///
/// # Examples
/// ```
/// use greenloop::net::{UnixListener, UnixStream};
///
/// # let folder = std::env::temp_dir().join(format!("greenloop-doc-listener-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("socket");
/// let listener = UnixListener::bind(&path)?;
/// let client = UnixStream::connect(&path)?;
/// let (server, _) = listener.accept()?;
/// std::fs::remove_file(&path)?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixListener {
    inner: Shared<unix::UnixListener>,
}

impl UnixListener {
    /// Makes a socket at this path, where there must be nothing yet, and listens. **Switches**: no.
    ///
    /// # Errors
    /// If it cannot be made, for example because there is a file already; the text names the path.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixListener;
    /// # let path = std::env::temp_dir().join(format!("greenloop-doc-listen-{}", std::process::id()));
    ///
    /// drop(UnixListener::bind(&path)?); // the file stays
    /// let error = UnixListener::bind(&path).unwrap_err();
    /// assert!(error.to_string().contains("remove it if no other program listens there"));
    /// std::fs::remove_file(&path)?;
    /// assert!(UnixListener::bind(&path).is_ok());
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        let path = path.as_ref();
        unix::UnixListener::bind(path).and_then(Self::from_std).map_err(|error| {
            let advice = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    " (there is such a file; remove it if no other program listens there)"
                }
                _ => "",
            };
            with_context(error, format!("cannot listen on `{}`{advice}", path.display()))
        })
    }

    /// Listens on an address, which may be an abstract name. **Switches**: no.
    ///
    /// # Errors
    /// As for [`bind`](Self::bind); the text names the address.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use greenloop::net::UnixListener;
    /// use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    ///
    /// let address = SocketAddr::from_abstract_name(format!("our service {}", std::process::id()))?;
    /// let listener = UnixListener::bind_addr(&address)?; // no file stays
    /// assert_eq!(listener.local_addr()?.as_abstract_name(), address.as_abstract_name());
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_addr(address: &unix::SocketAddr) -> io::Result<UnixListener> {
        unix::UnixListener::bind_addr(address)
            .and_then(Self::from_std)
            .map_err(|error| with_context(error, format!("cannot listen on the Unix socket {address:?}")))
    }

    /// Waits for a connection. The address of a client is mostly without a name.
    ///
    /// **Switches**: if none is waiting.
    ///
    /// # Errors
    /// If the system refuses, for example because the process has too many open files.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::{UnixListener, UnixStream};
    /// use std::io::Write;
    /// # let path = std::env::temp_dir().join(format!("greenloop-doc-accept-{}", std::process::id()));
    ///
    /// let listener = UnixListener::bind(&path)?;
    /// UnixStream::connect(&path)?.write_all(b"hello")?;
    /// let (socket, peer) = listener.accept()?;
    /// assert!(peer.is_unnamed());
    /// assert_eq!(std::io::read_to_string(socket)?, "hello");
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn accept(&self) -> io::Result<(UnixStream, unix::SocketAddr)> {
        let (socket, peer) = self.inner.reading(unix_socket::accept)?;
        Ok((UnixStream::from_nonblocking(socket)?, peer))
    }
}

listener_methods!(UnixListener, UnixStream);
socket_methods!(UnixListener, unix::UnixListener, unix::SocketAddr);
