//! A load that notices one lost request: asks for numbers at a steady rate, each once, and says what became of each.
//!
//! usage: load target=http://127.0.0.1:8000 [rate=1000] [name=value…]        (options.rs has all options)
//!
//! Requests leave when they are due, whether earlier ones are answered or not. Nothing is ever sent twice: what another
//! client would silently repeat is a loss here. On stdout comes a line when it begins, and at the end one with the outcome
//! as JSON (outcome.rs); progress goes to stderr if that is a terminal.

mod client;
mod options;
mod outcome;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    env,
    io::{IsTerminal, stderr},
    process::ExitCode,
    rc::Rc,
    time::{Duration, SystemTime},
};

use tokio::{
    net::lookup_host,
    select,
    signal::unix::{SignalKind, signal},
    task::{LocalSet, spawn_local},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use client::{Answer, Client, Fault};
use options::Options;
use outcome::{Answered, Loss, Outcome, Seen, Times};

/// How often to see which requests are due.
const TICK: Duration = Duration::from_millis(1);
/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);
/// A second answer to a request has this long to arrive after the last first one.
const AFTERMATH: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let load = async {
        let load = Rc::new(Load::new(Options::parse(env::args().skip(1))?).await?);
        println!("asking {}", load.options.target);
        load.run().await;
        Ok::<_, String>(load.outcome())
    };
    match LocalSet::new().block_on(&runtime, load) {
        Ok(outcome) => {
            println!("{}", serde_json::to_string(&outcome).expect("plain values"));
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("load: {message}\nusage: load target=http://HOST:PORT [name=value…]");
            ExitCode::FAILURE
        }
    }
}

struct Load {
    options: Options,
    client: Rc<Client>,
    start: Instant,
    tally: RefCell<Tally>,
}

#[derive(Default)]
struct Tally {
    in_flight: usize,
    outcome: Outcome,
    /// By number, so that none is lost twice.
    losses: BTreeMap<u64, Loss>,
    /// Microseconds.
    get_times: Vec<u32>,
    post_times: Vec<u32>,
}

impl Load {
    async fn new(options: Options) -> Result<Self, String> {
        let authority = options.target["http://".len()..].trim_end_matches('/');
        let found = lookup_host(authority).await;
        let found = found.map_err(|error| format!("{authority} can't be looked up: {error}"))?;
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
            start: Instant::now(),
            tally: RefCell::new(Tally {
                outcome,
                ..Tally::default()
            }),
        })
    }

    /// Sends what is due until it is enough, and waits for what is in flight.
    async fn run(self: &Rc<Self>) {
        let mut terminate = signal(SignalKind::terminate()).expect("signals can be caught");
        let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be caught");
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut due_so_far, mut progress) = (0, PROGRESS);
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
                self.report();
                progress += PROGRESS;
            }
        }
        while self.tally.borrow().in_flight > 0 {
            sleep(TICK).await;
        }
        sleep(AFTERMATH).await;
        for (number, when) in self.client.answered_again() {
            let again = Fault {
                what: "answered twice".into(),
                ..Fault::default()
            };
            if !self.tally.borrow().losses.contains_key(&number) {
                self.tally.borrow_mut().outcome.answered -= 1;
                self.lose(number, when - self.start, again);
            }
        }
    }

    fn total(&self) -> u64 {
        self.tally.borrow().outcome.total
    }

    /// How many requests should have left by now: one second of load, then the silence, and again.
    fn due(&self, elapsed: Duration) -> u64 {
        let round = Duration::from_secs(1 + self.options.silence);
        let rounds = (elapsed.as_secs_f64() / round.as_secs_f64()).floor();
        let rest = (elapsed.as_secs_f64() - rounds * round.as_secs_f64()).min(1.0);
        ((rounds + rest) * f64::from(self.options.rate)) as u64
    }

    /// When the request of that place in the order was due, by the same reckoning.
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
        match self.options.is_post(number) {
            true => tally.outcome.posts += 1,
            false => tally.outcome.gets += 1,
        }
        drop(tally);
        let load = Rc::clone(self);
        spawn_local(async move { load.ask(number).await });
    }

    async fn ask(self: Rc<Self>, number: u64) {
        let sent = self.start.elapsed();
        match self.client.ask(number).await {
            Ok(answer) => self.keep(number, sent, answer),
            Err(fault) => self.lose(number, sent, fault),
        }
        self.tally.borrow_mut().in_flight -= 1;
    }

    fn keep(&self, number: u64, sent: Duration, answer: Answer) {
        let now = self.start.elapsed();
        let tally = &mut *self.tally.borrow_mut();
        let times = match self.options.is_post(number) {
            true => &mut tally.post_times,
            false => &mut tally.get_times,
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

    fn lose(&self, number: u64, sent: Duration, fault: Fault) {
        let after = self.start.elapsed() - sent;
        let tally = &mut *self.tally.borrow_mut();
        let loss = Loss {
            number,
            method: if self.options.is_post(number) {
                "POST"
            } else {
                "GET"
            }
            .into(),
            what: fault.what,
            status: fault.status,
            at: millis(sent),
            after: millis(after),
            replica: fault.replica,
            reused: fault.reused,
        };
        tally.losses.insert(number, loss);
    }

    fn report(&self) {
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
            ..tally.outcome
        }
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
