//! The contract of the sample service: `tests/cases/service.toml`, asked in each mode, with HTTP/1.1 and HTTP/1.0.

mod common;

use std::process::ExitCode;

use common::{
    contract,
    modes::{self, Case, Mode, Modes},
};

fn main() -> ExitCode {
    let mut cases = Vec::new();
    let as_apache = contract::questions_for_apache();
    for ((group, question), (_, as_apache)) in contract::questions().into_iter().zip(as_apache) {
        for mode in Mode::AND_APACHE {
            let question = match mode {
                Mode::Apache => as_apache.clone(),
                _ => question.clone(),
            };
            cases.push(Case {
                name: format!("{group}: {}", question.name()),
                mode,
                check: Box::new(move |modes: &Modes| question.check(modes.address(mode))),
            });
        }
    }
    modes::run(
        Modes::new(vec![("TZ", "UTC".to_owned())]),
        cases,
        |_| Ok(()),
    )
}
