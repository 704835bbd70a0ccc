//! A real Chromium, driven as a person would: pages are opened, read, clicked and typed into.
//!
//! It speaks the DevTools protocol over two pipes, so no port is opened and no driver is needed. It finds nothing but this
//! machine, and whatever it asked for, logged or refused is kept for the test to look at.
//!
//! ```ignore
//! let browser = Browser::start();
//! let page = browser.page(Screen::PHONE).await;
//! page.go("http://127.0.0.1:8081/").await;
//! page.click("button").await;
//! page.sees("done").await;
//! ```

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::app::{eventually, soon};

/// The names under which systems have it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// Without what a browser does by itself: this test alone decides what it asks for.
const FLAGS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
];

/// What a page is looked at on.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
    pub scripts: bool,
}

impl Screen {
    pub const DESKTOP: Self = Self { width: 1280, height: 900, dark: false, scripts: true };
    pub const PHONE: Self = Self { width: 390, height: 844, dark: false, scripts: true };

    /// The same in the dark.
    pub const fn dark(self) -> Self {
        Self { dark: true, ..self }
    }

    /// The same without JavaScript.
    pub const fn without_scripts(self) -> Self {
        Self { scripts: false, ..self }
    }
}

type Answers = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;
type Told = Arc<Mutex<Vec<Value>>>;

/// A running Chromium with a profile of its own.
pub struct Browser {
    child: Child,
    input: Mutex<ChildStdin>,
    answers: Answers,
    told: Told,
    last: AtomicU64,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it.
    pub fn start() -> Self {
        let has = |name: &&&str| Command::new(**name).arg("--version").output().is_ok_and(|out| out.status.success());
        let name =
            NAMES.iter().find(has).expect("these tests drive Chromium: install `chromium`, as `scripts/test` does");
        let profile = tempfile::tempdir().unwrap();
        // It reads from descriptor 3 and writes to 4; the shell puts our pipes there.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#, "sh", name])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = Mutex::new(child.stdin.take().unwrap());
        let output = BufReader::new(child.stdout.take().unwrap());
        let (answers, told) = (Answers::default(), Told::default());
        let (of_reader, told_by) = (answers.clone(), told.clone());
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message: Value = serde_json::from_slice(&message).unwrap();
                match message["id"].as_u64().and_then(|id| of_reader.lock().unwrap().remove(&id)) {
                    Some(asked) => drop(asked.send(message)),
                    None => told_by.lock().unwrap().push(message),
                }
            }
        });
        Self { child, input, answers, told, last: AtomicU64::new(0), _profile: profile }
    }

    /// A new empty page on such a screen.
    pub async fn page(&self, screen: Screen) -> Page<'_> {
        let target = self.ask(None, "Target.createTarget", json!({"url": "about:space"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.ask(None, "Target.attachToTarget", attach).await["sessionId"].as_str().unwrap().to_owned();
        let page = Page { browser: self, session };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.ask(&format!("{domain}.enable"), json!({})).await;
        }
        page.ask("Page.setLifecycleEventsEnabled", json!({"enabled": true})).await;
        let is_phone = screen.width < 600;
        let metrics = json!({
            "width": screen.width, "height": screen.height, "deviceScaleFactor": 1, "mobile": is_phone,
        });
        page.ask("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = json!({"name": "prefers-color-scheme", "value": if screen.dark { "dark" } else { "light" }});
        page.ask("Emulation.setEmulatedMedia", json!({"features": [scheme]})).await;
        page.ask("Emulation.setScriptExecutionDisabled", json!({"value": !screen.scripts})).await;
        page
    }

    async fn ask(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, answer) = oneshot::channel();
        self.answers.lock().unwrap().insert(id, sender);
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.lock().unwrap().write_all(&bytes).unwrap();
        let mut answer = soon(method, answer).await.expect("Chromium ended");
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page that is open in it.
pub struct Page<'b> {
    browser: &'b Browser,
    session: String,
}

impl Page<'_> {
    async fn ask(&self, method: &str, params: Value) -> Value {
        self.browser.ask(Some(&self.session), method, params).await
    }

    /// What it reported so far: each as its method and parameters.
    fn told(&self, method: &str) -> Vec<Value> {
        let told = self.browser.told.lock().unwrap();
        let of_page = told.iter().filter(|told| told["sessionId"] == self.session.as_str() && told["method"] == method);
        of_page.map(|told| told["params"].clone()).collect()
    }

    /// Opens an address, and waits until that has loaded, and not what was there before.
    pub async fn go(&self, url: &str) {
        let answer = self.ask("Page.navigate", json!({"url": url})).await;
        assert!(answer["errorText"].is_null(), "{url}: {}", answer["errorText"]);
        let is_it = |told: &Value| told["loaderId"] == answer["loaderId"] && told["name"] == "load";
        eventually(url, async || self.told("Page.lifecycleEvent").iter().any(is_it).then_some(())).await;
    }

    /// What an expression comes to in the page.
    pub async fn eval(&self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.ask("Runtime.evaluate", params).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true in the page, which may load meanwhile.
    pub async fn wait(&self, expression: &str) {
        eventually(expression, async || {
            // Between two documents there is nothing to ask.
            let params = json!({"expression": format!("!!({expression})"), "returnByValue": true});
            (self.ask("Runtime.evaluate", params).await["result"]["value"] == true).then_some(())
        })
        .await;
    }

    /// Waits until people see this text.
    pub async fn sees(&self, text: &str) {
        self.wait(&format!("document.body && document.body.innerText.includes({})", json!(text))).await;
    }

    /// All text that people see.
    pub async fn text(&self) -> String {
        self.eval("document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks the middle of the first such element, which must be there to be clicked.
    pub async fn click(&self, selector: &str) {
        let middle = format!(
            "(() => {{ const e = document.querySelector({}); if (!e) return null;
               e.scrollIntoView({{block: 'center', behavior: 'instant'}});
               const b = e.getBoundingClientRect(), x = b.x + b.width / 2, y = b.y + b.height / 2;
               const at = document.elementFromPoint(x, y); return at && e.contains(at) ? [x, y] : null; }})()",
            json!(selector)
        );
        let at =
            eventually(&format!("`{selector}` can be clicked"), async || self.eval(&middle).await.as_array().cloned())
                .await;
        for kind in ["mousePressed", "mouseReleased"] {
            let click = json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
            self.ask("Input.dispatchMouseEvent", click).await;
        }
    }

    /// Types into the first such field, in place of what stands there.
    pub async fn fill(&self, selector: &str, text: &str) {
        let focus = format!(
            "(() => {{ const e = document.querySelector({}); e.focus(); e.select && e.select(); }})()",
            json!(selector)
        );
        self.eval(&focus).await;
        self.ask("Input.insertText", json!({"text": text})).await;
    }

    /// Presses a key, such as `Tab` or `Enter`, on whatever has the focus.
    pub async fn press(&self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            other => panic!("no key {other} here"),
        };
        for kind in ["keyDown", "keyUp"] {
            let press = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.ask("Input.dispatchKeyEvent", press).await;
        }
    }

    /// The addresses that it asked for.
    pub fn requests(&self) -> Vec<String> {
        let sent = self.told("Network.requestWillBeSent");
        sent.iter().filter_map(|sent| sent["request"]["url"].as_str().map(str::to_owned)).collect()
    }

    /// What it complained of: errors of scripts, what its policy refused, dialogs that opened.
    pub fn complaints(&self) -> Vec<Value> {
        let logged = self.told("Log.entryAdded").into_iter().filter(|told| told["entry"]["level"] == "error");
        let mut all: Vec<Value> = logged.collect();
        all.extend(self.told("Runtime.exceptionThrown"));
        all.extend(self.told("Page.javascriptDialogOpening"));
        all
    }

    /// Writes what it shows, all of it, as PNG.
    pub async fn picture(&self, file: &Path) {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.ask("Page.captureScreenshot", params).await;
        let bytes = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}
