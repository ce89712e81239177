//! The contract of the sample service, in the bundle and behind Apache; the user's own tests ask it of the app alone and
//! through nginx.

use std::sync::Arc;

use harness::{
    contract,
    modes::{self, Case, Mode, Modes},
};

use crate::run::Batch;

pub fn batches() -> Vec<Batch> {
    let mut cases = Vec::new();
    let as_apache = contract::questions_for_apache();
    for ((group, question), (_, as_apache)) in contract::questions().into_iter().zip(as_apache) {
        for (mode, question) in [(Mode::Bundle, question), (Mode::Apache, as_apache)] {
            cases.push(Case {
                name: format!("{group}: {}", question.name()),
                mode,
                check: Box::new(move |modes: &Modes| question.check(modes.address(mode))),
            });
        }
    }
    let modes = Arc::new(Modes::new(vec![("TZ", "UTC".to_owned())]));
    let trials = modes::trials(&modes, cases);
    let take_down = move |_| {
        modes::take_down(modes);
        Ok(())
    };
    vec![Batch::then(trials, take_down)]
}
