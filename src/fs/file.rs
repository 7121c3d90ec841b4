//! An open file.

use std::fmt;
use std::fs::{FileTimes, Metadata, Permissions};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::SystemTime;

use super::cached::Cached;
use super::hop::{act, cannot};
use super::options::OpenOptions;
use super::position::Position;

/// An open file: `std::fs::File`, but only the greenlet waits.
///
/// It implements `Read`, `Write` and `Seek` for itself and for `&File`, and `std::os::unix::fs::FileExt`. Each call is at most one trip to the pool, also
/// `read_to_end`, `read_exact` and `write_all`; small ones belong behind a `BufReader` or a `BufWriter`. A read whose bytes are in memory
/// needs none, at a place of the file, or at its position as long as no other call is under way and nobody else can have the
/// position: not a clone, nor whoever was shown the descriptor. Calls of two greenlets on one file are made one after the other by the system, which keeps one position for both.
///
/// It may move to another thread.
///
/// **Switches**: every call that asks the system, see [the module](super). Dropping it closes it, and does not switch.
///
/// # Examples
/// ```
/// use greenloop::fs::File;
/// use std::io::{BufRead, BufReader, BufWriter, Write};
/// # let path = std::env::temp_dir().join(format!("greenloop-file-{}", std::process::id()));
///
/// let mut out = BufWriter::new(File::create(&path)?);
/// for number in 0..1000 {
///     writeln!(out, "{number}")?;
/// }
/// out.into_inner()?.sync_all()?;
/// assert_eq!(BufReader::new(File::open(&path)?).lines().count(), 1000);
/// # greenloop::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct File {
    file: std::fs::File,
    /// For errors.
    path: Option<Box<Path>>,
    cached: Cached,
    position: Position,
}

impl File {
    /// Opens a file for reading.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system refuses; the text names the path.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::File;
    /// use std::io::{ErrorKind, Read};
    ///
    /// let mut place = [1; 4];
    /// File::open("/dev/zero")?.read_exact(&mut place)?;
    /// assert_eq!(place, [0; 4]);
    ///
    /// let error = File::open("/nowhere").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// assert!(error.to_string().starts_with("cannot open `/nowhere`"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open(path)
    }

    /// Opens a file for writing; makes it, or empties it.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system refuses; the text names the path.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, File};
    /// use std::io::Write;
    /// # let path = std::env::temp_dir().join(format!("greenloop-create-{}", std::process::id()));
    ///
    /// File::create(&path)?.write_all(b"a long text")?;
    /// File::create(&path)?.write_all(b"a text")?; // the first is gone
    /// assert_eq!(fs::read_to_string(&path)?, "a text");
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    /// Makes a file and opens it for reading and writing.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If it is there already, or the system refuses; the text names the path.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::File;
    /// use std::io::ErrorKind;
    /// # let path = std::env::temp_dir().join(format!("greenloop-create-new-{}", std::process::id()));
    ///
    /// let lock = File::create_new(&path)?;
    /// assert_eq!(File::create_new(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    /// How a file is to be opened.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::File;
    /// use std::io::Write;
    ///
    /// let mut sink = File::options().write(true).open("/dev/null")?;
    /// assert_eq!(sink.write(b"gone")?, 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Of a file that nobody else has.
    pub(crate) fn opened(file: std::fs::File, path: Box<Path>) -> File {
        File { file, path: Some(path), cached: Cached::default(), position: Position::own() }
    }

    fn shared(file: std::fs::File, path: Option<Box<Path>>) -> File {
        File { file, path, cached: Cached::default(), position: Position::shared() }
    }

    /// Takes over a file of the standard library. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::File;
    /// use std::io::Read;
    ///
    /// let mut place = [1; 4];
    /// File::from_std(std::fs::File::open("/dev/zero")?).read_exact(&mut place)?;
    /// assert_eq!(place, [0; 4]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(file: std::fs::File) -> File {
        File::shared(file, None)
    }

    /// Gives the file to the standard library. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::File;
    ///
    /// let file: std::fs::File = File::open("/dev/null")?.into_std();
    /// assert_eq!(std::io::read_to_string(file)?, ""); // this read blocks the thread
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> std::fs::File {
        self.file
    }

    /// Waits until data and metadata are on the disk.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system fails to write.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, File};
    /// use std::io::Write;
    /// # let folder = std::env::temp_dir().join(format!("greenloop-sync-all-{}", std::process::id()));
    /// # fs::create_dir(&folder)?;
    ///
    /// let mut file = File::create(folder.join("new"))?;
    /// file.write_all(b"settings")?;
    /// file.sync_all()?; // now it may take the place of the old one
    /// fs::rename(folder.join("new"), folder.join("settings"))?;
    /// assert_eq!(fs::read(folder.join("settings"))?, b"settings");
    /// # fs::remove_dir_all(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn sync_all(&self) -> io::Result<()> {
        self.act("sync", |file| file.sync_all())
    }

    /// Waits until the data is on the disk.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system fails to write.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, OpenOptions};
    /// use std::io::Write;
    /// # let path = std::env::temp_dir().join(format!("greenloop-sync-data-{}", std::process::id()));
    ///
    /// let mut journal = OpenOptions::new().create(true).append(true).open(&path)?;
    /// for entry in ["begin\n", "commit\n"] {
    ///     journal.write_all(entry.as_bytes())?;
    ///     journal.sync_data()?;
    /// }
    /// assert_eq!(fs::read_to_string(&path)?, "begin\ncommit\n");
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn sync_data(&self) -> io::Result<()> {
        self.act("sync", |file| file.sync_data())
    }

    /// Cuts the file off, or fills it up with zeros.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If it is not open for writing, or the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, File};
    /// use std::io::Write;
    /// # let path = std::env::temp_dir().join(format!("greenloop-set-len-{}", std::process::id()));
    ///
    /// let mut file = File::create(&path)?;
    /// file.write_all(b"hello")?;
    /// file.set_len(4)?;
    /// file.set_len(6)?;
    /// assert_eq!(fs::read(&path)?, b"hell\0\0");
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.act("set the length of", |file| file.set_len(size))
    }

    /// Size, times, permissions.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system does not tell.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::File;
    ///
    /// assert!(!File::open("/dev/null")?.metadata()?.is_file()); // but a device
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.act("look at", |file| file.metadata())
    }

    /// Sets who may do what.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{File, Permissions};
    /// use std::os::unix::fs::PermissionsExt;
    /// # let path = std::env::temp_dir().join(format!("greenloop-permissions-{}", std::process::id()));
    ///
    /// let secret = File::create_new(&path)?;
    /// secret.set_permissions(Permissions::from_mode(0o600))?;
    /// assert_eq!(secret.metadata()?.permissions().mode() & 0o777, 0o600);
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.act("set the permissions of", |file| file.set_permissions(permissions))
    }

    /// Sets when it was read and written.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{File, FileTimes};
    /// use std::time::{Duration, UNIX_EPOCH};
    /// # let path = std::env::temp_dir().join(format!("greenloop-times-{}", std::process::id()));
    ///
    /// let copy = File::create_new(&path)?;
    /// let written = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    /// copy.set_times(FileTimes::new().set_modified(written))?;
    /// assert_eq!(copy.metadata()?.modified()?, written);
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.act("set the times of", |file| file.set_times(times))
    }

    /// Sets when it was written last.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::File;
    /// use std::time::UNIX_EPOCH;
    /// # let path = std::env::temp_dir().join(format!("greenloop-modified-{}", std::process::id()));
    ///
    /// let file = File::create_new(&path)?;
    /// file.set_modified(UNIX_EPOCH)?;
    /// assert_eq!(file.metadata()?.modified()?, UNIX_EPOCH);
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// Another descriptor of the same open file, with the same position. **Switches**: no.
    ///
    /// # Errors
    /// If the process has too many open files.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, File};
    /// use std::io::Write;
    /// # let path = std::env::temp_dir().join(format!("greenloop-clone-{}", std::process::id()));
    ///
    /// let mut one = File::create_new(&path)?;
    /// let mut other = one.try_clone()?;
    /// one.write_all(b"one, ")?;
    /// other.write_all(b"other")?; // behind it
    /// assert_eq!(fs::read(&path)?, b"one, other");
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_clone(&self) -> io::Result<File> {
        self.position.share();
        Ok(File::shared(self.file.try_clone()?, self.path.clone()))
    }

    /// Reads what is in memory; `None` if the pool has to do it.
    pub(super) fn read_cached_at(&self, place: &mut [u8], offset: u64) -> Option<usize> {
        self.cached.read_at(&self.file, place, offset)
    }

    #[track_caller]
    pub(super) fn act<T: Send>(
        &self,
        verb: &str,
        call: impl FnOnce(&std::fs::File) -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let file = &self.file;
        let _call = self.position.begin_call();
        let attempted = || match &self.path {
            Some(path) => cannot(verb, path),
            None => format!("cannot {verb} a file"),
        };
        act(attempted, || call(file))
    }
}

impl Read for &File {
    #[track_caller]
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        match self.cached.read_here(&self.file, &self.position, place) {
            Some(count) => Ok(count),
            None => self.act("read", |mut file| file.read(place)),
        }
    }

    #[track_caller]
    fn read_vectored(&mut self, places: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.act("read", |mut file| file.read_vectored(places))
    }

    #[track_caller]
    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        self.act("read", |mut file| file.read_to_end(bytes))
    }

    #[track_caller]
    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        self.act("read", |mut file| file.read_to_string(text))
    }

    #[track_caller]
    fn read_exact(&mut self, place: &mut [u8]) -> io::Result<()> {
        let count = self.cached.read_all_here(&self.file, &self.position, place).unwrap_or(0);
        match &mut place[count..] {
            [] => Ok(()),
            rest => self.act("read", |mut file| file.read_exact(rest)),
        }
    }
}

impl Write for &File {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.act("write", |mut file| file.write(bytes))
    }

    #[track_caller]
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.act("write", |mut file| file.write_vectored(parts))
    }

    #[track_caller]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.act("write", |mut file| file.write_all(bytes))
    }

    /// Nothing is kept back: what was written can be read by others at once.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    #[track_caller]
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.act("seek in", |mut file| file.seek(position))
    }
}

impl Read for File {
    #[track_caller]
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        (&*self).read(place)
    }

    #[track_caller]
    fn read_vectored(&mut self, places: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(places)
    }

    #[track_caller]
    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(bytes)
    }

    #[track_caller]
    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(text)
    }

    #[track_caller]
    fn read_exact(&mut self, place: &mut [u8]) -> io::Result<()> {
        (&*self).read_exact(place)
    }
}

impl Write for File {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    #[track_caller]
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(parts)
    }

    #[track_caller]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self).write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    #[track_caller]
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        (&*self).seek(position)
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> File {
        File::from_std(file)
    }
}

impl From<OwnedFd> for File {
    fn from(descriptor: OwnedFd) -> File {
        File::from_std(descriptor.into())
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> OwnedFd {
        file.into_std().into()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.position.share();
        self.file.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.position.share();
        self.file.as_raw_fd()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("File");
        shown.field("fd", &self.file.as_raw_fd());
        if let Some(path) = &self.path {
            shown.field("path", path);
        }
        shown.finish()
    }
}
