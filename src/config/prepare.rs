//! From a planned delivery to the bytes: what is in force, applied to it. Nothing is sent.
//!
//! The one place where a message's context and a channel's [`Sending`] are put together. Dispatch, `preview`, `drill` and
//! `test` come this way, and `check` takes its contexts from here, so what authors see is what is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::channels::{Form, Request, Sending};
use crate::config::{Destination, Settings, Snapshot, attach, audience, reach};
use crate::delivery::{Assignment, Attach, Receipt, Say};
use crate::event::{Event, HOP_HEADER, Seq};
use crate::json::{weight_read, written};
use crate::locale::fill;
use crate::message::{Context, Rendered};
use crate::rules::{Rule, RuleSet};
use crate::secret::Secret;
use crate::store::Claim;
use crate::store::transitions::SETTLED;

mod language;

pub use self::language::Tokens;

/// The events of a digest are read up to about this many bytes, the newest first; the rest are only counted.
const READ_BYTES_MAX: usize = 64 << 20;

/// One delivery, with all that decides what is sent.
#[derive(Debug)]
pub struct Job {
    /// What is in force.
    pub snapshot: Arc<Snapshot>,
    /// Where it goes.
    pub destination: Arc<Destination>,
    /// The delivery, and what is remembered of its lane.
    pub claim: Claim,
    /// What it is about; its body is read when it is prepared, and let go of after that.
    event: Event,
    /// When this attempt begins.
    pub at: Timestamp,
    /// The marks of the recipients that earlier attempts are done with.
    pub settled: Vec<String>,
    /// The message as an earlier attempt rendered it: every attempt says the same.
    kept: Option<Rendered>,
    /// The other events that it reports.
    others: Vec<(Seq, Event)>,
    /// How many of its held messages have been rendered.
    done: AtomicUsize,
    /// What its links are made with.
    tokens: Tokens,
}

/// What would be sent.
#[derive(Debug)]
pub struct Prepared {
    /// The message.
    pub rendered: Rendered,
    /// Whether an earlier attempt rendered it.
    pub was_kept: bool,
    /// The bytes, and where to; `Err` says what keeps the channel from composing it, now and later.
    pub request: Result<Request, String>,
    /// What the channel remembers of it once it is delivered, where the answer says nothing of that.
    pub remembers: Option<Receipt>,
    /// Who is still to get it, where the request reaches the first of several.
    pub recipients: Vec<String>,
    /// The tokens of its links: no record and no log shows them.
    pub tokens: Vec<Secret>,
}

/// What an assignment speaks of, with bodies that are read.
struct Read {
    event: Event,
    /// A digest's events, oldest first.
    events: Vec<Event>,
    /// How many more a digest has, for which there is no room or which retention took.
    more: u64,
}

impl Job {
    /// The job of a claim. `events` are those that its assignment names, and maybe more; their bodies need not be read.
    ///
    /// # Errors
    /// The event that it is about is not among them: retention took it.
    pub fn new(
        snapshot: Arc<Snapshot>,
        destination: Arc<Destination>,
        claim: Claim,
        mut events: Vec<(Seq, Event)>,
        at: Timestamp,
    ) -> Result<Self, String> {
        let about = claim.delivery.planned.assignment.event;
        let Some(found) = events.iter().position(|(seq, _)| *seq == about) else {
            return Err("the event was removed by retention before this could be sent".into());
        };
        let (_, event) = events.swap_remove(found);
        let (kept, settled) = claim.delivery.message.as_deref().map(read_kept).unwrap_or_default();
        let (done, tokens) = (AtomicUsize::new(0), Tokens::Hidden);
        Ok(Self { snapshot, destination, claim, event, at, settled, kept, others: events, done, tokens })
    }

    /// The same, with links that work.
    #[must_use]
    pub fn with_tokens(self, tokens: Tokens) -> Self {
        Self { tokens, ..self }
    }

    fn assignment(&self) -> &Assignment {
        &self.claim.delivery.planned.assignment
    }

    /// Where the words come from: of each held message that it reports, and its own.
    pub fn says(&self) -> impl Iterator<Item = &Say> {
        let parts = self.assignment().parts.iter().map(|part| &part.assignment.say);
        parts.chain([&self.assignment().say])
    }

    /// Whose words are being rendered.
    pub fn is_at(&self) -> &Say {
        self.says().nth(self.done.load(Ordering::Relaxed)).unwrap_or(&self.assignment().say)
    }

    fn find(&self, seq: Seq) -> Option<&Event> {
        if seq == self.assignment().event {
            return Some(&self.event);
        }
        self.others.iter().find(|(at, _)| *at == seq).map(|(_, event)| event)
    }

    /// About how many bytes the events take at a time once they are read.
    pub fn weight(&self) -> usize {
        let read = |event: &Event| weight_read(&event.raw);
        let others: usize = self.others.iter().map(|(_, event)| read(event)).sum();
        read(&self.event).saturating_add(others.min(READ_BYTES_MAX))
    }

    /// What an assignment of this job speaks of: its own, or that of a message that it reports.
    /// Without what may not leave to its destination.
    fn read(&self, assignment: &Assignment, about: &Event) -> Read {
        let mut room = READ_BYTES_MAX;
        let mut events = Vec::new();
        for event in assignment.events.iter().rev().filter_map(|seq| self.find(*seq)) {
            let weight = weight_read(&event.raw);
            if weight > room && !events.is_empty() {
                break;
            }
            room = room.saturating_sub(weight);
            events.push(self.seen(event));
        }
        events.reverse();
        let more = (assignment.events.len() - events.len()) as u64;
        Read { event: self.seen(about), events, more }
    }

    /// An event, read, without what may not leave to the destination.
    fn seen(&self, event: &Event) -> Event {
        let read = read(event);
        match &self.destination.audience {
            Some(audience) => audience.seen(read),
            None => read,
        }
    }

    /// The context of an assignment of this job.
    fn context<'a>(&'a self, rule: &'a str, assignment: &'a Assignment, read: &'a Read) -> Context<'a> {
        let rules = self.snapshot.rules.as_deref();
        let found = rules.and_then(|rules| rules.rule(rule));
        let description = found.and_then(|rule| rule.description.as_deref());
        let shown = assignment.attach.as_ref().map_or(usize::MAX, |attach| attach.shown);
        let hidden = read.events.len().saturating_sub(shown);
        let events = read.events.iter().skip(hidden).collect();
        let spoken = Spoken { rule, description, assignment, event: &read.event, events };
        let mut context = context(rules, &self.snapshot.settings, spoken, self.at);
        context.more = context.more.saturating_add(read.more).saturating_add(hidden as u64);
        self.without_key(found, &mut context);
        // The admin page is the team's.
        context.admin_url = context.admin_url.filter(|_| !self.destination.external);
        context.outside = self.destination.external;
        // A person reads times in their own zone.
        let person = assignment.to.as_ref().and_then(|to| rules?.people.get(to.person.as_ref()?));
        context.zone = person.and_then(|person| person.zone.clone()).unwrap_or(context.zone);
        context.locale = self.locale(assignment);
        context
    }

    /// The key of a case and a sum are made of what events say: they stay here where that does.
    fn without_key(&self, rule: Option<&Rule>, context: &mut Context<'_>) {
        let Some(audience) = &self.destination.audience else { return };
        let key = rule.and_then(|rule| rule.case.as_ref());
        if key.is_some_and(|key| !audience.allows_key(key)) {
            context.case.iter_mut().for_each(|case| case.key.clear());
        }
        let sum = rule.and_then(|rule| rule.sum.as_ref());
        if sum.is_some_and(|sum| !audience.allows(&sum.of)) {
            context.sum = None;
        }
    }

    /// The message, and the event that it is about as the destination may see it.
    fn render(&self) -> (Rendered, Event) {
        let templates = &self.snapshot.templates;
        let read = self.read(self.assignment(), &self.event);
        let mut context = self.context(&self.claim.delivery.planned.rule, self.assignment(), &read);
        let mut failed = None;
        for part in &self.assignment().parts {
            if let Some(event) = self.find(part.assignment.event) {
                // One at a time: together they may be a thousand times what one is.
                let read = self.read(&part.assignment, event);
                let alone = self.context(&part.rule, &part.assignment, &read);
                let (told, problem) = templates.told(&part.assignment.say, &alone, part.reminder);
                context.parts.push(told);
                failed = failed.or(problem);
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        let kind = self.destination.kind;
        // A format of the channel's own would not say what could not be read.
        let unread = self.assignment().unread.as_deref();
        let native = kind.native.map(|own| (kind.name, own.ending())).filter(|_| unread.is_none());
        let mut rendered = templates.render(&self.assignment().say, &context, native);
        if let Some(unread) = unread {
            // The reason quotes what the event says.
            let unread = if self.destination.audience.is_some() { context.locale.words.see_page } else { unread };
            rendered.says_first(context.locale.words.unread, unread);
        }
        rendered.problem = rendered.problem.or(failed);
        if let Some(attach) = &self.assignment().attach {
            self.attach(attach, &read, &context, &mut rendered);
        }
        drop(context);
        (rendered, read.event)
    }

    /// Puts the file of a digest's events beside its message, or says there why it is not there.
    fn attach(&self, attach: &Attach, read: &Read, context: &Context<'_>, rendered: &mut Rendered) {
        let name = self.snapshot.templates.line(&attach.csv, context).unwrap_or_else(|problem| {
            rendered.problem.get_or_insert(problem);
            String::new()
        });
        let (file, left_out) = attach::file(attach, &name, self.snapshot.rules.as_deref(), &read.events);
        let lacks = self.assignment().more.saturating_add(read.more).saturating_add(left_out as u64);
        if !self.destination.kind.takes_files() {
            let rows = read.events.len() - left_out;
            let words = fill(context.locale.words.left_out, &[&file.name, &rows.to_string()]);
            return rendered.says_last(&words);
        }
        if lacks > 0 {
            rendered.says_last(&fill(context.locale.words.lacks, &[&file.name, &lacks.to_string()]));
        }
        rendered.file = Some(file);
    }

    /// What would be sent with the default message, which says why, in place of the one that was asked for.
    pub fn placeholder(&self, reason: &str) -> Prepared {
        let read = self.read(self.assignment(), &self.event);
        let context = self.context(&self.claim.delivery.planned.rule, self.assignment(), &read);
        let rendered = self.snapshot.templates.placeholder(&context, reason);
        drop(context);
        self.compose(read.event, rendered, false)
    }

    /// What the channel makes of a message.
    fn compose(&self, event: Event, rendered: Rendered, was_kept: bool) -> Prepared {
        let Claim { delivery, receipt, .. } = &self.claim;
        let planned = &delivery.planned;
        let rules = self.snapshot.rules.as_deref();
        let told = std::iter::once(planned.assignment.event).chain(planned.assignment.events.iter().copied());
        let told = told.filter_map(|seq| self.find(seq));
        let mentions = reach::mentioned(planned, &self.destination, rules, told.clone());
        let refusal = audience::refusal(&self.destination, rules, told, self.at)
            .or_else(|| reach::refusal(&self.destination, planned.act, planned.assignment.to.as_ref()));
        let (links, tokens) = self.links();
        let (mut root, mut reads) = (Value::Null, Map::new());
        if self.destination.channel.facts().by_event {
            (root, reads) = (event.root(), self.reads(&event));
        }
        let hops = event.hops();
        let sending = Sending {
            id: &planned.id,
            at: self.at,
            planned: delivery.created,
            act: planned.act,
            form: if delivery.plain { Form::Plain } else { Form::Rich },
            rendered: &rendered,
            rule: &planned.rule,
            event: &event_json(event),
            root: &root,
            context: &reads,
            to: planned.assignment.to.as_ref().filter(|_| refusal.is_none()).map(|to| to.address.as_str()),
            overrides: &planned.assignment.overrides,
            mentions: &mentions,
            lane: planned.lane.as_ref().map(|lane| lane.0.as_str()),
            receipt: receipt.as_ref(),
            footer: &self.destination.footer,
            settled: &self.settled,
            links: &links,
            locale: self.locale(&planned.assignment),
            outside: self.destination.external,
        };
        let mut request = refusal.map_or_else(|| self.destination.channel.compose(&sending), Err);
        if let Ok(Request::Http(request)) = &mut request {
            // Should it come back to a Fanfare, by whatever ways, the circle ends there.
            request.headers.push((HOP_HEADER.into(), Secret::new(hops.saturating_add(1).to_string())));
        }
        let remembers = self.destination.channel.remembers(&sending);
        let recipients = self.destination.channel.recipients(&sending);
        Prepared { request, remembers, was_kept, recipients, rendered, tokens }
    }

    /// What templated addresses may name beyond the event.
    fn reads(&self, event: &Event) -> Map<String, Value> {
        let planned = &self.claim.delivery.planned;
        let rules = self.snapshot.rules.as_deref();
        let mut reads = rules.map(|rules| rules.names_in(event)).unwrap_or_default();
        reads.insert("rule".into(), json!({"name": planned.rule}));
        reads.insert("with".into(), Value::Object(planned.assignment.with.clone()));
        reads.insert("data".into(), event.data().clone());
        reads.insert("event".into(), event_json(event.clone()));
        if let Some(case) = &planned.assignment.case {
            reads.insert("case".into(), serde_json::to_value(case).unwrap_or_default());
        }
        reads
    }
}

/// The message as it is kept, with the marks of the recipients that are done with.
pub fn to_keep(rendered: &Rendered, settled: &[String]) -> String {
    if settled.is_empty() {
        return serde_json::to_string(rendered).unwrap_or_default();
    }
    let mut kept = serde_json::to_value(rendered).unwrap_or_default();
    if let Some(kept) = kept.as_object_mut() {
        kept.insert(SETTLED.to_owned(), Value::from(settled));
    }
    written(&kept)
}

/// Reads what [`to_keep`] wrote. The message is missing where it is to be rendered anew.
fn read_kept(text: &str) -> (Option<Rendered>, Vec<String>) {
    let mut kept: Value = serde_json::from_str(text).unwrap_or_default();
    let settled = kept.get_mut(SETTLED).map(Value::take);
    let settled = settled.and_then(|settled| serde_json::from_value(settled).ok()).unwrap_or_default();
    (serde_json::from_value(kept).ok(), settled)
}

/// Renders, unless an earlier attempt did, and composes.
pub fn prepare(job: &Job) -> Prepared {
    match &job.kept {
        Some(rendered) => job.compose(job.seen(&job.event), rendered.clone(), true),
        None => prepare_with(job, |rendered| rendered),
    }
}

/// The same with a change to the message between the two, such as a drill's mark.
pub fn prepare_with(job: &Job, change: impl FnOnce(Rendered) -> Rendered) -> Prepared {
    let (rendered, event) = job.render();
    job.compose(event, change(rendered), false)
}

fn read(event: &Event) -> Event {
    event.clone().read()
}

/// What is said, by whom, of what.
#[derive(Debug)]
pub struct Spoken<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// The rule's description.
    pub description: Option<&'a str>,
    /// What is to be said.
    pub assignment: &'a Assignment,
    /// What it is about.
    pub event: &'a Event,
    /// A digest's events, oldest first.
    pub events: Vec<&'a Event>,
}

/// All that a message may speak of, except for the held messages that a summary reports.
pub fn context<'a>(
    rules: Option<&'a RuleSet>,
    settings: &'a Settings,
    spoken: Spoken<'a>,
    now: Timestamp,
) -> Context<'a> {
    let Spoken { rule, description, assignment, event, events } = spoken;
    Context {
        event,
        events,
        more: assignment.more,
        suppressed: assignment.suppressed,
        sum: assignment.sum.as_deref(),
        parts: Vec::new(),
        names: rules.map(|rules| rules.names_in(event)).unwrap_or_default(),
        case: assignment.case.clone(),
        rule,
        rule_description: description,
        with: assignment.with.clone(),
        severity: assignment.severity,
        died: assignment.died.as_deref(),
        now,
        zone: settings.timezone.clone().unwrap_or(TimeZone::UTC),
        locale: settings.locale,
        outside: false,
        admin_url: settings.admin_url.as_deref(),
    }
}

/// The event as channels send it on.
pub fn event_json(event: Event) -> Value {
    let mut sent = json!({
        "source": &*event.source,
        "id": event.id,
        "type": &*event.kind,
        "created": event.created.to_string(),
        "received": event.received.to_string(),
    });
    // Moved, since it may be large; the macro would copy it.
    sent["body"] = event.body;
    sent
}
