//! Addresses and names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::io::with_context;
use crate::threadpool::threadpool;

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
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>>;
}

/// Looks a name up on a thread of the default pool, while the other greenlets run on.
///
/// **Switches**: yes, unless `host` is an address.
///
/// # Errors
/// If the name cannot be resolved; the text names it.
///
/// # Examples
/// ```
/// assert!(greenloop::net::lookup_host("localhost")?.iter().all(|ip| ip.is_loopback()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn lookup_host(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok(resolve(host, 0)?.iter().map(SocketAddr::ip).collect())
}

#[track_caller]
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    // Not `apply`: a lookup may take long, and a greenlet that is killed or out of time does not wait for it.
    let name = host.to_string();
    let lookup = move || std::net::ToSocketAddrs::to_socket_addrs(&(name, port)).map(Vec::from_iter);
    let found =
        threadpool().spawn(lookup).join().unwrap_or_else(|error| Err(io::Error::other(error.to_string())));
    found.map_err(|error| with_context(error, format!("cannot resolve the name `{host}`")))
}

impl ToSocketAddrs for str {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.parse() {
            return Ok(vec![address]);
        }
        let parts = self.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parts {
            Some((host, port)) => resolve(host, port),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{self}` is not an address: it should be host:port, with a port from 0 to 65535"),
            )),
        }
    }
}

impl ToSocketAddrs for String {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_socket_addrs()
    }
}

impl ToSocketAddrs for (&str, u16) {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        resolve(self.0, self.1)
    }
}

impl ToSocketAddrs for (String, u16) {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        resolve(&self.0, self.1)
    }
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

    #[test]
    fn what_is_no_address_is_named_in_the_error() {
        for bad in ["localhost", "localhost:http", "localhost:70000", ""] {
            let error = bad.to_socket_addrs().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&format!("`{bad}`")), "{error}");
        }
    }
}
