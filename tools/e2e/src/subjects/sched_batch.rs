//! `SCHED_BATCH` where nginx and the app share a machine, and only there (crates/berth/src/process/sched_batch.rs).

use std::fs;

use harness::{
    Solo,
    bundle::Bundle,
    container::{Container, nginx_image},
    solo::wait_for,
    stack::docker,
};

/// `SCHED_OTHER` and `SCHED_BATCH` of sched(7).
const ORDINARY: &str = "0";
const BATCH: &str = "3";

/// The scheduling policies of a process's threads, each once: the 41st field of /proc/PID/task/TID/stat (proc(5)).
fn policies(process: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let stats = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")));
    let policy = |stat: String| {
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(41 - 3).unwrap().to_owned()
    };
    let mut policies: Vec<_> = stats.map(|stat| policy(stat.unwrap())).collect();
    policies.sort();
    policies.dedup();
    policies
}

fn an_app_behind_nginx_uses_sched_batch_and_one_alone_does_not() {
    let behind = Solo::start(&[("NGINX_ADDRESS", "localhost:9")]);
    assert_eq!(policies(&behind.id().to_string()), [BATCH]);
    let alone = Solo::start(&[]);
    assert_eq!(policies(&alone.id().to_string()), [ORDINARY]);
}

fn nginx_uses_sched_batch() {
    let nginx = Container::run(&[], &nginx_image(), &[]);
    let id = docker(&["inspect", "--format={{.State.Pid}}", &nginx.name]);
    wait_for(|| (policies(id.trim()) == [BATCH]).then_some(()));
}

fn the_bundle_uses_sched_batch() {
    let bundle = Bundle::start(&[]);
    let all = bundle.shell("for process in /proc/[0-9]*; do cut -d' ' -f2,41 $process/stat; done");
    for name in ["(nginx)", "(app)"] {
        let policy = format!("{name} {BATCH}");
        assert!(all.lines().any(|line| line == policy), "{policy} in {all}");
    }
}

harness::trials![
    @timed an_app_behind_nginx_uses_sched_batch_and_one_alone_does_not,
    @timed nginx_uses_sched_batch,
    @timed the_bundle_uses_sched_batch,
];
