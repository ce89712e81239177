//! A table of cases, run in each mode: a mode is started when the first of its cases runs, and taken down after the last.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};

use super::{
    Bundle, Solo, Stack,
    bundle::{self, BARE},
    container::{Container, nginx_image},
    stack::works,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The app alone.
    Solo,
    /// nginx with replicas.
    Stack,
    /// Both in one container.
    Bundle,
    /// Apache with replicas.
    Apache,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Solo, Self::Stack, Self::Bundle];
    /// And the one that differs where the tables say so.
    pub const AND_APACHE: [Self; 4] = [Self::Solo, Self::Stack, Self::Bundle, Self::Apache];

    pub fn name(self) -> &'static str {
        match self {
            Self::Solo => "solo",
            Self::Stack => "stack",
            Self::Bundle => "bundle",
            Self::Apache => "apache",
        }
    }
}

/// The Compose files with Apache in nginx's place.
pub const APACHE: &str = "docker-compose.yml:deploy/compose/apache.yml";

/// The servers, as far as they have been needed.
pub struct Modes {
    variables: Vec<(&'static str, String)>,
    /// The folder that has what is to be in the place of the site.
    site: Option<PathBuf>,
    solo: OnceLock<Alone>,
    stack: OnceLock<Stack>,
    bundle: OnceLock<Bundle>,
    apache: OnceLock<Stack>,
}

/// The app alone.
enum Alone {
    /// As the tests were built.
    Process(Solo),
    /// As it is shipped.
    Image(Container),
}

impl Modes {
    /// With `variables` for the app alone.
    pub fn new(variables: Vec<(&'static str, String)>) -> Self {
        Self {
            variables,
            site: None,
            solo: OnceLock::new(),
            stack: OnceLock::new(),
            bundle: OnceLock::new(),
            apache: OnceLock::new(),
        }
    }

    /// The images, with `variables` and with the folders of `site` in the place of theirs.
    pub fn with_site(variables: Vec<(&'static str, String)>, site: &Path) -> Self {
        Self {
            site: Some(site.to_owned()),
            ..Self::new(variables)
        }
    }

    pub fn address(&self, mode: Mode) -> SocketAddr {
        match mode {
            Mode::Solo => match self.solo() {
                Alone::Process(process) => process.address,
                Alone::Image(container) => container.address(8080),
            },
            Mode::Stack => self.stack().address,
            Mode::Bundle => self.bundle().address,
            Mode::Apache => self.apache().address,
        }
    }

    /// What the app has logged so far, in all replicas.
    pub fn log(&self, mode: Mode) -> Vec<String> {
        match mode {
            Mode::Solo => match self.solo() {
                Alone::Process(process) => process.log(),
                Alone::Image(container) => bundle::lines(&container.log().stderr),
            },
            Mode::Stack => self.stack().log("app"),
            Mode::Bundle => self.bundle().app_log(),
            Mode::Apache => self.apache().log("app"),
        }
    }

    /// What nginx has logged so far, where there is one.
    pub fn nginx_log(&self, mode: Mode) -> Vec<String> {
        match mode {
            Mode::Solo | Mode::Apache => Vec::new(),
            Mode::Stack => self.stack().log("nginx"),
            Mode::Bundle => self.bundle().nginx_log(),
        }
    }

    /// The modes that have been started.
    pub fn started(&self) -> Vec<Mode> {
        let solo = self.solo.get().map(|_| Mode::Solo);
        let stack = self.stack.get().map(|_| Mode::Stack);
        let bundle = self.bundle.get().map(|_| Mode::Bundle);
        let apache = self.apache.get().map(|_| Mode::Apache);
        let started = [solo, stack, bundle, apache];
        started.into_iter().flatten().collect()
    }

    fn solo(&self) -> &Alone {
        self.solo.get_or_init(|| match &self.site {
            None => Alone::Process(Solo::start(&self.variables())),
            Some(_) => {
                let options = self.options();
                let options: Vec<_> = options.iter().map(String::as_str).collect();
                let options = [BARE, &["--publish=127.0.0.1::8080"], &options].concat();
                let container = Container::run(&options, "berth-app", &[]);
                container.wait_until_ready();
                Alone::Image(container)
            }
        })
    }

    pub fn stack(&self) -> &Stack {
        self.stack.get_or_init(|| match &self.site {
            None => Stack::start(&[]),
            Some(site) => {
                let files = "docker-compose.yml:tests/parity.yml";
                self.stacked("nginx", files, site)
            }
        })
    }

    fn apache(&self) -> &Stack {
        self.apache.get_or_init(|| match &self.site {
            None => Stack::behind("apache", &[("COMPOSE_FILE", APACHE)]),
            Some(site) => {
                let files = "docker-compose.yml:tests/parity.yml:deploy/compose/apache.yml";
                self.stacked("apache", files, site)
            }
        })
    }

    /// The stack that these Compose files describe, with the variables and the site.
    fn stacked(&self, proxy: &'static str, files: &str, site: &Path) -> Stack {
        let mut variables = self.variables();
        let nginx = nginx_image();
        variables.extend([
            ("COMPOSE_FILE", files),
            ("NGINX_UNDER_TEST", &nginx),
            ("SITE", site.to_str().unwrap()),
        ]);
        Stack::behind(proxy, &variables)
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        let variables = self.variables.iter();
        variables
            .map(|(name, value)| (*name, value.as_str()))
            .collect()
    }

    /// For a container by itself: the variables, and the folders of the site.
    fn options(&self) -> Vec<String> {
        let Some(site) = &self.site else {
            return Vec::new();
        };
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| format!("--env={name}={value}"));
        let folders = ["site", "site.br", "site.gzip"];
        let folders =
            folders.map(|folder| format!("--volume={}/{folder}:/srv/{folder}:ro", site.display()));
        variables.chain(folders).collect()
    }

    fn bundle(&self) -> &Bundle {
        self.bundle.get_or_init(|| {
            let options = self.options();
            let options: Vec<_> = options.iter().map(String::as_str).collect();
            Bundle::start(&options)
        })
    }
}

pub type Check = Box<dyn FnOnce(&Modes) -> Result<(), Failed> + Send>;

/// One case in one mode.
pub struct Case {
    pub name: String,
    pub mode: Mode,
    pub check: Check,
}

/// Runs the cases, then `afterwards` on what is still running, then takes everything down.
pub fn run(
    modes: Modes,
    cases: Vec<Case>,
    afterwards: impl FnOnce(&Modes) -> Result<(), String>,
) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of a case is waiting.
    arguments.test_threads.get_or_insert(16);
    let without_stack = why_not(STACK);
    if let Some(why) = &without_stack {
        eprintln!("nginx with replicas is not tested: {why}; run `make test`");
    }
    let without_bundle = why_not(BUNDLE);
    if let Some(why) = &without_bundle {
        eprintln!("the bundle is not tested: {why}; run `make test`");
    }
    let without_apache = why_not(&["berth-apache", "berth-app"]);
    if let Some(why) = &without_apache {
        eprintln!("Apache is not tested: {why}; run `make test`");
    }
    let modes = Arc::new(modes);
    let trials = cases.into_iter().map(|Case { name, mode, check }| {
        let modes = Arc::clone(&modes);
        Trial::test(format!("{}: {name}", mode.name()), move || check(&modes)).with_ignored_flag(
            match mode {
                Mode::Solo => false,
                Mode::Stack => without_stack.is_some(),
                Mode::Bundle => without_bundle.is_some(),
                Mode::Apache => without_apache.is_some(),
            },
        )
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    let verdict = afterwards(&modes);
    if let Err(fault) = &verdict {
        eprintln!("{fault}");
    }
    // Whoever holds the last reference stops the servers: it must be us, for the process to outlive them.
    while Arc::strong_count(&modes) > 1 {
        thread::sleep(Duration::from_millis(1));
    }
    drop(modes);
    if conclusion.has_failed() || verdict.is_err() {
        ExitCode::from(101)
    } else {
        ExitCode::SUCCESS
    }
}

/// The arguments of a program of scenarios that each put a stack under load, and whether there can be no stack.
pub fn one_at_a_time() -> (Arguments, bool) {
    let mut arguments = Arguments::from_args();
    // Two stacks under load would measure each other.
    arguments.test_threads = Some(1);
    let without_stack = why_not(STACK);
    if let Some(why) = &without_stack {
        eprintln!("nothing is tried: {why}; run `make test`");
    }
    (arguments, without_stack.is_some())
}

/// The images that a mode needs.
const STACK: &[&str] = &["berth-nginx", "berth-app"];
const BUNDLE: &[&str] = &["berth-bundle"];

/// What is missing for containers of these images, if anything is.
pub fn why_not(images: &[&str]) -> Option<String> {
    if !works(&["compose", "version"]) || !works(&["info"]) {
        Some("Docker with its compose plugin is not there".into())
    } else if !works(&[&["image", "inspect"], images].concat()) {
        Some(format!("not there: {}", images.join(", ")))
    } else {
        None
    }
}
