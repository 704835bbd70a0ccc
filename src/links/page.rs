//! The pages that links lead to: HTML without script, for a phone as for a desk. Pure.
//!
//! Only who has a link that works learns of the case. A link that is wrong, old or used has one page each, which says nothing
//! of it.

use std::sync::LazyLock;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Environment, context};
use sha2::{Digest, Sha256};

use crate::delivery::LinkOp;

const STYLE: &str = include_str!("page.css");
const NAME: &str = "page.html";
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

static TEMPLATE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    if let Err(error) = environment.add_template(NAME, include_str!("page.html")) {
        tracing::error!(%error, "the page of links is broken");
    }
    environment
});

/// Nothing is loaded, run or framed; the one style is known by its hash, and the form goes back where it came from.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
});

/// What a link is about, for anyone who has it.
#[derive(Debug, Clone)]
pub struct About {
    /// What its message says first.
    pub title: String,
    /// The case's key.
    pub key: String,
    /// The rule that it belongs to.
    pub rule: String,
    /// Since when it is open, as people say it.
    pub since: String,
    /// What the button says.
    pub button: String,
}

/// What anyone who follows a link sees.
#[derive(Debug, Clone)]
pub enum Page {
    /// What it is about, and a button.
    Ask(LinkOp, Box<About>),
    /// It is done.
    Done(LinkOp),
    /// It was done before, in words that say nothing of the case.
    Used(String),
    /// It has expired.
    Old,
    /// It is none, or was made with a key that no longer counts.
    Wrong,
}

impl Page {
    fn status(&self) -> StatusCode {
        match self {
            Page::Ask(..) | Page::Done(_) | Page::Used(_) => StatusCode::OK,
            Page::Old => StatusCode::GONE,
            Page::Wrong => StatusCode::NOT_FOUND,
        }
    }

    fn title(&self) -> String {
        match self {
            Page::Ask(LinkOp::Acknowledge, _) => "Acknowledge this case?".into(),
            Page::Ask(LinkOp::Close, _) => "Close this case?".into(),
            Page::Ask(LinkOp::Mute(_), _) => "Mute this case?".into(),
            Page::Done(LinkOp::Acknowledge) => "Acknowledged".into(),
            Page::Done(LinkOp::Close) => "Closed".into(),
            Page::Done(LinkOp::Mute(_)) => "Muted".into(),
            Page::Used(_) => "Nothing left to do".into(),
            Page::Old => "This link has expired".into(),
            Page::Wrong => "This link does not work".into(),
        }
    }

    fn text(&self) -> String {
        match self {
            Page::Ask(LinkOp::Acknowledge, _) => "Reminders stop. The case stays open.".into(),
            Page::Ask(LinkOp::Close, _) => "Reminders stop, and messages show the case closed.".into(),
            Page::Ask(LinkOp::Mute(_), _) => "Only messages of this case stop for that time.".into(),
            Page::Done(LinkOp::Acknowledge) => "You have it. Reminders stop, and the case stays open.".into(),
            Page::Done(LinkOp::Close) => "The case is closed. Nothing more comes of it.".into(),
            Page::Done(LinkOp::Mute(_)) => "Messages of this case stop for that time.".into(),
            Page::Used(said) => said.clone(),
            Page::Old => "Use the newest message, or ask the person who runs Fanfare.".into(),
            Page::Wrong => "Part of it may be missing, or all links were renewed. Use the newest message.".into(),
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let about = match &self {
            Page::Ask(_, about) => Some(context! {
                title => about.title.as_str(), key => about.key.as_str(), rule => about.rule.as_str(),
                since => about.since.as_str(), button => about.button.as_str(),
            }),
            _ => None,
        };
        let values = context! { title => self.title(), text => self.text(), about => about, style => STYLE };
        let html = TEMPLATE.get_template(NAME).and_then(|template| template.render(values)).unwrap_or_default();
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, POLICY.as_str()),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (ROBOTS, "noindex, nofollow"),
        ];
        (self.status(), headers, html).into_response()
    }
}
