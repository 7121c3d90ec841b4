//! How a file is opened.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::file::File;
use super::hop::{cannot, look};

/// How a file is opened: `std::fs::OpenOptions`.
///
/// # Examples
/// ```
/// use greenloop::fs::{self, OpenOptions};
/// use std::io::Write;
/// # let path = std::env::temp_dir().join(format!("greenloop-options-{}", std::process::id()));
///
/// for line in ["one\n", "two\n"] {
///     OpenOptions::new().create(true).append(true).open(&path)?.write_all(line.as_bytes())?;
/// }
/// assert_eq!(fs::read_to_string(&path)?, "one\ntwo\n");
/// # fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(std::fs::OpenOptions);

impl OpenOptions {
    /// Nothing is allowed yet.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::OpenOptions;
    ///
    /// let error = OpenOptions::new().open("/dev/null").unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput); // neither for reading nor for writing
    /// ```
    #[allow(clippy::new_without_default, reason = "as in the standard library")]
    pub fn new() -> OpenOptions {
        OpenOptions(std::fs::OpenOptions::new())
    }

    /// For reading.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::OpenOptions;
    /// use std::io::Read;
    ///
    /// let mut place = [1; 4];
    /// OpenOptions::new().read(true).open("/dev/zero")?.read_exact(&mut place)?;
    /// assert_eq!(place, [0; 4]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.0.read(read);
        self
    }

    /// For writing.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, OpenOptions};
    /// use std::io::Write;
    /// # let path = std::env::temp_dir().join(format!("greenloop-option-write-{}", std::process::id()));
    ///
    /// fs::write(&path, "hello")?;
    /// OpenOptions::new().write(true).open(&path)?.write_all(b"J")?; // the rest stays
    /// assert_eq!(fs::read(&path)?, b"Jello");
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.0.write(write);
        self
    }

    /// For writing, always at the end.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, OpenOptions};
    /// use std::io::Write;
    /// # let path = std::env::temp_dir().join(format!("greenloop-option-append-{}", std::process::id()));
    ///
    /// fs::write(&path, "one\n")?;
    /// OpenOptions::new().append(true).open(&path)?.write_all(b"two\n")?;
    /// assert_eq!(fs::read(&path)?, b"one\ntwo\n");
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.0.append(append);
        self
    }

    /// Empties the file.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, OpenOptions};
    /// use std::io::Write;
    /// # let path = std::env::temp_dir().join(format!("greenloop-option-truncate-{}", std::process::id()));
    ///
    /// fs::write(&path, "hello")?;
    /// OpenOptions::new().write(true).truncate(true).open(&path)?.write_all(b"J")?;
    /// assert_eq!(fs::read(&path)?, b"J");
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.0.truncate(truncate);
        self
    }

    /// Makes the file if it is not there.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, OpenOptions};
    /// # let path = std::env::temp_dir().join(format!("greenloop-option-create-{}", std::process::id()));
    ///
    /// assert!(OpenOptions::new().write(true).open(&path).is_err());
    /// OpenOptions::new().write(true).create(true).open(&path)?;
    /// assert!(fs::exists(&path)?);
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.0.create(create);
        self
    }

    /// Makes the file, and fails if it is there.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::OpenOptions;
    /// use std::io::ErrorKind;
    /// # let path = std::env::temp_dir().join(format!("greenloop-option-new-{}", std::process::id()));
    ///
    /// let mut options = OpenOptions::new();
    /// options.write(true).create_new(true);
    /// options.open(&path)?;
    /// assert_eq!(options.open(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.0.create_new(create_new);
        self
    }

    /// The permissions of a file that is made, less the umask; `0o666` unless this is called.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::OpenOptions;
    /// use std::os::unix::fs::PermissionsExt;
    /// # let path = std::env::temp_dir().join(format!("greenloop-option-mode-{}", std::process::id()));
    ///
    /// let secret = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    /// assert_eq!(secret.metadata()?.permissions().mode() & 0o077, 0);
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.0.mode(mode);
        self
    }

    /// Further flags of `open(2)`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, OpenOptions};
    /// # let path = std::env::temp_dir().join(format!("greenloop-option-flags-{}", std::process::id()));
    ///
    /// fs::symlink("/dev/null", &path)?;
    /// let mut options = OpenOptions::new();
    /// options.read(true).open(&path)?;
    /// assert!(options.custom_flags(libc::O_NOFOLLOW).open(&path).is_err());
    /// # fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.0.custom_flags(flags);
        self
    }

    /// Opens the file. A FIFO is there when somebody opens its other end; the greenlet can be interrupted until then.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system refuses; the text names the path.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::OpenOptions;
    /// use std::io::{Read, Seek, Write};
    /// # let path = std::env::temp_dir().join(format!("greenloop-option-open-{}", std::process::id()));
    ///
    /// let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    /// file.write_all(b"hello")?;
    /// file.rewind()?;
    /// let mut text = String::new();
    /// file.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello");
    /// # greenloop::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (options, path) = (self.0.clone(), Box::<Path>::from(path.as_ref()));
        let text = cannot("open", &path);
        look(move || text, move || options.open(&path).map(|file| File::opened(file, path)))
    }
}

impl From<std::fs::OpenOptions> for OpenOptions {
    fn from(options: std::fs::OpenOptions) -> OpenOptions {
        OpenOptions(options)
    }
}
