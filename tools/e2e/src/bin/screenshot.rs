//! Remakes docs/clock.png: the clock as a browser shows it, in front of three replicas. `make screenshot` runs it.

use std::{fs, time::Duration};

use e2e::window::{self, Browser};
use harness::{Stack, root, solo::wait_at_most};

/// The bars then show this many answers, and the dial a whole minute.
const UNTIL_FULL: Duration = Duration::from_secs(90);

fn main() {
    if let Some(why) = window::why_none() {
        panic!("{why}; make them: deploy/local/images.sh && tools/e2e/fixtures/image.sh browser");
    }
    let stack = Stack::start(&[("REPLICAS", "3")]);
    let browser = Browser::start();
    browser.resize(900, 720);
    browser.open(&format!("http://{}/clock.html", stack.address));
    let full = "return document.querySelectorAll('#marks line:not([data-hue])').length === 0
        && document.querySelectorAll('#rows tr').length === 3";
    wait_at_most(UNTIL_FULL, || (browser.run(full) == true).then_some(()));
    fs::write(root().join("docs/clock.png"), browser.picture()).expect("the picture is written");
}
