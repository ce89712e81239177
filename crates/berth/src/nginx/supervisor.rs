//! `berth bundle`: nginx and the app in one container. This process is the container's first: it starts both, takes away
//! every process that has ended, and ends the container in order. The app is `berth serve` on a Unix socket.
//!
//! If either ends unasked, so does the container, at once: whoever runs it starts it anew.
//!
//! At SIGTERM ([`StopSignals`] has them all) nothing is lost. Each step is a line of the log:
//!
//! 1. nginx is reloaded with nginx/drain.conf: readiness fails, and every answer is the last of its connection. Requests
//!    are served as ever, for `DRAIN_SECONDS`.
//! 2. nginx listens no more. Requests in flight have `SHUTDOWN_SECONDS` to finish.
//! 3. The app, which nobody can ask any more, is stopped. The end, with exit code 0.

use std::{
    env,
    fmt::{self, Display},
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
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

use crate::{
    process::{
        listener::{self, BindError},
        probe,
        signals::StopSignals,
    },
    settings::{reader::EX_CONFIG, values::Address},
};

/// Where nginx finds the app.
const SOCKET: &str = "unix:/tmp/berth.sock";
/// Writes nginx's configuration, and becomes nginx.
const ENTRYPOINT: &str = "/etc/nginx/entrypoint.sh";
/// Where it writes that.
const CONFIGURATION: &str = "/tmp/berth";
/// A part of it, within `server`.
const LISTEN: &str = "/tmp/berth/listen.conf";
/// What the drain adds to that.
const DRAIN: &str = "include /etc/nginx/drain.conf;\n";

/// Of the time to shut down, so much is left to the end of the app.
const RESERVE: Duration = Duration::from_millis(300);
/// Between two looks at whether a part is ready.
const LOOK: Duration = Duration::from_millis(20);
/// Within this time a platform that signals every process of a container has reached them all.
const MOMENT: Duration = Duration::from_millis(200);

/// What nginx and the app are told.
pub struct Options {
    /// Where nginx listens.
    pub bind: Address,
    /// The hosts to answer for, with the platform's.
    pub allowed_hosts: String,
    /// Serving on after the signal.
    pub drain_time: Duration,
    /// For requests in flight, from then on.
    pub shutdown_time: Duration,
}

/// Serves until the process is told to stop and the requests in flight are done, or out of time.
///
/// # Errors
/// If nginx or the app could not be started, or ended by itself.
pub async fn run(options: &Options) -> Result<(), Failure> {
    let Address::Tcp(address) = options.bind else {
        return Err(Failure::Address(options.bind.clone()));
    };
    // Found out here, it is said with what to do.
    listener::try_to_listen(address).map_err(Failure::Listen)?;
    let mut bundle = Bundle::new().map_err(Failure::System)?;
    let ended = bundle.serve(options).await;
    // Nobody outlives this process, not even a worker of an nginx that was killed.
    bundle.kill();
    if ended.is_ok() {
        log::info!("stopped");
    }
    ended
}

/// Why the container fails.
#[derive(Debug)]
pub enum Failure {
    /// Not an address for nginx.
    Address(Address),
    /// nginx could not listen there.
    Listen(BindError),
    /// The system refused to start or to tell a process.
    System(io::Error),
    /// A part ended unasked.
    Ended(Part, ExitStatus),
}

impl Failure {
    /// The exit code for it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Address(_) => EX_CONFIG,
            // nginx's entrypoint knows it, too.
            Self::Ended(_, status) if status.code() == Some(EX_CONFIG.into()) => EX_CONFIG,
            _ => 1,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(bind) => write!(
                out,
                "BIND={bind}: nginx is asked over TCP; set it to an address such as [::]:8080"
            ),
            Self::Listen(error) => error.fmt(out),
            Self::System(error) => write!(
                out,
                "can't run nginx and the app: {error}; is this the image berth-bundle, may it write to /tmp, \
                 and is the limit of processes high enough?"
            ),
            Self::Ended(part, status) => write!(
                out,
                "{part} ended unasked ({status}), and so does the container; what it said itself stands above"
            ),
        }
    }
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// `berth serve`.
    App,
    /// nginx's master process, and first the shell that becomes it.
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
    Asked(&'static str),
    Ended(Part, ExitStatus),
}

struct Bundle {
    parts: Vec<Running>,
    stop: StopSignals,
    changes: unix::Signal,
}

impl Bundle {
    fn new() -> io::Result<Self> {
        fs::create_dir_all(CONFIGURATION)?;
        // Some platforms have a process of their own come first. Orphans are ours all the same.
        set_child_subreaper(Some(getpid()))?;
        Ok(Self {
            parts: Vec::new(),
            stop: StopSignals::listen()?,
            changes: unix::signal(SignalKind::child())?,
        })
    }

    async fn serve(&mut self, options: &Options) -> Result<(), Failure> {
        let mut app = Command::new(env::current_exe().map_err(Failure::System)?);
        // Whatever these say is meant for nginx, which is whom clients see.
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
        let mut nginx = Command::new(ENTRYPOINT);
        nginx
            .args(["nginx", "-g", "daemon off;"])
            .env("APP", SOCKET)
            .env("BIND", options.bind.to_string())
            // With those that the platform's own variables tell.
            .env("ALLOWED_HOSTS", &options.allowed_hosts);
        for (part, command, address) in [
            (Part::App, app, &socket),
            (Part::Nginx, nginx, &options.bind),
        ] {
            self.start(part, command).map_err(Failure::System)?;
            if let Some(signal) = self.asked_before_ready(address).await? {
                log::info!("{signal}, before {part} was ready");
                return Ok(());
            }
        }
        log::info!(
            "listening on {} with nginx, and the app behind it",
            options.bind
        );
        let signal = self.asked().await?;
        self.drain(signal, options).await
    }

    /// Starts a part in a process group of its own: a signal to ours, such as a terminal's, is ours to deal with.
    fn start(&mut self, part: Part, mut command: Command) -> io::Result<()> {
        let child = command.stdin(Stdio::null()).process_group(0).spawn()?;
        self.parts.push(Running {
            part,
            id: Pid::from_child(&child),
            has_ended: false,
        });
        Ok(())
    }

    /// The signal that asked to stop while `address` was not yet answering.
    async fn asked_before_ready(
        &mut self,
        address: &Address,
    ) -> Result<Option<&'static str>, Failure> {
        while probe::healthcheck(address).is_err() {
            match timeout(LOOK, self.event()).await {
                Ok(Event::Asked(signal)) => return Ok(Some(signal)),
                Ok(Event::Ended(part, status)) => return Err(Failure::Ended(part, status)),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// The signal that asks to stop.
    async fn asked(&mut self) -> Result<&'static str, Failure> {
        match self.event().await {
            Event::Asked(signal) => Ok(signal),
            Event::Ended(part, status) => {
                // In order, so somebody asked: a platform that signals every process?
                let asked = timeout(MOMENT, self.stop.next()).await.ok();
                asked
                    .filter(|_| status.success())
                    .ok_or(Failure::Ended(part, status))
            }
        }
    }

    async fn drain(&mut self, signal: &str, options: &Options) -> Result<(), Failure> {
        let wait = options.drain_time;
        log::info!("{signal}: draining for {} s", wait.as_secs_f32());
        let listen_no_more = Instant::now() + wait;
        let end = listen_no_more + options.shutdown_time;
        let cut = listen_no_more.max(end - RESERVE);
        reconfigure().map_err(Failure::System)?;
        self.signal(Part::Nginx, Signal::HUP);
        if self.ended(Part::Nginx, listen_no_more).await? {
            log::warn!(
                "nginx has been stopped, too: whoever still asked was refused; have the platform signal this process alone"
            );
        } else {
            log::info!("drained: listening no more");
            self.signal(Part::Nginx, Signal::QUIT);
        }
        if !self.ended(Part::Nginx, cut).await? {
            log::warn!("out of time: whoever waits for an answer is cut off");
            self.signal(Part::Nginx, Signal::TERM);
        }
        self.signal(Part::App, Signal::TERM);
        self.ended(Part::Nginx, end).await?;
        self.ended(Part::App, end).await?;
        self.relieved(end).await;
        Ok(())
    }

    fn signal(&self, part: Part, signal: Signal) {
        let running = self.parts.iter().find(|it| it.part == part);
        if let Some(running) = running.filter(|it| !it.has_ended) {
            // It may be gone this very moment.
            let _ = kill_process(running.id, signal);
        }
    }

    /// Ends what is left of both, processes that they have started included.
    fn kill(&self) {
        for running in &self.parts {
            let _ = kill_process_group(running.id, Signal::KILL);
        }
    }

    /// Whether a part has ended by then, as it was told to. That a second signal comes changes nothing.
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
            let (asked, changed) = (pin!(self.stop.next()), pin!(self.changes.recv()));
            if let Either::Left((signal, _)) = select(asked, changed).await {
                return Event::Asked(signal);
            }
        }
    }

    /// Takes away processes that have ended, until one of them was a part.
    fn reap(&mut self) -> Option<(Part, ExitStatus)> {
        while let Ok(Some((id, status))) = wait(WaitOptions::NOHANG) {
            if let Some(running) = self.parts.iter_mut().find(|it| it.id == id) {
                running.has_ended = true;
                return Some((running.part, ExitStatus::from_raw(status.as_raw())));
            }
        }
        None
    }

    /// Waits for the last process, which writes nginx's last lines to the log.
    async fn relieved(&mut self, until: Instant) {
        while let Ok(ended) = wait(WaitOptions::NOHANG) {
            let left = until.saturating_duration_since(Instant::now());
            if ended.is_none() && timeout(left, self.changes.recv()).await.is_err() {
                return;
            }
        }
    }
}

/// Has nginx's configuration be that of the drain, from the next reload on.
fn reconfigure() -> io::Result<()> {
    let mut listen = OpenOptions::new().append(true).open(LISTEN)?;
    listen.write_all(DRAIN.as_bytes())
}
