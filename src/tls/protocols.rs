//! The names of application protocols.

use std::io;

/// The names as they are given, if there is room for each of them where the two sides talk of them: rustls takes that for granted.
pub(super) fn checked(names: Vec<Vec<u8>>) -> io::Result<Vec<Vec<u8>>> {
    match names.iter().find(|name| !(1..=255).contains(&name.len())) {
        None => Ok(names),
        Some(name) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "a name of {} bytes is none of an application protocol, which has from 1 to 255",
                name.len()
            ),
        )),
    }
}
