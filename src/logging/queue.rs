//! Lines on their way to standard error, which may take none: its reader has stopped, or the disk is full. They wait in
//! memory, and a thread writes them, so that nobody who answers requests ever waits for the log.
//!
//! What has no room is dropped. Once lines can be written again, one of them says how many were lost.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, poll};

/// Bytes that may wait.
pub const ROOM: usize = 1 << 20;
/// Bytes that they share an allocation with. One of 128 KiB or more, once freed, would have glibc keep more of all that is
/// freed from then on (mallopt(3), `M_MMAP_THRESHOLD`).
const BLOCK: usize = 64 << 10;
/// Lines that come within this time of each other are written together: to be woken costs more than to write.
const GATHER: Duration = Duration::from_millis(10);
/// At the end of the process the last lines have this long to be written.
const LAST: Duration = Duration::from_secs(1);

/// The lines that wait. Whatever is written to it in one call is one line.
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
    /// Lines that were dropped, and that nobody has been told of.
    lost: u64,
}

impl Queue {
    /// Starts the thread that writes to standard error.
    pub fn start() -> io::Result<Self> {
        let queue = Self::default();
        let lines = queue.clone();
        thread::Builder::new()
            .name("log".into())
            .spawn(move || lines.write_all_that_come())?;
        Ok(queue)
    }

    /// Has a line wait, or drops it.
    pub fn put(&self, line: &[u8]) {
        let mut state = self.state();
        if state.bytes() + line.len() > ROOM {
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

    /// Waits until everything is written, but not for long.
    pub fn drain(&self) {
        let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.state(), LAST, is_busy);
        drop(waited);
    }

    fn write_all_that_come(&self) {
        let mut works = true;
        loop {
            let (blocks, lost) = self.take(works);
            if lost > 0 {
                // Waits in its turn: it has room, for everything else has just been taken.
                log::warn!("{lost} lines of the log could not be written, and are lost");
            }
            let unwritten = write(&blocks);
            works = unwritten == 0;
            let mut state = self.state();
            state.lost += unwritten;
            state.is_writing = false;
            drop(state);
            self.0.changed.notify_all();
        }
    }

    /// Waits for lines. With them comes how many were lost, if that can be told.
    fn take(&self, can_be_told: bool) -> (Vec<Vec<u8>>, u64) {
        let none = |state: &mut State| state.waiting.is_empty();
        let waited = self.0.changed.wait_while(self.state(), none);
        drop(waited);
        thread::sleep(GATHER);
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

/// Returns how many lines could not be written, be it in part.
fn write(blocks: &[Vec<u8>]) -> u64 {
    let mut unwritten = 0;
    for block in blocks {
        let rest = match unwritten {
            0 => write_some(block),
            _ => block,
        };
        unwritten += rest.iter().filter(|&&byte| byte == b'\n').count() as u64;
    }
    unwritten
}

/// Returns what could not be written.
fn write_some(mut lines: &[u8]) -> &[u8] {
    while !lines.is_empty() {
        match io::stderr().write(lines) {
            Ok(0) => break,
            Ok(written) => lines = &lines[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whoever has it, too, may have it so: nginx/relay.pl in the bundle, or a terminal's other programs.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = poll(&mut [PollFd::new(&io::stderr(), PollFlags::OUT)], None);
            }
            Err(_) => break,
        }
    }
    lines
}
