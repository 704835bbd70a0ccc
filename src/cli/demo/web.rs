//! The demo's page, beside the server's own: the clock, what a saved file did, the way of the last event, and the inboxes.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_FRAME_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::caller::Caller;
use crate::admin::page;
use crate::channels::Dress;
use crate::cli::demo::inbox::Arrived;
use crate::cli::demo::stage::Stage;
use crate::cli::demo::time::Ahead;
use crate::cli::demo::told::Altered;
use crate::cli::term;
use crate::source::samples;
use crate::steps::Live;

/// How many messages of an inbox are shown.
const SHOWN: usize = 3;
/// The page frames mails, which are documents of their own.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' \
                           data:; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// A mail brings its own style, and may do nothing else.
const MAIL_POLICY: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'";

/// The routes of the demo.
pub(super) fn routes(stage: Arc<Stage>) -> Router<Arc<Live>> {
    Router::new()
        .route("/demo", get(show))
        .route("/demo/send", post(send))
        .route("/demo/clock", post(clock))
        .route("/demo/week", post(week))
        .route("/demo/mail/{number}", get(mail))
        .layer(Extension(stage))
}

type OnStage = Extension<Arc<Stage>>;

async fn show(State(live): State<Arc<Live>>, Extension(stage): OnStage, caller: Caller) -> Response {
    let values = match values(&stage).await {
        Ok(values) => values,
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    };
    let mut shown = page::demo(&live, &caller, values);
    shown.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    shown
}

async fn values(stage: &Arc<Stage>) -> anyhow::Result<Value> {
    let news = stage.tell();
    let news = news.map(|news| {
        let sentence = |(sign, line): &(String, String)| json!({"sign": sign.trim(), "text": line});
        let rule = |Altered { what, name, lines }: &Altered| {
            json!({"what": what, "name": name, "lines": lines.iter().map(sentence).collect::<Vec<_>>()})
        };
        json!({"title": news.title, "report": news.report, "rules": news.rules.iter().map(rule).collect::<Vec<_>>()})
    });
    Ok(json!({
        "clock": stage.shown(stage.now()),
        "doing": stage.doing(),
        "folder": stage.set.folder.display().to_string(),
        "samples": samples::ALL.iter().map(|sample| json!({"name": sample.name, "about": sample.about})).collect::<Vec<_>>(),
        "aheads": Ahead::ALL.map(|(_, word, words)| json!({"word": word, "words": words})),
        "news": news,
        "last": last(stage).await?,
        "inboxes": inboxes(stage),
    }))
}

/// The way of the event that was sent last: what it is, and what each rule did.
async fn last(stage: &Stage) -> anyhow::Result<Value> {
    let Some(seq) = stage.last() else { return Ok(Value::Null) };
    let live = &stage.set.live;
    let Some(event) = live.store.events(&[seq]).await?.into_iter().next() else { return Ok(Value::Null) };
    let whys = live.store.whys(seq).await?;
    let acted: Vec<Value> = whys
        .iter()
        .filter(|why| why.outcome != "missed")
        .map(|why| json!({"rule": why.rule, "outcome": why.outcome, "note": why.note}))
        .collect();
    Ok(json!({"seq": seq, "type": event.1.kind, "acted": acted, "missed": whys.len() - acted.len()}))
}

/// Each inbox with its newest messages, the one that got something last first.
fn inboxes(stage: &Stage) -> Vec<Value> {
    let mut all: BTreeMap<(&str, String), Vec<Arrived>> = BTreeMap::new();
    for one in stage.set.inbox.after(0) {
        all.entry((one.channel, one.destination.clone())).or_default().push(one);
    }
    let mut inboxes: Vec<_> = all.into_iter().collect();
    inboxes.sort_by_key(|(_, messages)| std::cmp::Reverse(messages.last().map(|one| one.number)));
    let inbox = |((channel, to), messages): ((&str, String), Vec<Arrived>)| {
        let newest = messages.iter().rev().take(SHOWN).map(message).collect::<Vec<_>>();
        json!({"channel": channel, "to": to, "count": messages.len(), "messages": newest})
    };
    inboxes.into_iter().map(inbox).collect()
}

fn message(one: &Arrived) -> Value {
    let dress = match one.dress {
        Dress::Chat => "chat",
        Dress::DarkChat => "chat dark",
        Dress::Mail => "mail",
        Dress::Incident => "incident",
        Dress::Call => "call",
    };
    let mail = one.picture.document.as_ref().map(|_| format!("/demo/mail/{}", one.number));
    json!({
        "number": one.number,
        "dress": dress,
        "title": one.picture.title,
        "accent": one.picture.colour(),
        "mail": mail,
        "body": page::markup(one.picture.html.clone()),
        "raw": one.raw,
    })
}

/// A mail, in the frame that shows it.
async fn mail(Extension(stage): OnStage, Path(number): Path<usize>) -> Response {
    let found = stage.set.inbox.after(number.saturating_sub(1)).into_iter().next();
    let Some(html) = found.filter(|one| one.number == number).and_then(|one| one.picture.document) else {
        return (StatusCode::NOT_FOUND, "there is no such mail").into_response();
    };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, MAIL_POLICY),
        (X_FRAME_OPTIONS, "SAMEORIGIN"),
    ];
    (headers, html).into_response()
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    what: String,
}

async fn send(Extension(stage): OnStage, Form(asked): Form<Asked>) -> Response {
    let Some(sample) = samples::named(&asked.what) else {
        return (StatusCode::BAD_REQUEST, "there is no such sample").into_response();
    };
    // What was saved is taken up first, as at the terminal.
    if stage.takes_up().await {
        let _turn = stage.turn.lock().await;
        if let Err(error) = stage.send(sample.name, None).await {
            return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response();
        }
    }
    page::redirect("/demo")
}

async fn clock(Extension(stage): OnStage, Form(asked): Form<Asked>) -> Response {
    let Some(ahead) = Ahead::named(&asked.what) else {
        return (StatusCode::BAD_REQUEST, "the clock can't go there").into_response();
    };
    tokio::spawn(async move {
        let _turn = stage.turn.lock().await;
        say(stage.go(ahead).await);
    });
    page::redirect("/demo")
}

async fn week(Extension(stage): OnStage) -> Response {
    tokio::spawn(async move {
        // Who presses twice sees it once.
        if let Ok(_turn) = stage.turn.try_lock() {
            say(stage.play_the_week().await);
        }
    });
    page::redirect("/demo")
}

fn say(done: anyhow::Result<()>) {
    if let Err(error) = done {
        eprintln!("{} {error:#}", term::bad("error:"));
    }
}
