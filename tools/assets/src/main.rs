//! Prepares the site for the images, in this order:
//!
//! 1. [`read`] reads the files.
//! 2. [`references`] finds the URLs in each file, and [`links`] those that name a file under `assets/`.
//! 3. [`fingerprint`] names these files by their content, and [`rewrite`] puts the new names into all files.
//! 4. [`previous`] adds the previous version's assets, for pages that were loaded from it.
//! 5. [`compress`] adds compressed copies, and [`mod@write`] writes everything.

mod compress;
mod files;
mod fingerprint;
mod links;
mod previous;
mod read;
mod references;
mod rewrite;
mod url;
mod write;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;

use files::{Files, Outcome};

/// The exit code for an invalid command line: `EX_USAGE` of `sysexits.h`.
const EX_USAGE: u8 = 64;

/// Prepares the site for the images: fingerprinted names, compressed copies, the previous version's assets.
#[derive(Parser)]
#[command(after_help = "Docs: docs/static-files.md")]
struct Arguments {
    /// The folder with the site's files
    #[arg(value_name = "STATIC")]
    from: PathBuf,
    /// A new or empty folder, which gets the files as they are served (site), their compressed copies (site.br, site.gzip),
    /// and the names of the assets (assets.txt)
    out: PathBuf,
    /// What this program wrote for the previous version, whose assets are kept; it may be missing
    #[arg(long, value_name = "DIR")]
    previous: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // To standard output for --help, else to standard error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 });
        }
    };
    match build(
        &arguments.from,
        &arguments.out,
        arguments.previous.as_deref(),
    ) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                eprintln!("assets: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build(from: &Path, out: &Path, previous: Option<&Path>) -> Outcome<()> {
    let files = read::all(from)?;
    let links = links::find(&files)?;
    let names = fingerprint::names(&files, &links);
    let site = rewrite::all(files, &links, &names);

    let own: BTreeSet<String> = names.into_values().collect();
    let kept = previous.map_or_else(|| Ok(Files::new()), |it| previous::kept(it, &own))?;
    println!(
        "{} files, {} of them assets; with their compressed copies, {} files of the previous version",
        site.len(),
        own.len(),
        kept.len()
    );
    let list: String = own.iter().map(|name| format!("{name}\n")).collect();
    let mut output = compress::all(site);
    output.extend(kept);
    output.insert(previous::LIST.into(), list.into());
    write::all(out, &output)
}
