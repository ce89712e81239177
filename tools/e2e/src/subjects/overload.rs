//! Ten times the replicas' capacity, and ten thousand connections: excess requests are refused quickly, probes are
//! answered, and right afterwards everything is as before.

use std::{
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::load::{Counted, From, Options};
use harness::{SetOnDrop, stack::docker, wire};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Requests a second.
const RATE: u32 = 9000;
/// The processors of each replica. As a request takes [`WORK`], two replicas do at most 200 a second, on any
/// machine.
const CPUS: &str = "0.1";
/// Microseconds.
const WORK: u64 = 1000;
const LASTS: Duration = Duration::from_secs(12);
/// The promise for afterwards.
const RECOVERY: Duration = Duration::from_secs(5);

fn too_much_is_refused_quickly_and_nothing_breaks() {
    // As many as are done within little more than a second.
    let stack = Counted::start(&[("CLIENT_TIMEOUT", "60"), ("MAX_REQUESTS", "256")]);
    let nginx = stack.nginx_address();
    let replicas = stack.containers("app");
    let limit = |cpus: &str| {
        let update = ["update", "--cpus", cpus];
        docker(
            &[
                &update[..],
                &replicas.iter().map(String::as_str).collect::<Vec<_>>(),
            ]
            .concat(),
        )
    };
    let idle = connect(nginx, 10_000);
    limit(CPUS);
    let over = AtomicBool::new(false);
    let (report, probes) = thread::scope(|scope| {
        let probes = scope.spawn(|| probe(nginx, &over));
        let options = Options {
            rate: RATE,
            in_flight: 2000,
            posts: 0,
            work: WORK,
            ..Options::default()
        };
        let end = SetOnDrop(&over);
        let report = stack.under_load(From::Network, &options, || thread::sleep(LASTS));
        drop(end);
        (report, probes.join().expect("health answers"))
    });
    drop(idle);
    limit("1");
    let ended = Instant::now();

    let outcome = &report.outcome;
    let losses = &outcome.losses;
    println!(
        "{} requests, {} answered, {} refused, {probes} probes; ms at p50/p99 of the answered: {}/{}",
        outcome.total,
        outcome.answered,
        losses.len(),
        outcome.get_times.p50,
        outcome.get_times.p99,
    );
    assert!(outcome.answered > 0, "{report}");
    assert!(
        outcome.total > 10 * outcome.answered,
        "no overload: {report}"
    );
    for loss in losses {
        assert_eq!(loss.status, Some(503), "{loss:?}");
    }
    let mut quick: Vec<f64> = losses.iter().map(|loss| loss.after).collect();
    quick.sort_by(f64::total_cmp);
    let median = quick[quick.len() / 2];
    assert!(
        median < outcome.get_times.p50,
        "a refusal takes {median} ms: {report}"
    );

    for service in ["nginx", "app"] {
        for id in stack.containers(service) {
            let format = "{{.RestartCount}} {{.State.OOMKilled}}";
            let state = docker(&["inspect", "--format", format, &id]);
            assert_eq!(state.trim(), "0 false", "{service} is within its memory");
        }
    }
    let killed = |line: &String| line.contains("exited on signal");
    assert_eq!(stack.log("nginx").iter().find(|line| killed(line)), None);

    thread::sleep(RECOVERY.saturating_sub(ended.elapsed()));
    let options = Options {
        rate: 200,
        requests: 1000,
        ..Options::default()
    };
    stack
        .begin(From::Network, &options)
        .ended()
        .assert_nothing_lost();
}

/// Opens connections without a request.
fn connect(address: SocketAddr, number: usize) -> Vec<TcpStream> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let connect = |_| TcpStream::connect(address).unwrap();
    (0..number).map(connect).collect()
}

/// Asks for readiness again and again; returns how often.
fn probe(address: SocketAddr, over: &AtomicBool) -> usize {
    let mut probes = 0;
    while !over.load(Ordering::Relaxed) {
        let health = wire::get(address, "/health/ready", "localhost");
        assert_eq!(health.status, 200, "health under load");
        probes += 1;
        thread::sleep(Duration::from_millis(100));
    }
    probes
}

harness::trials![
    @timed too_much_is_refused_quickly_and_nothing_breaks,
];
