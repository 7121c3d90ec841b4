//! Reads of files whose bytes are in memory, and of others: both give what the standard library gives.

mod net_support;

use std::cell::Cell;
use std::io::{ErrorKind, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};

use greenloop::fs::File;
use greenloop::threadpool::Job;
use greenloop::{spawn, threadpool, yield_now};
use net_support::{PROMPT, ms, spawn_parked};
use proptest::prelude::*;
use rustix::fs::{Advice, fadvise};
use rustix::io::{ReadWriteFlags, preadv2};

/// A file that is removed at the end.
struct Place(PathBuf);

impl Place {
    fn with(bytes: &[u8]) -> Place {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("greenloop-fs-cached-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let place = Place(std::env::temp_dir().join(name));
        std::fs::write(&place.0, bytes).unwrap();
        place
    }

    fn open(&self) -> File {
        File::open(&self.0).unwrap()
    }

    /// Whether the system tells what it has of such files.
    fn can_be_asked(&self) -> bool {
        let file = std::fs::File::open(&self.0).unwrap();
        let mut place = [0];
        !cfg!(greenloop_pooled_reads)
            && preadv2(&file, &mut [IoSliceMut::new(&mut place)], 0, ReadWriteFlags::NOWAIT) == Ok(1)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// All threads of the pool, at something that ends when it is told.
struct Busy(Vec<(Sender<()>, Job<bool>)>);

impl Busy {
    fn all() -> Busy {
        let job = |_| {
            let (sender, receiver) = channel();
            (sender, threadpool().spawn(move || receiver.recv().is_err()))
        };
        Busy((0..threadpool().limit()).map(job).collect())
    }

    fn end(self) {
        for (sender, job) in self.0 {
            drop(sender);
            assert!(job.join().unwrap());
        }
    }
}

fn pattern(length: usize) -> Vec<u8> {
    // A prime number of them: no usual size of a buffer is a multiple.
    (0..length).map(|place| (place % 251) as u8).collect()
}

#[test]
fn reads_of_what_is_in_memory_need_no_thread_where_the_system_tells() {
    let bytes = pattern(100_000);
    let place = Place::with(&bytes);
    let mut file = place.open();
    let busy = Busy::all();
    let reader = spawn(move || {
        let mut parts = vec![vec![0; 1000], vec![0; 60_000], vec![0; 2000]];
        file.read_exact(&mut parts[0]).unwrap();
        file.read_exact(&mut parts[1]).unwrap();
        file.read_exact_at(&mut parts[2], 90_000).unwrap();
        parts
    });
    let can_be_asked = place.can_be_asked();
    let is_read = reader.wait_timeout(if can_be_asked { PROMPT } else { ms(20) });
    assert_eq!(is_read, can_be_asked);
    busy.end();
    let parts = reader.join().unwrap();
    assert_eq!(parts, [&bytes[..1000], &bytes[1000..61_000], &bytes[90_000..92_000]]);
}

// The system keeps a lock around the position as long as a call at it takes: a read there by the hub's thread would wait for that, with
// all greenlets.
#[test]
fn reads_at_a_position_that_somebody_else_may_use_are_left_to_the_pool() {
    let place = Place::with(&pattern(1000));
    type Share = fn(&File) -> Option<File>;
    let ways: [(&str, Share); 4] = [
        ("a clone of it", |file| Some(file.try_clone().unwrap())),
        ("a duplicate of its descriptor", |file| Some(file.as_fd().try_clone_to_owned().unwrap().into())),
        ("its number", |file| {
            file.as_raw_fd();
            None
        }),
        ("nobody", |_| None),
    ];
    for (who, share) in ways {
        let (file, third) = (place.open(), place.open());
        let other = share(&file);
        let busy = Busy::all();
        let read = |mut file: File| spawn(move || file.read(&mut [0; 10]).map(|count| (count, file)));
        let at_a_place = spawn_parked(move || third.read_exact_at(&mut [0; 10], 500).unwrap());
        assert_eq!(at_a_place.is_finished(), place.can_be_asked());
        let readers: Vec<_> = [Some(file), other].into_iter().flatten().map(read).collect();
        yield_now();
        let is_alone = who == "nobody" && place.can_be_asked();
        assert!(readers.iter().all(|reader| reader.is_finished() == is_alone), "{who}");
        busy.end();
        for reader in readers {
            assert_eq!(reader.join().unwrap().unwrap().0, 10);
        }
    }
}

#[test]
fn a_read_beside_a_call_that_is_under_way_is_left_to_the_pool() {
    let place = Place::with(&pattern(1000));
    let file = Rc::new(place.open());
    let read = |count: usize| {
        let file = file.clone();
        move || (&*file).read(&mut vec![0; count]).unwrap()
    };
    let busy = Busy::all();
    let seeker = spawn_parked({
        let file = file.clone();
        move || (&*file).seek(SeekFrom::Start(5)).unwrap()
    });
    assert!(!seeker.is_finished());
    let reader = spawn_parked(read(10));
    assert!(!reader.is_finished());
    busy.end();
    assert_eq!((seeker.join().unwrap(), reader.join().unwrap()), (5, 10));
    // Nobody is at it any more.
    let busy = Busy::all();
    assert_eq!(spawn_parked(read(20)).is_finished(), place.can_be_asked());
    busy.end();
}

// FI14: two greenlets that read records from one file would get parts of each other's.
#[test]
fn a_record_of_which_only_a_part_is_in_memory_is_read_in_one_piece() {
    const PAGE: usize = 4096;
    let bytes = pattern(64 * PAGE);
    let place = Place::with(&bytes);
    let file = place.open();
    let mut other: std::fs::File = place.open().into_std();
    other.sync_all().unwrap();
    for advice in [Advice::DontNeed, Advice::Random] {
        fadvise(&other, 0, None, advice).unwrap();
    }
    other.read_exact(&mut [0]).unwrap();
    let busy = Busy::all();
    // Without asking the file for its descriptor, of which others might then use the position.
    let shown = format!("{file:?}");
    let descriptor: i32 = shown.split(&[' ', ','][..]).find_map(|word| word.parse().ok()).expect(&shown);
    let reader = spawn_parked(move || {
        let mut record = vec![0; 2 * PAGE];
        (&file).read_exact(&mut record).map(|()| record)
    });
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap();
    let position = info.lines().find_map(|line| line.strip_prefix("pos:")).map(str::trim);
    // Unless the file system keeps it in memory whatever it is told.
    assert_eq!(position, Some(if reader.is_finished() { "8192" } else { "0" }));
    busy.end();
    assert!(reader.join().unwrap().unwrap() == bytes[..2 * PAGE]);
}

#[test]
fn who_goes_through_a_file_in_memory_lets_others_run() {
    let place = Place::with(&pattern(1000));
    let file = place.open();
    let turns = Rc::new(Cell::new(0));
    let other = spawn({
        let turns = turns.clone();
        move || {
            loop {
                turns.set(turns.get() + 1);
                yield_now();
            }
        }
    });
    for number in 0..1000 {
        let mut byte = [0];
        file.read_exact_at(&mut byte, number).unwrap();
    }
    assert!(turns.get() >= 20, "{} turns beside 1,000 reads", turns.get());
    other.kill();
}

#[test]
fn what_the_system_has_dropped_is_read_from_the_disk() {
    let bytes = pattern(300_000);
    let place = Place::with(&bytes);
    let dropper = std::fs::File::open(&place.0).unwrap();
    dropper.sync_all().unwrap();
    let mut file = place.open();
    let mut read = Vec::new();
    let mut buffer = [0; 50_000];
    loop {
        fadvise(&dropper, 0, None, Advice::DontNeed).unwrap();
        match file.read(&mut buffer).unwrap() {
            0 => break,
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
    assert!(read == bytes);
}

#[test]
fn files_that_cannot_be_read_say_so_as_ever() {
    let place = Place::with(b"text");
    let mut written = File::options().write(true).open(&place.0).unwrap();
    let error = written.read(&mut [0; 4]).unwrap_err();
    assert!(error.to_string().starts_with("cannot read `"), "{error}");
    written.write_all(b"TEXT").unwrap();
    let mut folder = File::open(std::env::temp_dir()).unwrap();
    assert_eq!(folder.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(place.open().read_at(&mut [0; 4], u64::MAX).unwrap_err().kind(), ErrorKind::InvalidInput);
    let error = place.open().read_exact(&mut [0; 5]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(place.open().read(&mut []).unwrap(), 0);
}

#[derive(Debug, Clone)]
enum Call {
    Read(usize),
    ReadExact(usize),
    ReadAt(usize, u64),
    ReadExactAt(usize, u64),
    Seek(u64),
}

const LENGTH: usize = 200_000;

fn calls() -> impl Strategy<Value = Vec<Call>> {
    // Also what is longer than is read at once, and what lies behind the end.
    let size = prop_oneof![0..100_usize, 0..20_000_usize, 100_000..170_000_usize];
    let at = 0..LENGTH as u64 + 1000;
    let call = prop_oneof![
        size.clone().prop_map(Call::Read),
        size.clone().prop_map(Call::ReadExact),
        (size.clone(), at.clone()).prop_map(|(size, at)| Call::ReadAt(size, at)),
        (size, at.clone()).prop_map(|(size, at)| Call::ReadExactAt(size, at)),
        at.prop_map(Call::Seek),
    ];
    prop::collection::vec(call, 1..12)
}

/// What a call has read, the kind of its error, and where the file stands then.
type Outcome = (Vec<u8>, Option<ErrorKind>, u64);

fn perform<F: Read + Seek + FileExt>(file: &mut F, call: &Call) -> Outcome {
    let size = match *call {
        Call::Read(size) | Call::ReadExact(size) | Call::ReadAt(size, _) | Call::ReadExactAt(size, _) => size,
        Call::Seek(_) => 0,
    };
    let mut place = vec![0; size];
    let result = match *call {
        Call::Read(_) => file.read(&mut place).map(|count| place.truncate(count)),
        Call::ReadExact(_) => file.read_exact(&mut place),
        Call::ReadAt(_, at) => file.read_at(&mut place, at).map(|count| place.truncate(count)),
        Call::ReadExactAt(_, at) => file.read_exact_at(&mut place, at),
        Call::Seek(at) => file.seek(SeekFrom::Start(at)).map(drop),
    };
    let position = file.stream_position().unwrap();
    (if result.is_ok() { place } else { Vec::new() }, result.err().map(|error| error.kind()), position)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_reads_give_what_the_standard_library_gives(calls in calls()) {
        let place = Place::with(&pattern(LENGTH));
        let (mut ours, mut theirs) = (place.open(), std::fs::File::open(&place.0).unwrap());
        for call in &calls {
            prop_assert_eq!(perform(&mut ours, call), perform(&mut theirs, call), "{:?}", call);
        }
    }
}
