//! Makes the site as the images hold it, in this order:
//!
//! 1. [`scan`] reads the files.
//! 2. [`references`] finds what they say of each other, and [`links`] which of that names a file under `assets/`.
//! 3. [`hash`] gives these files names that tell what is in them, and [`rewrite`] has all files use the new names.
//! 4. [`previous`] adds the assets of the version before, for pages that were loaded from it.
//! 5. [`compress`] adds smaller copies, and [`output`] puts everything where the image is made.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod address;
mod compress;
mod hash;
mod links;
mod output;
mod previous;
mod references;
mod rewrite;
mod scan;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

const USAGE: &str = "\
usage: site STATIC OUT [--previous PREVIOUS]

  STATIC    the folder with the site's files
  OUT       a new or empty folder, which gets the files as they are served (site), their compressed copies (site.br,
            site.gzip), and the names of the assets (assets.txt)
  PREVIOUS  what this made for the version before, whose assets are kept; it may be missing

Docs: docs/static-files.md";

/// The exit code for a command line that can't be understood: `EX_USAGE` of `sysexits.h`.
const EX_USAGE: u8 = 64;

/// Files by their names, with `/` between the folders'.
type Files = BTreeMap<String, Vec<u8>>;

/// The folder whose files get names that tell what is in them.
const ASSETS: &str = "assets/";

/// What ends the program is a message, which says what to do.
type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let is_option = |argument: &PathBuf| argument.to_string_lossy().starts_with("--");
    let outcome = match &arguments[..] {
        [help] if help.as_os_str() == "--help" || help.as_os_str() == "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        [from, out] if !is_option(from) && !is_option(out) => make(from, out, None),
        [from, out, option, previous] if option.as_os_str() == "--previous" => {
            make(from, out, Some(previous))
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(EX_USAGE);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                eprintln!("site: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn make(from: &Path, out: &Path, previous: Option<&Path>) -> Outcome<()> {
    let files = scan::read(from)?;
    let links = links::find(&files)?;
    let names = hash::names(&files, &links);
    let site = rewrite::all(files, &links, &names);

    let own: BTreeSet<String> = names.into_values().collect();
    let kept = previous.map_or_else(|| Ok(Files::new()), |it| previous::kept(it, &own))?;
    println!(
        "{} files, {} of them assets; with their compressed copies, {} files of the version before",
        site.len(),
        own.len(),
        kept.len()
    );
    let list: String = own.iter().map(|name| format!("{name}\n")).collect();
    let mut made = compress::all(site);
    made.extend(kept);
    made.insert(previous::LIST.into(), list.into());
    output::all(out, &made)
}
