//! Act: a person follows a link of a message. Looking changes nothing, since chat programs look at links too; only the
//! form's POST acts, and what it asks for goes through the inbox like everything else.
//!
//! A guess is refused before the store is asked for anything. No cookie and no token of the admin page means anything here.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use crate::delivery::LinkOp;
use crate::event::{Command, Item};
use crate::links::{About, PATH, Page, Token, person};
use crate::message::Rendered;
use crate::planner::links::{LinkKeys, Linked};
use crate::planner::{Case, Keys};
use crate::server::body::{self, Budget};
use crate::server::problem;
use crate::steps::Live;
use crate::store;

/// A name and what a form puts around it, in bytes.
const FORM_MAX: usize = 4096;

/// What the listener and its links share.
pub(super) struct Actor {
    pub live: Arc<Live>,
    pub budget: Budget,
}

/// Why a request comes to nothing but an answer.
enum Ended {
    With(Response),
    /// The store can't be asked now.
    Store(&'static str, store::Error),
}

impl From<Page> for Ended {
    fn from(page: Page) -> Self {
        Self::With(page.into_response())
    }
}

/// A link that works, and the case that it is about.
struct Found {
    link: Linked,
    case: Case,
}

/// Answers anyone who follows a link.
pub(super) async fn answer(State(actor): State<Arc<Actor>>, request: Request) -> Response {
    let live = &actor.live;
    if live.is_draining() {
        return live.come_again();
    }
    match actor.follow(request).await {
        Ok(response) | Err(Ended::With(response)) => response,
        Err(Ended::Store(doing, error)) => {
            live.noticed(&error);
            live.telemetry.store_failed(doing, &error.to_string());
            live.come_again()
        }
    }
}

impl Actor {
    async fn follow(&self, request: Request) -> Result<Response, Ended> {
        let live = &self.live;
        let now = live.clock.now();
        if live.snapshot.load().settings.links.is_none() {
            live.telemetry.refused("none", "not_found", "a link, and `links` is not set up");
            return Err(Ended::With(problem(StatusCode::NOT_FOUND)));
        }
        let acts = match *request.method() {
            Method::GET | Method::HEAD => false,
            Method::POST => true,
            _ => return Err(Ended::With(not_allowed())),
        };
        let token = self.genuine(request.uri().path(), now).await?;
        let found = self.find(&token, now).await?;
        let page = match acts {
            false => self.ask(found, now).await?,
            true => self.act(found, request, now).await?,
        };
        Ok(page.into_response())
    }

    /// The token of a path, if it was made with a key that counts, as far as is known without asking the store each time.
    async fn genuine(&self, path: &str, now: Timestamp) -> Result<Token, Ended> {
        let live = &self.live;
        let token = path.strip_prefix(PATH).and_then(Token::read);
        let keys = live.links.some(&*live.store, now).await.map_err(|error| Ended::Store("links", error))?;
        match (token, keys) {
            (Some(token), Some(keys)) if token.is_made_with(&keys, now) => Ok(token),
            _ => {
                live.telemetry.refused("none", "wrong_link", "a link that is none of this store");
                Err(Page::Wrong.into())
            }
        }
    }

    /// What a link is for, and its case.
    async fn find(&self, token: &Token, now: Timestamp) -> Result<Found, Ended> {
        let live = &self.live;
        let at = Linked::key(&token.id());
        let wanted = Keys { one: [at.clone(), LinkKeys::key()].into(), ..Keys::default() };
        let failed = |error| Ended::Store("links", error);
        let loaded = live.store.load(&wanted).await.map_err(failed)?;
        // All links may have been ended a moment ago, here or at another process.
        let keys = loaded.docs.get(&LinkKeys::key()).and_then(|text| serde_json::from_str::<LinkKeys>(text).ok());
        if !keys.is_some_and(|keys| token.is_made_with(&keys, now)) {
            return Err(Page::Wrong.into());
        }
        let link = loaded.docs.get(&at).and_then(|text| serde_json::from_str::<Linked>(text).ok());
        let Some(link) = link.filter(|link| link.until > now) else { return Err(Page::Old.into()) };
        let snapshot = live.snapshot.load_full();
        let places = Case::places(snapshot.rules.as_deref(), &link.of);
        let wanted = Keys { one: places.into_iter().collect(), ..Keys::default() };
        let loaded = live.store.load(&wanted).await.map_err(failed)?;
        let mut cases = loaded.docs.values().filter_map(|text| serde_json::from_str::<Case>(text).ok());
        let case = cases.find(|case| case.nth == link.of.nth);
        let case = case.ok_or_else(|| Ended::from(Page::Used("It is closed already.".into())))?;
        match self.done_before(&case, link.does, now) {
            Some(said) => Err(Page::Used(said).into()),
            None => Ok(Found { link, case }),
        }
    }

    /// That what a link does is done already, in words.
    fn done_before(&self, case: &Case, does: LinkOp, now: Timestamp) -> Option<String> {
        match does {
            LinkOp::Acknowledge => {
                let by = case.acked.as_ref()?;
                let at = case.acked_at.map(|at| format!(" at {}", self.said(at))).unwrap_or_default();
                Some(format!("Already acknowledged by {by}{at}."))
            }
            LinkOp::Close => None,
            LinkOp::Mute(_) => {
                let silence = case.silenced(now)?;
                Some(format!("Already muted by {} until {}.", silence.by, self.said(silence.until)))
            }
        }
    }

    /// A moment with its zone.
    fn said(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.live.snapshot.load().settings.zone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    async fn ask(&self, Found { link, case }: Found, _now: Timestamp) -> Result<Page, Ended> {
        let delivery = self.live.store.delivery(&link.delivery).await.map_err(|error| Ended::Store("links", error))?;
        let kept = delivery.and_then(|(delivery, _)| delivery.message);
        let rendered = kept.and_then(|text| serde_json::from_str::<Rendered>(&text).ok());
        let about = About {
            title: rendered.map(|rendered| rendered.message.title).unwrap_or_default(),
            since: self.said(case.opened),
            key: case.key,
            rule: case.rule,
            button: link.does.label(),
        };
        Ok(Page::Ask(link.does, Box::new(about)))
    }

    async fn act(&self, Found { link, .. }: Found, request: Request, now: Timestamp) -> Result<Page, Ended> {
        let live = &self.live;
        let by = person(self.name(request).await?.as_deref());
        let does = link.does;
        let command = Command::ByLink { of: link.of, does, by };
        let told = tokio::time::timeout(live.bounds.commit, live.store.tell(Item::Command(command), now)).await;
        match told {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Ended::Store("tell", error)),
            Err(_) => return Err(Ended::Store("tell", store::Error::Unavailable("no commit in time".into()))),
        }
        live.to_plan.notify_one();
        Ok(Page::Done(does))
    }

    /// The name that a form gives. Anyone who posts something else leaves none.
    async fn name(&self, request: Request) -> Result<Option<String>, Ended> {
        let (parts, body): (_, Body) = request.into_parts();
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_form = kind.starts_with("application/x-www-form-urlencoded");
        let held = body::read(body, FORM_MAX, self.live.bounds.body, &self.budget).await;
        let held = held.map_err(|_| Ended::With(problem(StatusCode::BAD_REQUEST)))?;
        let mut pairs = url::form_urlencoded::parse(&held.bytes);
        Ok(pairs.find(|(key, _)| is_form && key == "by").map(|(_, name)| name.into_owned()))
    }
}

fn not_allowed() -> Response {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    response
}
