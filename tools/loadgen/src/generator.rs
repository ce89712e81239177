//! Sends requests when they are due, and counts what becomes of them.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{IsTerminal, stderr},
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use hyper::Method;
use tokio::{
    net::lookup_host,
    runtime::Builder,
    select,
    signal::unix::{SignalKind, signal},
    task::{JoinHandle, LocalSet, spawn_blocking, spawn_local},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use crate::{
    client::{Answer, Client, Fault},
    held::Holder,
    options::Options,
    outcome::{Answered, Held, Loss, Outcome, SOCKET, STREAM, Seen, Times, millis},
    sockets, streams,
};

/// How often the generator looks which requests are due.
const TICK: Duration = Duration::from_millis(1);
/// Time between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// How long the generator waits for second answers after the last first answer.
const SECOND_ANSWER_WAIT: Duration = Duration::from_millis(100);

/// A run of the load generator.
pub struct Generator {
    options: Options,
    address: SocketAddr,
    client: Rc<Client>,
    start: Instant,
    tally: RefCell<Tally>,
}

#[derive(Default)]
struct Tally {
    in_flight: usize,
    outcome: Outcome,
    /// By number, so that none counts twice.
    losses: BTreeMap<u64, Loss>,
    /// Microseconds.
    get_times: Vec<u32>,
    post_times: Vec<u32>,
    put_times: Vec<u32>,
}

impl Generator {
    /// Runs until the options or a signal stop it. `started` is called with the target when it begins.
    ///
    /// # Errors
    /// If the target can't be resolved.
    pub fn run_to_end(options: Options, started: impl FnOnce(&str)) -> Result<Outcome, String> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        LocalSet::new().block_on(&runtime, async {
            let generator = Rc::new(Self::new(options).await?);
            started(&generator.options.target);
            generator.run().await;
            Ok(generator.outcome())
        })
    }

    async fn new(options: Options) -> Result<Self, String> {
        let authority = options.target.strip_prefix("http://");
        let authority = authority.ok_or("--target must be http://HOST:PORT")?;
        let authority = authority.trim_end_matches('/');
        let found = lookup_host(authority).await;
        let found = found.map_err(|error| format!("{authority} can't be resolved: {error}"))?;
        let address = { found }
            .next()
            .ok_or_else(|| format!("{authority} has no address"))?;
        let outcome = Outcome {
            started: millis(
                SystemTime::UNIX_EPOCH
                    .elapsed()
                    .expect("a clock after 1970"),
            ),
            first: options.first,
            ..Outcome::default()
        };
        Ok(Self {
            client: Client::new(address, options.clone()),
            options,
            address,
            start: Instant::now(),
            tally: RefCell::new(Tally {
                outcome,
                ..Tally::default()
            }),
        })
    }

    /// Sends requests when they are due until it is stopped, and waits for those in flight.
    async fn run(self: &Rc<Self>) {
        let mut terminate = signal(SignalKind::terminate()).expect("signals can be caught");
        let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be caught");
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut due_so_far, mut progress) = (0, PROGRESS_INTERVAL);
        let is_stopped = Arc::default();
        let (streams, sockets) = self.hold(&is_stopped);
        loop {
            select! {
                _ = ticks.tick() => {}
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
            let elapsed = self.start.elapsed();
            if elapsed.as_secs() >= self.options.seconds || self.total() >= self.options.requests {
                break;
            }
            let due = self.due(elapsed);
            while due_so_far < due && self.total() < self.options.requests {
                self.offer(due_so_far);
                due_so_far += 1;
            }
            if elapsed >= progress && stderr().is_terminal() {
                self.print_progress();
                progress += PROGRESS_INTERVAL;
            }
        }
        is_stopped.store(true, Ordering::Relaxed);
        while self.tally.borrow().in_flight > 0 {
            sleep(TICK).await;
        }
        self.tally.borrow_mut().outcome.streams = sum(streams).await;
        self.tally.borrow_mut().outcome.sockets = sum(sockets).await;
        sleep(SECOND_ANSWER_WAIT).await;
        for (number, when) in self.client.answered_again() {
            let again = Fault {
                what: "answered twice".into(),
                ..Fault::default()
            };
            if !self.tally.borrow().losses.contains_key(&number) {
                self.tally.borrow_mut().outcome.answered -= 1;
                self.record_loss(number, when - self.start, again);
            }
        }
    }

    /// Starts the clients of streams and WebSockets.
    fn hold(&self, is_stopped: &Arc<AtomicBool>) -> (Vec<JoinHandle<Held>>, Vec<JoinHandle<Held>>) {
        let holder = |kind, number| {
            let start = self.start.into_std();
            let is_stopped = Arc::clone(is_stopped);
            Holder::new(
                &self.options,
                self.address,
                (kind, number),
                start,
                is_stopped,
            )
        };
        let streams = (0..self.options.streams).map(|number| holder(STREAM, number));
        let sockets = (0..self.options.sockets).map(|number| holder(SOCKET, number));
        (
            streams
                .map(|holder| spawn_local(streams::hold(holder)))
                .collect(),
            sockets
                .map(|holder| spawn_blocking(|| sockets::hold(holder)))
                .collect(),
        )
    }

    fn total(&self) -> u64 {
        self.tally.borrow().outcome.total
    }

    /// How many requests are due by now: each second of load is followed by the silence.
    fn due(&self, elapsed: Duration) -> u64 {
        let round = Duration::from_secs(1 + self.options.silence);
        let rounds = (elapsed.as_secs_f64() / round.as_secs_f64()).floor();
        let rest = (elapsed.as_secs_f64() - rounds * round.as_secs_f64()).min(1.0);
        ((rounds + rest) * f64::from(self.options.rate)) as u64
    }

    /// When the request at that place in the order was due.
    fn due_at(&self, place: u64) -> Duration {
        let loaded = place as f64 / f64::from(self.options.rate);
        Duration::from_secs_f64(loaded + loaded.floor() * self.options.silence as f64)
    }

    /// Sends a request, unless too many are in flight.
    fn offer(self: &Rc<Self>, place: u64) {
        let mut tally = self.tally.borrow_mut();
        if tally.in_flight >= self.options.in_flight {
            tally.outcome.unoffered += 1;
            return;
        }
        let number = self.options.first + tally.outcome.total;
        let lag = millis(self.start.elapsed().saturating_sub(self.due_at(place)));
        tally.outcome.lag = tally.outcome.lag.max(lag);
        tally.outcome.total += 1;
        tally.in_flight += 1;
        match self.options.method(number) {
            Method::POST => tally.outcome.posts += 1,
            Method::PUT => tally.outcome.puts += 1,
            _ => tally.outcome.gets += 1,
        }
        drop(tally);
        let generator = Rc::clone(self);
        spawn_local(async move { generator.request(number).await });
    }

    async fn request(self: Rc<Self>, number: u64) {
        let sent = self.start.elapsed();
        match self.client.request(number).await {
            Ok(answer) => self.record_answer(number, sent, answer),
            Err(fault) => self.record_loss(number, sent, fault),
        }
        self.tally.borrow_mut().in_flight -= 1;
    }

    fn record_answer(&self, number: u64, sent: Duration, answer: Answer) {
        let now = self.start.elapsed();
        let tally = &mut *self.tally.borrow_mut();
        let times = match self.options.method(number) {
            Method::POST => &mut tally.post_times,
            Method::PUT => &mut tally.put_times,
            _ => &mut tally.get_times,
        };
        times.push((now - sent).as_micros() as u32);
        tally.outcome.answered += 1;
        if self.options.trace {
            tally.outcome.trace.push(Answered {
                number,
                at: millis(sent),
                after: millis(now - sent),
                replica: answer.replica.clone(),
            });
        }
        if let Some(replica) = answer.replica {
            *tally.outcome.replicas.entry(replica).or_default() += 1;
        }
        if let Some(version) = answer.version {
            let first = Seen {
                first: millis(now),
                ..Seen::default()
            };
            let seen = tally.outcome.versions.entry(version).or_insert(first);
            seen.answers += 1;
            seen.last = millis(now);
        }
    }

    fn record_loss(&self, number: u64, sent: Duration, fault: Fault) {
        let after = self.start.elapsed() - sent;
        let tally = &mut *self.tally.borrow_mut();
        let loss = Loss {
            number,
            method: self.options.method(number).to_string(),
            what: fault.what,
            status: fault.status,
            at: millis(sent),
            after: millis(after),
            replica: fault.replica,
            reused: fault.reused,
        };
        tally.losses.insert(number, loss);
    }

    fn print_progress(&self) {
        let tally = self.tally.borrow();
        let Outcome {
            total,
            answered,
            unoffered,
            ..
        } = tally.outcome;
        let (lost, in_flight) = (tally.losses.len(), tally.in_flight);
        let seconds = self.start.elapsed().as_secs();
        eprintln!(
            "{seconds} s: {total} sent, {answered} answered, {lost} lost, {in_flight} in flight, {unoffered} not offered"
        );
    }

    fn outcome(&self) -> Outcome {
        let tally = self.tally.take();
        Outcome {
            losses: tally.losses.into_values().collect(),
            get_times: Times::of(tally.get_times),
            post_times: Times::of(tally.post_times),
            put_times: Times::of(tally.put_times),
            ..tally.outcome
        }
    }
}

/// Waits for these clients.
async fn sum(clients: Vec<JoinHandle<Held>>) -> Held {
    let mut sum = Held::default();
    for client in clients {
        sum.add(client.await.expect("no client panics"));
    }
    sum
}
