//! No operation loses a request: each scenario does one thing to a stack, again and again, under a load
//! that notices one lost request. Large uploads, streams of events and WebSockets are a part of the load; what becomes of
//! those is the table in docs/zero-downtime.md.
//!
//! Usually a scenario goes on for some seconds, and all of them ask at least 100,000 requests; with `LOSSLESS=full` they
//! ask at least 1,000,000. The table at the end says what was measured.

use std::{
    env,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::load::{CUT, Counted, From, Held, Options, Outcome, Report, SOCKET, STREAM, image};
use crate::run::Batch;
use harness::{
    modes::{STACK, why_not},
    skip,
    stack::{docker, run},
    stall::TOLERANCE,
};
use libtest_mimic::Failed;

/// One thing that happens to a stack.
struct Scenario {
    event: &'static str,
    /// `None` if that depends on how soon the replicas start.
    open: Option<Open>,
    /// Runs it, and returns the outcome of the requests.
    run: fn() -> Vec<Report>,
}

/// What becomes of streams and WebSockets that are open.
#[derive(Clone, Copy, Debug)]
enum Open {
    /// Replicas drain: theirs end in order.
    End,
    /// No replica stops: all go on.
    GoOn,
    /// Those of a killed replica are cut.
    AreCut,
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        event: "scale 2 → 8 → 1 → 4, asked from the network",
        open: Some(Open::End),
        run: || scaling(&[(From::Network, load())]),
    },
    Scenario {
        event: "scale 2 → 8 → 1 → 4, asked through the published port, and with a handler of 1.5 s",
        open: Some(Open::End),
        run: || scaling(&[(From::Host, load()), (From::Network, slow_handler())]),
    },
    Scenario {
        event: "stop a replica by hand, and start it again; also while handlers answer 502 and 504",
        open: Some(Open::End),
        run: || stopping(&[load(), failing_handler(502), failing_handler(504)]),
    },
    Scenario {
        event: "stop a replica while the connections to it are idle",
        open: Some(Open::End),
        run: || {
            stopping(&[Options {
                silence: 2,
                posts: 100,
                ..Options::default()
            }])
        },
    },
    Scenario {
        event: "stop a replica that has slow requests and slow uploads in flight",
        open: Some(Open::End),
        run: || {
            let slow = Options {
                rate: 10,
                wait: 5000,
                ..Options::default()
            };
            let upload = Options {
                rate: 10,
                upload: 5000,
                body: 100_000,
                posts: 100,
                ..Options::default()
            };
            stopping(&[load(), slow, upload])
        },
    },
    Scenario {
        event: "start replicas that take 5 s to listen",
        open: None,
        run: slow_starts,
    },
    Scenario {
        event: "roll out a new version, with 2 replicas, and with a handler of 1.5 s",
        open: Some(Open::End),
        run: || {
            rollouts(
                "2",
                2,
                &[(From::Network, load()), (From::Network, slow_handler())],
            )
        },
    },
    Scenario {
        event: "roll out a new version, with 1 replica",
        open: Some(Open::End),
        run: || rollouts("1", 1, &[(From::Host, load())]),
    },
    Scenario {
        event: "kill a rollout at any moment, and run it again",
        open: Some(Open::End),
        run: killed_rollouts,
    },
    Scenario {
        event: "reload nginx, and exchange its configuration, each second",
        open: Some(Open::GoOn),
        run: reloading,
    },
    Scenario {
        event: "kill a replica (POSTs in flight there can't be saved)",
        open: Some(Open::AreCut),
        run: kills,
    },
];

pub fn batches() -> Vec<Batch> {
    let table = Arc::new(Mutex::new(Vec::new()));
    let missing = why_not(STACK);
    let trials = SCENARIOS.iter().map(|scenario| {
        let table = Arc::clone(&table);
        let trial = move || {
            let mut reports = (scenario.run)();
            if let Some(open) = scenario.open {
                reports.iter_mut().for_each(|report| open.check(report));
            }
            let mut table = table.lock().unwrap();
            table.extend(
                reports
                    .iter()
                    .map(|report| (report.outcome.total, row(scenario.event, report))),
            );
            drop(table);
            let faulty = |report: &Report| (!report.is_flawless()).then(|| report.to_string());
            let faults: Vec<_> = reports.iter().filter_map(faulty).collect();
            if faults.is_empty() {
                Ok(())
            } else {
                Err(Failed::from(faults.concat()))
            }
        };
        match &missing {
            Some(why) => skip::skipped(scenario.event, why.clone()),
            // A kill and a reload have their moment; a drain has a time, and so do replicas that start.
            None => match scenario.open {
                Some(Open::GoOn | Open::AreCut) => skip::trial(scenario.event, trial),
                _ => skip::timed_trial(scenario.event, TOLERANCE, trial),
            },
        }
    });
    let trials: Vec<_> = trials.collect();
    vec![Batch::then(trials, move |all_passed| {
        summarize(&table.lock().unwrap(), all_passed)
    })]
}

/// Prints the table. Where every scenario has run, they must have asked enough.
fn summarize(table: &[(u64, String)], all_passed: bool) -> Result<(), String> {
    if table.is_empty() {
        return Ok(());
    }
    println!("| event | requests | lost | slowest answer | uploads | streams | WebSockets |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    table.iter().for_each(|(_, row)| println!("{row}"));
    let total: u64 = table.iter().map(|(requests, _)| requests).sum();
    println!("{total} requests in all");
    let enough = if is_full() { 1_000_000 } else { 100_000 };
    if all_passed && table.len() >= SCENARIOS.len() && total < enough {
        return Err(format!(
            "{total} requests prove too little; {enough} were to be asked"
        ));
    }
    Ok(())
}

fn row(event: &str, report: &Report) -> String {
    let outcome = &report.outcome;
    let slowest = outcome.get_times.max.max(outcome.post_times.max);
    let uploads = outcome.losses.iter().filter(|loss| loss.method == "PUT");
    let held = |held: &Held| match held.opened {
        0 => String::new(),
        _ => held.to_string(),
    };
    format!(
        "| {event} | {} | {} | {slowest:.0} ms | {}, {} lost | {} | {} |",
        outcome.total,
        outcome.losses.len(),
        outcome.puts,
        uploads.count(),
        held(&outcome.streams),
        held(&outcome.sockets),
    )
}

impl Open {
    /// Adds what did not happen, or should not have, to the report of a load that had some open.
    fn check(self, report: &mut Report) {
        let Outcome {
            streams, sockets, ..
        } = &report.outcome;
        for (kind, held) in [(STREAM, streams), (SOCKET, sockets)] {
            let has_cut = held.losses.iter().any(|loss| loss.what.starts_with(CUT));
            let is_right = match self {
                _ if held.opened == 0 => true,
                Self::End => held.ended > 0,
                Self::GoOn => held.ended == 0,
                Self::AreCut => held.ended == 0 && has_cut,
            };
            if !is_right {
                let fault = format!("{self:?} was to become of them: {kind}s, {held}");
                report.faults.push(fault);
            }
        }
    }
}

/// The usual load.
fn load() -> Options {
    Options {
        rate: if is_full() { 2000 } else { 500 },
        puts: 1,
        streams: 20,
        sockets: 20,
        ..Options::default()
    }
}

fn is_full() -> bool {
    env::var("LOSSLESS").is_ok_and(|value| value == "full")
}

/// Does it again and again, as long as a scenario lasts.
fn again(mut action: impl FnMut()) {
    let lasts = Duration::from_secs(if is_full() { 60 } else { 8 });
    let start = Instant::now();
    while start.elapsed() < lasts {
        action();
    }
}

/// As many requests as can be in flight, or a half.
fn slow_handler() -> Options {
    Options {
        rate: if is_full() { 250 } else { 125 },
        wait: 1500,
        ..Options::default()
    }
}

/// A handler's own errors are not a replica's failure.
fn failing_handler(status: u16) -> Options {
    Options {
        status,
        rate: load().rate / 5,
        streams: 0,
        sockets: 0,
        ..load()
    }
}

/// Begins all loads, and returns their outcomes once `during` has run.
fn under_loads(stack: &Counted, loads: &[(From, Options)], during: impl FnOnce()) -> Vec<Report> {
    let loads: Vec<_> = loads
        .iter()
        .map(|(from, options)| stack.begin(*from, options))
        .collect();
    during();
    let reports: Vec<_> = loads.into_iter().map(|load| load.finish()).collect();
    let flawed: String = reports
        .iter()
        .filter(|report| !report.is_flawless())
        .map(ToString::to_string)
        .collect();
    if !flawed.is_empty() {
        // A case that is skipped for a busy machine tells no more than the first line.
        println!("{flawed}{}", stack.evidence());
    }
    reports
}

fn scaling(loads: &[(From, Options)]) -> Vec<Report> {
    let stack = Counted::start(&[("REPLICAS", "2")]);
    under_loads(&stack, loads, || {
        again(|| {
            [8, 1, 4, 2]
                .iter()
                .for_each(|&replicas| stack.scale(replicas));
        });
    })
}

/// Stops one of three replicas after another.
fn stopping(loads: &[Options]) -> Vec<Report> {
    let stack = Counted::start(&[("REPLICAS", "3")]);
    let loads: Vec<_> = loads
        .iter()
        .map(|options| (From::Network, options.clone()))
        .collect();
    under_loads(&stack, &loads, || {
        again(|| {
            for replica in stack.containers("app") {
                docker(&["stop", &replica]);
                stack.scale(3);
            }
        });
    })
}

fn slow_starts() -> Vec<Report> {
    let stack = Counted::start(&[("REPLICAS", "1"), ("START_DELAY", "5")]);
    under_loads(&stack, &[(From::Network, load())], || {
        again(|| [3, 1].iter().for_each(|&replicas| stack.scale(replicas)));
    })
}

fn reloading() -> Vec<Report> {
    let stack = Counted::start(&[]);
    let reload = ["nginx", "nginx", "-s", "reload"];
    let hosts = ["--env", "ALLOWED_HOSTS=localhost,example.com"];
    let exchange = ["nginx", "/app", "nginx", "-s", "reload"];
    under_loads(&stack, &[(From::Network, load())], || {
        again(|| {
            for command in [&reload[..], &[&hosts[..], &exchange].concat()] {
                stack.compose(&[&["exec", "--no-TTY"], command].concat());
                thread::sleep(Duration::from_secs(1));
            }
        });
    })
}

/// Versions of the counting service that follow each other under one name in the Compose file.
struct Versions {
    stack: Counted,
    name: String,
    images: Vec<String>,
}

impl Versions {
    /// The first one, which `number` others are to follow, or five times as many if there is time.
    fn start(replicas: &str, number: usize) -> Self {
        let name = format!("berth-test-{}-versions", std::process::id());
        let number = if is_full() { 5 * number } else { number };
        let version = |version: usize| image("counting", &version.to_string());
        let images: Vec<_> = (1..=number + 1).map(version).collect();
        docker(&["tag", &images[0], &name]);
        let stack = Counted::start(&[("APP_IMAGE", &name), ("REPLICAS", replicas)]);
        Self {
            stack,
            name,
            images,
        }
    }

    /// Rolls out each version by `way`, whose argument is a prepared rollout. Returns the outcome of the requests.
    fn follow(&self, loads: &[(From, Options)], way: impl Fn(&dyn Fn() -> Command)) -> Vec<Report> {
        let mut changes = Vec::new();
        let mut reports = under_loads(&self.stack, loads, || {
            thread::sleep(Duration::from_secs(1));
            for image in &self.images[1..] {
                let begin = SystemTime::now();
                way(&|| {
                    let mut command = self.stack.command("deploy/compose/rollout");
                    command.args(["--image", image]);
                    command
                });
                changes.push((begin, SystemTime::now()));
                // The new version alone, also for a slow handler.
                thread::sleep(Duration::from_secs(2));
            }
        });
        for report in &mut reports {
            self.check_versions(report, &changes);
        }
        reports
    }

    /// Each version answers from the beginning of its own rollout to the end of the next one.
    fn check_versions(&self, report: &mut Report, changes: &[(SystemTime, SystemTime)]) {
        let ms = |time: SystemTime| {
            let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            time.as_secs_f64() * 1000.0 - report.outcome.started
        };
        let mut versions = report.outcome.versions.clone();
        let mut faults = Vec::new();
        for count in 0..self.images.len() {
            let first = count.checked_sub(1).map_or(0.0, |own| ms(changes[own].0));
            let last = changes.get(count).map_or(f64::INFINITY, |next| ms(next.1));
            let version = (count + 1).to_string();
            match versions.remove(&version) {
                Some(seen) if seen.first >= first && seen.last <= last => {}
                seen => faults.push(format!(
                    "version {version} was to answer from {first:.0} to {last:.0} ms, and no more: {seen:?}"
                )),
            }
        }
        if !versions.is_empty() {
            faults.push(format!("unknown versions: {versions:?}"));
        }
        report.faults.extend(faults);
    }
}

impl Drop for Versions {
    fn drop(&mut self) {
        for tag in ["latest", "previous"] {
            let mut remove = Command::new("docker");
            let _ = remove
                .args(["image", "rm", &format!("{}:{tag}", self.name)])
                .output();
        }
    }
}

fn rollouts(replicas: &str, number: usize, loads: &[(From, Options)]) -> Vec<Report> {
    let versions = Versions::start(replicas, number);
    versions.follow(loads, |rollout| drop(run(&mut rollout())))
}

/// The same, each rollout killed with all that belongs to it, anywhere between its first line and its last, and run again.
fn killed_rollouts() -> Vec<Report> {
    let kill = |rollout: &dyn Fn() -> Command| {
        let mut command = rollout();
        command.process_group(0).stderr(Stdio::piped());
        let mut first = command.spawn().unwrap();
        // Open to the end: a write to a closed pipe would end it.
        let mut lines = BufReader::new(first.stderr.take().unwrap()).lines();
        let last = lines.by_ref().take(fastrand::usize(1..8)).last();
        thread::sleep(Duration::from_millis(fastrand::u64(..2000)));
        let group = format!("-{}", first.id());
        // It may have ended.
        let _ = Command::new("kill")
            .args(["-s", "KILL", "--", &group])
            .output();
        let ended = first.wait().unwrap().success();
        let what = if ended { "not killed" } else { "killed" };
        println!("{what} after {:?}", last.unwrap().unwrap());
        run(&mut rollout());
    };
    let versions = Versions::start("2", 1);
    versions.follow(&[(From::Network, load())], kill)
}

/// A POST that a replica had when it was killed may have been processed or not: it can't be repeated, and is answered with
/// 502. So is a PUT of which a part was sent, since nginx has not kept it. Streams and WebSockets of the replica are cut.
/// Everything else is saved, but for what nginx itself gives up.
fn kills() -> Vec<Report> {
    let stack = Counted::start(&[("REPLICAS", "3")]);
    let mut kills = Vec::new();
    let mut report = stack.under_load(From::Network, &load(), || {
        again(|| {
            let killed = stack.containers("app").swap_remove(0);
            let before = SystemTime::now();
            docker(&["kill", "--signal", "KILL", &killed]);
            kills.push((before, SystemTime::now(), killed));
            stack.scale(3);
        });
    });
    // Large uploads that tried the killed replica while the set changed, which nginx does not try once more
    // (nginx/conf.d/server.conf).
    let mut given_up = stack.log(stack.proxy);
    given_up.retain(|line| line.contains("no live upstreams while connecting"));
    let is_given_up = |request: &str| given_up.iter().any(|line| line.contains(request));
    report.forgive(|loss, sent, lost| {
        let mut kills = kills
            .iter()
            .filter(|&&(before, after, _)| sent < after && before < lost);
        let is_502 = loss.status == Some(502);
        let mut is_cut = || {
            let replica = loss.replica.as_deref().unwrap_or("unknown");
            loss.what.starts_with(CUT) && kills.any(|(_, _, killed)| killed.starts_with(replica))
        };
        match loss.method.as_str() {
            "PUT" if is_given_up(&format!("\"PUT /number/{} ", loss.number)) => is_502,
            "POST" | "PUT" => is_502 && kills.next().is_some(),
            STREAM | SOCKET => is_cut(),
            _ => false,
        }
    });
    let (forgiven, kills) = (report.forgiven, kills.len());
    println!("{forgiven} losses by {kills} kills");
    vec![report]
}
