//! Failures that are no crash: something happens to a replica, or to what it needs, under a load, and passes.
//!
//! From the first second on, 99.9 % of the GETs are answered within 3 s, the replica that fails gets almost none of them,
//! and when it is well it gets some again within 10 s. No GET is lost. With `LOSSLESS=full` a failure lasts longer.
//! The table at the end says what was measured.

use std::{
    env,
    fmt::Write,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::run::Batch;
use crate::{
    dns::{Dns, Server},
    load::{Answered, Counted, From, Loss, Options, Report},
};
use harness::{
    modes::{STACK, why_not},
    skip,
    solo::wait_for,
    stack::{docker, run},
    stall::TOLERANCE,
    wire,
};
use libtest_mimic::Failed;

/// The longest time until a failure is noticed.
const NOTICED: Duration = Duration::from_secs(1);
/// The longest time that 99.9 % of the GETs may take from then on, in milliseconds.
const ANSWERED: f64 = 3000.0;
/// The longest time until its end is noticed, in milliseconds.
const RECOVERED: f64 = 10_000.0;
/// A replica that gets a smaller part of the requests than this gets almost none; its fair part is a third.
const ALMOST_NONE: f64 = 0.01;
/// When there is no replica any more, nginx first looks for each of two, twice, for a second; this is with a margin.
const LOOKED_FOR: f64 = 6000.0;
/// From then on nginx knows that there is none, and says so in so many milliseconds.
const GONE: f64 = 3000.0;
const AT_ONCE: f64 = 1000.0;
/// The longest time before a replica's death, in milliseconds, at which a request may have been sent that it did not answer.
const CAUGHT: f64 = 3000.0;
/// The longest time until the first replica to return gets a request, in milliseconds.
const SERVED: f64 = 2000.0;
/// Before and after a failure.
const CALM: Duration = Duration::from_secs(3);

/// One kind of failure.
struct Scenario {
    event: &'static str,
    run: fn() -> Finding,
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        event: "a replica hangs",
        run: || {
            fails(
                ALMOST_NONE,
                |_, replica| drop(docker(&["pause", replica])),
                |_, replica| drop(docker(&["unpause", replica])),
            )
        },
    },
    Scenario {
        event: "a replica is slow: it has a hundredth of a processor",
        // The replica answers late: it need not be left out, but gets less.
        run: || {
            fails(
                0.15,
                |_, replica| drop(docker(&["update", "--cpus", "0.01", replica])),
                |_, replica| drop(docker(&["update", "--cpus", "1", replica])),
            )
        },
    },
    Scenario {
        event: "a replica has no file descriptors left",
        run: || {
            fails(
                1.0,
                |_, replica| limit_files(replica, 20),
                |_, replica| limit_files(replica, 10_000),
            )
        },
    },
    Scenario {
        event: "a replica has no memory left, and is restarted",
        run: || {
            fails(
                1.0,
                |_, replica| hoard(replica),
                |_, replica| {
                    let count = || docker(&["inspect", "--format", "{{.RestartCount}}", replica]);
                    wait_for(|| (count().trim() != "0").then_some(()));
                },
            )
        },
    },
    Scenario {
        event: "a replica is cut off the network",
        run: || {
            fails(
                ALMOST_NONE,
                |stack, replica| {
                    docker(&["network", "disconnect", &network(stack), replica]);
                },
                |stack, replica| {
                    let network = network(stack);
                    docker(&["network", "connect", "--alias", "app", &network, replica]);
                },
            )
        },
    },
    Scenario {
        event: "DNS does not answer",
        run: || dns_gone(Dns::Silent),
    },
    Scenario {
        event: "DNS answers SERVFAIL",
        run: || dns_gone(Dns::Fails),
    },
    Scenario {
        event: "all replicas are dead",
        run: all_dead,
    },
];

/// The measured figures, and the faults.
#[derive(Default)]
struct Finding {
    requests: u64,
    lost: usize,
    /// Of the GETs sent from the first second of the failure to its end, in milliseconds.
    p99_9: f64,
    slowest: f64,
    notes: Vec<String>,
    faults: String,
}

impl Finding {
    fn require(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            writeln!(self.faults, "{}", otherwise()).expect("a string");
        }
    }
}

fn is_full() -> bool {
    env::var("LOSSLESS").is_ok_and(|value| value == "full")
}

/// How long a failure lasts.
fn lasts() -> Duration {
    Duration::from_secs(if is_full() { 60 } else { 10 })
}

fn load() -> Options {
    Options {
        rate: 300,
        posts: 0,
        trace: true,
        ..Options::default()
    }
}

fn network(stack: &Counted) -> String {
    format!("{}_default", stack.project)
}

/// The address of a replica that runs.
fn address(replica: &str) -> Option<Ipv4Addr> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    docker(&["inspect", "--format", format, replica])
        .trim()
        .parse()
        .ok()
}

/// The soft limit alone, as the replica's own user: that takes no privilege but to become that user.
fn limit_files(replica: &str, files: u32) {
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", replica]);
    run(Command::new("setpriv")
        .args(["--reuid", "65532", "--regid", "0", "--clear-groups"])
        .args(["prlimit", "--pid", pid.trim()])
        .arg(format!("--nofile={files}:")));
}

/// Has the replica take memory until it is killed.
fn hoard(replica: &str) {
    let address = SocketAddr::from((address(replica).expect("it runs"), 8080));
    let request = "POST /hoard HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    wire::exchange(address, request.as_bytes(), wire::TIMEOUT);
}

/// Milliseconds since 1970.
fn millis(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs_f64() * 1000.0
}

/// One of three replicas is harmed, and healed. Meanwhile it gets no larger part of the GETs than `part`.
fn fails(part: f64, harm: fn(&Counted, &str), heal: fn(&Counted, &str)) -> Finding {
    let stack = Counted::start(&[("REPLICAS", "3")]);
    let bad = stack.containers("app").remove(0);
    let mut times = (SystemTime::now(), SystemTime::now());
    let report = stack.under_load(From::Network, &load(), || {
        thread::sleep(CALM);
        harm(&stack, &bad);
        times.0 = SystemTime::now();
        thread::sleep(lasts());
        heal(&stack, &bad);
        times.1 = SystemTime::now();
        thread::sleep(Duration::from_millis(RECOVERED as u64) + CALM);
    });
    let mut finding = judge(&report, times);
    got_almost_none(&mut finding, &report, times, &bad, part);
    is_noticed(&mut finding, &report, times.1, &bad);
    finding
}

/// The answers to what was sent between the two times, but in the first second.
fn meanwhile(report: &Report, times: (SystemTime, SystemTime)) -> impl Iterator<Item = &Answered> {
    let outcome = &report.outcome;
    let start = millis(times.0 + NOTICED) - outcome.started;
    let end = millis(times.1) - outcome.started;
    let answers = outcome.trace.iter();
    answers.filter(move |it| (start..end).contains(&it.at))
}

/// Checks that no request was lost, and that almost all GETs between the two times were quick, after the first second.
fn judge(report: &Report, times: (SystemTime, SystemTime)) -> Finding {
    let outcome = &report.outcome;
    let meanwhile = meanwhile(report, times);
    let mut took: Vec<f64> = meanwhile.map(|it| it.after).collect();
    took.sort_by(f64::total_cmp);
    let at = (took.len() as f64 * 0.999).ceil() as usize;
    let slowest = outcome.get_times.max.max(outcome.post_times.max);
    let mut finding = Finding {
        requests: outcome.total,
        lost: report.lost(),
        p99_9: took.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN),
        slowest,
        ..Finding::default()
    };
    finding.require(report.is_flawless(), || report.to_string());
    let p99_9 = finding.p99_9;
    finding.require(p99_9 <= ANSWERED, || {
        format!("99.9 % took up to {p99_9} ms")
    });
    finding
}

/// The replica answered no larger part of the GETs in that time than `part`; those that took long were with it too.
fn got_almost_none(
    finding: &mut Finding,
    report: &Report,
    times: (SystemTime, SystemTime),
    bad: &str,
    part: f64,
) {
    let meanwhile = meanwhile(report, times);
    let was_bad = |name: &Option<String>| name.as_ref().is_some_and(|name| bad.starts_with(name));
    let (mut all, mut got) = (0, 0);
    for answer in meanwhile {
        all += 1;
        got += usize::from(was_bad(&answer.replica) || answer.after > 1000.0);
    }
    let share = got as f64 / all as f64;
    finding
        .notes
        .push(format!("{got} of {all} met the replica meanwhile"));
    finding.require(share <= part, || {
        format!("it still got {:.2} %", share * 100.0)
    });
}

/// A replica gets requests again soon after `well`.
fn is_noticed(finding: &mut Finding, report: &Report, well: SystemTime, replica: &str) {
    let outcome = &report.outcome;
    let well = millis(well) - outcome.started;
    let is_it = |name: &Option<String>| name.as_ref().is_some_and(|name| replica.starts_with(name));
    let answers = outcome
        .trace
        .iter()
        .filter(|it| it.at >= well && is_it(&it.replica));
    let first = answers.map(|it| it.at - well).min_by(f64::total_cmp);
    let first = first.unwrap_or(f64::INFINITY);
    finding
        .notes
        .push(format!("again after {:.1} s", first / 1000.0));
    finding.require(first <= RECOVERED, || {
        format!("well, but asked only after {first} ms")
    });
}

/// nginx uses the test's DNS server, which fails for a while. A replica that was started meanwhile is found afterwards.
fn dns_gone(failure: Dns) -> Finding {
    let stack = Counted::start(&[("REPLICAS", "2")]);
    let replicas = || {
        let replicas = stack.containers("app");
        let addresses = replicas.iter().map(|it| address(it).expect("it runs"));
        Dns::Answers(addresses.collect())
    };
    let gateway = "{{(index .IPAM.Config 0).Gateway}}";
    let host = docker(&["network", "inspect", "--format", gateway, &network(&stack)]);
    let dns = Server::start(host.trim(), replicas());
    let configure = format!(
        "sed -i 's/resolver .* valid/resolver {} valid/' /tmp/berth/resolver.conf && nginx -s reload",
        dns.address
    );
    stack.compose(&["exec", "--no-TTY", "nginx", "sh", "-c", &configure]);
    let old = stack.containers("app");
    let mut times = (SystemTime::now(), SystemTime::now());
    let report = stack.under_load(From::Network, &load(), || {
        thread::sleep(CALM);
        dns.set(failure);
        times.0 = SystemTime::now();
        let end = Instant::now() + lasts();
        stack.scale(3);
        thread::sleep(end.saturating_duration_since(Instant::now()));
        dns.set(replicas());
        times.1 = SystemTime::now();
        thread::sleep(Duration::from_millis(RECOVERED as u64) + CALM);
    });
    let new = stack
        .containers("app")
        .into_iter()
        .find(|it| !old.contains(it))
        .expect("a third");
    let mut finding = judge(&report, times);
    // It was not known.
    got_almost_none(&mut finding, &report, times, &new, 0.0);
    is_noticed(&mut finding, &report, times.1, &new);
    finding
}

/// Without replicas, all requests get an error at once. The first replica to return soon gets requests.
fn all_dead() -> Finding {
    let stack = Counted::start(&[("REPLICAS", "2")]);
    let replicas = stack.containers("app");
    let mut died = SystemTime::now();
    let mut back = died;
    let mut page = None;
    let report = stack.under_load(From::Network, &load(), || {
        thread::sleep(CALM);
        docker(&["kill", &replicas[0], &replicas[1]]);
        died = SystemTime::now();
        thread::sleep(lasts());
        page = Some(wire::get(stack.address, "/", "localhost"));
        docker(&["start", &replicas[0]]);
        let address = wait_for(|| address(&replicas[0]));
        wait_for(|| TcpStream::connect((address, 8080)).ok());
        back = SystemTime::now();
        thread::sleep(Duration::from_millis(RECOVERED as u64));
    });
    let outcome = &report.outcome;
    let (died, back) = (
        millis(died) - outcome.started,
        millis(back) - outcome.started,
    );
    let mut finding = Finding {
        requests: outcome.total,
        lost: report.lost(),
        slowest: outcome.get_times.max,
        ..Finding::default()
    };
    let page = page.expect("asked for");
    let is_page = page.status == 502 && page.text() == "502 Bad Gateway";
    finding.require(is_page, || format!("{page:?}"));
    let losses = outcome.losses.iter();
    let (early, late): (Vec<_>, Vec<_>) = losses.partition(|loss| loss.at < died + GONE);
    finding.require(!late.is_empty(), || "they were not dead".into());
    for (losses, limit) in [(&early, LOOKED_FOR), (&late, AT_ONCE)] {
        let slowest = losses.iter().map(|loss| loss.after).fold(0.0, f64::max);
        finding.notes.push(format!("refused in {slowest:.0} ms"));
        finding.require(slowest <= limit, || format!("refused after {slowest} ms"));
    }
    let refused = |loss: &&Loss| {
        loss.status == Some(502) && loss.at >= died - CAUGHT && loss.at <= back + SERVED
    };
    let stray = outcome.losses.iter().find(|loss| !refused(loss));
    finding.require(stray.is_none(), || {
        format!("died at {died}, back at {back}: {stray:?}")
    });
    let answers = outcome.trace.iter().map(|it| it.at);
    let first = answers
        .filter(|&at| at > died + GONE)
        .fold(f64::INFINITY, f64::min)
        - back;
    finding
        .notes
        .push(format!("served after {:.1} s", first / 1000.0));
    finding.require(first <= SERVED, || format!("served only after {first} ms"));
    finding
}

pub fn batches() -> Vec<Batch> {
    let table = Arc::new(Mutex::new(String::new()));
    let missing = why_not(STACK);
    let trials = SCENARIOS.iter().map(|scenario| {
        let table = Arc::clone(&table);
        let trial = move || {
            let found = (scenario.run)();
            let (event, notes) = (scenario.event, found.notes.join("; "));
            let Finding {
                requests,
                lost,
                p99_9,
                slowest,
                ..
            } = found;
            writeln!(
                table.lock().unwrap(),
                "| {event} | {requests} | {lost} | {p99_9:.0} ms | {slowest:.0} ms | {notes} |"
            )
            .expect("a string");
            if found.faults.is_empty() {
                Ok(())
            } else {
                Err(Failed::from(found.faults))
            }
        };
        match &missing {
            Some(why) => skip::skipped(scenario.event, why.clone()),
            None => skip::timed_trial(scenario.event, TOLERANCE, trial),
        }
    });
    let trials: Vec<_> = trials.collect();
    vec![Batch::then(trials, move |_| {
        let table = table.lock().unwrap();
        if !table.is_empty() {
            println!(
                "| event | requests | lost | 99.9 % of the GETs meanwhile | slowest answer | |\n| --- | --- | --- | --- | --- | --- |\n{table}"
            );
        }
        Ok(())
    })]
}
