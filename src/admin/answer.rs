//! What every answer of the admin surface is made of: JSON documents, refusals, the names and identifiers in requests.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::{CONTENT_TYPE, COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::admin::view::{self, Problem};
use crate::event::{Command, Item};
use crate::problem::nearest;
use crate::rules::value::written_time;
use crate::steps::Live;
use crate::store;

/// The longest name of a person, in characters.
const NAME_MAX: usize = 100;

pub(crate) type Shared = State<Arc<Live>>;

/// An RFC 9457 document.
pub fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let problem = Problem { kind: "about:blank", title: title.into(), status: status.as_u16(), detail: detail.into() };
    let document = view::value(&problem).to_string() + "\n";
    (status, [(CONTENT_TYPE, "application/problem+json")], document).into_response()
}

pub(crate) fn json_answer(document: &impl Serialize) -> Response {
    match serde_json::to_string(document) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the answer can't be written: {error}")),
    }
}

/// Why an answer is none.
pub enum Refused {
    /// There is no such thing.
    NotFound(String),
    /// The question makes no sense.
    Bad(String),
    /// The store failed.
    Store(store::Error),
}

impl Refused {
    /// In words.
    pub(crate) fn said(&self) -> String {
        match self {
            Self::NotFound(what) | Self::Bad(what) => what.clone(),
            Self::Store(error) => error.to_string(),
        }
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Self::Bad(rejection.body_text())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound(what) => problem(StatusCode::NOT_FOUND, &what),
            Self::Bad(what) => problem(StatusCode::BAD_REQUEST, &what),
            Self::Store(error) => problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        }
    }
}

pub(crate) type Answer = Result<Response, Refused>;

/// A time in a query: RFC 3339, or, local to the default zone, `2026-01-05 11:00` or a date alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Moment(String);

impl Moment {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether a form left it empty.
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// The moment; `name` is the parameter's.
    pub fn at(asked: Option<&Self>, name: &str, live: &Live) -> Result<Option<Timestamp>, Refused> {
        let Some(Self(text)) = asked else { return Ok(None) };
        let zone = live.snapshot.load().settings.zone();
        written_time(text, &zone).map(Some).map_err(|note| Refused::Bad(format!("`{name}`: {note}")))
    }
}

/// Who asks for something, by their own word: it is asked to others, so it must be there, and be a name.
pub(crate) fn person(by: Option<&str>) -> Result<String, Refused> {
    let by = by.map(str::trim).unwrap_or_default();
    if by.is_empty() {
        return Err(Refused::Bad("say who asks: `by`".into()));
    }
    if by.chars().count() > NAME_MAX || by.chars().any(char::is_control) {
        return Err(Refused::Bad(format!("`by` is not a name: at most {NAME_MAX} characters, all of them visible")));
    }
    Ok(by.to_owned())
}

/// What a browser sends under this name.
pub(crate) fn cookies<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|cookies| cookies.split(';')).filter_map(move |one| one.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Who asks, in a query.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct By {
    /// who asks
    pub by: Option<String>,
}

/// What follows on a name that nobody knows: the nearest that is known, or something else.
pub(crate) fn near<'a>(said: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    nearest(said, known).map_or_else(|| otherwise.to_owned(), |near| format!("; did you mean `{near}`?"))
}

/// Puts what a person asks into the inbox.
pub(crate) async fn ask(live: &Live, command: Command) -> Result<(), Refused> {
    live.store.tell(Item::Command(command), live.clock.now()).await?;
    live.to_plan.notify_one();
    Ok(())
}

/// The id in a path, percent signs read.
#[derive(IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub(crate) struct Id(
    /// its id
    pub String,
);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(rejection) => Err(Refused::Bad(rejection.body_text())),
        }
    }
}
