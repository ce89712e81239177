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

/// Returns why a stack and a browser can't be started, if they can't.
pub fn why_none() -> Option<String> {
    modes::why_not(&["berth-nginx", "berth-app", IMAGE])
}

/// A browser with one window; removed on drop.
pub struct Browser {
    runtime: Runtime,
    // The session ends with its container, so it need not be closed.
    driver: ManuallyDrop<WebDriver>,
    _container: Container,
}

impl Browser {
    /// Starts a browser.
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

    /// Opens a page, and waits until it has loaded.
    pub fn open(&self, url: &str) {
        self.wait(self.driver.goto(url));
    }

    /// Runs a script, and returns its value. The script needs a `return`.
    pub fn run(&self, script: &str) -> Value {
        self.wait(async { Ok(self.driver.execute(script, vec![]).await?.json().clone()) })
    }

    /// Returns the visible text of an element; empty if it is hidden.
    pub fn text(&self, selector: &str) -> String {
        self.wait(async { self.driver.find(By::Css(selector)).await?.text().await })
    }

    /// Presses a key at the current focus.
    pub fn press(&self, key: Key) {
        self.wait(self.driver.action_chain().send_keys(key).perform());
    }

    /// Runs a command of the DevTools protocol.
    pub fn cdp(&self, method: &str, parameters: Value) {
        self.wait(self.driver.cdp().send_raw(method, parameters));
    }

    /// Emulates a screen of that size, in pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.cdp("Emulation.setDeviceMetricsOverride", size);
    }

    /// Emulates media features, such as `prefers-color-scheme: dark`.
    pub fn prefer(&self, features: &[(&str, &str)]) {
        let feature = |&(name, value): &(&str, &str)| json!({"name": name, "value": value});
        let features: Vec<Value> = features.iter().map(feature).collect();
        self.cdp("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Returns the page's faults since the last call: errors and warnings of its console, and what its security policy
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

    /// Takes a screenshot of the window, as PNG.
    pub fn picture(&self) -> Vec<u8> {
        self.wait(self.driver.screenshot_as_png())
    }
}

fn capabilities() -> WebDriverResult<ChromeCapabilities> {
    let mut chromium = DesiredCapabilities::chrome();
    chromium.set_binary("/usr/bin/chromium")?;
    // The sandbox needs rights that the container does not have.
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
