//! Clocks, memory, and the form of the output.

use std::time::{Duration, Instant};

/// Prints one figure.
pub fn line(name: &str, value: f64, unit: &str) {
    println!("{name} {value:.3} {unit}");
}

/// Measures the wall clock and the processor time of this process.
pub struct Stopwatch {
    wall: Instant,
    cpu: (Duration, Duration),
}

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch { cpu: cpu_times(), wall: Instant::now() }
    }

    pub fn wall(&self) -> Duration {
        self.wall.elapsed()
    }

    /// User and system time since the start.
    pub fn cpu(&self) -> (Duration, Duration) {
        let now = cpu_times();
        (now.0 - self.cpu.0, now.1 - self.cpu.1)
    }

    /// Prints what one of `count` operations took.
    pub fn report(&self, name: &str, count: u64) {
        let wall = self.wall();
        let (user, system) = self.cpu();
        line(name, wall.as_nanos() as f64 / count as f64, "ns");
        line(&format!("{name}.cpu"), (user + system).as_nanos() as f64 / count as f64, "ns");
    }

    /// Prints how late the wake-ups were, in microseconds, and what all of it cost.
    pub fn report_lateness(&self, name: &str, mut late: Vec<f64>) {
        let wall = self.wall();
        let (user, system) = self.cpu();
        late.sort_by(f64::total_cmp);
        let at = |part: f64| late[(late.len() as f64 * part) as usize];
        line(&format!("{name}.p50late"), at(0.5), "us");
        line(&format!("{name}.p99late"), at(0.99), "us");
        line(&format!("{name}.maxlate"), late[late.len() - 1], "us");
        line(&format!("{name}.minlate"), late[0], "us");
        line(&format!("{name}.cpu"), (user + system).as_secs_f64() * 1e3, "ms");
        line(&format!("{name}.sys"), system.as_secs_f64() * 1e3, "ms");
        line(&format!("{name}.wall"), wall.as_secs_f64() * 1e3, "ms");
    }
}

/// By how much `deadline` has passed, in microseconds; negative if it has not.
pub fn lateness(deadline: Instant) -> f64 {
    let now = Instant::now();
    match now.checked_duration_since(deadline) {
        Some(late) => late.as_nanos() as f64 / 1e3,
        None => -((deadline - now).as_nanos() as f64) / 1e3,
    }
}

/// User and system time of this process.
fn cpu_times() -> (Duration, Duration) {
    // SAFETY: all bytes zero is a value of `rusage`, and the call fills it in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    (duration(usage.ru_utime), duration(usage.ru_stime))
}

/// The processor time of another process, all its threads together, from its own clock.
pub fn cpu_time_of(pid: i32) -> Duration {
    let clock = (!pid << 3) | 2;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills `time` in.
    if unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
        crate::fail(&format!("there is no process {pid} whose clock could be read"));
    }
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The memory of this process: resident, and in page tables.
#[derive(Clone, Copy)]
pub struct Memory {
    resident: u64,
    tables: u64,
}

impl Memory {
    pub fn now() -> Memory {
        let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
            kib.unwrap_or_else(|| crate::fail(&format!("/proc/self/status has no {name}"))) * 1024
        };
        Memory { resident: field("VmRSS:"), tables: field("VmPTE:") }
    }
}

/// Prints what `count` idle tasks have cost: memory between the two looks at it, and times.
pub fn report_idle(name: &str, count: u64, memory: [Memory; 2], parking: Duration, ending: Duration) {
    let each = |before: u64, after: u64| (after as f64 - before as f64) / count as f64;
    let [before, after] = memory;
    line(&format!("{name}.spawn_park"), parking.as_nanos() as f64 / count as f64, "ns");
    line(&format!("{name}.wake_join"), ending.as_nanos() as f64 / count as f64, "ns");
    line(&format!("{name}.rss"), each(before.resident, after.resident), "B");
    line(&format!("{name}.pte"), each(before.tables, after.tables), "B");
}

/// The same delays for every contender: xorshift, from a fixed seed.
pub struct Delays {
    state: u64,
    limit_us: u64,
}

impl Delays {
    /// Delays below `limit_ms` milliseconds.
    pub fn new(limit_ms: u64) -> Delays {
        Delays { state: 88_172_645_463_325_252, limit_us: limit_ms * 1000 }
    }

    pub fn draw(&mut self) -> Duration {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        Duration::from_micros(self.state % self.limit_us)
    }
}
