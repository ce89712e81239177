//! One validator: the app and nginx read the same variables by the same rules, with the same errors.

use std::process::Command;

use harness::{
    container::{Container, nginx_image},
    solo::{Outcome, app_command, outcome},
    stack::works,
};

use super::config::{GOOD, MISTAKES};

/// Where the app can listen and nginx can't: a Unix socket, and a port that the system chooses.
fn is_for_the_app_alone(name: &str, value: &str) -> bool {
    name == "BIND" && (value.starts_with("unix:") || value.ends_with(":0"))
}

/// The app's verdict: the exit code, and what it says without the name of the command.
fn verdict(arguments: &[&str], variable: (&str, &str)) -> (Option<i32>, String) {
    let Outcome { code, stderr, .. } = outcome(app_command(&[variable]).args(arguments));
    (code, stderr)
}

/// Mistakes are found before nginx is started, so this needs none.
fn nginx_refuses_what_the_app_refuses_with_the_same_text() {
    for &(name, value, remedy) in MISTAKES {
        let app = verdict(&["config"], (name, value));
        let nginx = verdict(&["nginx", "-t"], (name, value));
        assert_eq!(app.0, Some(78), "{name}={value:?}: {}", app.1);
        assert!(app.1.contains(remedy), "{name}={value:?}: {}", app.1);
        assert_eq!(nginx, app, "{name}={value:?}");
    }
}

fn apache_refuses_what_the_app_refuses_with_the_same_text() {
    for &(name, value, _) in MISTAKES {
        let app = verdict(&["config"], (name, value));
        let apache = verdict(&["apache", "-t"], (name, value));
        assert_eq!(apache, app, "{name}={value:?}");
    }
}

/// nginx itself takes what the app takes: `nginx -t` reads the configuration that the value makes.
fn nginx_accepts_what_the_app_accepts() {
    let options = ["--entrypoint=sleep", "--read-only", "--tmpfs=/tmp"];
    let container = Container::run(&options, &nginx_image(), &["infinity"]);
    for &(name, value, _) in GOOD {
        let app = verdict(&["config"], (name, value));
        assert_eq!(app.0, Some(0), "{name}={value:?}: {}", app.1);
        let variable = format!("{name}={value}");
        let in_image = |command: &[&str]| {
            let mut exec = Command::new("docker");
            exec.args(["exec", "--env", &variable, &container.name, "/app"]);
            outcome(exec.args(command))
        };
        let (app, nginx) = (in_image(&["config"]), in_image(&["nginx", "-t"]));
        if is_for_the_app_alone(name, value) {
            assert_eq!(nginx.code, Some(78), "{variable}: {}", nginx.stderr);
            assert!(
                nginx.stderr.contains(&format!("{name}={value}: ")),
                "{}",
                nginx.stderr
            );
        } else if app.code == Some(78) {
            // The image lacks the time zone; both say so.
            assert_eq!((name, nginx.stderr), ("TZ", app.stderr));
        } else {
            // nginx also tries to bind; the container has no [::1].
            let parses = nginx.code == Some(0) || nginx.stderr.contains(" syntax is ok\n");
            assert!(parses, "{variable}: {}", nginx.stderr);
        }
    }
    assert!(works(&["inspect", &container.name]), "it was there");
}

harness::trials![
    nginx_refuses_what_the_app_refuses_with_the_same_text,
    apache_refuses_what_the_app_refuses_with_the_same_text,
    nginx_accepts_what_the_app_accepts,
];
