//! What is fuzzed: each target takes any bytes, and what it asserts holds for all of them. The tests run every target over its
//! corpus and over mutations of it; `scripts/fuzz` runs one for as long as it is asked to, guided by coverage.
//!
//! Some read more than one thing out of their bytes: a line `%%` divides them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request as HttpRequest, header};
use fanfare::channels::{self, Channel, Footer, Form, Reply, Sending};
use fanfare::clock::VirtualClock;
use fanfare::config::load;
use fanfare::config::substitute::RealEnvironment;
use fanfare::delivery::{DeliveryId, MessageOp, Say, Severity};
use fanfare::event::{Event, EventId};
use fanfare::links::Token;
use fanfare::message::pieces::Piece;
use fanfare::message::{Context, Message, Rendered, Templates, markdown, plain};
use fanfare::path::Path as JsonPath;
use fanfare::problem::{File, Problems};
use fanfare::rules::{Condition, Presets, RuleSet, parse};
use fanfare::secret::Secret;
use fanfare::source::{Outgoing, Request, Source, open, presets::PRESETS};
use fanfare::steps::Live;
use fanfare::yaml::{self, Fields};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

/// A target, and what it is called: its corpus is in `corpus/` by that name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: &[Target] = &[
    ("signature", signature),
    ("body", body),
    ("yaml", yaml),
    ("rules", rules),
    ("condition", condition),
    ("path", path),
    ("template", template),
    ("markdown", markdown),
    ("destination", destination),
    ("reply", reply),
    ("token", token),
    ("query", query),
];

/// The most steps of a path: what a rule may take, and more.
const STEPS: u64 = 100_000;

/// Headers, one a line, `%%`, and a body: nobody knows the secret, so no preset lets them through.
pub fn signature(data: &[u8]) {
    let (head, body) = divided(data);
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let mut pair = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (pair.next().unwrap_or_default(), pair.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    for source in sources() {
        let refused = open(source, &Request { headers: &headers, body }, now()).expect_err(source.preset.name);
        assert!((400..500).contains(&refused.status()), "{refused}");
    }
}

/// A body that its sender signs is an event, whatever it says.
pub fn body(data: &[u8]) {
    let outgoing = Outgoing { id: "evt_1", kind: "release.live", body: data, at: now() };
    for source in sources() {
        let signed = source.sign(None, &outgoing).expect("a secret that can be a key");
        let pairs = signed.iter().map(|(name, value)| (name.parse::<HeaderName>(), value.parse::<HeaderValue>()));
        let headers = pairs.map(|(name, value)| (name.expect("a name"), value.expect("a value"))).collect();
        let event = open(source, &Request { headers: &headers, body: data }, now()).expect(source.preset.name);
        assert!(!event.id.0.is_empty() && !event.kind.is_empty(), "{event:?}");
    }
}

/// A file of YAML: a tree or problems, each of which can be shown.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut problems = Problems::new();
    let node = yaml::read(&File::new("a.yaml", text), &mut problems);
    show(&problems);
    if let Some(node) = node {
        node.to_json();
    }
}

/// A file of rules, beside a sound one; then all events of a small label are judged by it.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut problems = Problems::new();
    let rules = rule_set(&[text, SOUND], &mut problems);
    show(&problems);
    for kind in ["release.live", "fraud.action_required", "royalty.reported"] {
        rules.judge(&event(kind, &json!({"title": "Lift", "amount": "12.50", "list": [1, null, "a"]}).to_string()));
    }
}

/// A condition, `%%`, and the data of an event that it is held against.
pub fn condition(data: &[u8]) {
    static RULES: LazyLock<RuleSet> = LazyLock::new(|| rule_set(&[SOUND], &mut Problems::new()));
    let (condition, data) = divided(data);
    let Ok(condition) = std::str::from_utf8(condition) else { return };
    match Condition::parse_text(condition, &RULES, Some(TimeZone::UTC)) {
        Ok(condition) => {
            RULES.holds(&condition, &event("release.live", &String::from_utf8_lossy(data)));
        }
        Err(problems) => show(&problems),
    }
}

/// A path, `%%`, and a document.
pub fn path(data: &[u8]) {
    let (path, document) = divided(data);
    let Ok(path) = std::str::from_utf8(path) else { return };
    let _ = JsonPath::parse_rfc9535(path);
    let Ok(path) = JsonPath::parse(path) else { return };
    let Ok(document) = serde_json::from_slice::<Value>(document) else { return };
    let mut steps = STEPS;
    if let Ok(selected) = path.select(&document, &mut steps) {
        assert!(!path.is_singular() || selected.len() <= 1, "{} selects {selected:?}", path.text());
    }
    path.unreachable(&[&document]);
}

/// A template, `%%`, and the data of an event: what it says goes to every channel.
pub fn template(data: &[u8]) {
    let (text, data) = divided(data);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let event = event("release.live", &String::from_utf8_lossy(data));
    let mut problems = Problems::new();
    let files = [File::new("templates/m.md", text)];
    let templates = Templates::load(&files, channels::formats(), &mut problems);
    show(&problems);
    let rendered = templates.render(&Say::Message("m".into()), &context(&event), None);
    plain::message(&rendered.message);
    compose(&rendered);
}

/// The body of a message in Markdown: what it says goes to every channel.
pub fn markdown(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let Ok(body) = markdown::blocks(&[Piece::Raw(text)]) else { return };
    let message =
        Message { title: "Lift".into(), severity: Severity::Info, link: None, fields: Vec::new(), image: None, body };
    compose(&Rendered { message, ..Rendered::nothing() });
}

/// The keys of a destination of any kind.
pub fn destination(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut problems = Problems::new();
    let Some(node) = yaml::read(&File::new("fanfare.yaml", text), &mut problems) else { return };
    for kind in channels::ALL {
        let mut problems = Problems::new();
        let Some(mut fields) = Fields::of(&node, "the destination", &mut problems) else { continue };
        let channel = kind.read(&mut fields, &mut problems);
        fields.finish(&mut problems);
        show(&problems);
        if let Some(channel) = channel {
            let _ = try_compose(channel.as_ref(), &Rendered::nothing(), MessageOp::Open, Form::Rich);
        }
    }
}

/// What a service answers: a status, headers, `%%`, and a body.
pub fn reply(data: &[u8]) {
    let (head, body) = divided(data);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().and_then(|status| status.trim().parse().ok()).unwrap_or(200);
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let headers = pairs.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    let reply = Reply::Http { status, headers, body: body.to_vec(), whole: body.len() % 2 == 0 };
    for channel in destinations() {
        let verdict = channel.verdict(&reply.clone().redacted(&channel.facts().secrets));
        assert!(verdict.wait.is_none_or(|wait| !wait.is_negative()), "{verdict:?}");
    }
}

/// What stands where a link has its token.
pub fn token(data: &[u8]) {
    let Some(token) = std::str::from_utf8(data).ok().and_then(Token::read) else { return };
    assert_eq!(token.id().len(), 32);
}

/// A path and a query at the admin listener: no answer says that something broke.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(uri) = format!("/{}", text.trim_start_matches('/')).parse::<axum::http::Uri>() else { return };
    // A stream doesn't end.
    if uri.path().contains("stream") {
        return;
    }
    let live = LIVE.clone();
    RUNTIME.block_on(async {
        let request = HttpRequest::builder().method(Method::GET).uri(uri).header(header::HOST, "127.0.0.1");
        let from = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9)));
        let Ok(request) = request.extension(from).body(Body::empty()) else { return };
        let answer = fanfare::admin::router(live).oneshot(request).await.expect("an answer");
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 8 << 20).await.expect("a body of a few megabytes at most");
        assert!(status.as_u16() < 500, "{status}: {}", String::from_utf8_lossy(&body));
    });
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
});

static LIVE: LazyLock<Arc<Live>> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("fanfare-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("rules")).expect("a folder");
    let config = "sources:\n  jewelmusic: {preset: jewelmusic, secrets: [now-secret-0123456789abcdef0123456789]}\n\
                  destinations:\n  t: {type: http, url: \"http://127.0.0.1:9/\"}\n";
    std::fs::write(folder.join("fanfare.yaml"), config).expect("a file");
    std::fs::write(folder.join("rules/main.yaml"), SOUND).expect("a file");
    let loaded = load::load(&folder.join("fanfare.yaml"), &RealEnvironment, now());
    let report = loaded.report();
    let snapshot = Arc::new(loaded.snapshot.expect(&report));
    std::fs::remove_dir_all(&folder).expect("the folder");
    RUNTIME.block_on(async {
        let store = fanfare::store::open(&Secret::new("memory:"), Path::new("")).await.expect("a store");
        for nth in 0..3 {
            let event = event("release.live", &format!("{{\"nth\": {nth}}}"));
            store.append(Event { id: EventId(format!("evt_{nth}").into()), ..event }).await.expect("room");
        }
        let clock = Arc::new(VirtualClock::new(now()));
        Arc::new(Live::new(store, snapshot, clock, Arc::new(Nobody), 7))
    })
});

/// Nothing is sent.
struct Nobody;

impl channels::wire::Transport for Nobody {
    fn send<'a>(
        &'a self,
        _: &'a str,
        _: &'a channels::Request,
        _: std::time::Duration,
    ) -> std::pin::Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        unreachable!("nothing is dispatched")
    }
}

const SOUND: &str = "rules: [{name: r, events: '*', actions: {to: t}}]";

fn now() -> Timestamp {
    Timestamp::from_second(1_767_607_200).expect("a time")
}

fn divided(data: &[u8]) -> (&[u8], &[u8]) {
    const LINE: &[u8] = b"\n%%\n";
    match data.windows(LINE.len()).position(|window| window == LINE) {
        Some(at) => (&data[..at], &data[at + LINE.len()..]),
        None => (data, &[]),
    }
}

fn show(problems: &Problems) {
    for problem in problems.iter() {
        problem.render(true);
    }
}

fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let secret = |name: &str| match name {
            "standard-webhooks" => "whsec_bmV3LXNlY3JldC0wMTIzNDU2Nzg5YWJjZGVm",
            _ => "new-secret-0123456789abcdef",
        };
        PRESETS.iter().map(|preset| Source::of("them", preset, vec![Secret::new(secret(preset.name))])).collect()
    });
    &SOURCES
}

fn destinations() -> &'static [Box<dyn Channel>] {
    static CHANNELS: LazyLock<Vec<Box<dyn Channel>>> =
        LazyLock::new(|| channels::ALL.iter().filter_map(channels::example).collect());
    &CHANNELS
}

fn rule_set(texts: &[&str], problems: &mut Problems) -> RuleSet {
    let files: Vec<_> =
        texts.iter().enumerate().map(|(at, text)| File::new(format!("rules/{at}.yaml"), *text)).collect();
    parse(&files, &Presets::new(), Some(TimeZone::UTC), problems)
}

/// An event with this data; where it is no JSON, it is a text.
fn event(kind: &str, data: &str) -> Event {
    let data = serde_json::from_str(data).unwrap_or_else(|_| Value::from(data));
    let body = json!({"id": "evt_1", "type": kind, "created": now().as_second(), "data": data});
    Event {
        source: "jewelmusic".into(),
        id: EventId("evt_1".into()),
        kind: kind.into(),
        created: now(),
        received: now(),
        raw: body.to_string().into_bytes().into(),
        body,
        proof: "fuzz".into(),
    }
}

fn context(event: &Event) -> Context<'_> {
    Context {
        event,
        events: Vec::new(),
        more: 0,
        suppressed: 0,
        sum: None,
        parts: Vec::new(),
        names: Map::new(),
        case: None,
        rule: "r",
        rule_description: None,
        with: Map::new(),
        severity: None,
        died: None,
        now: now(),
        zone: TimeZone::UTC,
        locale: fanfare::locale::english(),
        outside: false,
        admin_url: None,
    }
}

/// Every channel has something to send of it, in each form, at each step of a case.
fn compose(rendered: &Rendered) {
    for channel in destinations() {
        for act in [MessageOp::Open, MessageOp::Again, MessageOp::Close] {
            for form in [Form::Rich, Form::Plain] {
                try_compose(channel.as_ref(), rendered, act, form).expect("a request");
            }
        }
    }
}

fn try_compose(channel: &dyn Channel, rendered: &Rendered, act: MessageOp, form: Form) -> Result<(), String> {
    let id = DeliveryId("dlv_0123456789abcdef0123456789".into());
    let event = json!({"source": "jewelmusic", "id": "evt_1", "type": "release.live", "body": {}});
    let context = Map::from_iter([("event".to_owned(), json!({"id": "evt_1", "type": "release.live"}))]);
    let sending = Sending {
        id: &id,
        at: now(),
        planned: now(),
        act,
        form,
        rendered,
        rule: "r",
        event: &event,
        root: &event["body"],
        context: &context,
        to: None,
        overrides: &Map::new(),
        mentions: &[],
        lane: Some("case_1"),
        receipt: None,
        footer: &Footer::Usual,
        links: &[],
        settled: &[],
        locale: fanfare::locale::english(),
        outside: false,
    };
    channel.compose(&sending).map(drop)
}
