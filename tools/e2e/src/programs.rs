//! Programs of the tools' workspace, as `tools/e2e/cargo.sh` builds them: static, and in one folder with this one.

use std::{env, fs, path::PathBuf, process::Command, sync::OnceLock};

use harness::{root, stack::run};

/// The programs that run in containers.
const PROGRAMS: [&str; 3] = ["counting", "loadgen", "stub_replica"];

/// Builds a program of the tools' workspace, and returns its path in the folder of this one.
pub fn built(path: &str, options: &[&str]) -> PathBuf {
    run(Command::new("tools/e2e/cargo.sh")
        .args(["build", "--quiet"])
        .args(options)
        .current_dir(root()));
    let this = env::current_exe().expect("this program has a path");
    this.with_file_name(path)
}

/// Returns a program that runs in containers: `cargo.sh` has built it beside this one, and static, so that it runs in an
/// empty image.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let this = env::current_exe().expect("this program has a path");
        let built = this.parent().expect("a folder");
        // Without all else that cargo has built: the images are made from this folder.
        let folder = root().join("target/programs");
        fs::create_dir_all(&folder).expect("target/ can be written to");
        for name in PROGRAMS {
            let program = built.join(name);
            fs::copy(&program, folder.join(name)).unwrap_or_else(|error| {
                panic!(
                    "{}: {error}; build it: tools/e2e/cargo.sh build --package fixture --package loadgen",
                    program.display()
                )
            });
        }
        folder
    });
    folder.join(name)
}
