//! Reading and writing at places of a file, whatever its position is.

use std::io;
use std::os::unix::fs::FileExt;

use super::file::File;

/// The position of the file stays where it is, so greenlets that share it do not disturb each other. Each call is at most one trip
/// to the pool.
///
/// # Examples
/// ```
/// use greenloop::fs::File;
/// use std::os::unix::fs::FileExt;
/// # let path = std::env::temp_dir().join(format!("greenloop-places-{}", std::process::id()));
///
/// let file = File::create_new(&path)?;
/// file.write_all_at(b"hello", 0)?;
/// file.write_all_at(b"y", 4)?;
/// let mut place = [0; 3];
/// file.read_exact_at(&mut place, 2)?;
/// assert_eq!(&place, b"lly");
/// # greenloop::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
impl FileExt for File {
    #[track_caller]
    fn read_at(&self, place: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.read_cached_at(place, offset) {
            Some(count) => Ok(count),
            None => self.act("read", |file| file.read_at(place, offset)),
        }
    }

    #[track_caller]
    fn read_exact_at(&self, place: &mut [u8], offset: u64) -> io::Result<()> {
        let count = self.read_cached_at(place, offset).unwrap_or(0);
        match &mut place[count..] {
            [] => Ok(()),
            rest => self.act("read", |file| file.read_exact_at(rest, offset + count as u64)),
        }
    }

    #[track_caller]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.act("write", |file| file.write_at(bytes, offset))
    }

    #[track_caller]
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.act("write", |file| file.write_all_at(bytes, offset))
    }
}
