//! What a load has seen is reconciled with what the replicas have processed. The load generator's own tests are in
//! tools/loadgen.

use crate::load::{Loss, Options, Outcome, Report};

/// Ten numbers, all POSTs; number 5 was lost, the others answered. They were processed as `counts` says.
fn reconciled(counts: impl IntoIterator<Item = (u64, u32)>) -> Vec<String> {
    let loss = Loss {
        number: 5,
        method: "POST".into(),
        what: "status 502".into(),
        status: Some(502),
        at: 0.0,
        after: 1.0,
        replica: None,
        reused: false,
    };
    let outcome = Outcome {
        total: 10,
        posts: 10,
        answered: 9,
        losses: vec![loss],
        ..Outcome::default()
    };
    let options = Options {
        posts: 100,
        ..Options::default()
    };
    Report::new(&options, outcome, &counts.into_iter().collect()).faults
}

fn what_was_processed_is_reconciled_with_what_was_answered() {
    let once = |number| (number, 1);
    let none: [&str; 0] = [];
    // Whether a lost request was processed is unknown.
    assert_eq!(reconciled((0..10).map(once)), none);
    assert_eq!(
        reconciled((0..10).filter(|&number| number != 5).map(once)),
        none
    );
    let twice = |doomed| move |number| (number, if number == doomed { 2 } else { 1 });
    assert_eq!(
        reconciled((0..10).map(twice(3))),
        ["3 was answered, and processed 2 times"]
    );
    assert_eq!(
        reconciled((0..10).map(twice(5))),
        ["5 was lost, and processed 2 times"]
    );
    let missing = (0..10).filter(|&number| number != 3).map(once);
    assert_eq!(
        reconciled(missing),
        ["3 was answered, and processed 0 times"]
    );
    assert_eq!(
        reconciled((0..11).map(once)),
        ["10 was processed, but never requested"]
    );
}

harness::trials![what_was_processed_is_reconciled_with_what_was_answered];
