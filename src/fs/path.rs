//! Calls on paths.

use std::fs::{Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use super::hop::{act, cannot, look};

/// The text of a failure with two paths.
fn cannot_to(verb: &str, from: &Path, to: &Path) -> String {
    format!("cannot {verb} `{}` to `{}`", from.display(), to.display())
}

/// Size, kind, times and permissions of what the path leads to, through symbolic links.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is nothing, or the way to it is closed. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// assert!(fs::metadata("/")?.is_dir());
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    look(|| cannot("look at", path), {
        let path = path.to_path_buf();
        move || std::fs::metadata(path)
    })
}

/// Size, kind, times and permissions; of a symbolic link, its own.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is nothing, or the way to it is closed. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// assert!(!fs::symlink_metadata("/")?.is_symlink());
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    look(|| cannot("look at", path), {
        let path = path.to_path_buf();
        move || std::fs::symlink_metadata(path)
    })
}

/// The path from the root, without symbolic links and detours.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is nothing, or the way to it is closed. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// assert_eq!(fs::canonicalize("/tmp/../..")?.to_str(), Some("/"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    look(|| cannot("resolve", path), {
        let path = path.to_path_buf();
        move || std::fs::canonicalize(path)
    })
}

/// Where a symbolic link leads.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is none. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// assert!(fs::read_link("/").is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    look(|| cannot("read the link", path), {
        let path = path.to_path_buf();
        move || std::fs::read_link(path)
    })
}

/// Is there anything, at the end of symbolic links?
///
/// **Switches**: yes.
///
/// # Errors
/// If it cannot be known; that there is nothing is no error. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// assert!(fs::exists("/")? && !fs::exists("/nowhere")?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn exists(path: impl AsRef<Path>) -> io::Result<bool> {
    let path = path.as_ref();
    look(|| cannot("look at", path), {
        let path = path.to_path_buf();
        move || std::fs::exists(path)
    })
}

/// The whole content of a file.
///
/// **Switches**: yes.
///
/// # Errors
/// If it cannot be opened or read. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::{fs, join_all, spawn};
/// # let folder = std::env::temp_dir().join(format!("greenloop-read-{}", std::process::id()));
/// # fs::create_dir_all(&folder)?;
/// # fs::write(folder.join("tea.png"), b"\x89PNG\r\n")?;
/// # fs::write(folder.join("notes.txt"), "mint")?;
///
/// // Which are pictures? All are read at the same time, and others run meanwhile.
/// let paths = ["tea.png", "notes.txt", "gone"].map(|name| folder.join(name));
/// let read = join_all(paths.map(|path| spawn(move || fs::read(path)))).into_iter().map(Result::unwrap);
/// let pictures: Vec<_> = read.map(|content| content.map(|bytes| bytes.starts_with(b"\x89PNG"))).collect();
/// assert!(matches!(pictures[..], [Ok(true), Ok(false), Err(_)]));
/// assert!(pictures[2].as_ref().unwrap_err().to_string().contains("gone"));
/// # fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    look(|| cannot("read", path), {
        let path = path.to_path_buf();
        move || std::fs::read(path)
    })
}

/// The whole content of a file, as text.
///
/// **Switches**: yes.
///
/// # Errors
/// If it cannot be opened or read; `InvalidData` if it is no UTF-8. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let path = std::env::temp_dir().join(format!("greenloop-read-to-string-{}", std::process::id()));
///
/// fs::write(&path, "kind = mint\nwater = 80\n")?;
/// let text = fs::read_to_string(&path)?;
/// assert_eq!(text.lines().find_map(|line| line.strip_prefix("kind = ")), Some("mint"));
/// # fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref();
    look(|| cannot("read", path), {
        let path = path.to_path_buf();
        move || std::fs::read_to_string(path)
    })
}

/// Makes `contents` the whole content of a file, which is made if it is not there.
///
/// **Switches**: yes.
///
/// # Errors
/// If it cannot be made or written. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let path = std::env::temp_dir().join(format!("greenloop-write-{}", std::process::id()));
///
/// fs::write(&path, "a longer text")?;
/// fs::write(&path, "tea")?; // what was there is gone
/// assert_eq!(fs::read(&path)?, b"tea");
/// # fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, contents) = (path.as_ref(), contents.as_ref());
    act(|| cannot("write", path), || std::fs::write(path, contents))
}

/// Makes a directory.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is something already, or no directory to make it in. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// use std::io::ErrorKind;
/// # let folder = std::env::temp_dir().join(format!("greenloop-create-dir-{}", std::process::id()));
///
/// fs::create_dir(&folder)?;
/// assert_eq!(fs::create_dir(&folder).unwrap_err().kind(), ErrorKind::AlreadyExists);
/// assert_eq!(fs::create_dir(folder.join("a/b")).unwrap_err().kind(), ErrorKind::NotFound);
/// # fs::remove_dir(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    act(|| cannot("make the directory", path), || std::fs::create_dir(path))
}

/// Makes a directory and those above it that are not there. One that is there is no error.
///
/// **Switches**: yes.
///
/// # Errors
/// If the system refuses. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let folder = std::env::temp_dir().join(format!("greenloop-create-dir-all-{}", std::process::id()));
///
/// fs::create_dir_all(folder.join("a/b"))?;
/// fs::create_dir_all(folder.join("a/b"))?;
/// assert!(fs::metadata(folder.join("a/b"))?.is_dir());
/// # fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    act(|| cannot("make the directory", path), || std::fs::create_dir_all(path))
}

/// Removes a file, or a symbolic link.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is none, or it is a directory. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let path = std::env::temp_dir().join(format!("greenloop-remove-file-{}", std::process::id()));
///
/// fs::write(&path, "")?;
/// fs::remove_file(&path)?;
/// assert!(!fs::exists(&path)?);
/// assert_eq!(fs::remove_file(&path).unwrap_err().kind(), std::io::ErrorKind::NotFound);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    act(|| cannot("remove", path), || std::fs::remove_file(path))
}

/// Removes an empty directory.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is none, or something in it. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let folder = std::env::temp_dir().join(format!("greenloop-remove-dir-{}", std::process::id()));
///
/// fs::create_dir_all(folder.join("a"))?;
/// assert_eq!(fs::remove_dir(&folder).unwrap_err().kind(), std::io::ErrorKind::DirectoryNotEmpty);
/// fs::remove_dir(folder.join("a"))?;
/// fs::remove_dir(&folder)?;
/// assert!(!fs::exists(&folder)?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    act(|| cannot("remove", path), || std::fs::remove_dir(path))
}

/// Removes a directory and all that is in it. Symbolic links are not followed.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is none, or something cannot be removed. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let folder = std::env::temp_dir().join(format!("greenloop-remove-dir-all-{}", std::process::id()));
///
/// fs::create_dir_all(folder.join("a/b"))?;
/// fs::write(folder.join("a/file"), "text")?;
/// fs::remove_dir_all(&folder)?;
/// assert!(!fs::exists(&folder)?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    act(|| cannot("remove", path), || std::fs::remove_dir_all(path))
}

/// Gives a file another name, in place of what has that name.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is none, or the names belong to different file systems. The text names both paths.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let folder = std::env::temp_dir().join(format!("greenloop-rename-{}", std::process::id()));
/// # fs::create_dir(&folder)?;
///
/// fs::write(folder.join("new"), "new text")?;
/// fs::write(folder.join("old"), "old text")?;
/// fs::rename(folder.join("new"), folder.join("old"))?;
/// assert_eq!(fs::read_to_string(folder.join("old"))?, "new text");
/// assert!(!fs::exists(folder.join("new"))?);
/// # fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    act(|| cannot_to("rename", from, to), || std::fs::rename(from, to))
}

/// Copies the content and the permissions of a file; gives the number of bytes.
///
/// **Switches**: yes.
///
/// # Errors
/// If it is no file, or the other cannot be written. The text names both paths.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let folder = std::env::temp_dir().join(format!("greenloop-copy-{}", std::process::id()));
/// # fs::create_dir(&folder)?;
///
/// fs::write(folder.join("one"), "text")?;
/// assert_eq!(fs::copy(folder.join("one"), folder.join("two"))?, 4);
/// assert_eq!(fs::read_to_string(folder.join("two"))?, "text");
/// # fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let (from, to) = (from.as_ref(), to.as_ref());
    act(|| cannot_to("copy", from, to), || std::fs::copy(from, to))
}

/// Gives a file a second name.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is none, or the names belong to different file systems. The text names both paths.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let folder = std::env::temp_dir().join(format!("greenloop-hard-link-{}", std::process::id()));
/// # fs::create_dir(&folder)?;
///
/// fs::write(folder.join("one"), "text")?;
/// fs::hard_link(folder.join("one"), folder.join("two"))?;
/// fs::remove_file(folder.join("one"))?;
/// assert_eq!(fs::read_to_string(folder.join("two"))?, "text");
/// # fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn hard_link(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    act(|| cannot_to("link", from, to), || std::fs::hard_link(from, to))
}

/// Makes a symbolic link at `link` that leads to `target`, which need not be there.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is something at `link` already. The text names both paths.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let folder = std::env::temp_dir().join(format!("greenloop-symlink-{}", std::process::id()));
/// # fs::create_dir(&folder)?;
///
/// fs::symlink("target", folder.join("link"))?;
/// assert!(!fs::exists(folder.join("link"))?); // it leads nowhere yet
/// fs::write(folder.join("target"), "text")?;
/// assert_eq!(fs::read_to_string(folder.join("link"))?, "text");
/// # fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn symlink(target: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (target, link) = (target.as_ref(), link.as_ref());
    act(|| cannot_to("link", link, target), || std::os::unix::fs::symlink(target, link))
}

/// Sets who may do what.
///
/// **Switches**: yes.
///
/// # Errors
/// If there is nothing, or it belongs to somebody else. The text names the path.
///
/// # Examples
/// ```
/// use greenloop::fs;
/// # let path = std::env::temp_dir().join(format!("greenloop-set-permissions-{}", std::process::id()));
///
/// fs::write(&path, "for ever")?;
/// let mut permissions = fs::metadata(&path)?.permissions();
/// permissions.set_readonly(true);
/// fs::set_permissions(&path, permissions)?;
/// assert!(fs::metadata(&path)?.permissions().readonly());
/// # fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let path = path.as_ref();
    act(|| cannot("set the permissions of", path), || std::fs::set_permissions(path, permissions))
}
