//! Non-blocking log output: a bounded buffer and a writer thread. The reader of the log may stop, or the disk may be
//! full; a thread that answers requests never waits for either.
//!
//! Lines beyond [`CAPACITY`] are dropped. Once lines can be written again, one of them says how many were lost.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, poll};

/// Bytes that may wait.
pub const CAPACITY: usize = 1 << 20;
/// Bytes of one allocation. After freeing one of 128 KiB or more, glibc keeps more of all memory that is freed later
/// (mallopt(3), `M_MMAP_THRESHOLD`).
const BLOCK: usize = 64 << 10;
/// The writer waits this long for more lines, and writes them together: waking it costs more than writing.
pub const BATCH_DELAY: Duration = Duration::from_millis(10);
/// At the end of the process the last lines have this long to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The lines that wait. Each call of `write` is one line.
#[derive(Clone, Default)]
pub struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Blocks of whole lines.
    waiting: Vec<Vec<u8>>,
    /// Some lines have left `waiting`, and are not written yet.
    is_writing: bool,
    /// Lines that were dropped since the last report.
    lost: u64,
}

impl Queue {
    /// Starts the thread that writes to `out`. It calls `report_lost` with the number of lines that were lost, once lines can
    /// be written again.
    ///
    /// # Errors
    /// If the system starts no thread.
    pub fn start(
        out: impl Write + AsFd + Send + 'static,
        report_lost: impl Fn(&Self, u64) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Self::default();
        let lines = queue.clone();
        thread::Builder::new()
            .name("log".into())
            .spawn(move || lines.write_forever(out, report_lost))?;
        Ok(queue)
    }

    /// Adds a line, or drops it if there is no room.
    pub fn put(&self, line: &[u8]) {
        let mut state = self.state();
        if state.bytes() + line.len() > CAPACITY {
            state.lost += 1;
        } else {
            let is_first = state.waiting.is_empty();
            state.add(line);
            drop(state);
            if is_first {
                self.0.changed.notify_all();
            }
        }
    }

    /// Waits until every line is written, up to a second.
    pub fn flush_all(&self) {
        let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.state(), FLUSH_TIMEOUT, is_busy);
        drop(waited);
    }

    fn write_forever(&self, mut out: impl Write + AsFd, report_lost: impl Fn(&Self, u64)) {
        let mut works = true;
        loop {
            let (blocks, lost) = self.take(works);
            if lost > 0 {
                // It has room: all other lines have just been taken.
                report_lost(self, lost);
            }
            let unwritten = write(&mut out, &blocks);
            works = unwritten == 0;
            let mut state = self.state();
            state.lost += unwritten;
            state.is_writing = false;
            drop(state);
            self.0.changed.notify_all();
        }
    }

    /// Waits for lines. Returns them, and how many were lost if that can be told.
    fn take(&self, can_be_told: bool) -> (Vec<Vec<u8>>, u64) {
        let none = |state: &mut State| state.waiting.is_empty();
        let waited = self.0.changed.wait_while(self.state(), none);
        drop(waited);
        thread::sleep(BATCH_DELAY);
        let mut state = self.state();
        state.is_writing = true;
        let lost = if can_be_told {
            mem::take(&mut state.lost)
        } else {
            0
        };
        (mem::take(&mut state.waiting), lost)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn bytes(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }

    fn add(&mut self, line: &[u8]) {
        let fits = |block: &Vec<u8>| block.len() + line.len() <= BLOCK;
        if !self.waiting.last().is_some_and(fits) {
            self.waiting.push(Vec::with_capacity(BLOCK));
        }
        let block = self.waiting.last_mut().expect("there is one now");
        block.extend_from_slice(line);
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns how many lines could not be written, or only in part.
fn write(out: &mut (impl Write + AsFd), blocks: &[Vec<u8>]) -> u64 {
    let mut unwritten = 0;
    for block in blocks {
        let rest = match unwritten {
            0 => write_some(out, block),
            _ => block,
        };
        unwritten += rest.iter().filter(|&&byte| byte == b'\n').count() as u64;
    }
    unwritten
}

/// Returns the bytes that could not be written.
fn write_some<'a>(out: &mut (impl Write + AsFd), mut lines: &'a [u8]) -> &'a [u8] {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(0) => break,
            Ok(written) => lines = &lines[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process that shares the descriptor may have made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = poll(&mut [PollFd::new(out, PollFlags::OUT)], None);
            }
            Err(_) => break,
        }
    }
    lines
}
