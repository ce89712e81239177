//! `app bundle`: nginx and the app in one container. This process is the container's first: it starts both, reaps children,
//! and stops both in order. The app is `app serve` on a Unix socket.
//!
//! If either ends by itself, the container ends at once, so that the platform starts it again.
//!
//! At SIGTERM (or another of [`StopSignals`]) no request is lost. Each step is a line of the log:
//!
//! 1. nginx is reloaded with nginx/drain.conf: readiness fails, and every response closes its connection. nginx serves
//!    requests as before, for `DRAIN_SECONDS`.
//! 2. nginx stops listening. Requests in flight have `SHUTDOWN_SECONDS` to finish.
//! 3. The app gets no more requests, and is stopped. The exit code is 0.

use std::{
    env,
    fmt::{self, Display},
    fs::OpenOptions,
    io::{self, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    pin::pin,
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use actix_web::rt::{
    signal::unix::{self, SignalKind},
    time::timeout,
};
use futures_util::future::{Either, select};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper, wait,
};

use super::{config, exec};
use crate::{
    process::{
        listener::{self, BindError},
        probe,
        signals::StopSignals,
    },
    settings::{reader::EX_CONFIG, values::Address},
};

/// The app's Unix socket. nginx asks the app there.
pub const SOCKET: &str = "unix:/tmp/berth.sock";

/// This much of the shutdown time is left to the end of the app.
const RESERVE: Duration = Duration::from_millis(300);
/// Between two probes of a part that starts.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// A platform that signals every process of a container reaches all of them within this time.
const SIGNAL_FANOUT: Duration = Duration::from_millis(200);

/// The values that the supervisor needs.
pub struct Options {
    /// What nginx is started with; `app` is [`SOCKET`].
    pub nginx: config::Options,
    /// How long requests in flight have to finish, after the drain time.
    pub shutdown_time: Duration,
}

/// Serves until a stop signal comes, and requests in flight are done or out of time.
///
/// # Errors
/// If nginx or the app can't be started, or ends by itself.
pub async fn run(options: &Options) -> Result<(), Failure> {
    let address = config::tcp_address(&options.nginx.bind).map_err(Failure::Config)?;
    // nginx would report it without a remedy.
    listener::try_to_listen(address).map_err(Failure::Listen)?;
    let mut bundle = Bundle::new().map_err(Failure::System)?;
    let ended = bundle.serve(options).await;
    // No child outlives this process, not even a worker of an nginx that was killed.
    bundle.kill();
    if ended.is_ok() {
        log::info!("stopped");
    }
    ended
}

/// Why the container fails.
#[derive(Debug)]
pub enum Failure {
    /// nginx's includes can't be written.
    Config(config::Error),
    /// nginx can't listen on its address.
    Listen(BindError),
    /// The system refused to start or to signal a process.
    System(io::Error),
    /// A part ended by itself.
    Ended(Part, ExitStatus),
}

impl Failure {
    /// The exit code for it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Config(error) => error.code(),
            // The app found a mistake in its settings.
            Self::Ended(_, status) if status.code() == Some(EX_CONFIG.into()) => EX_CONFIG,
            _ => 1,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(out),
            Self::Listen(error) => error.fmt(out),
            Self::System(error) => write!(
                out,
                "can't run nginx and the app: {error}; is this the image berth-bundle, may it write to /tmp, \
                 and is the limit of processes high enough?"
            ),
            Self::Ended(part, status) => write!(
                out,
                "{part} ended by itself ({status}), and the container ends with it; its own message stands above"
            ),
        }
    }
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// `app serve`.
    App,
    /// nginx's master process.
    Nginx,
}

impl Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::App => "the app",
            Self::Nginx => "nginx",
        })
    }
}

struct Running {
    part: Part,
    id: Pid,
    has_ended: bool,
}

/// What a supervisor waits for.
enum Event {
    StopRequested(&'static str),
    Ended(Part, ExitStatus),
}

struct Bundle {
    parts: Vec<Running>,
    /// The process group of nginx's log relay.
    log_relay: Option<Pid>,
    stop: StopSignals,
    child_signals: unix::Signal,
}

impl Bundle {
    fn new() -> io::Result<Self> {
        // Some platforms start a process of their own first. Orphans come to this process all the same.
        set_child_subreaper(Some(getpid()))?;
        Ok(Self {
            parts: Vec::new(),
            log_relay: None,
            stop: StopSignals::listen()?,
            child_signals: unix::signal(SignalKind::child())?,
        })
    }

    async fn serve(&mut self, options: &Options) -> Result<(), Failure> {
        config::write(&options.nginx).map_err(Failure::Config)?;
        let mut app = Command::new(env::current_exe().map_err(Failure::System)?);
        // These are meant for nginx, which is the clients' peer.
        for name in [
            "PORT",
            "NGINX_ADDRESS",
            "FRONT",
            "KEEP_ALIVE",
            "CLIENT_HEADER",
            "REQUEST_ID_HEADER",
        ] {
            app.env_remove(name);
        }
        app.arg("serve")
            .env("BIND", SOCKET)
            .env("DRAIN_SECONDS", "0");
        let socket = SOCKET.parse().expect("an address");
        self.start(Part::App, app).map_err(Failure::System)?;
        if self.stopped_before_ready(Part::App, &socket).await? {
            return Ok(());
        }
        let (nginx, log_relay) = exec::serving().map_err(Failure::System)?;
        self.log_relay = Some(log_relay);
        self.start(Part::Nginx, nginx).map_err(Failure::System)?;
        let bind = &options.nginx.bind;
        if self.stopped_before_ready(Part::Nginx, bind).await? {
            return Ok(());
        }
        log::info!("listening on {bind} with nginx, and the app behind it");
        let signal = self.stop_requested().await?;
        self.drain(signal, options).await
    }

    /// Starts a part in a process group of its own: a signal to this process's group, such as a terminal's, reaches the
    /// supervisor alone.
    fn start(&mut self, part: Part, mut command: Command) -> io::Result<()> {
        let child = command.stdin(Stdio::null()).process_group(0).spawn()?;
        self.parts.push(Running {
            part,
            id: Pid::from_child(&child),
            has_ended: false,
        });
        Ok(())
    }

    /// Waits until `part` is ready on `address`. True if a stop signal comes first.
    async fn stopped_before_ready(
        &mut self,
        part: Part,
        address: &Address,
    ) -> Result<bool, Failure> {
        while probe::healthcheck(address).is_err() {
            match timeout(POLL_INTERVAL, self.event()).await {
                Ok(Event::StopRequested(signal)) => {
                    log::info!("{signal}, before {part} was ready");
                    return Ok(true);
                }
                Ok(Event::Ended(part, status)) => return Err(Failure::Ended(part, status)),
                Err(_) => {}
            }
        }
        Ok(false)
    }

    /// The next stop signal.
    async fn stop_requested(&mut self) -> Result<&'static str, Failure> {
        match self.event().await {
            Event::StopRequested(signal) => Ok(signal),
            Event::Ended(part, status) => {
                // It ended in order, so it got a signal: a platform may signal every process.
                let signal = timeout(SIGNAL_FANOUT, self.stop.next(|| ())).await.ok();
                signal
                    .filter(|_| status.success())
                    .ok_or(Failure::Ended(part, status))
            }
        }
    }

    async fn drain(&mut self, signal: &str, options: &Options) -> Result<(), Failure> {
        let drain_time = options.nginx.drain_time;
        log::info!("{signal}: draining for {} s", drain_time.as_secs_f32());
        let drain_deadline = Instant::now() + drain_time;
        let deadline = drain_deadline + options.shutdown_time;
        let kill_deadline = drain_deadline.max(deadline - RESERVE);
        add_drain_config().map_err(Failure::System)?;
        self.signal(Part::Nginx, Signal::HUP);
        if self.ended(Part::Nginx, drain_deadline).await? {
            log::warn!(
                "nginx has been stopped too, and requests during the drain were refused; have the platform signal this process alone"
            );
        } else {
            log::info!("drained: listening no more");
            self.signal(Part::Nginx, Signal::QUIT);
            // Streams and WebSockets end, since their clients now connect elsewhere.
            self.signal(Part::App, Signal::USR1);
        }
        if !self.ended(Part::Nginx, kill_deadline).await? {
            log::warn!("out of time: requests in flight are cut off");
            self.signal(Part::Nginx, Signal::TERM);
        }
        self.signal(Part::App, Signal::TERM);
        self.ended(Part::Nginx, deadline).await?;
        self.ended(Part::App, deadline).await?;
        self.wait_for_log_relay(deadline).await;
        Ok(())
    }

    fn signal(&self, part: Part, signal: Signal) {
        let running = self.parts.iter().find(|it| it.part == part);
        if let Some(running) = running.filter(|it| !it.has_ended) {
            // It may have ended at this moment.
            let _ = kill_process(running.id, signal);
        }
    }

    /// Kills what is left of both, with the processes that they have started, and the relay.
    fn kill(&self) {
        let parts = self.parts.iter().map(|it| it.id);
        for group in parts.chain(self.log_relay) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Whether a part has ended by then, in order. A second signal changes nothing.
    async fn ended(&mut self, part: Part, until: Instant) -> Result<bool, Failure> {
        while self.parts.iter().any(|it| it.part == part && !it.has_ended) {
            let left = until.saturating_duration_since(Instant::now());
            match timeout(left, self.event()).await {
                Err(_) => return Ok(false),
                Ok(Event::Ended(part, status)) if !status.success() => {
                    return Err(Failure::Ended(part, status));
                }
                Ok(_) => {}
            }
        }
        Ok(true)
    }

    async fn event(&mut self) -> Event {
        loop {
            if let Some((part, status)) = self.reap() {
                return Event::Ended(part, status);
            }
            let (stop, child) = (pin!(self.stop.next(|| ())), pin!(self.child_signals.recv()));
            if let Either::Left((signal, _)) = select(stop, child).await {
                return Event::StopRequested(signal);
            }
        }
    }

    /// Reaps children, until one of them was a part.
    fn reap(&mut self) -> Option<(Part, ExitStatus)> {
        while let Ok(Some((id, status))) = wait(WaitOptions::NOHANG) {
            if let Some(running) = self.parts.iter_mut().find(|it| it.id == id) {
                running.has_ended = true;
                return Some((running.part, ExitStatus::from_raw(status.as_raw())));
            }
        }
        None
    }

    /// Waits for the last child, which writes nginx's last lines to the log.
    async fn wait_for_log_relay(&mut self, until: Instant) {
        while let Ok(ended) = wait(WaitOptions::NOHANG) {
            let left = until.saturating_duration_since(Instant::now());
            if ended.is_none() && timeout(left, self.child_signals.recv()).await.is_err() {
                return;
            }
        }
    }
}

/// Makes nginx's configuration that of the drain, from the next reload on.
fn add_drain_config() -> io::Result<()> {
    let path = Path::new(config::FOLDER).join(config::LISTEN);
    let mut listen = OpenOptions::new().append(true).open(path)?;
    listen.write_all(config::DRAIN.as_bytes())
}
