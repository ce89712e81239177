//! `make up` on machines where it can't work: it ends at once, names the remedy in one message, and leaves no files.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs, thread};

use harness::root as root_folder;
use tempfile::TempDir;

const PROJECT: &str = "berth-machine";

/// A mirror that is surely down: the discard port.
const NO_MIRROR: &str = "http://127.0.0.1:9/debian";

/// The environment of a script: its own cache folder, and none of the user's settings.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, name: &str) -> Command {
        self.command(&[
            "bash",
            &format!("{}/deploy/local/{name}", root_folder().display()),
        ])
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("COMPOSE_PROJECT_NAME", PROJECT);
        for name in [
            "DOCKER_HOST",
            "BASES",
            "RUST_IMAGE",
            "NGINX_IMAGE",
            "PUBLISH",
            "DEBIAN_MIRROR",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// An empty plugin folder.
    fn no_plugins(&self) -> PathBuf {
        self.path("docker")
    }

    /// A folder to be the PATH: all commands there are but the one.
    fn path_without(&self, missing: &str) -> PathBuf {
        let farm = self.path("bin");
        fs::create_dir(&farm).unwrap();
        for folder in env::split_paths(&env::var_os("PATH").unwrap()) {
            for program in fs::read_dir(folder).into_iter().flatten().flatten() {
                if program.file_name() != missing {
                    let _ = symlink(program.path(), farm.join(program.file_name())); // the first one counts
                }
            }
        }
        farm
    }

    /// A copy of the project whose base images do not exist.
    fn without_bases(&self) -> PathBuf {
        let from = root_folder();
        let copy = self.path("project");
        for folder in ["deploy/local", "deploy/local/offline"] {
            fs::create_dir_all(copy.join(folder)).unwrap();
            let entries = fs::read_dir(from.join(folder)).unwrap().flatten();
            for script in entries.filter(|it| it.path().is_file()) {
                let text = fs::read_to_string(script.path())
                    .unwrap()
                    .replace("berth-base/", "berth-missing/");
                fs::write(copy.join(folder).join(script.file_name()), text).unwrap();
            }
        }
        fs::write(
            copy.join("Dockerfile"),
            "ARG RUST_IMAGE=127.0.0.1:9/rust:0\nARG NGINX_IMAGE=127.0.0.1:9/nginx:0\n",
        )
        .unwrap();
        copy.join("deploy/local/offline/bases.sh")
    }

    /// Asserts that the script fails, with one message that has all of this, and leaves no files.
    fn refuses(&self, command: &mut Command, says: &[&str]) {
        let output = command.output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(1),
            "exit code; it said:\n{stderr}"
        );
        assert_eq!(text(&output.stdout), "", "stdout is for what succeeded");
        assert_eq!(
            stderr
                .lines()
                .filter(|line| line.starts_with("berth: "))
                .count(),
            1,
            "one message, not:\n{stderr}"
        );
        for part in says {
            assert!(stderr.contains(part), "{part:?} is missing in:\n{stderr}");
        }
        self.is_clean();
    }

    fn is_clean(&self) {
        let half_made = |folder: PathBuf| {
            fs::read_dir(folder)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
        };
        let left: Vec<_> = half_made(self.path("cache/berth"))
            .chain(half_made(self.no_plugins().join("cli-plugins")))
            .collect();
        let left: Vec<_> = left
            .into_iter()
            .filter(|path| path.extension().is_none_or(|end| end != "log"))
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        let filter = format!("label=com.docker.compose.project={PROJECT}");
        let containers = Command::new("docker")
            .args(["ps", "--all", "--quiet", "--filter", &filter])
            .output()
            .unwrap();
        assert_eq!(text(&containers.stdout), "", "containers left behind");
    }
}

/// Cleans up if a script has started something.
impl Drop for Machine {
    fn drop(&mut self) {
        let label = format!("label=com.docker.compose.project={PROJECT}");
        let remove = format!(
            "docker ps --all --quiet --filter {label} | xargs --no-run-if-empty docker rm --force"
        );
        if thread::panicking() {
            let _ = Command::new("bash").args(["-c", &remove]).output();
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Not every machine can play every part.
fn can(part: &str, is: bool) -> bool {
    if !is {
        harness::skip(format!("this machine can't play one {part}"));
    }
    is
}

fn root(part: &str) -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    can(
        &format!("{part}, for that takes root"),
        text(&id.stdout).trim() == "0",
    )
}

/// Plugins that were installed for all users can't be hidden.
fn plugins_hideable() -> bool {
    let nowhere = tempfile::tempdir().unwrap();
    let compose = Command::new("docker")
        .args(["compose", "version"])
        .env("DOCKER_CONFIG", nowhere.path())
        .output()
        .unwrap();
    can(
        "without Docker's plugins, for they are installed for all users",
        !compose.status.success(),
    )
}

/// Returns the last message of a script on a machine without apt, a mirror, or a way to it.
fn cannot_reach_debian(output: &Output) -> bool {
    let stderr = text(&output.stderr);
    !output.status.success()
        && [
            "gave no list",
            "no apt",
            "no Debian mirror",
            "Debian's keys",
        ]
        .iter()
        .any(|why| stderr.contains(why))
}

fn no_docker_command() {
    let machine = Machine::new();
    let path = machine.path_without("docker");
    machine.refuses(
        machine.script("up.sh").env("PATH", path),
        &[
            "There is no `docker` command",
            "Install Docker Engine 20.10",
        ],
    );
}

fn no_engine() {
    let machine = Machine::new();
    machine.refuses(
        machine
            .script("up.sh")
            .env("DOCKER_HOST", "unix:///nonexistent.sock"),
        &[
            "no Docker Engine at /nonexistent.sock",
            "systemctl start docker",
            "DOCKER_HOST",
        ],
    );
}

fn engine_not_running() {
    let machine = Machine::new();
    let socket = machine.path("docker.sock");
    drop(UnixListener::bind(&socket).unwrap()); // the file stays, without a listener
    machine.refuses(
        machine
            .script("up.sh")
            .env("DOCKER_HOST", format!("unix://{}", socket.display())),
        &["is not running", "systemctl start docker"],
    );
}

fn no_permission_for_the_socket() {
    if !root("with a socket that one may not use") {
        return;
    }
    let machine = Machine::new();
    let up = machine.script("up.sh");
    let mut restricted = machine.command(&[
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ]);
    restricted
        .arg(up.get_program())
        .args(up.get_args())
        .env("HOME", "/nonexistent");
    machine.refuses(
        &mut restricted,
        &["may not use Docker's socket", "usermod -aG docker"],
    );
}

fn engine_too_old() {
    let machine = Machine::new();
    let socket = machine.path("docker.sock");
    let engine = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        engine
            .incoming()
            .flatten()
            .for_each(answer_as_an_old_engine)
    });
    machine.refuses(
        machine
            .script("up.sh")
            .env("DOCKER_HOST", format!("unix://{}", socket.display())),
        &["too old: 19.03.15", "20.10 or newer"],
    );
}

fn answer_as_an_old_engine(mut client: UnixStream) {
    let body = r#"{"Version":"19.03.15","ApiVersion":"1.40","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"#;
    let head = format!(
        "Content-Type: application/json\r\nApi-Version: 1.40\r\nContent-Length: {}\r\nConnection: close",
        body.len()
    );
    let _ = client.read(&mut [0; 4096]);
    let _ = write!(client, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
}

fn port_taken() {
    let machine = Machine::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    machine.refuses(
        machine.script("up.sh").env("PUBLISH", address.to_string()),
        &[
            &format!("port {} is taken", address.port()),
            "PUBLISH=127.0.0.1:",
        ],
    );
}

fn no_room_on_the_disk() {
    if !plugins_hideable() || !root("with a disk of one megabyte") {
        return;
    }
    let machine = Machine::new();
    fs::create_dir(machine.path("cache")).unwrap();
    let disk = r#"mount -t tmpfs -o size=1m none "$XDG_CACHE_HOME"; exec "$@""#; // gone with the namespace
    let up = machine.script("up.sh");
    let mut small = machine.command(&["unshare", "--mount", "bash", "-c", disk, "small"]);
    small
        .arg(up.get_program())
        .args(up.get_args())
        .env("DOCKER_CONFIG", machine.no_plugins());
    machine.refuses(
        &mut small,
        &["1 MB of room left", "needs 400 MB", "docker system prune"],
    );
}

fn no_network_for_the_plugins() {
    if !plugins_hideable() || !root("without a network") {
        return;
    }
    let machine = Machine::new();
    let up = machine.script("up.sh");
    let mut alone = machine.command(&["unshare", "--net"]);
    alone
        .arg(up.get_program())
        .args(up.get_args())
        .env("DOCKER_CONFIG", machine.no_plugins());
    machine.refuses(
        &mut alone,
        &[
            "compose buildx are missing",
            "DEBIAN_MIRROR",
            "docs.docker.com/compose/install",
        ],
    );
}

fn a_mirror_that_is_none() {
    if !plugins_hideable() {
        return;
    }
    for mirror in ["nonsense", NO_MIRROR] {
        let machine = Machine::new();
        machine.refuses(
            machine
                .script("up.sh")
                .env("DOCKER_CONFIG", machine.no_plugins())
                .env("DEBIAN_MIRROR", mirror),
            &[
                &format!("the package mirror {mirror} gave no list"),
                "DEBIAN_MIRROR=…",
            ],
        );
    }
}

fn no_apt() {
    if !plugins_hideable() {
        return;
    }
    let machine = Machine::new();
    let path = machine.path_without("apt-get");
    machine.refuses(
        machine
            .script("up.sh")
            .env("DOCKER_CONFIG", machine.no_plugins())
            .env("PATH", path),
        &[
            "this machine has no apt",
            "Install them",
            "docs.docker.com/compose/install",
        ],
    );
}

fn neither_registry_nor_mirror() {
    let machine = Machine::new();
    let bases = machine.without_bases();
    machine.refuses(
        machine
            .command(&["bash", bases.to_str().unwrap()])
            .env("DEBIAN_MIRROR", NO_MIRROR),
        &[
            "No registry gives 127.0.0.1:9/rust:0",
            "no Debian base image can be made",
            "docker load",
            "RUST_IMAGE=… NGINX_IMAGE=…",
        ],
    );
}

fn no_registry_where_one_is_demanded() {
    let machine = Machine::new();
    let bases = machine.without_bases();
    machine.refuses(
        machine
            .command(&["bash", bases.to_str().unwrap()])
            .env("BASES", "pull"),
        &[
            "Pulling 127.0.0.1:9/rust:0: that failed",
            "make up BASES=local",
        ],
    );
}

fn bases_from_nowhere() {
    let machine = Machine::new();
    machine.refuses(
        machine.script("offline/bases.sh").env("BASES", "nonsense"),
        &["BASES=nonsense", "auto, pull, local"],
    );
}

fn what_is_there_needs_no_network() {
    let machine = Machine::new();
    let Output {
        status,
        stdout,
        stderr,
    } = machine
        .script("offline/bases.sh")
        .env("DEBIAN_MIRROR", NO_MIRROR)
        .output()
        .unwrap();
    assert!(status.success(), "{}", text(&stderr));
    assert_eq!(text(&stderr), "", "nothing to do, nothing to say");
    let stdout = text(&stdout);
    let names: Vec<_> = stdout
        .lines()
        .map(|line| line.split_once('=').unwrap().0)
        .collect();
    assert_eq!(names, ["RUST_IMAGE", "NGINX_IMAGE"]);
}

fn images_named_by_the_user_are_used_as_they_are() {
    let machine = Machine::new();
    let bases = machine.without_bases();
    let mut command = machine.command(&["bash", bases.to_str().unwrap()]);
    let output = command
        .env("RUST_IMAGE", "mine:1")
        .env("NGINX_IMAGE", "mine:2")
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout),
        "RUST_IMAGE=mine:1\nNGINX_IMAGE=mine:2\n",
        "{}",
        text(&output.stderr)
    );
}

fn plugins_are_fetched_where_they_are_missing() {
    if !plugins_hideable() {
        return;
    }
    let machine = Machine::new();
    let folder = machine.no_plugins();
    let output = machine
        .script("offline/plugins.sh")
        .env("DOCKER_CONFIG", &folder)
        .output()
        .unwrap();
    if !can(
        &format!("with a Debian mirror: {}", text(&output.stderr)),
        !cannot_reach_debian(&output),
    ) {
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    for plugin in ["compose", "buildx"] {
        let version = Command::new("docker")
            .args([plugin, "version"])
            .env("DOCKER_CONFIG", &folder)
            .output()
            .unwrap();
        assert!(
            version.status.success(),
            "{plugin}: {}",
            text(&version.stderr)
        );
    }
    let again = machine
        .script("offline/plugins.sh")
        .env("DOCKER_CONFIG", &folder)
        .output()
        .unwrap();
    assert_eq!(text(&again.stderr), "", "nothing to do, nothing to say");
    let half_made: Vec<_> = fs::read_dir(machine.path("cache/berth"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .collect();
    assert!(half_made.is_empty(), "{half_made:?}");
}

/// With few packages, so that it is quick; the images' own are tested by whatever is built with them.
fn a_stand_in_is_made_and_trusts_what_this_machine_trusts() {
    let machine = Machine::new();
    let bases = machine.without_bases();
    let table = fs::read_to_string(&bases).unwrap();
    let packages = table
        .lines()
        .find_map(|line| line.strip_prefix("NGINX_IMAGE berth-missing/nginx:forky "))
        .unwrap()
        .trim_end_matches('"');
    fs::write(
        &bases,
        table
            .replace(packages, "ca-certificates")
            .replace("berth-missing/nginx", PROJECT),
    )
    .unwrap();
    let mut command = machine.command(&["bash", bases.to_str().unwrap()]);
    let output = command
        .env("RUST_IMAGE", "mine:1")
        .env("BASES", "local")
        .output()
        .unwrap();
    if !can(
        &format!("with a Debian mirror: {}", text(&output.stderr)),
        !cannot_reach_debian(&output),
    ) {
        return;
    }
    let image = format!("{PROJECT}:forky");
    assert_eq!(
        text(&output.stdout),
        format!("RUST_IMAGE=mine:1\nNGINX_IMAGE={image}\n"),
        "{}",
        text(&output.stderr)
    );
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    let inside = Command::new("docker")
        .args(["run", "--rm", &image, "cat", bundle])
        .output()
        .unwrap();
    let _ = Command::new("docker")
        .args(["image", "rm", &image])
        .output();
    assert!(
        inside.stdout.starts_with(b"-----BEGIN"),
        "{}",
        text(&inside.stderr)
    );
    if let Ok(trusted) = fs::read(bundle) {
        assert!(
            inside.stdout == trusted,
            "the stand-in has other certificates than this machine"
        );
    }
    machine.is_clean();
}

fn plain_make_lists_the_targets() {
    let makefile = fs::read_to_string(root_folder().join("Makefile")).unwrap();
    let output = Command::new("make")
        .arg("-C")
        .arg(root_folder())
        .arg("--no-print-directory")
        .output()
        .unwrap();
    let listed = text(&output.stdout);
    for target in makefile
        .lines()
        .filter_map(|line| line.strip_prefix(".PHONY: "))
        .flat_map(str::split_whitespace)
    {
        assert!(
            listed
                .lines()
                .any(|line| line.trim_start().starts_with(&format!("make {target} "))),
            "{target} is not in:\n{listed}"
        );
    }
}

fn every_script_prints_its_usage() {
    let machine = Machine::new();
    for script in [
        "preflight.sh",
        "offline/plugins.sh",
        "port.sh",
        "offline/bases.sh",
        "images.sh",
        "up.sh",
        "down.sh",
        "push.sh",
        "cargo.sh",
    ] {
        let output = machine.script(script).arg("-h").output().unwrap();
        assert!(
            output.status.success()
                && text(&output.stdout).contains(&format!("deploy/local/{script}")),
            "{script}"
        );
    }
}

harness::trials![
    no_docker_command,
    no_engine,
    engine_not_running,
    no_permission_for_the_socket,
    engine_too_old,
    port_taken,
    no_room_on_the_disk,
    no_network_for_the_plugins,
    a_mirror_that_is_none,
    no_apt,
    neither_registry_nor_mirror,
    no_registry_where_one_is_demanded,
    bases_from_nowhere,
    what_is_there_needs_no_network,
    images_named_by_the_user_are_used_as_they_are,
    plugins_are_fetched_where_they_are_missing,
    a_stand_in_is_made_and_trusts_what_this_machine_trusts,
    plain_make_lists_the_targets,
    every_script_prints_its_usage,
];
