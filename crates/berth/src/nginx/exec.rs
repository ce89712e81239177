//! `app nginx`: writes nginx's includes, and becomes nginx. nginx is then the container's first process, and gets its
//! signals.

use std::{
    fmt::{self, Display},
    io,
    os::unix::process::CommandExt,
    process::Command,
};

use rustix::process::Pid;

use super::{
    config::{self, Options},
    deferred_listen, log_relay,
};
use crate::process::sched_batch;

/// nginx's own options that check, print or signal something, and serve nothing.
const ONE_SHOT: [&str; 7] = ["-s", "-t", "-T", "-v", "-V", "-h", "-?"];

/// Why nginx does not run.
#[derive(Debug)]
pub enum Error {
    /// The includes can't be written.
    Config(config::Error),
    /// The log relay, or the process that waits for the replicas, can't be started.
    Process(io::Error),
    /// nginx can't be started.
    Nginx(io::Error),
}

impl Error {
    /// The exit code for it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Config(error) => error.code(),
            _ => 1,
        }
    }
}

impl std::error::Error for Error {}

impl Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(out),
            Self::Process(error) => write!(
                out,
                "can't start nginx's helpers: {error}; is the limit of processes too low?"
            ),
            Self::Nginx(error) => {
                write!(
                    out,
                    "can't run nginx: {error}; is this the image berth-nginx?"
                )
            }
        }
    }
}

/// Writes the includes, then replaces this process by nginx with `arguments`. Returns only if that fails. With `-t`,
/// `-s reload` or another of nginx's options that serve nothing, nginx gets `arguments` alone, and there is no relay.
pub fn exec(options: &Options, arguments: &[&str]) -> Error {
    match prepare(options, arguments) {
        Ok(mut nginx) => Error::Nginx(nginx.exec()),
        Err(error) => error,
    }
}

fn prepare(options: &Options, arguments: &[&str]) -> Result<Command, Error> {
    config::write(options).map_err(Error::Config)?;
    let mut nginx = if arguments.iter().any(|it| ONE_SHOT.contains(it)) {
        Command::new("nginx")
    } else {
        if options.app.is_none() && !options.maintenance {
            deferred_listen::start().map_err(Error::Process)?;
        }
        serving().map_err(Error::Process)?.0
    };
    nginx.args(arguments);
    Ok(nginx)
}

/// Starts the log relay. Returns the command for an nginx that serves, and the relay's process group. From then on this
/// process runs under `SCHED_BATCH`, which nginx inherits.
pub(super) fn serving() -> io::Result<(Command, Pid)> {
    let (relay, log) = log_relay::start()?;
    sched_batch::use_sched_batch();
    let mut nginx = Command::new("nginx");
    nginx.args(["-g", "daemon off;"]).stdout(log);
    Ok((nginx, Pid::from_child(&relay)))
}
