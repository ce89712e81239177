//! nginx takes connections once it knows its replicas: it asks the DNS server for them after it has started, and would answer
//! 502 until then.
//!
//! So nginx listens on a Unix socket first. A process of its own, `app listen-when-ready`, asks there until a replica has
//! answered, and then reloads nginx with the address for clients. nginx keeps the replicas that it knows over a reload.

use std::{
    env, fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Signal, getppid, kill_process};

use super::config::{FOLDER, LISTEN};
use crate::{http::health_paths::READY, process::probe, settings::values::Address};

/// The command of the binary that waits.
pub const COMMAND: &str = "listen-when-ready";
/// Where nginx listens first.
const SOCKET: &str = "/tmp/berth/start.sock";
/// The file with the address for clients, until it takes the place of [`LISTEN`].
const DEFERRED: &str = "listen.conf.deferred";
/// How long a replica has to answer. nginx then listens without one: it has files to serve.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Between two probes.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Makes nginx, which takes the place of this process, listen on the Unix socket first, and starts the process that waits.
/// The includes have been written.
///
/// # Errors
/// If a file can't be written, or the system starts no process.
pub fn start() -> io::Result<()> {
    let folder = Path::new(FOLDER);
    // An nginx that was killed leaves it, where /tmp outlives the process.
    if Path::new(SOCKET).exists() {
        fs::remove_file(SOCKET)?;
    }
    let socket = format!("listen unix:{SOCKET};\n");
    // The socket stays: nginx warns of one that it deletes.
    let clients = fs::read_to_string(folder.join(LISTEN))?;
    fs::write(folder.join(DEFERRED), clients + &socket)?;
    // That no replica is known yet is no error.
    fs::write(folder.join(LISTEN), socket + "error_log stderr emerg;\n")?;
    let waiting = Command::new(env::current_exe()?)
        .arg(COMMAND)
        .process_group(0)
        .spawn();
    waiting.map(drop)
}

/// Waits until a replica has answered nginx, the parent of this process, or for a second. Then lets nginx listen for clients.
///
/// # Errors
/// If the file can't be moved, or nginx can't be signalled.
pub fn run() -> io::Result<()> {
    let Some(nginx) = getppid() else {
        return Ok(());
    };
    let socket = Address::Unix(SOCKET.into());
    let deadline = Instant::now() + TIMEOUT;
    // Until there is a response, nginx may not know the signal, and would die of it.
    while getppid() == Some(nginx) {
        match probe::status_line(&socket, READY, TIMEOUT) {
            Ok(line) if !line.contains(" 502 ") || deadline < Instant::now() => {
                let folder = Path::new(FOLDER);
                fs::rename(folder.join(DEFERRED), folder.join(LISTEN))?;
                return kill_process(nginx, Signal::HUP).map_err(io::Error::from);
            }
            _ => sleep(POLL_INTERVAL),
        }
    }
    Ok(())
}
