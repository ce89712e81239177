//! What the obvious alternative loses: a plain nginx before the same replicas, and `docker compose up` for a new version.
//! It shows what Berth is for, and that the load notices a loss.

mod common;

use std::{sync::Mutex, thread, time::Duration};

use common::load::{Counted, From, Options, image};

/// One stack at a time: two under load would measure each other.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `event` on a plain stack under load, prints a row of a table, and fails if nothing was lost.
fn loses(event: &str, action: impl FnOnce(&Counted)) {
    let _alone = ALONE.lock();
    let stack = Counted::start_from("tests/load/plain.yml", &[]);
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
    assert!(report.lost() > 0, "nothing was lost: {report}");
}

#[test]
fn scaling() {
    loses("scale 2 → 8 → 1 → 4", |stack| {
        [8, 1, 4].iter().for_each(|&replicas| stack.scale(replicas));
    });
}

#[test]
fn a_new_version() {
    loses("a new version by `docker compose up -d`", |stack| {
        let new = image("counting", "2");
        let up = ["up", "--detach", "--no-build", "--pull", "never"];
        stack.compose_with(&[("APP_IMAGE", &new)], &up);
    });
}

#[test]
fn a_kill() {
    loses("kill one of two replicas", |stack| {
        common::stack::docker(&["kill", &stack.containers("app")[0]]);
    });
}
