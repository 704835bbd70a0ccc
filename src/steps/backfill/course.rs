//! The course of one backfill: which call comes next, and what an answer means. Pure: answers and times go in.
//!
//! It finds the webhook, lists its failed deliveries and has each sent again; then it lists once more, until nothing new has
//! failed. It keeps no more than a queue and short marks of what it tried; a new start finds what is left.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url::Url;

use super::answers::{self, Page};
use crate::channels::{HttpRequest, Reply};
use crate::clock::plus;
use crate::event::{BackfillAsked, BackfillProgress, Missed};
use crate::secret::Secret;
use crate::source::Source;
use crate::source::api::Api;

/// How many entries of a list are asked for at once; fewer, where an answer is too long to read.
const PER_PAGE: u64 = 32;
/// How many deliveries wait at most to be sent again; the list is read on when they are through.
const QUEUE_MAX: usize = 1_000;
/// How many are tried at most.
const TRIED_MAX: usize = 100_000;
/// How many of what can't be had are named.
const EXAMPLES_MAX: usize = 50;
/// How many pages a list has at most.
const PAGES_MAX: u64 = 10_000;
/// How often one delivery is tried where the sender fails.
const TRIES_MAX: u32 = 6;
/// The waits before it is looked whether what was sent again arrived.
const SETTLE: [SignedDuration; 2] = [SignedDuration::from_secs(2), SignedDuration::from_secs(8)];
/// The longest wait after a failure of the sender.
const BACKOFF_MAX_S: i64 = 300;
/// It ends then, come what may.
const LASTS_MAX: SignedDuration = SignedDuration::from_hours(24);
/// The ways to ask for one again: the API's specification has the first, its SDKs use the second.
const ROUTES: [&str; 2] = ["redeliver", "retry"];

/// One backfill under way.
#[derive(Debug)]
pub(super) struct Course {
    api: Option<Api>,
    /// Where our webhook leads.
    path: String,
    span: (Timestamp, Timestamp),
    begun: Timestamp,
    stage: Stage,
    webhook: Option<String>,
    per_page: u64,
    queue: VecDeque<Failed>,
    tried: HashSet<u64>,
    /// Of those, what can't be had.
    lost: HashSet<u64>,
    /// What was sent again and is listed as failed all the same.
    still: Vec<Failed>,
    settled: usize,
    tries: u32,
    /// Which of the routes worked last, and whether the other was tried for the present delivery.
    route: (usize, bool),
    /// How far it is.
    pub progress: BackfillProgress,
    /// No call before then.
    pub not_before: Timestamp,
}

/// A delivery that the sender's log calls failed.
#[derive(Debug, Clone)]
struct Failed {
    id: String,
    kind: String,
}

#[derive(Debug)]
enum Stage {
    Webhooks { page: u64 },
    List { page: u64 },
    Send,
    Over(Option<String>),
}

impl Course {
    /// Begins. Over at once, where the source has no API.
    pub fn new(source: Option<&Source>, asked: &BackfillAsked, now: Timestamp) -> Self {
        let api = source.and_then(|source| source.api.clone());
        let webhook = api.as_ref().and_then(|api| api.webhook.clone());
        let stage = match (&api, &webhook) {
            (None, _) => Stage::Over(Some(format!("source `{}` has no `api_key`", asked.source))),
            (Some(_), None) => Stage::Webhooks { page: 1 },
            (Some(_), Some(_)) => Stage::List { page: 1 },
        };
        Self {
            api,
            path: source.map(|source| source.path.clone()).unwrap_or_default(),
            span: (asked.since, asked.until),
            begun: now,
            stage,
            webhook,
            per_page: PER_PAGE,
            queue: VecDeque::new(),
            tried: HashSet::new(),
            lost: HashSet::new(),
            still: Vec::new(),
            settled: 0,
            tries: 0,
            route: (0, false),
            progress: BackfillProgress::default(),
            not_before: now,
        }
    }

    /// Whether nothing is left to ask for.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    /// Why it ended before its time, if so.
    pub fn failed(&self) -> Option<&str> {
        match &self.stage {
            Stage::Over(why) => why.as_deref(),
            _ => None,
        }
    }

    /// Ends before its time.
    pub fn end(&mut self, why: impl Into<String>) {
        self.stage = Stage::Over(Some(why.into()));
    }

    /// The next call; none, when it is over.
    pub fn request(&mut self) -> Option<HttpRequest> {
        let api = self.api.as_ref()?;
        let mut url = Url::parse(&api.url).ok()?;
        let webhook = self.webhook.as_deref().unwrap_or_default();
        let page = match &self.stage {
            Stage::Webhooks { page } => {
                url.path_segments_mut().ok()?.push("webhooks");
                Some(*page)
            }
            Stage::List { page } => {
                url.path_segments_mut().ok()?.extend(["webhooks", webhook, "deliveries"]);
                let (since, until) = (self.span.0.to_string(), self.span.1.to_string());
                let of = [("status", "failed"), ("startDate", since.as_str()), ("endDate", until.as_str())];
                url.query_pairs_mut().extend_pairs(of);
                Some(*page)
            }
            Stage::Send => {
                let delivery = self.queue.front()?.id.as_str();
                let route = ROUTES.get(self.route.0).copied().unwrap_or_default();
                url.path_segments_mut().ok()?.extend(["webhooks", webhook, "deliveries", delivery, route]);
                None
            }
            Stage::Over(_) => return None,
        };
        if let Some(page) = page {
            let of = [("page", page.to_string()), ("perPage", self.per_page.to_string())];
            url.query_pairs_mut().extend_pairs(of);
        }
        Some(HttpRequest {
            method: if page.is_some() { "GET" } else { "POST" },
            url: Secret::new(url.as_str()),
            headers: vec![
                ("authorization".into(), api.authorization()),
                ("accept".into(), Secret::new("application/json")),
            ],
            body: Vec::new(),
        })
    }

    /// What an answer means.
    pub fn hear(&mut self, reply: &Reply, now: Timestamp) {
        let secrets = self.api.as_ref().map(Api::secrets).unwrap_or_default();
        let reply = reply.clone().redacted(&secrets);
        if now.duration_since(self.begun) > LASTS_MAX {
            return self.end("it took longer than 24h");
        }
        self.progress.waits = None;
        match &reply {
            Reply::Http { status: 200..=299, .. } => {
                self.tries = 0;
                self.not_before = plus(now, answers::spacing(&reply, now));
                self.went_well(&reply, now);
            }
            Reply::Http { status: 429, .. } => self.wait(answers::limited(&reply, now), "the sender's limit", now),
            Reply::Http { status: status @ (401 | 403), .. } => {
                self.end(format!("the sender's API does not accept `api_key` ({status})"));
            }
            Reply::Http { status: 408 | 425 | 500.., .. } | Reply::NotSent(_) | Reply::NoAnswer(_) => {
                self.fails(&reply, now);
            }
            Reply::Denied(why) => self.end(why.clone()),
            _ => self.refused(&reply),
        }
    }

    fn wait(&mut self, span: SignedDuration, what: &str, now: Timestamp) {
        self.not_before = plus(now, span);
        self.progress.waits = Some(what.to_owned());
    }

    /// The sender fails: again in a while, and the next delivery if that doesn't help.
    fn fails(&mut self, reply: &Reply, now: Timestamp) {
        self.tries = self.tries.saturating_add(1);
        if matches!(self.stage, Stage::Send) && self.tries >= TRIES_MAX {
            self.tries = 0;
            return self.give_up(answers::refusal(reply));
        }
        let wait = 2_i64.saturating_pow(self.tries.saturating_sub(1)).min(BACKOFF_MAX_S);
        self.wait(SignedDuration::from_secs(wait), &format!("the sender's API: {}", answers::refusal(reply)), now);
    }

    /// The sender doesn't do what is asked.
    fn refused(&mut self, reply: &Reply) {
        let is_unknown = matches!(reply, Reply::Http { status: 404 | 405, .. });
        let is_gone = matches!(reply, Reply::Http { status: 404 | 410, .. });
        match (&self.stage, &self.webhook) {
            (Stage::Send, _) if is_unknown && !self.route.1 => {
                self.route = ((self.route.0 + 1) % ROUTES.len(), true);
            }
            (Stage::Send, _) if is_gone => self.give_up("it is gone at the sender".into()),
            (Stage::Send, _) => self.give_up(answers::refusal(reply)),
            (Stage::List { .. }, Some(webhook)) if is_gone => {
                let why = format!("the sender has no webhook `{webhook}`: correct `webhook`");
                self.end(why);
            }
            _ => self.end(format!("the sender's API answered {}", answers::refusal(reply))),
        }
    }

    fn went_well(&mut self, reply: &Reply, now: Timestamp) {
        let page = match self.stage {
            Stage::Webhooks { page } | Stage::List { page } => page,
            Stage::Send => {
                self.progress.asked = self.progress.asked.saturating_add(1);
                self.next_delivery();
                return;
            }
            Stage::Over(_) => return,
        };
        match (answers::page(reply, page, self.per_page), &self.stage) {
            (Some(found), Stage::Webhooks { .. }) => self.webhooks(&found, page),
            (Some(found), _) => self.listed(&found, page, now),
            // Too long to read: fewer at once, from the same place.
            (None, _) if matches!(reply, Reply::Http { whole: false, .. }) && self.per_page > 1 => {
                self.per_page /= 2;
                let page = page.saturating_sub(1).saturating_mul(2).saturating_add(1);
                self.turn_to(page);
            }
            (None, _) => self.end("the sender's API answers with something that is no list"),
        }
    }

    fn turn_to(&mut self, next: u64) {
        if next > PAGES_MAX {
            return self.end(format!("the sender's list has more than {PAGES_MAX} pages: ask for a shorter span"));
        }
        if let Stage::Webhooks { page } | Stage::List { page } = &mut self.stage {
            *page = next;
        }
    }

    /// Looks for the webhook that leads to our path.
    fn webhooks(&mut self, found: &Page, page: u64) {
        let leads_here = |item: &&Value| {
            let url = item["url"].as_str().and_then(|url| Url::parse(url).ok());
            url.is_some_and(|url| url.path().trim_end_matches('/') == self.path)
        };
        let ids: Vec<String> = found.items.iter().filter(leads_here).filter_map(answers::id).collect();
        for id in ids {
            if let Some(other) = &self.webhook {
                let why =
                    format!("the webhooks `{other}` and `{id}` both lead to `{}`: name one: `webhook`", self.path);
                return self.end(why);
            }
            self.webhook = Some(id);
        }
        if found.more {
            self.turn_to(page.saturating_add(1));
        } else if self.webhook.is_some() {
            self.stage = Stage::List { page: 1 };
        } else {
            let why = format!("no webhook of this account leads to `{}`: name it: `webhook`", self.path);
            self.end(why);
        }
    }

    /// Reads a page of the log.
    fn listed(&mut self, found: &Page, page: u64, now: Timestamp) {
        for item in &found.items {
            let Some(failed) = self.failed_delivery(item) else { continue };
            let mark = mark(&failed.id);
            if !self.tried.contains(&mark) {
                self.queue.push_back(failed);
            } else if !self.lost.contains(&mark) && self.still.len() < QUEUE_MAX {
                self.still.push(failed);
            }
        }
        if self.tried.len() >= TRIED_MAX {
            return self.end(format!("more than {TRIED_MAX} deliveries failed: ask for a shorter span"));
        }
        if !self.queue.is_empty() && (!found.more || self.queue.len() >= QUEUE_MAX) {
            self.stage = Stage::Send;
        } else if found.more {
            self.turn_to(page.saturating_add(1));
        } else {
            self.settle(now);
        }
    }

    /// Nothing new has failed: over, unless what was sent again did not arrive yet.
    fn settle(&mut self, now: Timestamp) {
        let still = std::mem::take(&mut self.still);
        let next = SETTLE.get(self.settled).filter(|_| !still.is_empty());
        if let Some(wait) = next {
            self.settled += 1;
            self.wait(*wait, "the sender to send", now);
            self.stage = Stage::List { page: 1 };
            return;
        }
        for failed in still {
            self.missed(&failed, "the sender sent it again, and it failed again".into());
        }
        self.stage = Stage::Over(None);
    }

    /// The entry of a log, if it failed within the span.
    fn failed_delivery(&self, item: &Value) -> Option<Failed> {
        let has_failed = item["status"].as_str().is_none_or(|status| status == "failed");
        let too_early = answers::time(item, &["lastAttemptAt", "last_attempt_at"]).is_some_and(|at| at < self.span.0);
        let too_late = answers::time(item, &["createdAt", "created_at"]).is_some_and(|at| at >= self.span.1);
        let kind = answers::text(item, &["eventType", "event_type", "event"]).unwrap_or_else(|| "an event".into());
        let kind = kind.replace(char::is_control, " ").chars().take(100).collect();
        let id = answers::id(item).filter(|_| has_failed && !too_early && !too_late)?;
        Some(Failed { id, kind })
    }

    fn give_up(&mut self, why: String) {
        if let Some(failed) = self.queue.front().cloned() {
            self.lost.insert(mark(&failed.id));
            self.missed(&failed, why);
        }
        self.next_delivery();
    }

    fn missed(&mut self, failed: &Failed, why: String) {
        self.progress.missing = self.progress.missing.saturating_add(1);
        if self.progress.examples.len() < EXAMPLES_MAX {
            let Failed { id, kind } = failed.clone();
            self.progress.examples.push(Missed { delivery: id, kind, why });
        }
    }

    /// The present delivery is done; when all are, the list is read again.
    fn next_delivery(&mut self) {
        if let Some(done) = self.queue.pop_front() {
            self.tried.insert(mark(&done.id));
        }
        self.route.1 = false;
        if self.queue.is_empty() {
            self.still.clear();
            self.stage = Stage::List { page: 1 };
        }
    }
}

/// A short mark of an id.
fn mark(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
