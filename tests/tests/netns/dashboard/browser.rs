//! A headless Chromium, driven through chromedriver.

use std::{
    fmt,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource as _, KeyAction, KeyActions},
    elements::Element,
    error::CmdError,
    key::Key,
    wd::WebDriverCompatibleCommand,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// One browser with one tab. Dropped, it ends with everything that it has started.
pub struct Browser {
    runtime: Runtime,
    client: Client,
    driver: Child,
    _profile: TempDir,
}

impl Browser {
    /// Opens the page at this address, in the network namespace of the calling thread.
    pub fn open(url: &str) -> Self {
        let profile = TempDir::with_prefix("fw-ctl-browser-").expect("a directory");
        let (driver, port) = start_driver();
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1440,1000",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({ "goog:chromeOptions": {
            "args": flags,
            "binary": "/usr/bin/chromium",
        }});
        let Value::Object(capabilities) = capabilities else {
            unreachable!("an object");
        };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let address = format!("http://127.0.0.1:{port}");
        let client = runtime.block_on(builder.connect(&address));
        let browser = Self {
            runtime,
            client: client.expect("the browser starts"),
            driver,
            _profile: profile,
        };
        browser.run(browser.client.goto(url));
        browser
    }

    fn run<T>(&self, command: impl Future<Output = Result<T, CmdError>>) -> T {
        let done = self.runtime.block_on(command);
        done.unwrap_or_else(|error| panic!("the browser: {error}"))
    }

    /// What a script returns.
    pub fn script(&self, script: &str) -> Value {
        self.run(self.client.execute(script, Vec::new()))
    }

    /// What the promise of a script comes to.
    pub fn promise(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; ({expression}).then(done, (error) => done(String(error)));"
        );
        self.run(self.client.execute_async(&script, Vec::new()))
    }

    /// Waits until a script returns true.
    #[track_caller]
    pub fn until(&self, what: &str, script: &str) {
        let start = Instant::now();
        while self.script(script) != json!(true) {
            if start.elapsed() > PATIENCE {
                panic!(
                    "never seen: {what}\n{}",
                    self.script("return document.body.innerText")
                );
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until this text stands in a node that is seen.
    #[track_caller]
    pub fn until_shown(&self, selector: &str, text: &str) {
        let [selector, text] = [selector, text].map(|text| json!(text).to_string());
        self.until(
            &format!("{text} in {selector}"),
            &format!(
                "return [...document.querySelectorAll({selector})].some((node) => \
                 node.checkVisibility() && node.innerText.includes({text}))"
            ),
        );
    }

    /// Whether this text stands in such a node.
    pub fn shows(&self, selector: &str, text: &str) -> bool {
        let [selector, text] = [selector, text].map(|text| json!(text).to_string());
        let script = format!(
            "return [...document.querySelectorAll({selector})].some((node) => \
             node.innerText.includes({text}))"
        );
        self.script(&script) == json!(true)
    }

    fn find(&self, selector: &str) -> Element {
        self.run(self.client.wait().for_element(Locator::Css(selector)))
    }

    /// Clicks the first such node.
    pub fn click(&self, selector: &str) {
        self.run(self.find(selector).click());
    }

    /// Clicks the first button in a node with this text.
    pub fn press(&self, within: &str, text: &str) {
        let path = format!("//*[@id='{within}']//button[contains(normalize-space(.), '{text}')]");
        let button = self.run(self.client.wait().for_element(Locator::XPath(&path)));
        self.run(button.click());
    }

    /// Writes into a field, in place of what stands there.
    pub fn write(&self, selector: &str, text: &str) {
        let field = self.find(selector);
        self.run(field.clear());
        self.run(field.send_keys(text));
    }

    /// Types, wherever the focus is.
    pub fn keys(&self, text: &str) {
        let keys = text
            .chars()
            .fold(KeyActions::new("keyboard".to_owned()), |keys, value| {
                keys.then(KeyAction::Down { value })
                    .then(KeyAction::Up { value })
            });
        self.run(self.client.perform_actions(keys));
    }

    /// Walks with Tab until the focus is on a node for which a script about `node` is true.
    #[track_caller]
    pub fn tab_to(&self, what: &str) {
        let script = format!("const node = document.activeElement; return Boolean({what})");
        for _ in 0..200 {
            if self.script(&script) == json!(true) {
                return;
            }
            self.keys(&char::from(Key::Tab).to_string());
        }
        panic!("no key leads to {what}");
    }

    /// Forgets the cookie.
    pub fn forget(&self) {
        self.run(self.client.delete_all_cookies());
    }

    /// Opens another tab in front, and gives back what is in front of it.
    pub fn in_another_tab<T>(&self, call: impl FnOnce() -> T) -> T {
        let first = self.run(self.client.window());
        let second = self.run(self.client.new_window(true));
        self.run(self.client.switch_to_window(second.handle));
        let result = call();
        self.run(self.client.close_window());
        self.run(self.client.switch_to_window(first));
        result
    }

    /// What is seen, as PNG.
    pub fn picture(&self) -> Vec<u8> {
        self.run(self.client.screenshot())
    }

    /// A command of the DevTools protocol.
    pub fn devtools(&self, name: &'static str, parameters: Value) -> Value {
        self.run(self.client.issue_cmd(DevTools { name, parameters }))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The namespace of the driver's processes ends with it, whatever it has started.
        let _gone = self.driver.kill();
        let _status = self.driver.wait();
    }
}

/// Starts chromedriver, as the first in a namespace of processes, and says at which port it is.
fn start_driver() -> (Child, u16) {
    let mut driver = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .args([
            "unshare",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child=KILL",
        ])
        .args(["chromedriver", "--port=0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver starts: `cargo xtask setup` installs it");
    let lines = BufReader::new(driver.stdout.take().expect("its output")).lines();
    let port = lines.map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    (driver, port.expect("chromedriver says its port"))
}

/// What chromedriver passes on to the browser.
struct DevTools {
    name: &'static str,
    parameters: Value,
}

impl fmt::Debug for DevTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({ "cmd": self.name, "params": self.parameters });
        (http::Method::POST, Some(body.to_string()))
    }
}
