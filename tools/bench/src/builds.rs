//! How long a build of the app's image takes, from nothing and after an edit.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;

use crate::{
    Outcome, Part, ROOT,
    engine::{Engine, command, docker},
    results::{Figures, Results},
};

/// What is built, and what is edited before. The cache goes by what is in the files, so an edit of the manifests has every
/// crate compiled anew, whereas `--no-cache` can make an old engine panic; a changed version does the same to the app's.
const BUILDS: &[(&str, &[&str])] = &[
    ("cold", &["Cargo.toml", "deploy/site/Cargo.toml"]),
    ("source", &["src/time.rs"]),
    ("static", &["static/clock.html"]),
    ("dependency", &["Cargo.toml"]),
];

/// # Errors
/// If a build fails.
pub fn measure(engine: &Engine, part: &Part, results: &mut Results) -> Outcome<()> {
    // All of them, or the ratios would have nothing to relate to.
    if !part.has("builds", "builds") {
        return Ok(());
    }
    let bases = command(&mut Command::new("deploy/local/bases.sh"))?;
    let builder = docker(&["context", "inspect", "--format={{.Name}}"])?;
    let copy = copy()?;
    for (name, edited) in BUILDS {
        engine.progress(&format!("builds: {name}"));
        for file in *edited {
            edit(&copy.path().join(file))?;
        }
        let mut build = Command::new("docker");
        build.args([
            "buildx",
            "build",
            "--builder",
            builder.trim(),
            "--target=app",
        ]);
        build.args(bases.lines().flat_map(|base| ["--build-arg", base]));
        build.args(["--output=type=cacheonly"]).arg(copy.path());
        let start = Instant::now();
        command(build.env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1"))?;
        let figures = [("seconds", start.elapsed().as_secs_f64())];
        results.add(&format!("builds/{name}"), &Figures::from(figures));
    }
    Ok(())
}

/// A copy of the project, as far as a build can see it.
fn copy() -> Outcome<TempDir> {
    let copy = tempfile::tempdir().map_err(|error| format!("No temporary folder: {error}"))?;
    let ignore = fs::read_to_string(Path::new(ROOT).join(".dockerignore"));
    let ignore = ignore.map_err(|error| format!(".dockerignore: {error}"))?;
    let seen = ignore.lines().filter_map(|line| line.strip_prefix('!'));
    let mut cp = Command::new("cp");
    cp.args(["-a", "--parents"]).args(seen);
    command(cp.args(["Dockerfile", ".dockerignore"]).arg(copy.path()))?;
    Ok(copy)
}

/// Adds a comment that nobody has built before.
fn edit(file: &Path) -> Outcome<()> {
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or(Duration::ZERO)
        .as_nanos();
    let comment = match file.extension().and_then(|it| it.to_str()) {
        Some("rs") => format!("// {now}\n"),
        Some("html") => format!("<!-- {now} -->\n"),
        _ => format!("# {now}\n"),
    };
    fs::read_to_string(file)
        .and_then(|text| fs::write(file, text + &comment))
        .map_err(|error| format!("{}: {error}", file.display()))
}
