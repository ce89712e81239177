//! What the obvious alternative loses: a plain nginx before the same replicas, and `docker compose up` for a new version.
//! It shows what Berth is for, and that the load notices a loss.

use std::{sync::Mutex, thread, time::Duration};

use crate::load::{Counted, From, Options, Report, image};

/// One stack at a time: two under load would measure each other.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `event` on a plain stack under load, and prints a row of a table.
fn measure(event: &str, action: impl FnOnce(&Counted)) -> Report {
    let _alone = ALONE.lock();
    let stack = Counted::start_from("tools/e2e/fixtures/load/plain.yml", &[]);
    let report = stack.under_load(From::Network, &Options::default(), || {
        thread::sleep(Duration::from_secs(2));
        action(&stack);
        thread::sleep(Duration::from_secs(2));
    });
    println!(
        "| plain: {event} | {} | {} | |",
        report.outcome.total,
        report.lost()
    );
    assert!(
        report.outcome.answered > 0,
        "no request was served: {report}"
    );
    report
}

fn scaling() {
    measure("scale 2 → 8 → 1 → 4", |stack| {
        [8, 1, 4].iter().for_each(|&replicas| stack.scale(replicas));
    });
}

fn a_new_version() {
    let report = measure("a new version by `docker compose up -d`", |stack| {
        let new = image("counting", "2");
        let up = ["up", "--detach", "--no-build", "--pull", "never"];
        stack.compose_with(&[("APP_IMAGE", &new)], &up);
    });
    // All replicas are away at once, so that this is certain; the others may be lucky.
    assert!(report.lost() > 0, "no request was lost: {report}");
}

fn a_kill() {
    measure("kill one of two replicas", |stack| {
        harness::stack::docker(&["kill", &stack.containers("app")[0]]);
    });
}

harness::trials![scaling, a_new_version, a_kill,];
