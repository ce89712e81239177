//! Each line earns its place: takes what tools/e2e/cases/mutants.toml names out of a copy of the project, one at a time, and shows
//! which case notices. Takes long; `make mutants` runs it.
//!
//! usage: `mutants [PART…]`, parts of files, of what is taken out, or of tests

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output, Stdio},
};

use e2e::mutants::{Mutant, table};
use harness::{
    root,
    stack::{docker, run},
};

fn main() -> ExitCode {
    let parts: Vec<String> = env::args().skip(1).collect();
    let mut mutants = table();
    let is_wanted = |mutant: &Mutant| {
        let texts = [mutant.name(), mutant.test.clone()];
        let has = |part: &String| texts.iter().any(|text| text.contains(part));
        parts.is_empty() || parts.iter().any(has)
    };
    mutants.retain(is_wanted);
    let tree = copy();
    let mut tried = BTreeSet::new();
    let mut unneeded = 0;
    for mutant in &mutants {
        if tried.insert(&mutant.test) {
            let output = cargo_test(&tree, &mutant.test, None);
            let text = text(&output);
            let passes = output.status.success() && !text.contains("\n0 passed, ");
            assert!(
                passes,
                "without a mutant, {:?} has to pass:\n{text}",
                mutant.test
            );
        }
        let fate = match (killer(&tree, mutant), &mutant.spared) {
            (Some(killer), None) => format!("killed by {killer}"),
            (Some(killer), Some(_)) => {
                unneeded += 1;
                format!("SPARED FOR NOTHING, for it is killed by {killer}")
            }
            (None, Some(why)) => format!("spared: {why}"),
            (None, None) => {
                unneeded += 1;
                format!("SURVIVED {}", mutant.test)
            }
        };
        println!("{} | {fate}", mutant.name());
    }
    println!("{} mutants, {unneeded} to look at", mutants.len());
    ExitCode::from(u8::from(unneeded > 0))
}

/// Copies the project's files to another folder. Unchanged files keep their times, so that cargo compiles less.
fn copy() -> PathBuf {
    let tree = root().join("target/mutants");
    fs::create_dir_all(&tree).unwrap();
    let list = run(Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root()));
    for file in list.lines().filter(|it| root().join(it).exists()) {
        let (from, to) = (root().join(file), tree.join(file));
        let wanted = fs::read(&from).unwrap();
        if fs::read(&to).ok().as_ref() != Some(&wanted) {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&from, &to).unwrap();
        }
    }
    tree
}

/// Returns the test that fails without the text.
fn killer(tree: &Path, mutant: &Mutant) -> Option<String> {
    let file = tree.join(&mutant.file);
    let original = fs::read(&file).unwrap();
    fs::write(&file, mutant.mutated(tree)).unwrap();
    let of_bundle = mutant.test.starts_with("bundle ");
    let of_nginx = ["nginx/", "crates/berth/src/nginx/", "Dockerfile"];
    let in_image = of_bundle || of_nginx.iter().any(|it| mutant.file.starts_with(it));
    let target = if of_bundle { "bundle" } else { "nginx" };
    let image = in_image.then(|| Image::build(tree, target));
    let refusal = image.as_ref().and_then(Image::refusal);
    let killer = refusal.or_else(|| {
        let output = cargo_test(tree, &mutant.test, image.as_ref());
        let text = text(&output);
        // A mutant that does not compile would prove nothing.
        assert!(text.contains("running "), "no test was run:\n{text}");
        (!output.status.success()).then(|| first_failure(&text))
    });
    fs::write(&file, original).unwrap();
    killer
}

/// Builds the app and the proofs, and runs the mutant's cases.
fn cargo_test(tree: &Path, test: &str, image: Option<&Image>) -> Output {
    let (subject, name) = test.split_once(' ').unwrap_or((test, ""));
    let script = |path: &str, arguments: &[&str]| {
        let mut script = Command::new(tree.join(path));
        script
            .args(arguments)
            .current_dir(tree)
            .env("RUST_BACKTRACE", "0")
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null());
        script
    };
    let built = script("deploy/local/cargo.sh", &["build", "--locked"])
        .output()
        .expect("cargo runs");
    if !built.status.success() {
        return built;
    }
    let mut prove = script("tools/e2e/run.sh", &["e2e", "--only", subject, name]);
    if let Some(image) = image {
        prove.env(image.variable, &image.id);
    }
    prove.output().expect("cargo runs")
}

fn text(output: &Output) -> String {
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[&stderr[..], stdout].concat()).into_owned()
}

/// Returns the first failed test, with the first line of its message.
fn first_failure(text: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("---- "));
    let Some(head) = lines.next() else {
        return "the end of the test program".into();
    };
    let name = head.trim_matches(['-', ' ']).trim_end_matches(" stdout");
    let said: Vec<&str> = lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .filter(|line| !line.starts_with("thread '") && !line.starts_with("note: "))
        .take(2)
        .collect();
    format!("{name}: {}", said.join(" "))
}

/// An image without a name; removed on drop.
struct Image {
    id: String,
    /// The variable that a test reads its id from.
    variable: &'static str,
}

impl Image {
    fn build(tree: &Path, target: &str) -> Self {
        let bases = run(Command::new("deploy/local/offline/bases.sh").current_dir(root()));
        let mut build = Command::new("docker");
        build
            .args(["build", "--quiet", "--target", target])
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
            .env(
                "BUILDX_BUILDER",
                docker(&["context", "inspect", "--format={{.Name}}"]).trim(),
            );
        for base in bases.lines() {
            build.args(["--build-arg", base]);
        }
        Self {
            id: run(build.arg(tree)).trim().to_owned(),
            variable: match target {
                "bundle" => "BUNDLE_UNDER_TEST",
                _ => "NGINX_UNDER_TEST",
            },
        }
    }

    /// Returns why nginx does not start, if it does not.
    fn refusal(&self) -> Option<String> {
        let mut check = Command::new("docker");
        check.args([
            "run",
            "--rm",
            "--network=none",
            "--tmpfs=/tmp",
            "--entrypoint=/app",
            &self.id,
            "nginx",
            "-t",
        ]);
        let output = check.output().expect("docker runs");
        let text = text(&output);
        let why = text.lines().find(|line| line.contains("[emerg]"));
        (!output.status.success()).then(|| format!("nginx itself: {}", why.unwrap_or(&text)))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let mut remove = Command::new("docker");
        let _ = remove.args(["rmi", "--force", &self.id]).output();
    }
}
