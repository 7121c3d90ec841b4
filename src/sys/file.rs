//! What a file can give without waiting for a disk.

/// What became of a read that may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(target_os = "linux", not(greenloop_pooled_reads))),
    expect(dead_code, reason = "elsewhere there is one answer")
)]
pub(crate) enum InMemory {
    /// So many bytes, at least one.
    Read(usize),
    /// Nothing: it is not in memory, or this is the end. A read that may wait tells which.
    Unknown,
    /// This file will never say.
    Unsupported,
}

/// Reads what the page cache has, at a place of the file or, without one, at its position, which moves on.
///
/// `preadv2` with `RWF_NOWAIT`, since Linux 4.14. On 5.9 and 5.10 it gives 0 before the end of the file (preadv2(2), *Bugs*), so 0 counts for nothing.
#[cfg(all(target_os = "linux", not(greenloop_pooled_reads)))]
pub(crate) fn read_cached(file: &std::fs::File, place: &mut [u8], offset: Option<u64>) -> InMemory {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    /// The position of the file. No place of a file has this number, nor any other that is negative as an `off_t`.
    const HERE: u64 = u64::MAX;
    if offset.is_some_and(|offset| i64::try_from(offset).is_err()) {
        return InMemory::Unknown;
    }
    let places = &mut [std::io::IoSliceMut::new(place)];
    match preadv2(file, places, offset.unwrap_or(HERE), ReadWriteFlags::NOWAIT) {
        Ok(0) | Err(Errno::AGAIN | Errno::INTR) => InMemory::Unknown,
        Ok(count) => InMemory::Read(count),
        // Another error is told by the read that may wait, with its words.
        Err(_) => InMemory::Unsupported,
    }
}

#[cfg(not(all(target_os = "linux", not(greenloop_pooled_reads))))]
pub(crate) fn read_cached(_: &std::fs::File, _: &mut [u8], _: Option<u64>) -> InMemory {
    InMemory::Unsupported
}

/// Whether reads may come out of the page cache. With `O_DIRECT` none do: each waits for the disk.
pub(crate) fn is_cached(file: &std::fs::File) -> bool {
    #[cfg(target_os = "linux")]
    let direct = rustix::fs::OFlags::DIRECT;
    #[cfg(not(target_os = "linux"))]
    let direct = rustix::fs::OFlags::empty();
    rustix::fs::fcntl_getfl(file).is_ok_and(|flags| !flags.intersects(direct))
}
