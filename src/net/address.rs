//! Addresses and names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use crate::io::with_context;
use crate::threadpool::threadpool;
use crate::timeout::timeout;

/// What can be turned into socket addresses, as in `std::net`; but a name is looked up on a thread of the default pool,
/// and only the greenlet waits.
///
/// **Switches**: `to_socket_addrs` does for a name, not for an address.
///
/// # Examples
/// ```
/// use greenloop::net::ToSocketAddrs;
///
/// let addresses = "localhost:80".to_socket_addrs()?;
/// assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
/// assert_eq!(("127.0.0.1", 80).to_socket_addrs()?, ["127.0.0.1:80".parse().unwrap()]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ToSocketAddrs {
    /// The addresses, in the order in which they should be tried.
    ///
    /// # Errors
    /// If the text is no address, or if the name cannot be resolved.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::ToSocketAddrs;
    ///
    /// assert_eq!("[::1]:80".to_socket_addrs()?, ["[::1]:80".parse().unwrap()]);
    /// let error = "localhost".to_socket_addrs().unwrap_err();
    /// assert_eq!(error.to_string(), "`localhost` is not an address: it should be host:port, with a port from 0 to 65535");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>>;

    /// [`to_socket_addrs`](Self::to_socket_addrs), waiting at most for `limit`. **Switches**: if that does.
    ///
    /// # Errors
    /// `TimedOut` if it takes longer; as for `to_socket_addrs`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::ToSocketAddrs;
    /// use std::time::Duration;
    ///
    /// let addresses = "localhost:80".to_socket_addrs_timeout(Duration::from_secs(5))?;
    /// assert!(!addresses.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    fn to_socket_addrs_timeout(&self, limit: Duration) -> io::Result<Vec<SocketAddr>> {
        timeout(limit, || self.to_socket_addrs())?
    }
}

/// Looks a name up on a thread of the default pool, while the other greenlets run on: `lookup_host((host, port))`. It is
/// [`to_socket_addrs`](ToSocketAddrs::to_socket_addrs) as a function.
///
/// Each address comes with the port, and with its scope, the interface to which a link-local address of IPv6 belongs. If no port is
/// wanted, give 0 and take `address.ip()`; an `IpAddr` has no place for the scope.
///
/// The pool is also that of files: as many lookups as it has threads, of a name server that does not answer, hold up [`fs`](crate::fs)
/// until the resolver of the system gives up. [`set_limit`](crate::threadpool::ThreadPool::set_limit) gives it more threads.
///
/// **Switches**: yes, unless `host` is an address.
///
/// # Errors
/// If the name cannot be resolved; the text names it.
///
/// # Examples
/// ```
/// use greenloop::net::lookup_host;
///
/// assert!(lookup_host(("localhost", 80))?.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
/// assert_eq!(lookup_host(("fe80::1%3", 80))?[0].to_string(), "[fe80::1%3]:80");
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn lookup_host(host: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    host.to_socket_addrs()
}

/// [`lookup_host`], waiting at most for [`limit`](crate#time-limits). The lookup itself cannot be stopped: its thread goes on with it.
///
/// **Switches**: yes, unless `host` is an address.
///
/// # Errors
/// `TimedOut` if it takes longer; as for `lookup_host`.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// assert!(!greenloop::net::lookup_host_timeout("localhost:80", Duration::from_secs(5))?.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn lookup_host_timeout(host: impl ToSocketAddrs, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    host.to_socket_addrs_timeout(limit)
}

#[track_caller]
fn resolve(host: &str, port: u16, limit: Option<Duration>) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    // With the number of an interface.
    if let Ok(address) = format!("[{host}]:{port}").parse() {
        return Ok(vec![address]);
    }
    // Not `apply`: a lookup may take long, and a greenlet that is killed or out of time does not wait for it.
    let name = host.to_string();
    let lookup = move || std::net::ToSocketAddrs::to_socket_addrs(&(name, port)).map(Vec::from_iter);
    let found = match (threadpool().try_spawn(lookup), limit) {
        (Err(error), _) => Err(error),
        // In a destructor `outcome` says why it does not wait.
        (Ok(job), Some(limit)) if !job.wait_timeout(limit) && !std::thread::panicking() => {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the resolver of the system has not answered in the time allowed",
            ))
        }
        (Ok(job), _) => job.outcome().and_then(|found| found),
    };
    found.map_err(|error| with_context(error, format!("cannot resolve the name `{host}`")))
}

#[track_caller]
fn parse(text: &str, limit: Option<Duration>) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let Some((host, port)) = parts else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{text}` is not an address: it should be host:port, with a port from 0 to 65535"),
        ));
    };
    // With the name of an interface: `[fe80::1%eth0]:80`.
    let scoped =
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).filter(|host| host.contains('%'));
    resolve(scoped.unwrap_or(host), port, limit)
}

/// What the first of the addresses gives with which `attempt` succeeds; the failure of the last if it does with none.
#[track_caller]
pub(super) fn first<T>(
    addr: impl ToSocketAddrs,
    what: &str,
    attempt: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for address in addr.to_socket_addrs()? {
        match attempt(address) {
            Ok(done) => return Ok(done),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("there is no address to {what}"))
    }))
}

macro_rules! looked_up {
    ($($type:ty: $this:ident, $limit:ident => $lookup:expr;)*) => {$(
        impl ToSocketAddrs for $type {
            fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
                let ($this, $limit) = (self, None);
                $lookup
            }

            fn to_socket_addrs_timeout(&self, limit: Duration) -> io::Result<Vec<SocketAddr>> {
                let ($this, $limit) = (self, Some(limit));
                $lookup
            }
        }
    )*};
}

looked_up! {
    str: text, limit => parse(text, limit);
    String: text, limit => parse(text, limit);
    (&str, u16): pair, limit => resolve(pair.0, pair.1, limit);
    (String, u16): pair, limit => resolve(&pair.0, pair.1, limit);
}

impl ToSocketAddrs for [SocketAddr] {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        (**self).to_socket_addrs()
    }

    fn to_socket_addrs_timeout(&self, limit: Duration) -> io::Result<Vec<SocketAddr>> {
        (**self).to_socket_addrs_timeout(limit)
    }
}

macro_rules! one_address {
    ($($type:ty),*) => {$(
        impl ToSocketAddrs for $type {
            fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
                Ok(vec![SocketAddr::from(*self)])
            }
        }
    )*};
}

one_address!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_looked_up() {
        // SK15 apart: on a thread that has no hub a lookup would make one, an address does not.
        assert_eq!("127.0.0.1:80".to_socket_addrs().unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(("::1", 80).to_socket_addrs().unwrap(), ["[::1]:80".parse().unwrap()]);
        assert!(crate::hub::Hub::try_current().is_none());
    }

    // SK22
    #[test]
    fn a_scope_is_passed_on_unchanged() {
        let scoped = SocketAddr::from(SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 7, 3));
        assert_eq!(scoped.to_socket_addrs().unwrap(), [scoped]);
        for addresses in ["[fe80::1%3]:80".to_socket_addrs(), ("fe80::1%3", 80).to_socket_addrs()] {
            assert_eq!(addresses.unwrap(), [SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 0, 3).into()]);
        }
        assert!(crate::hub::Hub::try_current().is_none());
    }

    // SK22
    #[test]
    fn a_lookup_keeps_the_scope() {
        let expected = [SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 0, 3).into()];
        assert_eq!(lookup_host(("fe80::1%3", 80)).unwrap(), expected);
        assert_eq!(lookup_host("[fe80::1%3]:80").unwrap(), expected);
        assert_eq!(lookup_host_timeout(("fe80::1%3", 80), Duration::from_secs(1)).unwrap(), expected);
        assert!(crate::hub::Hub::try_current().is_none());
    }

    #[test]
    fn what_is_no_address_is_named_in_the_error() {
        for bad in ["localhost", "localhost:http", "localhost:70000", ""] {
            let error = bad.to_socket_addrs().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&format!("`{bad}`")), "{error}");
        }
    }
}
