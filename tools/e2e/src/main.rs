//! `e2e`: runs Berth's proofs.

use std::process::ExitCode;

use clap::Parser;
use e2e::{
    run::{self, Subject},
    subjects::SUBJECTS,
};

/// Runs Berth's proofs, subject by subject, and says what each came to
#[derive(Parser)]
#[command(name = "e2e")]
struct Options {
    /// Lists the cases, and the number of each subject's, and runs none
    #[arg(long)]
    list: bool,
    /// Runs these subjects alone
    #[arg(long, value_name = "SUBJECT", value_delimiter = ',')]
    only: Vec<String>,
    /// Runs the cases alone whose `SUBJECT: NAME` contains one of these
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let is_known = |name: &String| SUBJECTS.iter().any(|subject| subject.name == name);
    if let Some(unknown) = options.only.iter().find(|name| !is_known(name)) {
        let known: Vec<_> = SUBJECTS.iter().map(|subject| subject.name).collect();
        eprintln!(
            "e2e: there is no subject {unknown}; these are the subjects: {}",
            known.join(", ")
        );
        return ExitCode::from(64);
    }
    let is_wanted = |subject: &&Subject| {
        options.only.is_empty() || options.only.iter().any(|name| name == subject.name)
    };
    let subjects: Vec<_> = SUBJECTS.iter().filter(is_wanted).collect();
    if options.list {
        run::list(&subjects, &options.filters);
        return ExitCode::SUCCESS;
    }
    ExitCode::from(u8::from(!run::run(&subjects, &options.filters)))
}
