//! Measures how long a build of the app's image takes, from nothing and after an edit.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;

use crate::{
    engine::{Engine, command, docker},
    part::{Outcome, Part, ROOT},
    results::{Figures, Results},
};

/// The builds, and the files that are edited before each. An edit of the manifests invalidates the layers of all crates, as a
/// changed version does. `--no-cache` would do so as well, but makes an old engine panic.
const BUILDS: &[(&str, &[&str])] = &[
    ("cold", &["Cargo.toml", "tools/Cargo.toml"]),
    ("source", &["src/routes/time.rs"]),
    ("static", &["static/clock.html"]),
    ("dependency", &["Cargo.toml"]),
];

/// Measures all builds.
///
/// # Errors
/// If a build fails.
pub fn measure(engine: &Engine, part: &Part, results: &mut Results) -> Outcome<()> {
    // All builds or none: the ratios need them all.
    if !part.has("builds", "builds") {
        return Ok(());
    }
    let bases = command(&mut Command::new("deploy/local/offline/bases.sh"))?;
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

/// Copies the files that a build can see, which .dockerignore lists.
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

/// Adds a comment with the current time, which no earlier build has seen.
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
