//! Measures how much the machine itself stalls: a thread sleeps 10 ms and measures how late it wakes.
//!
//! If a timed case fails while the machine stalls for longer than the case tolerates, it is skipped. The reason tells the
//! stall.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::skip;

const INTERVAL: Duration = Duration::from_millis(10);
/// Delays up to this are usual on an idle machine, and don't count.
const USUAL: Duration = Duration::from_millis(2);
/// The longest delays are kept for as many intervals; a case that takes longer sees at least its last ones.
const KEPT: usize = 1 << 16;

/// How late the thread woke in each interval, in microseconds.
static DELAYS: [AtomicU64; KEPT] = [const { AtomicU64::new(0) }; KEPT];
/// The number of the current interval.
static NOW: AtomicU64 = AtomicU64::new(0);
/// When the current interval began.
static BEGAN: AtomicU64 = AtomicU64::new(0);

/// How much the machine stalled since [`Stall::begin`].
pub struct Stall {
    first: u64,
    began: Instant,
}

/// A measured stall.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stalled {
    /// The longest single delay.
    pub longest: Duration,
    /// The sum of all delays.
    pub sum: Duration,
}

/// The largest stall with which a case can be judged.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Of a single delay.
    pub longest: Duration,
    /// Of all delays together, as a share of the time that the case took.
    pub share: f64,
}

/// An idle machine stalls far less. Beside four busy loops on two processors, all delays are a fifth of the time.
pub const TOLERANCE: Tolerance = Tolerance {
    longest: Duration::from_millis(100),
    share: 0.05,
};

fn clock() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn start() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        clock();
        thread::Builder::new()
            .name("stall".into())
            .spawn(measure)
            .expect("a thread");
    });
}

fn measure() {
    loop {
        let began = Instant::now();
        BEGAN.store(micros(began - clock()), Ordering::Relaxed);
        thread::sleep(INTERVAL);
        let late = began.elapsed().saturating_sub(INTERVAL);
        let number = NOW.load(Ordering::Relaxed);
        DELAYS[number as usize % KEPT].store(micros(late), Ordering::Relaxed);
        NOW.store(number + 1, Ordering::Release);
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

impl Stall {
    /// Begins a measurement.
    pub fn begin() -> Self {
        start();
        Self {
            first: NOW.load(Ordering::Acquire),
            began: Instant::now(),
        }
    }

    /// Returns the stall so far, including a delay that has not ended.
    pub fn so_far(&self) -> Stalled {
        let now = NOW.load(Ordering::Acquire);
        let first = self.first.max(now.saturating_sub(KEPT as u64));
        let mut delays: Vec<_> = (first..now)
            .map(|number| DELAYS[number as usize % KEPT].load(Ordering::Relaxed))
            .map(Duration::from_micros)
            .collect();
        let current = Duration::from_micros(BEGAN.load(Ordering::Relaxed));
        delays.push(clock().elapsed().saturating_sub(current + INTERVAL));
        let counted = delays.into_iter().filter(|delay| *delay > USUAL);
        counted.fold(Stalled::default(), |all, delay| Stalled {
            longest: all.longest.max(delay),
            sum: all.sum + delay,
        })
    }

    /// Returns the stall so far, if it exceeds `tolerance`.
    pub fn beyond(&self, tolerance: Tolerance) -> Option<Stalled> {
        let stalled = self.so_far();
        let share = stalled.sum.as_secs_f64() / self.began.elapsed().as_secs_f64();
        (stalled.longest > tolerance.longest || share > tolerance.share).then_some(stalled)
    }
}

/// Runs a check that judges time. If it fails while the machine stalls for more than `tolerance`, the case is skipped.
pub fn judge(tolerance: Tolerance, check: impl FnOnce()) {
    let stall = Stall::begin();
    let Err(failure) = catch_unwind(AssertUnwindSafe(check)) else {
        return;
    };
    match stall.beyond(tolerance) {
        Some(stalled) => skip(stalled.because_of(message(&*failure))),
        None => resume_unwind(failure),
    }
}

impl Stalled {
    /// The reason to skip a case that failed with this message.
    pub fn because_of(&self, failure: &str) -> String {
        let longest = self.longest.as_secs_f64();
        let sum = self.sum.as_secs_f64();
        let first = failure.lines().next().unwrap_or_default();
        format!("stalled {longest:.2} s, {sum:.1} s in all: {first}")
    }
}

fn message(failure: &(dyn Any + Send)) -> &str {
    let text = failure.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| failure.downcast_ref::<&str>().copied())
        .unwrap_or_default()
}
