//! Programs of the tools' workspace, as `tools/e2e/cargo.sh` builds them: static, and in one folder with this one.

use std::{env, fs, path::PathBuf, sync::OnceLock};

use harness::root;

/// The programs that run in containers.
const PROGRAMS: [&str; 5] = ["counting", "loadgen", "single_page", "stub_replica", "wire"];

/// Returns the path of a program of the tools' workspace.
///
/// # Panics
/// If it was not built.
pub fn built(path: &str) -> PathBuf {
    let this = env::current_exe().expect("this program has a path");
    let program = this.with_file_name(path);
    assert!(
        program.exists(),
        "{} is missing; run tools/e2e/run.sh, which builds it",
        program.display()
    );
    program
}

/// Returns a program that runs in containers, in a folder without all else that cargo has built: the images are made from it.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = root().join("target/programs");
        fs::create_dir_all(&folder).expect("target/ can be written to");
        for name in PROGRAMS {
            fs::copy(built(name), folder.join(name)).expect("target/ has room");
        }
        folder
    });
    folder.join(name)
}
