//! The destinations under test, and for each a service that checks what it is sent and answers.

use std::fs;
use std::path::PathBuf;

use fanfare::channels::{ALL, Channel, Kind, Reply, Request, named};
use fanfare::problem::{File, Problems};
use fanfare::yaml::{self, Fields};
use serde_json::Value;

use crate::support::discord_peer::Discord;
use crate::support::http_peer::Recorded;
use crate::support::mime::Mime;
use crate::support::pagerduty_peer::PagerDuty;
use crate::support::slack_peer::Slack;

/// Where this suite's files are.
pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/channels").join(name)
}

/// The files of a folder with this ending: stem and text, in order.
pub fn files(name: &str, ending: &str) -> Vec<(String, String)> {
    let paths = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(String, String)> = paths
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// A destination under test.
pub struct Destination {
    /// The kind's name, or the file's.
    pub name: String,
    pub kind: &'static Kind,
    pub yaml: String,
    pub channel: Box<dyn Channel>,
}

/// Every kind's example, and every file of `destinations/`.
pub fn all() -> Vec<Destination> {
    let examples = ALL.iter().map(|kind| (kind.name.to_owned(), kind.example.to_owned()));
    examples.chain(files("destinations", "yaml")).map(|(name, yaml)| build(&name, &yaml)).collect()
}

/// One destination of each kind: where a message goes changes nothing of it.
pub fn kinds() -> Vec<Destination> {
    ALL.iter().map(|kind| build(kind.name, kind.example)).collect()
}

/// The destination of this name.
pub fn one(name: &str) -> Destination {
    all().into_iter().find(|destination| destination.name == name).unwrap()
}

/// Builds from YAML in which nothing may be wrong.
pub fn build(name: &str, yaml: &str) -> Destination {
    let (built, problems) = read(name, yaml);
    let said: Vec<String> = problems.iter().map(|problem| problem.render(false)).collect();
    assert!(said.is_empty(), "the destination {name} has problems:\n{}", said.join("\n"));
    built.unwrap()
}

/// What is wrong with this YAML.
pub fn problems(yaml: &str) -> Vec<String> {
    let (_, problems) = read("wrong", yaml);
    problems.iter().map(ToString::to_string).collect()
}

fn read(name: &str, yaml: &str) -> (Option<Destination>, Problems) {
    let mut problems = Problems::new();
    let file = File::new(format!("{name}.yaml"), yaml);
    let node = yaml::read(&file, &mut problems).unwrap();
    let mut fields = Fields::of(&node, "the destination", &mut problems).unwrap();
    let kind = fields.text("type", &mut problems).map_or_else(|| name.to_owned(), |(kind, _)| kind);
    let kind = named(&kind).unwrap_or_else(|| panic!("no kind `{kind}`"));
    let channel = (kind.parse)(&mut fields, &mut problems);
    fields.finish(&mut problems);
    let built = channel.map(|channel| Destination { name: name.to_owned(), kind, yaml: yaml.to_owned(), channel });
    (built, problems)
}

/// Stands for the service of a kind: strict about every request.
pub enum Judge {
    Slack(Slack),
    Discord(Discord),
    PagerDuty(PagerDuty),
    /// Somebody's endpoint, or a mail server: only what holds for all of them.
    Other,
}

impl Judge {
    pub fn of(kind: &str) -> Self {
        match kind {
            "slack" => Self::Slack(Slack::default()),
            "discord" => Self::Discord(Discord::default()),
            "pagerduty" => Self::PagerDuty(PagerDuty::default()),
            _ => Self::Other,
        }
    }

    /// The service's answer to a request that is in order; a panic for one that is not.
    pub fn answer(&mut self, request: &Request) -> Reply {
        match request {
            Request::Nothing => Reply::Nothing,
            Request::Mail(mail) => {
                Mime::parse(&mail.message);
                assert!(!mail.envelope_to.is_empty(), "a mail to nobody");
                Reply::Mail { accepted: mail.envelope_to.clone(), refused: vec![], code: Some(250), text: "ok".into() }
            }
            Request::Http(request) => {
                for (name, value) in &request.headers {
                    let value = value.open();
                    let is_clean = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
                    assert!(is_clean && value.trim() == value, "header `{name}` can't be sent: {value:?}");
                }
                let recorded = Recorded::of(request);
                let reply = self.http(&recorded);
                assert!(self.refusals().is_empty(), "refused: {:#?}\n{}", self.refusals(), recorded.text());
                reply
            }
        }
    }

    fn http(&mut self, recorded: &Recorded) -> Reply {
        match self {
            Self::Slack(slack) => slack.answer(recorded).reply(),
            Self::Discord(discord) => discord.answer(recorded).reply(),
            Self::PagerDuty(pagerduty) => pagerduty.answer(recorded).reply(),
            Self::Other => {
                if recorded.header("content-type").is_some_and(|kind| kind.contains("json")) {
                    let _: Value = recorded.json();
                }
                Reply::http(200, "ok")
            }
        }
    }

    fn refusals(&self) -> &[String] {
        match self {
            Self::Slack(slack) => &slack.refusals,
            Self::Discord(discord) => &discord.refusals,
            Self::PagerDuty(pagerduty) => &pagerduty.refusals,
            Self::Other => &[],
        }
    }

    /// Everybody who was pinged, in the service's notation.
    pub fn pings(&self) -> Vec<String> {
        match self {
            Self::Slack(slack) => slack.posts.iter().flat_map(|post| post.pings.clone()).collect(),
            Self::Discord(discord) => discord.messages.iter().flat_map(|message| message.pings.clone()).collect(),
            Self::PagerDuty(_) | Self::Other => Vec::new(),
        }
    }
}
