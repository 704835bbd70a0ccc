//! What acts on many at a running server: counted first, then done batch by batch, with progress.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::events::print;
use crate::cli::{CommandOutcome, Format, term};

/// How often progress is reported.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long to wait for a server that has enough to do.
const PAUSE: Duration = Duration::from_millis(250);
/// So often in a row it may have: then something is wrong with it.
const PAUSES_MAX: u32 = 240;

/// A call that acts on a batch and says where the next begins.
pub(crate) struct Many<'a> {
    /// The call.
    pub path: &'a [&'a str],
    /// What to act on, and how.
    pub query: Vec<(&'static str, String)>,
    /// The member of its answer that says how many it acted on.
    pub done: &'static str,
    /// The parameter that the next batch begins with.
    pub cursor: &'static str,
}

impl Many<'_> {
    /// Counts, and with `yes` or for one alone, acts. `what` is what is acted on, `verb` what is done.
    #[expect(clippy::too_many_arguments, reason = "what was asked, and how to say it")]
    pub async fn run(
        self,
        client: &Client,
        yes: bool,
        format: Format,
        what: (&str, &str),
        verb: &str,
    ) -> anyhow::Result<CommandOutcome> {
        let (found, upto) = self.count(client).await?;
        let count = term::count(found, what.0, what.1);
        if found == 0 || (found > 1 && !yes) {
            let answer = json!({"found": found, self.done: 0});
            let hint = if found > 1 { "\nadd `--yes` to do it" } else { "" };
            print(format, &answer, |_| format!("{count} to {verb}{hint}"));
            return Ok(CommandOutcome::Good);
        }
        let done = self.act(client, found, upto).await?;
        let answer = json!({"found": found, self.done: done});
        print(format, &answer, |_| match found.saturating_sub(done) {
            0 => format!("{verb}: {count}, done"),
            rest => format!("{verb}: {done} of {count}; {rest} changed meanwhile"),
        });
        Ok(CommandOutcome::Good)
    }

    /// How many there are, and the place up to which they were counted, where there is one.
    async fn count(&self, client: &Client) -> anyhow::Result<(usize, Option<String>)> {
        let (mut found, mut from, mut upto) = (0, None, None);
        loop {
            let answer = self.batch(client, &from, &upto, true).await?;
            found += number(&answer, "found");
            upto = upto.or_else(|| cursor(&answer, "upto"));
            from = cursor(&answer, "next");
            if from.is_none() {
                return Ok((found, upto));
            }
        }
    }

    async fn act(&self, client: &Client, found: usize, upto: Option<String>) -> anyhow::Result<usize> {
        let (mut done, mut from, mut pauses) = (0, None, 0);
        let mut told = Instant::now();
        loop {
            let answer = self.batch(client, &from, &upto, false).await?;
            if answer["waits"] == true {
                pauses += 1;
                if pauses > PAUSES_MAX {
                    anyhow::bail!("the server plans nothing: {done} of {found} were requested, the rest was not");
                }
                tokio::time::sleep(PAUSE).await;
            } else {
                pauses = 0;
                done += number(&answer, self.done);
                from = cursor(&answer, "next");
                if from.is_none() {
                    return Ok(done);
                }
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                eprintln!("{done} of {found}");
            }
        }
    }

    async fn batch(
        &self,
        client: &Client,
        from: &Option<String>,
        upto: &Option<String>,
        count: bool,
    ) -> anyhow::Result<Value> {
        let mut query = self.query.clone();
        query.extend(from.clone().map(|from| (self.cursor, from)));
        query.extend(upto.clone().map(|upto| ("upto", upto)));
        query.push(("count", count.to_string()));
        if count {
            query.push(("limit", crate::cli::client::PAGE.to_string()));
        }
        client.post(self.path, &query).await
    }
}

/// A call that acts on one thing: its path before and after the id, and what it is asked besides.
pub(crate) struct Each<'a> {
    /// What stands before the id, and after it.
    pub path: (&'a str, &'a str),
    /// How.
    pub query: Vec<(&'static str, String)>,
    /// The member of its answer that says how many it acted on.
    pub done: &'static str,
}

impl Each<'_> {
    /// Acts on each of `ids`; several want `yes`. What fails is reported, and the others are done.
    #[expect(clippy::too_many_arguments, reason = "what was asked, and how to say it")]
    pub async fn run(
        self,
        client: &Client,
        ids: &[String],
        yes: bool,
        format: Format,
        what: (&str, &str),
        verb: &str,
    ) -> anyhow::Result<CommandOutcome> {
        if ids.len() > 1 && !yes {
            let answer = json!({"found": ids.len(), self.done: 0});
            let count = term::count(ids.len(), what.0, what.1);
            print(format, &answer, |_| format!("{count} to {verb}\nadd `--yes` to do it"));
            return Ok(CommandOutcome::Good);
        }
        let (mut outcome, mut all) = (CommandOutcome::Good, Vec::new());
        for id in ids {
            let answered = client.post(&["api", "v1", self.path.0, id, self.path.1], &self.query).await;
            let error = answered.as_ref().err().map(|error| format!("{error:#}"));
            let done = answered.map_or(0, |answer| number(&answer, self.done));
            match &error {
                Some(error) => {
                    outcome = CommandOutcome::Wrong;
                    eprintln!("{} {error}", term::bad("error:"));
                }
                None if format == Format::Text => println!("{}  {}", term::safe(id), term::good(self.done)),
                None => {}
            }
            all.push(json!({"id": id, self.done: done, "error": error}));
        }
        if format == Format::Json {
            println!("{:#}", Value::from(all));
        }
        Ok(outcome)
    }
}

fn number(answer: &Value, key: &str) -> usize {
    answer[key].as_u64().and_then(|number| number.try_into().ok()).unwrap_or(0)
}

fn cursor(answer: &Value, key: &str) -> Option<String> {
    match &answer[key] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
