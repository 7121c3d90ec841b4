//! Where to listen, in all the ways in which it can be said.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::net::ToSocketAddrs;

/// What can be turned into addresses to listen on: all that is [`ToSocketAddrs`] in this crate, and what only a server may leave open.
///
/// | form | listens on |
/// |---|---|
/// | `"host:port"`, `("host", port)`, `SocketAddr`, .. | that address; a name is looked up |
/// | `"[v6]:port"` | that IPv6 address |
/// | `"*:port"`, `":port"`, `("*", port)` | all addresses of IPv4 |
/// | `port`, `"port"`, `("", port)` | all addresses, of IPv6 and of IPv4 (of IPv4 alone where the system has no IPv6) |
///
/// **Switches**: `to_listen_addrs` does for a name, not for an address.
///
/// # Examples
/// ```
/// use greenloop::server::ToListenAddrs;
///
/// assert_eq!("*:80".to_listen_addrs()?, ["0.0.0.0:80".parse().unwrap()]);
/// assert_eq!("[::1]:80".to_listen_addrs()?, ["[::1]:80".parse().unwrap()]);
/// assert_eq!(80.to_listen_addrs()?, ["[::]:80".parse().unwrap()]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ToListenAddrs {
    /// The addresses, in the order in which they should be tried: the server takes the first that can be had.
    ///
    /// # Errors
    /// If the text is no address, or if the name cannot be resolved.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::ToListenAddrs;
    ///
    /// assert_eq!(":80".to_listen_addrs()?, ["0.0.0.0:80".parse().unwrap()]);
    /// let error = "*:http".to_listen_addrs().unwrap_err();
    /// assert!(error.to_string().starts_with("`*:http` is not an address"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn to_listen_addrs(&self) -> io::Result<Vec<SocketAddr>>;
}

impl ToListenAddrs for u16 {
    fn to_listen_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, *self))])
    }
}

impl ToListenAddrs for str {
    fn to_listen_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(port) = self.parse::<u16>() {
            return port.to_listen_addrs();
        }
        match self.strip_prefix('*').unwrap_or(self).strip_prefix(':').map(str::parse) {
            Some(Ok(port)) => ("*", port).to_listen_addrs(),
            _ => self.to_socket_addrs(),
        }
    }
}

impl ToListenAddrs for (&str, u16) {
    fn to_listen_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        match self.0 {
            "" => self.1.to_listen_addrs(),
            "*" => Ok(vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.1))]),
            _ => self.to_socket_addrs(),
        }
    }
}

impl ToListenAddrs for String {
    fn to_listen_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_listen_addrs()
    }
}

impl ToListenAddrs for (String, u16) {
    fn to_listen_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        (self.0.as_str(), self.1).to_listen_addrs()
    }
}

impl<T: ToListenAddrs + ?Sized> ToListenAddrs for &T {
    fn to_listen_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        (**self).to_listen_addrs()
    }
}

macro_rules! as_to_connect {
    ($($type:ty),*) => {$(
        impl ToListenAddrs for $type {
            fn to_listen_addrs(&self) -> io::Result<Vec<SocketAddr>> {
                self.to_socket_addrs()
            }
        }
    )*};
}

as_to_connect!(
    [SocketAddr],
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

#[cfg(test)]
mod tests {
    use super::*;

    fn first(addr: impl ToListenAddrs) -> String {
        addr.to_listen_addrs().unwrap()[0].to_string()
    }

    // SV22
    #[test]
    fn every_form_of_an_address_to_listen_on_is_understood() {
        assert_eq!(first("127.0.0.1:80"), "127.0.0.1:80");
        assert_eq!(first("[::1]:80"), "[::1]:80");
        assert_eq!(first("[::]:80"), "[::]:80");
        assert_eq!(first(("127.0.0.1", 80)), "127.0.0.1:80");
        assert_eq!(first((String::from("::1"), 80)), "[::1]:80");
        assert_eq!(first((Ipv4Addr::LOCALHOST, 80)), "127.0.0.1:80");
        for any_v4 in ["*:80", ":80", "0.0.0.0:80"] {
            assert_eq!(first(any_v4), "0.0.0.0:80");
            assert_eq!(first(any_v4.to_string()), "0.0.0.0:80");
        }
        assert_eq!(first(("*", 80)), "0.0.0.0:80");
        assert_eq!(
            (first(80), first("80"), first(("", 80))),
            ("[::]:80".into(), "[::]:80".into(), "[::]:80".into())
        );
        assert!(crate::hub::Hub::try_current().is_none(), "an address was looked up");
    }

    #[test]
    fn what_is_no_address_is_named_in_the_error() {
        for bad in ["", "*", "80x", "70000", "*:70000", ":http", "localhost"] {
            let error = bad.to_listen_addrs().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad}");
            assert!(error.to_string().contains(&format!("`{bad}`")), "{error}");
        }
    }
}
