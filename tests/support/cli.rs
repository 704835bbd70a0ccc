//! The command line as a process of its own, against a program that runs within the test.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::app::App;
use super::process::BINARY;

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    /// 0 good, 1 found something wrong, 2 wrong usage.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Its output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its output, which must contain this, with success.
    pub fn good_with(self, part: &str) -> String {
        let out = self.good();
        assert!(out.contains(part), "{out}");
        out
    }

    /// Its output, which must be all that it said, with success.
    pub fn good(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }
}

/// Runs `fanfare` with these arguments, as `ana`, against the admin surface of `app`.
pub async fn fanfare(app: &App, arguments: &[&str]) -> Ran {
    run(&[("FANFARE_ADMIN_URL", &format!("http://{}", app.admin))], arguments).await
}

/// Runs `fanfare` with these environment variables and arguments, as `ana`.
pub async fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = Command::new(BINARY);
    command.args(arguments).env("USER", "ana").env_remove("FANFARE_CONFIG").env_remove("FANFARE_ADMIN_TOKEN");
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}
