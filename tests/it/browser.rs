//! A headless Chromium that a test controls over the DevTools protocol, through two named pipes. Only what the tests of pages need:
//! open an address, run JavaScript, press keys, collect errors of the console.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    commands: File,
    messages: Receiver<Value>,
    session: Value,
    sent: u64,
    /// Errors and warnings of the console, and uncaught exceptions.
    pub errors: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Starts Chromium with a window of this size.
    pub(crate) fn start(width: u32, height: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        assert!(Command::new("mkfifo").args([&to, &from]).status().expect("mkfifo runs").success());
        // Chromium reads commands from file descriptor 3 and writes messages to 4.
        let process = Command::new("sh")
            .args(["-c", r#"exec chromium "$@" 3<"$TO" 4>"$FROM""#, "sh"])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "about:blank"])
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .envs([("TO", &to), ("FROM", &from)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium starts");
        let commands = OpenOptions::new().write(true).open(&to).expect("the pipe opens");
        let messages = File::open(&from).expect("the pipe opens");
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(messages).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice::<Value>(&message) else { return };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            process,
            commands,
            messages: receiver,
            session: Value::Null,
            sent: 0,
            errors: Vec::new(),
            _folder: folder,
        };
        browser.attach();
        browser
    }

    /// Connects to the page.
    fn attach(&mut self) {
        let targets = self.call("Target.getTargets", json!({}));
        let pages = targets["targetInfos"].as_array().expect("a list");
        let page = pages.iter().find(|target| target["type"] == "page").expect("a page");
        let attached =
            self.call("Target.attachToTarget", json!({"targetId": page["targetId"], "flatten": true}));
        self.session = attached["sessionId"].clone();
        for domain in ["Page", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Sends a command and returns its result.
    #[track_caller]
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": params});
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).expect("chromium listens");
        loop {
            let message = self.messages.recv_timeout(PATIENCE).expect("chromium answers");
            if message["id"] == self.sent {
                assert!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    /// Keeps what a message says of errors.
    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        let is_bad = |level: &Value| matches!(level.as_str(), Some("error" | "warning" | "assert"));
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.errors.push(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled") if is_bad(&params["type"]) => {
                self.errors.push(params["args"].to_string());
            }
            Some("Log.entryAdded") if is_bad(&params["entry"]["level"]) => {
                self.errors.push(params["entry"].to_string());
            }
            _ => {}
        }
    }

    /// Opens an address.
    pub(crate) fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({"url": url}));
        assert!(opened.get("errorText").is_none(), "{url}: {opened}");
        self.wait_for("document.readyState === 'complete'");
    }

    /// The value of a JavaScript expression; a promise is awaited.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let options = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let found = self.call("Runtime.evaluate", options);
        assert!(found.get("exceptionDetails").is_none(), "{expression}: {}", found["exceptionDetails"]);
        found["result"]["value"].clone()
    }

    /// Waits until an expression is true, and tells what the page shows if it never is.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, expression: &str) {
        let start = Instant::now();
        while self.value(&format!("Boolean({expression})")) != true {
            if start.elapsed() > PATIENCE {
                let text = self.value("document.body.innerText");
                panic!("never true: {expression}\n{}", text.as_str().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The text of the first element that a selector matches.
    #[track_caller]
    pub(crate) fn text(&mut self, selector: &str) -> String {
        self.wait_for(&format!("document.querySelector({selector:?})"));
        let text = self.value(&format!("document.querySelector({selector:?}).textContent"));
        text.as_str().expect("text").to_owned()
    }

    /// Presses a key, as in `ArrowRight`, in the element that has the focus.
    pub(crate) fn press(&mut self, key: &str) {
        for kind in ["rawKeyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", json!({"type": kind, "key": key, "code": key}));
        }
    }

    /// Types text into the element that has the focus.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// A picture of the window, as a PNG.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        let found = self.call("Page.captureScreenshot", json!({"format": "png"}));
        BASE64_STANDARD.decode(found["data"].as_str().expect("text")).expect("base64")
    }

    /// Shows the page in a window of this size, light or dark.
    pub(crate) fn resize(&mut self, (width, height): (u32, u32), scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
