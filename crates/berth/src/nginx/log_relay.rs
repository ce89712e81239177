//! Passes nginx's log from a pipe to standard output, and never makes nginx wait.
//!
//! nginx writes its log between two requests: while the reader of the log takes nothing, nginx would answer no client. The
//! relay always reads. Lines beyond the [`Queue`]'s capacity are dropped, and counted.
//!
//! It is a process of its own, `app relay-log`, since nginx takes the place of the process that starts it.

use std::{
    env,
    fs::File,
    io::{self, PipeWriter, pipe},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Child, Command},
    thread,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::{read, retry_on_intr},
    pipe::fcntl_setpipe_size,
};

use crate::{
    log::queue::{BATCH_DELAY, Queue},
    process::signals::StopSignals,
};

/// The command of the binary that runs the relay.
pub const COMMAND: &str = "relay-log";
/// Bytes that may wait in the pipe, and that one read takes.
const PIPE_SIZE: usize = 1 << 20;

/// Starts the relay in a process group of its own. Returns the end of the pipe that nginx writes to: the relay ends once
/// that is closed everywhere.
///
/// # Errors
/// If the system starts no process.
pub fn start() -> io::Result<(Child, PipeWriter)> {
    let (reader, writer) = pipe()?;
    let child = Command::new(env::current_exe()?)
        .arg(COMMAND)
        .stdin(reader)
        .process_group(0)
        .spawn()?;
    Ok((child, writer))
}

/// Passes lines from standard input to standard output until the input ends. The last lines have a second to be written.
///
/// # Errors
/// If the system starts no thread, or the input can't be read.
pub fn run() -> io::Result<()> {
    // Some platforms signal every process of a container; the relay ends after nginx.
    let _ignored = StopSignals::listen();
    let (stdin, stderr) = (io::stdin(), io::stderr());
    // nginx shares standard error: a message that finds no room is dropped, and does not stop nginx.
    let flags = fcntl_getfl(&stderr)?;
    fcntl_setfl(&stderr, flags | OFlags::NONBLOCK)?;
    // Where the system refuses, nginx waits a little in a burst.
    let _ = fcntl_setpipe_size(&stdin, PIPE_SIZE);
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let queue = Queue::start(stdout, report_lost)?;
    let mut buffer = vec![0; PIPE_SIZE];
    let mut filled = 0;
    loop {
        match retry_on_intr(|| read(&stdin, &mut buffer[filled..]))? {
            0 => break,
            length => filled += length,
        }
        let whole = whole_lines(&buffer[..filled]);
        put_lines(&queue, &buffer[..whole]);
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
        // Waking the relay costs more than reading: what comes within this time is read together.
        thread::sleep(BATCH_DELAY);
    }
    put_lines(&queue, &buffer[..filled]);
    queue.flush_all();
    Ok(())
}

/// The length of the complete lines. A line that fills the buffer counts as complete.
fn whole_lines(bytes: &[u8]) -> usize {
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    match end {
        Some(end) => end + 1,
        None if bytes.len() == PIPE_SIZE => PIPE_SIZE,
        None => 0,
    }
}

fn put_lines(queue: &Queue, bytes: &[u8]) {
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        queue.put(line);
    }
}

/// In the form of nginx's own lines.
fn report_lost(queue: &Queue, lost: u64) {
    let message = format!("{lost} lines of the log could not be written, and are lost");
    let line = format!("{{\"level\":\"WARN\",\"message\":\"{message}\"}}\n");
    queue.put(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_until_it_is_complete() {
        assert_eq!(whole_lines(b""), 0);
        assert_eq!(whole_lines(b"begun"), 0);
        assert_eq!(whole_lines(b"one\ntwo\nbegun"), 8);
        assert_eq!(whole_lines(&vec![b'x'; PIPE_SIZE]), PIPE_SIZE);
    }
}
