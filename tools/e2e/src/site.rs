//! The site as in the images: the output of `tools/assets`.

use std::{path::Path, process::Command};

use crate::programs::built;
use harness::stack::run;

/// Builds the site from the files in `static_dir`; `out` is a new or empty folder, which gets `site`, `site.br`, and
/// `site.gzip`.
pub fn build(static_dir: &Path, out: &Path) {
    run(Command::new(built("assets")).args([static_dir, out]));
}
