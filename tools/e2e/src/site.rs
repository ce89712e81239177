//! The site as in the images: the output of `tools/assets`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::programs::built;
use harness::stack::run;

/// Builds the site from the files in `static_dir`; `out` is a new or empty folder, which gets `site`, `site.br`, and
/// `site.gzip`.
pub fn build(static_dir: &Path, out: &Path) {
    run(Command::new(tool()).args([static_dir, out]));
}

/// Returns the path of the tool. Cargo's lock makes concurrent tests build it once.
fn tool() -> &'static Path {
    static TOOL: OnceLock<PathBuf> = OnceLock::new();
    TOOL.get_or_init(|| built("assets", &["--package", "assets"]))
}
