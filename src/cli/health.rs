//! `fanfare health`: what a container's health check runs, where there is no shell and no `curl`.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::cli::client::Server;
use crate::cli::{CommandOutcome, runtime, term};

/// Asks `/readyz`, and ends with 1 if the server doesn't answer or isn't ready. Needs no token.
#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    #[command(flatten)]
    server: Server,
}

impl Health {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let client = self.server.connect(config)?;
        let body = runtime(false)?.block_on(async { anyhow::Ok(client.look("/readyz").await?.bytes().await?) })?;
        let body: Value = serde_json::from_slice(&body).context("what answers is not Fanfare")?;
        if body["ready"] == true {
            println!("{}", term::good("ready"));
            return Ok(CommandOutcome::Good);
        }
        println!("{} {}", term::bad("not ready:"), why(&body));
        Ok(CommandOutcome::Wrong)
    }
}

/// What keeps a server from being ready.
fn why(body: &Value) -> String {
    let fails = |name: &str, good: &str| body[name].as_str().filter(|says| *says != good).map(term::one_line);
    if body["draining"] == true {
        return "it is ending".to_owned();
    }
    if body["failed"] == true {
        return "it can't continue; its log has the reason".to_owned();
    }
    let steps = [("plan", "planning"), ("dispatch", "dispatching")];
    let stalled = steps.iter().filter_map(|(name, word)| Some(format!("{word} is {}", fails(name, "moves")?)));
    let parts: Vec<String> = fails("store", "commits").into_iter().chain(stalled).collect();
    if parts.is_empty() { "what answers is not Fanfare".to_owned() } else { parts.join(", ") }
}
