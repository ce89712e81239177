//! A real browser: headless Chromium in a container of its own (fixtures/browser/), driven by WebDriver.

use std::mem::ManuallyDrop;

use serde_json::{Value, json};
use thirtyfour::{
    By, ChromeCapabilities, ChromiumLikeCapabilities, DesiredCapabilities, Key,
    LoggingPrefsLogLevel, WebDriver, error::WebDriverResult,
};
use tokio::runtime::{Builder, Runtime};

use harness::{container::Container, modes, solo::wait_for, stack::docker};

const IMAGE: &str = "berth-test-browser";

/// What is missing for a stack and a browser to look at it with, if anything is.
pub fn why_none() -> Option<String> {
    modes::why_not(&["berth-nginx", "berth-app", IMAGE])
}

/// A browser with one window; it is gone when this is dropped.
pub struct Browser {
    runtime: Runtime,
    // Ends with its container, so that there is no one to say goodbye to.
    driver: ManuallyDrop<WebDriver>,
    _container: Container,
}

impl Browser {
    /// Starts one.
    pub fn start() -> Self {
        let options = [
            "--network=host",
            "--shm-size=512m",
            "--cap-drop=ALL",
            "--read-only",
            "--tmpfs=/tmp",
        ];
        let container = Container::run(&options, IMAGE, &[]);
        let port = wait_for(|| {
            let log = docker(&["logs", &container.name]);
            let (_, rest) = log.split_once("started successfully on port ")?;
            rest.split('.').next()?.parse::<u16>().ok()
        });
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let address = format!("http://127.0.0.1:{port}");
        let driver = runtime.block_on(async { WebDriver::new(address, capabilities()?).await });
        let this = Self {
            runtime,
            driver: ManuallyDrop::new(driver.expect("a browser")),
            _container: container,
        };
        // Before any script of a page runs.
        this.cdp(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({"source": "window.violations = [];
                addEventListener('securitypolicyviolation', it => violations.push(`${it.violatedDirective} ${it.blockedURI}`));"}),
        );
        this
    }

    fn wait<T>(&self, what: impl Future<Output = WebDriverResult<T>>) -> T {
        self.runtime.block_on(what).expect("the browser does it")
    }

    /// Goes to a page, and waits until it has loaded.
    pub fn open(&self, url: &str) {
        self.wait(self.driver.goto(url));
    }

    /// What a script returns; `return` has to be in it.
    pub fn run(&self, script: &str) -> Value {
        self.wait(async { Ok(self.driver.execute(script, vec![]).await?.json().clone()) })
    }

    /// The text of an element as one sees it; empty if it is hidden.
    pub fn text(&self, selector: &str) -> String {
        self.wait(async { self.driver.find(By::Css(selector)).await?.text().await })
    }

    /// Presses a key, wherever the focus is.
    pub fn press(&self, key: Key) {
        self.wait(self.driver.action_chain().send_keys(key).perform());
    }

    /// A command of the DevTools protocol.
    pub fn cdp(&self, method: &str, parameters: Value) {
        self.wait(self.driver.cdp().send_raw(method, parameters));
    }

    /// Has pages take it for a screen of that size, in pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.cdp("Emulation.setDeviceMetricsOverride", size);
    }

    /// Has media queries find these features, such as `prefers-color-scheme: dark`.
    pub fn prefer(&self, features: &[(&str, &str)]) {
        let feature = |&(name, value): &(&str, &str)| json!({"name": name, "value": value});
        let features: Vec<Value> = features.iter().map(feature).collect();
        self.cdp("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// What the page at hand did wrong since this was asked last: errors and warnings of its console, and what its policy
    /// forbade.
    pub fn faults(&self) -> Vec<String> {
        let log = self.wait(self.driver.browser_log());
        let log = log
            .into_iter()
            .filter(|it| it.level == "SEVERE" || it.level == "WARNING")
            .map(|it| it.message);
        let violations = self.run("return violations.splice(0)");
        let violations: Vec<String> = serde_json::from_value(violations).unwrap();
        log.chain(violations).collect()
    }

    /// A picture of the window, as PNG.
    pub fn picture(&self) -> Vec<u8> {
        self.wait(self.driver.screenshot_as_png())
    }
}

fn capabilities() -> WebDriverResult<ChromeCapabilities> {
    let mut chromium = DesiredCapabilities::chrome();
    chromium.set_binary("/usr/bin/chromium")?;
    // No sandbox: it needs rights that the container does not have.
    for option in [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
    ] {
        chromium.add_arg(option)?;
    }
    chromium.set_browser_log_level(LoggingPrefsLogLevel::All)?;
    Ok(chromium)
}
