//! Files whose calls run on the thread pool.

mod net_support;

use std::cell::Cell;
use std::ffi::CString;
use std::io::{
    self, BufRead, BufReader, BufWriter, ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write,
};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use greenloop::fs::{self, DirBuilder, File, FileTimes, OpenOptions, TryLockError};
use greenloop::{Greenlet, scope, sleep, spawn, threadpool, timeout, wait_all, yield_now};
use net_support::{
    Flag, LONG, Log, OnDrop, PROMPT, Pattern, SHORT, in_a_child, ms, open_descriptors, spawn_parked,
};

/// A folder that is removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("greenloop-fs-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A FIFO in it.
    fn fifo(&self) -> PathBuf {
        let path = self.join("fifo");
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: `name` is a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A greenlet that counts its turns.
fn counter() -> (Greenlet<()>, Rc<Cell<usize>>) {
    let turns = Rc::new(Cell::new(0));
    let counting = turns.clone();
    let greenlet = spawn(move || {
        loop {
            counting.set(counting.get() + 1);
            sleep(ms(1));
        }
    });
    (greenlet, turns)
}

// FI02
#[test]
fn reading_writing_and_seeking_give_what_the_standard_library_gives() {
    let folder = Folder::new();
    let (ours, theirs) = (folder.join("ours"), folder.join("theirs"));
    fn exercise<F: Read + Write + Seek>(file: &mut F) -> io::Result<Vec<Vec<u8>>> {
        let mut seen = Vec::new();
        let mut read = |file: &mut F, size: usize| {
            let mut place = vec![0; size];
            let count = file.read(&mut place)?;
            place.truncate(count);
            seen.push(place);
            io::Result::Ok(())
        };
        file.write_all(b"hello world, ")?;
        assert_eq!(file.write(b"and more")?, 8);
        assert_eq!(file.stream_position()?, 21);
        assert_eq!(file.seek(SeekFrom::Start(6))?, 6);
        read(file, 5)?;
        assert_eq!(file.seek(SeekFrom::Current(-5))?, 6);
        read(file, 100)?;
        read(file, 100)?;
        assert_eq!(file.seek(SeekFrom::End(-4))?, 17);
        file.write_all(b"MORE AND MORE")?;
        assert_eq!(file.seek(SeekFrom::Start(40))?, 40);
        file.write_all(b"behind a hole")?;
        file.rewind()?;
        read(file, 1000)?;
        let error = file.seek(SeekFrom::Current(-1000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Ok(seen)
    }
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&ours).unwrap();
    let mut native = std::fs::File::create_new(&theirs).unwrap();
    assert_eq!(exercise(&mut file).unwrap(), exercise(&mut native).unwrap());
    assert_eq!(std::fs::read(&ours).unwrap(), std::fs::read(&theirs).unwrap());
    file.set_len(5).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 5);
    file.rewind().unwrap();
    assert_eq!(io::read_to_string(&file).unwrap(), "hello");
}

// FI06
#[test]
fn reads_of_several_sizes_give_the_file_piece_by_piece() {
    let folder = Folder::new();
    fs::write(folder.join("text"), "hello world").unwrap();
    let mut file = File::open(folder.join("text")).unwrap();
    let pieces = [2, 1, 32, 32].map(|size| {
        let mut place = vec![0; size];
        let count = file.read(&mut place).unwrap();
        String::from_utf8(place[..count].to_vec()).unwrap()
    });
    assert_eq!(pieces, ["he", "l", "lo world", ""]);
}

// FI08, FI11
#[test]
fn what_was_written_can_be_read_at_once_and_is_written_whole() {
    let folder = Folder::new();
    let path = folder.join("bytes");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"a").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"a");
    let parts = [IoSlice::new(b"b"), IoSlice::new(b""), IoSlice::new(b"cd")];
    assert_eq!(file.write_vectored(&parts).unwrap(), 3);
    file.flush().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"abcd");
    let mut pattern = Pattern::new();
    let mut all = Vec::new();
    while all.len() < 9 << 20 {
        let piece = pattern.peek(usize::MAX / 2).to_vec();
        pattern.advance(piece.len());
        all.extend(piece);
    }
    file.write_all(&all).unwrap();
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    let mut file = File::open(&path).unwrap();
    let (mut a, mut b) = ([0; 2], [0; 2]);
    assert_eq!(file.read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]).unwrap(), 4);
    assert_eq!((&a, &b), (b"ab", b"cd"));
    let mut back = Vec::new();
    assert_eq!(file.read_to_end(&mut back).unwrap(), all.len());
    assert!(back == all);
}

// FI01: also when its greenlet is killed.
#[test]
fn a_writer_that_is_dropped_flushes_and_closes() {
    const NAME: &str = "a_writer_that_is_dropped_flushes_and_closes";
    in_a_child(NAME, "", || {
        let folder = Folder::new();
        let path = folder.join("text");
        fs::write(&path, "").unwrap();
        let before = open_descriptors();
        let mut writer = BufWriter::new(File::create(&path).unwrap());
        writer.write_all(b"flushed by drop").unwrap();
        assert_eq!((std::fs::read(&path).unwrap().len(), open_descriptors()), (0, before + 1));
        drop(writer);
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), open_descriptors()),
            ("flushed by drop", before)
        );
        // Left open for whoever has it.
        let file = File::create(&path).unwrap();
        let mut writer = BufWriter::new(file.try_clone().unwrap());
        writer.write_all(b"one").unwrap();
        drop(writer);
        (&file).write_all(b" two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one two");
        drop(file);
        let (written, start) = (Flag::default(), Instant::now());
        let killed = spawn({
            let (written, path) = (written.clone(), path.clone());
            move || {
                let mut writer = BufWriter::new(File::create(&path).unwrap());
                writer.write_all(b"flushed by a kill").unwrap();
                written.raise();
                sleep(LONG)
            }
        });
        while !written.is_up() {
            yield_now();
        }
        killed.kill();
        assert!(start.elapsed() < PROMPT);
        assert_eq!(
            (std::fs::read(&path).unwrap().as_slice(), open_descriptors()),
            (&b"flushed by a kill"[..], before)
        );
    });
}

// FI14: the system makes the calls of two greenlets on one file one after the other; there is no lock of our own, by which a read
// that blocks would keep a writer out.
#[test]
fn greenlets_that_share_a_file_lose_nothing() {
    let folder = Folder::new();
    let path = folder.join("lines");
    let file = File::create(&path).unwrap();
    scope(|s| {
        for name in ["a", "b", "c", "d"] {
            let mut file = &file;
            s.spawn(move || {
                for number in 0..100 {
                    file.write_all(format!("{name}{number:03}\n").as_bytes()).unwrap();
                }
            });
        }
    });
    let mut lines: Vec<_> = fs::read_to_string(&path).unwrap().lines().map(String::from).collect();
    lines.sort();
    let expected: Vec<_> =
        ["a", "b", "c", "d"].iter().flat_map(|name| (0..100).map(move |n| format!("{name}{n:03}"))).collect();
    assert_eq!(lines, expected);
    // And reading: every byte once.
    let shared = File::open(&path).unwrap();
    let counts = scope(|s| {
        let readers = [(); 4].map(|()| {
            let mut shared = &shared;
            s.spawn(move || {
                let (mut place, mut count) = ([0; 5], 0);
                while shared.read(&mut place).unwrap() > 0 {
                    count += 1;
                }
                count
            })
        });
        readers.map(|reader| reader.join().unwrap())
    });
    assert_eq!(counts.iter().sum::<usize>(), 400);
}

#[test]
fn what_is_read_and_written_at_places_leaves_the_position_where_it_is() {
    let folder = Folder::new();
    let path = folder.join("places");
    let mut file = File::create_new(&path).unwrap();
    file.write_all(b"0123").unwrap();
    // Beyond the end: the gap is filled with zeros.
    scope(|s| {
        for number in 1..5u8 {
            let file = &file;
            s.spawn(move || file.write_all_at(&[b'a' + number; 10], u64::from(number) * 10).unwrap());
        }
    });
    assert_eq!(file.write_at(b"!", 2).unwrap(), 1);
    assert_eq!(file.stream_position().unwrap(), 4);
    file.write_all(b"4").unwrap();
    let expected = [&b"01!34\0\0\0\0\0"[..], &[b'b'; 10], &[b'c'; 10], &[b'd'; 10], &[b'e'; 10]].concat();
    assert_eq!(fs::read(&path).unwrap(), expected);
    let mut place = [0; 20];
    assert_eq!(file.read_at(&mut place, 45).unwrap(), 5);
    file.read_exact_at(&mut place, 15).unwrap();
    assert_eq!(place, expected[15..35]);
    let error = file.read_exact_at(&mut place, 45).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let error = File::open(&path).unwrap().write_all_at(b"x", 0).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot write `{}`: ", path.display())), "{error}");
}

// Opening a FIFO blocks until somebody opens its other end.
#[test]
fn the_others_run_while_a_file_operation_blocks() {
    let folder = Folder::new();
    let path = folder.fifo();
    let (counting, turns) = counter();
    let reader = spawn_parked({
        let path = path.clone();
        move || fs::read_to_string(&path)
    });
    let before = turns.get();
    while turns.get() < before + 20 {
        sleep(ms(1));
    }
    assert!(!reader.is_finished());
    let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
    // A read that blocks.
    writer.write_all(b"first").unwrap();
    let before = turns.get();
    while turns.get() < before + 20 {
        sleep(ms(1));
    }
    assert!(!reader.is_finished());
    writer.write_all(b" second").unwrap();
    drop(writer);
    assert_eq!(reader.join().unwrap().unwrap(), "first second");
    counting.kill();
}

// Opening, and what only looks, is left to itself.
#[test]
fn a_greenlet_that_waits_for_an_open_can_be_interrupted() {
    let folder = Folder::new();
    let path = folder.fifo();
    let start = Instant::now();
    let opening = spawn_parked({
        let path = path.clone();
        move || File::open(&path).map(drop)
    });
    assert!(timeout(SHORT, || File::open(&path).map(drop)).is_err());
    assert!(!opening.is_finished());
    opening.kill();
    assert!(opening.join().unwrap_err().is_killed() && start.elapsed() < PROMPT);
    // Both calls wait still, and end now. What they have opened is closed: nobody reads any more.
    let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
    while !threadpool().is_empty() {
        sleep(ms(1));
    }
    assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

// A read borrows the memory that it fills: a kill and a timeout wait for it, and what it has read is not lost.
#[test]
fn a_kill_and_a_timeout_wait_for_the_end_of_a_read() {
    let folder = Folder::new();
    let path = folder.fifo();
    for by_kill in [true, false] {
        let (read, opened, seen) = (Log::new(), Flag::default(), Flag::default());
        let reader = spawn_parked({
            let (read, opened, seen, path) = (read.clone(), opened.clone(), seen.clone(), path.clone());
            move || {
                let mut file = File::open(&path).unwrap();
                opened.raise();
                timeout(if by_kill { LONG } else { SHORT }, || {
                    let mut place = [0; 8];
                    let count = file.read(&mut place).unwrap();
                    read.add(place[..count].to_vec());
                    // The next park.
                    yield_now();
                    seen.raise();
                })
            }
        });
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        while !opened.is_up() {
            yield_now();
        }
        let killer = spawn({
            let handle = reader.handle();
            move || {
                if by_kill {
                    handle.kill();
                }
            }
        });
        let (counting, turns) = counter();
        while turns.get() < 20 {
            sleep(ms(1));
        }
        counting.kill();
        assert!(!reader.is_finished(), "the memory is borrowed");
        writer.write_all(b"kept").unwrap();
        killer.join().unwrap();
        match reader.join() {
            Err(error) => assert!(by_kill && error.is_killed()),
            Ok(result) => assert!(!by_kill && result.is_err()),
        }
        assert_eq!(read.take(), [b"kept"]);
        assert!(!seen.is_up());
    }
}

// A write likewise: it is done, and the kill comes behind it.
#[test]
fn a_kill_waits_for_the_end_of_a_write() {
    let folder = Folder::new();
    let path = folder.fifo();
    let opening = spawn({
        let path = path.clone();
        move || File::open(&path).unwrap()
    });
    let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
    let mut reader = opening.join().unwrap();
    let done = Flag::default();
    // More than a FIFO holds.
    let writing = spawn_parked({
        let done = done.clone();
        move || {
            writer.write_all(&[7; 300_000]).unwrap();
            done.raise();
            sleep(LONG)
        }
    });
    writing.kill_nowait();
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert!(writing.join().unwrap_err().is_killed());
    assert_eq!((all.len(), done.is_up()), (300_000, true));
}

#[test]
fn files_in_a_destructor_of_a_killed_greenlet_work_at_once() {
    let folder = Folder::new();
    let path = folder.join("last words");
    let log = Log::new();
    let guard = OnDrop({
        let (log, path) = (log.clone(), path.clone());
        move || {
            fs::write(&path, "last").unwrap();
            OpenOptions::new().append(true).open(&path).unwrap().write_all(b" words").unwrap();
            log.add(fs::read_to_string(&path).unwrap());
        }
    });
    let g = spawn_parked(move || {
        let _guard = guard;
        sleep(LONG)
    });
    g.kill();
    assert_eq!(log.take(), ["last words"]);
}

#[test]
fn errors_have_the_kind_of_the_standard_library_and_name_the_path() {
    let folder = Folder::new();
    let (missing, there, sub) = (folder.join("missing"), folder.join("there"), folder.join("sub"));
    fs::write(&there, [0xFF]).unwrap();
    fs::create_dir(&sub).unwrap();
    fs::write(sub.join("x"), "").unwrap();
    fn check<T, U>(ours: io::Result<T>, theirs: io::Result<U>, paths: &[&Path]) {
        let (ours, theirs) = (ours.map(drop).unwrap_err(), theirs.map(drop).unwrap_err());
        assert_eq!(ours.kind(), theirs.kind(), "{ours}");
        let text = ours.to_string();
        assert!(text.starts_with("cannot ") && text.ends_with(&theirs.to_string()), "{text}");
        for path in paths {
            assert!(text.contains(&format!("`{}`", path.display())), "{text}");
        }
    }
    let m: &[&Path] = &[&missing];
    check(File::open(&missing), std::fs::File::open(&missing), m);
    check(File::create(&sub), std::fs::File::create(&sub), &[&sub]);
    check(File::create_new(&there), std::fs::File::create_new(&there), &[&there]);
    check(fs::read(&missing), std::fs::read(&missing), m);
    check(fs::read(&sub), std::fs::read(&sub), &[&sub]);
    check(fs::read_to_string(&there), std::fs::read_to_string(&there), &[&there]);
    check(fs::write(&sub, ""), std::fs::write(&sub, ""), &[&sub]);
    check(fs::metadata(&missing), std::fs::metadata(&missing), m);
    check(fs::symlink_metadata(&missing), std::fs::symlink_metadata(&missing), m);
    check(fs::canonicalize(&missing), std::fs::canonicalize(&missing), m);
    check(fs::read_link(&there), std::fs::read_link(&there), &[&there]);
    check(fs::read_dir(&there), std::fs::read_dir(&there), &[&there]);
    check(fs::create_dir(&sub), std::fs::create_dir(&sub), &[&sub]);
    check(fs::create_dir_all(&there), std::fs::create_dir_all(&there), &[&there]);
    check(fs::remove_file(&missing), std::fs::remove_file(&missing), m);
    check(fs::remove_dir(&sub), std::fs::remove_dir(&sub), &[&sub]);
    check(fs::remove_dir_all(&missing), std::fs::remove_dir_all(&missing), m);
    check(fs::rename(&missing, &there), std::fs::rename(&missing, &there), &[&missing, &there]);
    check(fs::copy(&missing, &there), std::fs::copy(&missing, &there), &[&missing, &there]);
    check(fs::hard_link(&missing, &there), std::fs::hard_link(&missing, &there), &[&missing, &there]);
    let nothing = || std::os::unix::fs::symlink("x", &there);
    check(fs::symlink("x", &there), nothing(), &[&there]);
    let permissions = std::fs::metadata(&there).unwrap().permissions();
    check(
        fs::set_permissions(&missing, permissions.clone()),
        std::fs::set_permissions(&missing, permissions),
        m,
    );
    // Calls on an open file name it, too.
    let (mut ours, mut theirs) = (File::open(&there).unwrap(), std::fs::File::open(&there).unwrap());
    check(ours.write(b"x"), theirs.write(b"x"), &[&there]);
    check(ours.set_len(1), theirs.set_len(1), &[&there]);
    check(ours.seek(SeekFrom::Current(-1)), theirs.seek(SeekFrom::Current(-1)), &[&there]);
    check(
        (&File::open(&sub).unwrap()).read(&mut [0]),
        (&std::fs::File::open(&sub).unwrap()).read(&mut [0]),
        &[&sub],
    );
    let error = File::from_std(theirs).write(b"x").unwrap_err();
    assert!(error.to_string().starts_with("cannot write a file: "), "{error}");
}

#[test]
fn a_large_directory_is_listed_once_each() {
    let folder = Folder::new();
    for number in 0..700 {
        std::fs::write(folder.join(&number.to_string()), "").unwrap();
    }
    let mut numbers = Vec::new();
    let mut entries = fs::read_dir(&folder.0).unwrap();
    for entry in entries.by_ref() {
        let entry = entry.unwrap();
        assert_eq!(entry.path(), folder.0.join(entry.file_name()));
        numbers.push(entry.file_name().to_str().unwrap().parse::<usize>().unwrap());
    }
    assert!(entries.next().is_none());
    numbers.sort();
    assert_eq!(numbers, (0..700).collect::<Vec<_>>());
    fs::create_dir(folder.join("sub")).unwrap();
    fs::symlink("nowhere", folder.join("link")).unwrap();
    for entry in fs::read_dir(&folder.0).unwrap() {
        let entry = entry.unwrap();
        let (kind, metadata) = (entry.file_type().unwrap(), entry.metadata().unwrap());
        assert_eq!(kind, metadata.file_type());
        assert_eq!(kind.is_dir(), entry.file_name() == "sub");
        assert_eq!(kind.is_symlink(), entry.file_name() == "link");
    }
    assert_eq!(fs::read_dir(folder.join("sub")).unwrap().count(), 0);
}

#[test]
fn every_setting_reaches_the_system() {
    let folder = Folder::new();
    let path = folder.join("file");
    let mut options = OpenOptions::from(std::fs::OpenOptions::new());
    options.write(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(&path).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    (&file).write_all(b"long text").unwrap();
    fs::symlink(&path, folder.join("link")).unwrap();
    assert!(options.open(folder.join("link")).is_err());
    File::options().write(true).truncate(true).open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    File::options().append(true).open(&path).unwrap().write_all(b"end").unwrap();
    assert!(fs::exists(&path).unwrap() && !fs::exists(folder.join("missing")).unwrap());
    assert_eq!(fs::read_link(folder.join("link")).unwrap(), path);
    assert!(fs::symlink_metadata(folder.join("link")).unwrap().is_symlink());
    assert_eq!(fs::canonicalize(folder.join("link")).unwrap(), fs::canonicalize(&path).unwrap());
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
    assert_eq!(file.metadata().unwrap().modified().unwrap(), time);
    let mut permissions = file.metadata().unwrap().permissions();
    permissions.set_mode(0o600);
    file.set_permissions(permissions.clone()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    permissions.set_mode(0o400);
    fs::set_permissions(&path, permissions).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
}

#[test]
fn directories_are_made_with_their_settings() {
    let folder = Folder::new();
    let deep = folder.join("a/b");
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    let error = builder.create(&deep).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().starts_with(&format!("cannot make the directory `{}`: ", deep.display())));
    builder.recursive(true).create(&deep).unwrap();
    builder.create(&deep).unwrap();
    assert_eq!(fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o700);
    let file = File::create(folder.join("file")).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    file.set_modified(time).unwrap();
    assert_eq!(file.metadata().unwrap().modified().unwrap(), time);
}

/// Several open files of one path.
fn opened<const N: usize>(folder: &Folder) -> [File; N] {
    std::array::from_fn(|_| File::create(folder.join("locked")).unwrap())
}

fn is_locked(tried: Result<(), TryLockError>) -> bool {
    match tried {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(error)) => panic!("{error}"),
    }
}

#[test]
fn a_lock_of_a_file_keeps_out_whom_it_should() {
    let folder = Folder::new();
    let [one, two, three] = opened(&folder);
    one.lock_shared().unwrap();
    two.try_lock_shared().unwrap();
    assert!(is_locked(three.try_lock()) && is_locked(one.try_lock()));
    one.unlock().unwrap();
    two.lock().unwrap();
    assert!(is_locked(three.try_lock()) && is_locked(three.try_lock_shared()));
    // It is that of the standard library, and of all clones.
    let clone = two.try_clone().unwrap();
    drop(two);
    assert!(is_locked(three.try_lock()));
    drop(clone);
    three.try_lock().unwrap();
    let error = io::Error::from(one.try_lock().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn greenlets_that_wait_for_a_lock_leave_the_threads_of_the_pool_to_others() {
    let folder = Folder::new();
    let [owner] = opened(&folder);
    owner.lock().unwrap();
    let waiting: Vec<_> = (0..3 * threadpool().limit())
        .map(|_| {
            let [file] = opened(&folder);
            spawn(move || file.lock())
        })
        .collect();
    sleep(ms(20));
    assert!(waiting.iter().all(|g| !g.is_finished()));
    timeout(PROMPT, || fs::write(folder.join("other"), "x")).expect("a thread").unwrap();
    owner.unlock().unwrap();
    for g in waiting {
        // Each gives its lock up as it ends.
        timeout(PROMPT, || g.join()).expect("the lock").unwrap().unwrap();
    }
}

#[test]
fn a_greenlet_that_waits_for_a_lock_can_be_interrupted_and_leaves_none() {
    let folder = Folder::new();
    let [owner, file, later] = opened(&folder);
    owner.lock().unwrap();
    assert!(timeout(SHORT, || file.lock()).is_err());
    let killed = spawn_parked(move || file.lock());
    killed.kill();
    assert!(killed.join().unwrap_err().is_killed());
    drop(owner);
    later.try_lock().unwrap();
}

#[test]
fn in_a_destructor_of_a_killed_greenlet_a_lock_is_not_waited_for() {
    let folder = Folder::new();
    let [owner, file] = opened(&folder);
    owner.lock().unwrap();
    let log = Log::new();
    let guard = OnDrop({
        let log = log.clone();
        move || log.add(file.lock().map_err(|error| error.to_string()))
    });
    let g = spawn_parked(move || {
        let _guard = guard;
        sleep(LONG)
    });
    g.kill();
    let refused = log.take().remove(0).unwrap_err();
    assert!(refused.starts_with("this would wait for the lock of a file"), "{refused}");
}

#[test]
fn a_file_goes_to_the_standard_library_and_comes_back() {
    let folder = Folder::new();
    let path = folder.join("file");
    fs::write(&path, "0123456789").unwrap();
    let file = File::open(&path).unwrap();
    let number = file.as_raw_fd();
    let mut native = file.into_std();
    assert_eq!(native.as_raw_fd(), number);
    native.read_exact(&mut [0; 2]).unwrap();
    let mut file = File::from(native);
    assert_eq!(file.stream_position().unwrap(), 2);
    let mut clone = file.try_clone().unwrap();
    clone.seek(SeekFrom::Start(8)).unwrap();
    assert_eq!(io::read_to_string(&mut file).unwrap(), "89");
    assert!(format!("{file:?}").contains("fd") && !format!("{file:?}").contains("path"));
    let descriptor: OwnedFd = file.into();
    assert_eq!(descriptor.as_raw_fd(), number);
    let file = File::from(descriptor);
    assert_eq!(file.as_fd().as_raw_fd(), number);
    // It is at home on any thread.
    let moved = std::thread::spawn(move || {
        (&file).rewind().unwrap();
        io::read_to_string(&file).unwrap()
    });
    assert_eq!(moved.join().unwrap(), "0123456789");
}

#[test]
fn buffered_readers_and_writers_need_few_calls() {
    let folder = Folder::new();
    let path = folder.join("lines");
    let mut writer = BufWriter::new(File::create(&path).unwrap());
    for number in 0..10_000 {
        writeln!(writer, "line {number}").unwrap();
    }
    writer.into_inner().unwrap().sync_all().unwrap();
    let lines = BufReader::new(File::open(&path).unwrap()).lines();
    for (number, line) in lines.enumerate() {
        assert_eq!(line.unwrap(), format!("line {number}"));
    }
    let mut exact = [0; 6];
    File::open(&path).unwrap().read_exact(&mut exact).unwrap();
    assert_eq!(&exact, b"line 0");
    let mut text = String::new();
    File::open(&path).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 10_000);
    wait_all();
}
