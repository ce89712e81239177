//! Finds in the files what would make a first deploy fail. Each finding has the place, the fault and the remedy.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use app::settings::Settings;
use berth::{
    http::{
        forwarded::{Client, Scheme},
        health_paths::{READY, is_health_path},
        host::Authority,
    },
    settings::values::{Address, LogFormat, Seconds},
};
use serde_json::Value;

use crate::{
    ROOT,
    contract::{Contract, Fact, File, Probe},
    document::{self, Document, Place},
};

/// Seconds between the app's own time to stop and the kill.
const RESERVE: f64 = 2.0;
/// A client's address, of the networks for documentation (RFC 5737).
pub const CLIENT: &str = "198.51.100.7";

/// One fault.
#[derive(Debug)]
pub struct Finding {
    /// The file, and the place in it.
    pub place: String,
    /// What is wrong.
    pub fault: String,
    /// What to do.
    pub remedy: String,
}

/// Text that marks a name, an address or an account as the sample's.
const SAMPLES: [&str; 4] = ["example", "192.0.2.", "123456789012", ACCOUNT];
const ACCOUNT: &str = "SUBSCRIPTION";
/// The sample's name for the app.
const NAME: &str = "berth-example";

fn is_sample(contract: &Contract, text: &str) -> bool {
    let text = match contract.name_stays {
        true => text.replace(NAME, ""),
        false => text.to_owned(),
    };
    SAMPLES.iter().any(|sample| text.contains(sample))
}

/// Finds the sample's values, which the user has to replace by their own names and hosts.
pub fn samples(contract: &Contract, documents: &[Document]) -> Vec<Finding> {
    let all = documents.iter().flat_map(|document| {
        let leaves = document.leaves().into_iter();
        leaves.map(move |(place, value)| (document, place, value))
    });
    let is_left = |place: &Place, value: &Value| {
        let text = value.as_str().unwrap_or_default();
        // An account can be a key, too.
        place.to_string().contains(ACCOUNT) || is_sample(contract, text)
    };
    all.filter(|(_, place, value)| is_left(place, value))
        .map(|(document, place, value)| Finding {
            place: at(document, &place),
            fault: format!("{value} is the sample's"),
            remedy: "Write your own name; the README beside the file says which.".into(),
        })
        .collect()
}

/// Returns the image that the files name, if they name it in one value.
pub fn image(contract: &Contract, documents: &[Document]) -> Option<String> {
    let mut files = contract.file.iter().zip(documents);
    files.find_map(|(file, document)| {
        let patterns = file.says.get(&Fact::Image).into_iter().flatten();
        let mut values = patterns.flat_map(|pattern| document.find(pattern));
        values.find_map(|(_, value)| value.as_str().map(str::to_owned))
    })
}

/// Finds the faults in the files of a platform.
pub fn findings(contract: &Contract, documents: &[Document]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, document) in contract.file.iter().zip(documents) {
        unknown_keys(file, document, &mut findings);
        for (fact, patterns) in &file.says {
            for pattern in patterns {
                let found = document.find(pattern);
                if found.is_empty() {
                    findings.push(Finding {
                        place: format!("{}: {pattern}", document.name),
                        fault: "it is missing".into(),
                        remedy: format!(
                            "Add it, so that {} knows {}.",
                            contract.name,
                            meaning(*fact)
                        ),
                    });
                }
                for (place, value) in found {
                    if let Some((fault, remedy)) = fault(*fact, value, contract) {
                        let place = at(document, &place);
                        findings.push(Finding {
                            place,
                            fault,
                            remedy,
                        });
                    }
                }
            }
        }
    }
    // Each file with variables is a way to deploy of its own.
    let files = contract.file.iter().zip(documents);
    let mut setting: Vec<_> = files
        .filter(|(file, _)| file.says.contains_key(&Fact::Variables))
        .collect();
    if setting.is_empty() {
        setting.extend(contract.file.iter().zip(documents).take(1));
    }
    findings.extend(
        setting
            .into_iter()
            .flat_map(|(file, document)| in_force(contract, file, document)),
    );
    findings
}

fn at(document: &Document, place: &Place) -> String {
    format!("{}: {place}", document.name)
}

fn meaning(fact: Fact) -> &'static str {
    match fact {
        Fact::Port => "the app's port",
        Fact::Variables => "the app's variables",
        Fact::Probe => "how to check whether the app is ready",
        Fact::Grace => "how long the app may take to stop",
        Fact::Signal => "how to stop the app",
        Fact::Image | Fact::Tag => "the image",
        Fact::Memory => "how much memory the app may have",
    }
}

fn unknown_keys(file: &File, document: &Document, findings: &mut Vec<Finding>) {
    for (place, _) in document.leaves() {
        if file.keys.iter().any(|key| key.fits(&place)) {
            continue;
        }
        let text = place.to_string();
        let near = file
            .keys
            .iter()
            .map(ToString::to_string)
            .min_by_key(|key| strsim::osa_distance(key, &text));
        findings.push(Finding {
            place: at(document, &place),
            fault: "this key is unknown".into(),
            remedy: format!(
                "Did you mean {}? If the key is right, add it to `keys` in contract.toml.",
                near.unwrap_or_default()
            ),
        });
    }
}

/// Returns the fault of a single value, if it has one, and the remedy.
fn fault(fact: Fact, value: &Value, contract: &Contract) -> Option<(String, String)> {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    match fact {
        Fact::Port => {
            let port = contract.container.port;
            (text != port.to_string()).then(|| {
                (
                    format!("the router would use port {text}, but the app listens on {port}"),
                    format!("Write {port}, or change PORT, this value and contract.toml together."),
                )
            })
        }
        Fact::Probe => {
            let path = text.split_once('?').map_or(text.as_str(), |(path, _)| path);
            (!is_health_path(path)).then(|| {
                (
                    format!(
                        "{text} is not a health path: the app would reject its Host, or answer 404"
                    ),
                    format!(
                        "Write {READY}: the app answers probes there before it checks the host."
                    ),
                )
            })
        }
        Fact::Grace => {
            let declared = contract.stop.grace_seconds;
            match document::seconds(value) {
                Some(seconds) if seconds == declared => None,
                Some(_) => Some((
                    format!("{text} is not the {declared} s of contract.toml, which is tested"),
                    "Change both; it must be the sum of DRAIN_SECONDS, SHUTDOWN_SECONDS and 2 s."
                        .into(),
                )),
                None => Some((
                    format!("{text} is not a time"),
                    "Write seconds, such as 30.".into(),
                )),
            }
        }
        Fact::Signal => (text != "SIGTERM").then(|| {
            (
                format!("the app would get {text} as its stop signal"),
                "Write SIGTERM.".into(),
            )
        }),
        Fact::Image => {
            let name = text.rsplit('/').next().unwrap_or_default();
            let tag = name.split_once(':').map_or("", |(_, tag)| tag);
            (!name.contains('@') && is_moving(tag)).then(|| unpinned(&text))
        }
        Fact::Tag => is_moving(&text).then(|| unpinned(&text)),
        Fact::Memory => {
            let declared = &contract.container.memory;
            let [here, there] = [
                document::bytes(value),
                document::bytes(&Value::from(declared.as_str())),
            ];
            let differs = here
                .zip(there)
                .is_some_and(|(here, there)| (here / there - 1.0).abs() > 0.02);
            differs.then(|| {
                (
                    format!("{text} is not the {declared} that contract.toml is tested with"),
                    "Change both.".to_owned(),
                )
            })
        }
        Fact::Variables => None,
    }
}

fn is_moving(tag: &str) -> bool {
    tag.is_empty() || tag == "latest"
}

fn unpinned(image: &str) -> (String, String) {
    (
        format!("{image} is not pinned, and can be another image tomorrow"),
        "Pin it: a version, or the digest that `make push` prints.".to_owned(),
    )
}

/// Returns the variables that the files set. References to the platform's variables (`${NAME}`) are replaced.
pub fn of_files(contract: &Contract, documents: &[Document]) -> BTreeMap<String, String> {
    let files = contract.file.iter().zip(documents);
    files
        .flat_map(|(file, document)| of_file(contract, file, document))
        .collect()
}

fn of_file(contract: &Contract, file: &File, document: &Document) -> BTreeMap<String, String> {
    let patterns = file.says.get(&Fact::Variables).into_iter().flatten();
    let values = patterns.flat_map(|pattern| document.find(pattern));
    let mut all: BTreeMap<_, _> = values
        .flat_map(|(_, value)| document::variables(value))
        .collect();
    for value in all.values_mut() {
        for (name, told) in &contract.container.variables {
            *value = value.replace(&format!("${{{name}}}"), told);
        }
    }
    all
}

/// Finds the faults in the settings that the variables of the image, the platform and the file give.
fn in_force(contract: &Contract, file: &File, document: &Document) -> Vec<Finding> {
    let finding = |(fault, remedy): (String, String)| Finding {
        place: format!("{}: the variables", document.name),
        fault,
        remedy,
    };
    // As in the Dockerfile, but with the folder on this machine.
    let folder = format!("{ROOT}/static");
    let image = [("BIND", "[::]:8080"), ("STATIC_DIR", &folder)];
    let image = image.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut variables = BTreeMap::from(image);
    variables.extend(contract.container.variables.clone());
    variables.extend(of_file(contract, file, document));
    let names_own = variables
        .get("ALLOWED_HOSTS")
        .is_some_and(|hosts| !is_sample(contract, hosts));
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    match Settings::load(variables) {
        Ok((settings, warnings)) => {
            let odd = warnings
                .iter()
                .map(|it| (it.to_string(), "Correct it in the file.".to_owned()));
            odd.chain(contradictions(contract, &settings, names_own))
                .map(finding)
                .collect()
        }
        Err(mistakes) => vec![finding((
            mistakes.to_string(),
            "Correct them in the file.".into(),
        ))],
    }
}

/// Finds the settings that contradict what the platform does. Skips the host where the file `names_own`, since the contract has
/// the sample's.
fn contradictions(
    contract: &Contract,
    settings: &Settings,
    names_own: bool,
) -> Vec<(String, String)> {
    let (router, platform) = (&contract.router, &contract.name);
    let mut found = Vec::new();
    let mut say = |fault: String, remedy: String| found.push((fault, remedy));

    match &settings.bind {
        Address::Tcp(address) => {
            if address.ip().to_canonical().is_loopback() {
                say(
                    format!("the app would listen on {address}, which no router can reach"),
                    "Remove BIND: the image listens on every address.".into(),
                );
            }
            let port = contract.container.port;
            if address.port() != port {
                say(
                    format!(
                        "the app would listen on port {}, but {platform} uses {port}",
                        address.port()
                    ),
                    format!("Set PORT to {port}, or leave it to {platform}."),
                );
            }
        }
        Address::Unix(_) => say(
            format!(
                "BIND={} ignores PORT, but {platform} connects over TCP",
                settings.bind
            ),
            "Remove BIND.".into(),
        ),
    }

    let host = Authority::parse(&router.host);
    if !names_own && !host.is_ok_and(|host| settings.allowed_hosts.allows(&host)) {
        say(
            format!(
                "{} is not allowed, but {platform} sends that host: all clients would get 404",
                router.host
            ),
            format!("Set ALLOWED_HOSTS to {} and your own domains.", router.host),
        );
    }

    let budget = seconds(settings.drain_seconds) + seconds(settings.shutdown_seconds) + RESERVE;
    if contract.stop.grace_seconds < budget {
        say(
            format!(
                "the app may take {budget} s to stop, but is killed after {} s",
                contract.stop.grace_seconds
            ),
            "Lower DRAIN_SECONDS or SHUTDOWN_SECONDS, or raise the time in the file.".into(),
        );
    }

    let kept = seconds(settings.keep_alive);
    if router.idle_seconds > 0.0 && kept > 0.0 && kept <= router.idle_seconds {
        say(
            format!(
                "the router keeps idle connections for {} s, but the app for {kept} s: some requests would fail",
                router.idle_seconds
            ),
            format!("Set KEEP_ALIVE to more than {}.", router.idle_seconds),
        );
    }

    let peer: IpAddr = router.address.parse().expect("the router's address");
    let header = |name: &str| router.header(name, CLIENT, "", "id");
    let [client, scheme] = [settings.client_header.name().as_str(), "x-forwarded-proto"]
        .map(|name| header(name).unwrap_or_default());
    let told = settings.trusted_proxies.client(
        Some(peer),
        [client.as_bytes()].into_iter(),
        [scheme.as_bytes()].into_iter(),
    );
    if !settings.trusted_proxies.trusts(Some(peer)) {
        say(
            format!(
                "the router, at {peer}, is not trusted: the app would take its address for the client's"
            ),
            "Set TRUSTED_PROXIES to private, or to its network.".into(),
        );
    } else if told
        != (Client {
            addr: CLIENT.parse().ok(),
            scheme: Scheme::Https,
        })
    {
        say(
            format!(
                "{} has no client address on this platform",
                settings.client_header
            ),
            format!(
                "Set CLIENT_HEADER to one of these that has: {}.",
                names(&router.headers)
            ),
        );
    }
    let id = settings.request_id_header.0.as_ref();
    let id = id.map(|header| header.name().as_str());
    match router.request_id.as_str() {
        "" if id.is_some() => say(
            format!("{platform} sends no request ids, so a client could choose them"),
            "Set REQUEST_ID_HEADER to none.".into(),
        ),
        "" => {}
        given if id.is_none_or(|id| !id.eq_ignore_ascii_case(given)) => say(
            format!("{platform} sends the request's id in {given}"),
            format!("Set REQUEST_ID_HEADER to {given}, so that its logs and the app's agree."),
        ),
        _ => {}
    }
    if let Some(Probe::Http { path, .. }) = &contract.probe
        && !is_health_path(path)
    {
        say(
            format!("the probe requests {path}"),
            format!("Set its path to {READY}."),
        );
    }
    if !matches!(settings.log_format, LogFormat::Json) {
        say(
            "the log is text".to_owned(),
            format!("Set LOG_FORMAT to json, so that {platform} can search its fields."),
        );
    }
    found
}

fn seconds(time: Seconds) -> f64 {
    Duration::from(time).as_secs_f64()
}

fn names(headers: &BTreeMap<String, String>) -> String {
    headers
        .keys()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
