//! `loadgen --target http://127.0.0.1:8000`: prints a line when it begins and, at the end, one line with the outcome as JSON.
//! Progress goes to standard error if that is a terminal.

use std::process::ExitCode;

use clap::Parser;

use loadgen::{generator::Generator, options::Options};

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = Generator::run_to_end(options, |target| println!("asking {target}"));
    match outcome {
        Ok(outcome) => {
            println!("{}", serde_json::to_string(&outcome).expect("plain values"));
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("loadgen: {message}");
            ExitCode::FAILURE
        }
    }
}
