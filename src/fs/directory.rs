//! What a directory holds.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hop::{act, cannot, look};

/// So many entries are fetched with one trip to the pool.
const BATCH: usize = 256;

/// The entries of a directory, in no particular order, without `.` and `..`.
///
/// **Switches**: this does, and `next` does once for 256 entries.
///
/// # Errors
/// If it is no directory or cannot be read; the text names the path.
///
/// # Examples
/// ```
/// let mut names = Vec::new();
/// for entry in greenloop::fs::read_dir("/")? {
///     names.push(entry?.file_name());
/// }
/// assert!(names.contains(&"tmp".into()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = Arc::<Path>::from(path.as_ref());
    let entries = look(|| cannot("list", &path), {
        let path = path.clone();
        move || std::fs::read_dir(&path)
    })?;
    Ok(ReadDir { entries: Some(entries), batch: VecDeque::new(), path })
}

/// The iterator that [`read_dir`] gives.
///
/// # Examples
/// ```
/// let places = greenloop::fs::read_dir("/")?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
/// assert!(places.contains(&"/tmp".into()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ReadDir {
    /// Until the end.
    entries: Option<std::fs::ReadDir>,
    batch: VecDeque<io::Result<std::fs::DirEntry>>,
    path: Arc<Path>,
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        let attempted = || cannot("list", &self.path);
        if let (true, Some(entries)) = (self.batch.is_empty(), &mut self.entries) {
            match act(attempted, || Ok(entries.take(BATCH).collect::<VecDeque<_>>())) {
                Ok(batch) => self.batch = batch,
                // The last, as with the standard library: who skips errors would go on for ever.
                Err(error) => {
                    self.entries = None;
                    return Some(Err(error));
                }
            }
            if self.batch.len() < BATCH {
                self.entries = None;
            }
        }
        let entry = self.batch.pop_front()?;
        Some(entry.map(DirEntry).map_err(|error| crate::io::with_context(error, attempted())))
    }
}

/// One entry of a directory.
///
/// # Examples
/// ```
/// let mut folders = 0;
/// for entry in greenloop::fs::read_dir("/")? {
///     folders += usize::from(entry?.file_type()?.is_dir());
/// }
/// assert!(folders > 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DirEntry(std::fs::DirEntry);

impl DirEntry {
    /// The path of the directory and the name. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let entries: Vec<_> = greenloop::fs::read_dir("/")?.collect::<Result<_, _>>()?;
    /// assert!(entries.iter().any(|entry| entry.path().to_str() == Some("/tmp")));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// The name. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let entries: Vec<_> = greenloop::fs::read_dir("/")?.collect::<Result<_, _>>()?;
    /// assert!(entries.iter().any(|entry| entry.file_name() == "tmp"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn file_name(&self) -> OsString {
        self.0.file_name()
    }

    /// What it is; a symbolic link is one.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system does not tell, for example because it is gone.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs;
    /// # let folder = std::env::temp_dir().join(format!("greenloop-file-type-{}", std::process::id()));
    /// # fs::create_dir(&folder)?;
    ///
    /// fs::symlink("nowhere", folder.join("link"))?;
    /// let entry = fs::read_dir(&folder)?.next().unwrap()?;
    /// assert!(entry.file_type()?.is_symlink());
    /// # fs::remove_dir_all(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn file_type(&self) -> io::Result<FileType> {
        act(|| cannot("look at", &self.path()), || self.0.file_type())
    }

    /// Its metadata; of a symbolic link, its own.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system does not tell, for example because it is gone.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs;
    /// # let folder = std::env::temp_dir().join(format!("greenloop-entry-metadata-{}", std::process::id()));
    /// # fs::create_dir(&folder)?;
    ///
    /// fs::write(folder.join("greeting"), "hello")?;
    /// let entry = fs::read_dir(&folder)?.next().unwrap()?;
    /// assert_eq!(entry.metadata()?.len(), 5);
    /// # fs::remove_dir_all(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn metadata(&self) -> io::Result<Metadata> {
        act(|| cannot("look at", &self.path()), || self.0.metadata())
    }
}
