//! The reader of settings, with a struct for the tests.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use berth::settings::{
    reader::{Sources, Warning},
    values::{Bounded, OnOff, Seconds},
};

berth::settings! {
    workers: Bounded<64> = "WORKERS", "2",
        "worker threads";
    pause_seconds: Seconds = "PAUSE_SECONDS", "1.5",
        "seconds between two rounds";
    greeting: OnOff = "GREETING" (formerly "HELLO"), "off",
        "whether to greet";
}

impl Settings {
    fn relate(&mut self, _: &mut Sources) {}
}

fn load(variables: &[(&str, &str)]) -> Result<(Settings, Vec<Warning>), String> {
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Settings::load(variables.collect::<Vec<_>>()).map_err(|mistakes| mistakes.to_string())
}

fn shown(variables: &[(&str, &str)]) -> Vec<Vec<String>> {
    let (settings, _) = load(variables).unwrap();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    settings.to_string().lines().skip(1).map(words).collect()
}

#[test]
fn what_is_not_set_or_empty_has_its_default() {
    for variables in [&[][..], &[("WORKERS", ""), ("GREETING", "")]] {
        let (settings, warnings) = load(variables).unwrap();
        assert_eq!(settings.workers.count(), 2);
        assert!(!settings.greeting.0);
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(shown(variables)[0], ["WORKERS", "2", "default"]);
    }
}

#[test]
fn a_value_is_shown_with_its_source() {
    let rows = shown(&[("PAUSE_SECONDS", "3"), ("HELLO", "on")]);
    assert_eq!(rows[0], ["WORKERS", "2", "default"]);
    assert_eq!(rows[1], ["PAUSE_SECONDS", "3", "environment"]);
    assert_eq!(rows[2], ["GREETING", "on", "HELLO"]);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let report = load(&[
        ("WORKERS", "65"),
        ("PAUSE_SECONDS", "soon"),
        ("HELLO", "maybe"),
    ]);
    let report = report.unwrap_err();
    let lines: Vec<_> = report.lines().collect();
    assert_eq!(lines.len(), 4, "{report}");
    assert!(lines[1].starts_with("  WORKERS=\"65\": "), "{report}");
    assert!(
        lines[2].starts_with("  PAUSE_SECONDS=\"soon\": "),
        "{report}"
    );
    // The warning has the name that was set.
    assert!(lines[3].starts_with("  HELLO=\"maybe\": "), "{report}");
}

#[test]
fn bytes_that_are_no_text_are_a_mistake_of_a_known_variable_alone() {
    let bytes = OsStr::from_bytes(b"8\xff");
    let load = |name: &str| Settings::load([(name.into(), bytes.into())]);
    let report = load("WORKERS").unwrap_err().to_string();
    assert!(
        report.contains("not UTF-8; set it to plain text"),
        "{report}"
    );
    assert!(load("OTHER").is_ok());
}

#[test]
fn a_former_name_is_read_with_a_warning_and_todays_name_goes_first() {
    let (settings, warnings) = load(&[("HELLO", "on")]).unwrap();
    assert!(settings.greeting.0);
    let renamed = Warning::Renamed {
        former: "HELLO",
        name: "GREETING",
    };
    assert_eq!(warnings, std::slice::from_ref(&renamed));
    let (settings, warnings) = load(&[("HELLO", "on"), ("GREETING", "off")]).unwrap();
    assert!(!settings.greeting.0);
    assert_eq!(warnings, [renamed]);
}

#[test]
fn a_misspelling_is_warned_of() {
    let (_, warnings) = load(&[("PAUSE_SECOND", "1")]).unwrap();
    let misspelt = Warning::Misspelt {
        name: "PAUSE_SECOND".into(),
        meant: "PAUSE_SECONDS",
    };
    assert_eq!(warnings, [misspelt]);
}

#[test]
fn every_variable_is_listed() {
    let listed = VARIABLES
        .iter()
        .map(|it| (it.name, it.former_name, it.default));
    let expected = [
        ("WORKERS", "", "2"),
        ("PAUSE_SECONDS", "", "1.5"),
        ("GREETING", "HELLO", "off"),
    ];
    assert!(listed.eq(expected));
    assert_eq!(VARIABLES[0].meaning, "worker threads");
}
