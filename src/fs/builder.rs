//! How a directory is made.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::hop::{act, cannot};

/// How a directory is made: `std::fs::DirBuilder`.
///
/// # Examples
/// ```
/// use greenloop::fs::{self, DirBuilder};
/// use std::os::unix::fs::PermissionsExt;
/// # let folder = std::env::temp_dir().join(format!("greenloop-builder-{}", std::process::id()));
///
/// DirBuilder::new().recursive(true).mode(0o700).create(folder.join("private"))?;
/// assert_eq!(fs::metadata(folder.join("private"))?.permissions().mode() & 0o077, 0);
/// # fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DirBuilder(std::fs::DirBuilder);

impl DirBuilder {
    /// One directory, with the usual permissions.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, DirBuilder};
    /// # let folder = std::env::temp_dir().join(format!("greenloop-builder-new-{}", std::process::id()));
    ///
    /// DirBuilder::new().create(&folder)?;
    /// assert!(fs::metadata(&folder)?.is_dir());
    /// # fs::remove_dir(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[allow(clippy::new_without_default, reason = "as in the standard library")]
    pub fn new() -> DirBuilder {
        DirBuilder(std::fs::DirBuilder::new())
    }

    /// Those above it, too, if they are not there; then one that is there is no error.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, DirBuilder};
    /// # let folder = std::env::temp_dir().join(format!("greenloop-builder-recursive-{}", std::process::id()));
    ///
    /// let mut builder = DirBuilder::new();
    /// assert!(builder.create(folder.join("a/b")).is_err());
    /// builder.recursive(true).create(folder.join("a/b"))?;
    /// builder.create(folder.join("a/b"))?;
    /// # fs::remove_dir_all(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.0.recursive(recursive);
        self
    }

    /// The permissions of what is made, less the umask; `0o777` unless this is called.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, DirBuilder};
    /// use std::os::unix::fs::PermissionsExt;
    /// # let folder = std::env::temp_dir().join(format!("greenloop-builder-mode-{}", std::process::id()));
    ///
    /// DirBuilder::new().mode(0o700).create(&folder)?;
    /// assert_eq!(fs::metadata(&folder)?.permissions().mode() & 0o077, 0);
    /// # fs::remove_dir(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.0.mode(mode);
        self
    }

    /// Makes the directory.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// If the system refuses; the text names the path.
    ///
    /// # Examples
    /// ```
    /// use greenloop::fs::{self, DirBuilder};
    /// use std::io::ErrorKind;
    /// # let folder = std::env::temp_dir().join(format!("greenloop-builder-create-{}", std::process::id()));
    ///
    /// DirBuilder::new().create(&folder)?;
    /// assert_eq!(DirBuilder::new().create(&folder).unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// # fs::remove_dir(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        act(|| cannot("make the directory", path), || self.0.create(path))
    }
}
