//! The README's commands, run as it says, and what it says one should see. Only the project's name and the port are the
//! test's own.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener},
    process::{Command, Stdio},
};

use harness::{root, solo::wait_for, stack::run, wire};

/// Runs what the README says, under a name and on a port of its own; takes everything down in the end.
struct Reader {
    readme: String,
    project: String,
    port: u16,
}

impl Reader {
    fn new() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self {
            readme: std::fs::read_to_string(root().join("README.md")).unwrap(),
            project: format!("berth-test-{}-readme", std::process::id()),
            port: free.local_addr().unwrap().port(),
        }
    }

    fn command(&self, line: &str) -> Command {
        let line = line.replace(":8000", &format!(":{}", self.port));
        let mut command = Command::new("bash");
        command
            .args(["-c", &line])
            .current_dir(root())
            .env("COMPOSE_PROJECT_NAME", &self.project)
            .env("COMPOSE_DISABLE_ENV_FILE", "1")
            .env("PUBLISH", format!("127.0.0.1:{}", self.port));
        command
    }

    /// Runs a command that the README has, and returns what it prints.
    fn run(&self, line: &str) -> String {
        assert!(self.readme.contains(line), "the README has no {line}");
        run(&mut self.command(line))
    }

    /// The ids of all containers, and when each was started.
    fn lives(&self) -> BTreeSet<String> {
        let list =
            "docker ps --quiet --filter label=com.docker.compose.project=$COMPOSE_PROJECT_NAME";
        let inspect =
            "xargs --no-run-if-empty docker inspect --format '{{.Id}} {{.State.StartedAt}}'";
        let lives = run(&mut self.command(&format!("{list} | {inspect}")));
        lives.lines().map(str::to_owned).collect()
    }

    /// The replicas that answer a round of the README's question.
    fn replicas(&self) -> BTreeSet<String> {
        let ask = |_| self.run("curl -si http://localhost:8000/ | grep -i served-by");
        (0..20).map(ask).collect()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut down = self.command("make down");
        let _ = down.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn what_it_says_is_what_one_sees() {
    let reader = Reader::new();
    let up = reader.run("make up");
    let address = format!("Berth is up: http://127.0.0.1:{}", reader.port);
    assert!(up.contains(&address), "{up}");
    for hint in ["logs:", "scale:", "stop:"] {
        assert!(up.contains(hint), "{hint} {up}");
    }
    let time = reader.run("curl http://localhost:8000/");
    assert_eq!(time.len(), "Sun Nov 22 05:29:04 2026".len(), "{time}");
    let page = ([127, 0, 0, 1], reader.port).into();
    assert_eq!(wire::get(page, "/about.html", "localhost").status, 200);

    let before = reader.lives();
    assert_eq!(before.len(), 3, "nginx and two replicas");
    reader.run("make up");
    assert_eq!(reader.lives(), before, "a second one restarts no container");

    reader.run("docker compose up -d --scale app=5");
    wait_for(|| (reader.replicas().len() == 5).then_some(()));
    reader.run("REPLICAS=5 docker compose up -d");
    assert_eq!(reader.lives().len(), 6, "nginx and five replicas");
    let shown = reader.run("docker compose exec app /app config");
    assert!(shown.starts_with("variable"), "{shown}");

    reader.run("make down");
    assert_eq!(reader.lives(), BTreeSet::new(), "no container is left");
}

fn plain_make_lists_the_commands() {
    let reader = Reader::new();
    let list = run(&mut reader.command("make"));
    for command in ["make up", "make down", "make test", "make clean"] {
        let line = list
            .lines()
            .map(str::trim_start)
            .find(|line| line.starts_with(command));
        assert!(
            line.is_some_and(|line| line.len() > 20),
            "{command}: {list}"
        );
    }
}

harness::trials![what_it_says_is_what_one_sees, plain_make_lists_the_commands,];
