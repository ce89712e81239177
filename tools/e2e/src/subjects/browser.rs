//! The site's pages as a real browser shows them, through nginx: clean, legible, by keyboard, on a phone; and the clock
//! while replicas come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
    time::Duration,
};

use serde_json::json;
use thirtyfour::Key;

use crate::run::Batch;
use crate::stubs::folder;
use crate::window::{self, Browser};
use harness::{
    Solo, Stack, skip,
    solo::{wait_at_most, wait_for},
    stack::docker,
    wire::get,
};

/// The site's pages.
const PAGES: [&str; 2] = ["/clock.html", "/about.html"];
const NONE: [&str; 0] = [];
const ANSWERS: &str = "answers";
/// How long the clock may take to call a replica gone: it waits for the others' answers.
const UNTIL_GONE: Duration = Duration::from_secs(40);

/// Each has a browser, and most a stack: two cores have enough of two.
pub fn batches() -> Vec<Batch> {
    let missing = window::why_none();
    let tests: [(&str, fn()); 4] = [
        (
            "pages_are_clean_legible_and_narrow",
            pages_are_clean_legible_and_narrow,
        ),
        (
            "what_a_page_does_wrong_is_noticed",
            what_a_page_does_wrong_is_noticed,
        ),
        (
            "the_clock_shows_who_comes_and_goes",
            the_clock_shows_who_comes_and_goes,
        ),
        ("the_clock_needs_no_names", the_clock_needs_no_names),
    ];
    let trials = tests.map(|(name, test)| match &missing {
        Some(why) => skip::skipped(name, why.clone()),
        None => skip::trial(name, test),
    });
    vec![Batch::of(trials.into())]
}

fn pages_are_clean_legible_and_narrow() {
    let stack = Stack::start(&[]);
    let browser = Browser::start();
    for page in PAGES {
        let policy = get(stack.address, page, "localhost");
        let policy = policy.header("content-security-policy");
        assert!(policy.is_some(), "{page} has no Content-Security-Policy");
        browser.open(&format!("http://{}{page}", stack.address));
        if page == "/clock.html" {
            wait_for(|| (states(&browser).len() == 2).then_some(()));
        }
        assert_eq!(browser.faults(), NONE, "{page}");
        is_legible(&browser, page);
        fits_a_phone(&browser, page);
    }
    browser.open(&format!("http://{}/clock.html", stack.address));
    motion_can_be_done_without(&browser);
    the_keyboard_does_it(&browser);
}

/// Each text has a contrast of 4.5 at least (WCAG 2.2, 1.4.3), each bar one of 3 (1.4.11), in light and in dark.
fn is_legible(browser: &Browser, page: &str) {
    let papers = ["light", "dark"].map(|scheme| {
        browser.prefer(&[("prefers-color-scheme", scheme)]);
        let found = contrasts(browser);
        assert!(found.texts > 5, "{page} has texts: {found:?}");
        assert_eq!(found.faint, NONE, "{page}, {scheme}");
        found.paper
    });
    assert_ne!(papers[0], papers[1], "{page} is dark for those who want it");
    // Shows that the check finds a contrast that is too low.
    browser.run("document.querySelector('h2, p').style.color = '#777f'");
    assert_eq!(contrasts(browser).faint.len(), 1, "{page}");
    browser.prefer(&[]);
}

#[derive(Debug, serde::Deserialize)]
struct Contrasts {
    texts: usize,
    faint: Vec<String>,
    paper: String,
}

fn contrasts(browser: &Browser) -> Contrasts {
    serde_json::from_value(browser.run(include_str!("../../fixtures/browser/contrasts.js")))
        .unwrap()
}

/// 320 pixels are what WCAG 2.2, 1.4.10 asks for.
fn fits_a_phone(browser: &Browser, page: &str) {
    browser.resize(320, 640);
    let widths = "return [innerWidth, document.documentElement.scrollWidth]";
    assert_eq!(browser.run(widths), json!([320, 320]), "{page}");
    let too_wide = "return [...document.querySelectorAll('main *')].filter(it => it.scrollWidth > it.clientWidth
        && getComputedStyle(it).display !== 'inline' && it.clientWidth > 1).map(it => it.outerHTML)";
    assert_eq!(browser.run(too_wide), json!([]), "{page}");
    browser.resize(1024, 768);
}

fn motion_can_be_done_without(browser: &Browser) {
    wait_for(|| (states(browser).len() == 2).then_some(()));
    let durations = "return [...document.querySelectorAll('*')].filter(it =>
        getComputedStyle(it).transitionDuration !== '0s' || getComputedStyle(it).animationName !== 'none').length";
    assert_eq!(browser.run(durations), 2, "the bars grow");
    browser.prefer(&[("prefers-reduced-motion", "reduce")]);
    assert_eq!(browser.run(durations), 0, "they jump");
    browser.prefer(&[]);
}

fn the_keyboard_does_it(browser: &Browser) {
    let focus = "return document.activeElement.id";
    let tabs = (1..9).find(|_| {
        browser.press(Key::Tab);
        browser.run(focus) == "pause"
    });
    assert!(tabs.is_some(), "Tab gets to the button");
    let outline = "return getComputedStyle(document.activeElement).outlineStyle";
    assert_ne!(browser.run(outline), "none", "one sees where the focus is");

    let asked = || browser.run("return performance.getEntriesByType('resource').length");
    browser.press(Key::Enter);
    assert_eq!(browser.text("#pause"), "Resume");
    assert_eq!(browser.text("#state"), "paused");
    // The one that was on its way.
    thread::sleep(Duration::from_millis(300));
    let before = asked();
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(asked(), before, "no request is sent during a pause");
    browser.press(Key::Enter);
    assert_eq!(browser.text("#pause"), "Pause");
    wait_for(|| (asked() != before).then_some(()));
}

/// The policy comes from the server: it is the one that the pages have, and bites.
fn what_a_page_does_wrong_is_noticed() {
    let site = folder();
    let write = |name: &str, text: &str| fs::write(site.path().join(name), text).unwrap();
    // Browsers ask for it.
    write("favicon.ico", "");
    write("good.html", "<!doctype html><title>Good</title>");
    write(
        "inline.html",
        "<!doctype html><script>document.title = 'It ran'</script>",
    );
    write("style.html", "<!doctype html><p style='color: red'>");
    write(
        "throws.html",
        "<!doctype html><script src=throws.js></script>",
    );
    write("throws.js", "throw new Error('on purpose')");
    let app = Solo::start(&[("STATIC_DIR", site.path().to_str().unwrap())]);
    let browser = Browser::start();
    let faults = |page: &str| {
        browser.open(&format!("http://{}/{page}", app.address));
        browser.faults().join("\n")
    };
    assert_eq!(faults("good.html"), "");
    assert!(faults("throws.html").contains("on purpose"));
    for (page, what) in [
        ("inline.html", "script-src-elem inline"),
        ("style.html", "style-src-attr inline"),
    ] {
        let faults = faults(page);
        assert!(
            faults.contains(what),
            "{page} breaks the policy: {faults:?}"
        );
    }
    assert_eq!(browser.run("return document.title"), "");
}

fn the_clock_shows_who_comes_and_goes() {
    let stack = Stack::start(&[]);
    let browser = Browser::start();
    browser.open(&format!("http://{}/clock.html", stack.address));
    let all_answer = |names: &BTreeSet<String>| {
        let wanted: BTreeMap<_, _> = names
            .iter()
            .map(|it| (it.clone(), ANSWERS.into()))
            .collect();
        wait_for(|| (states(&browser) == wanted).then_some(()));
    };
    all_answer(&replicas(&stack));

    let up = ["up", "--detach", "--no-build", "--pull=never", "--wait"];
    stack.compose(&[&up[..], &["--scale=app=4"]].concat());
    let four = replicas(&stack);
    assert_eq!(four.len(), 4);
    all_answer(&four);

    let killed = four.first().unwrap();
    docker(&["kill", killed]);
    wait_at_most(UNTIL_GONE, || {
        (states(&browser)[killed] == "gone").then_some(())
    });
    let others = states(&browser);
    assert_eq!(
        others.values().filter(|it| *it == ANSWERS).count(),
        3,
        "{others:?}"
    );
    assert_eq!(browser.text("#trouble"), "");
    let events = browser.text("#events");
    assert!(events.contains(&format!("{killed} is gone")), "{events}");
    assert!(!events.contains("reached"), "no request was lost: {events}");

    stack.compose(&["stop", "app"]);
    wait_for(|| {
        let trouble = browser.text("#trouble");
        (trouble.contains("can’t be reached") && trouble.contains("Next attempt")).then_some(())
    });
    stack.compose(&["start", "app"]);
    wait_for(|| browser.text("#trouble").is_empty().then_some(()));
    all_answer(&four);
    assert!(browser.text("#events").contains("answers again"));
}

/// Without nginx, without replicas' names, and killed without a drain.
fn the_clock_needs_no_names() {
    let app = Solo::start(&[]);
    let browser = Browser::start();
    browser.open(&format!("http://{}/clock.html", app.address));
    wait_for(|| (states(&browser).keys().eq(["replica not named"])).then_some(()));
    drop(app);
    wait_for(|| browser.text("#trouble").contains("no answer").then_some(()));
    assert_eq!(browser.text("#state"), "no answer");
}

/// The state of each replica that the clock shows.
fn states(browser: &Browser) -> BTreeMap<String, String> {
    let states = "return Object.fromEntries([...document.querySelectorAll('#rows tr')].map(row =>
        [row.querySelector('.name').textContent, row.querySelector('.is').textContent]))";
    serde_json::from_value(browser.run(states)).unwrap()
}

/// The names of the app's replicas: their short ids.
fn replicas(stack: &Stack) -> BTreeSet<String> {
    let ids = stack.containers("app");
    ids.iter().map(|id| id[..12].to_owned()).collect()
}
