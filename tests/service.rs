//! The contract of the sample service: `tests/cases/service.toml`, asked in each mode, with HTTP/1.1 and HTTP/1.0.

mod common;

use std::process::ExitCode;

use common::{
    contract,
    modes::{self, Case, Mode, Modes},
};

fn main() -> ExitCode {
    let mut cases = Vec::new();
    for (group, question) in contract::questions() {
        for mode in Mode::ALL {
            let question = question.clone();
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
