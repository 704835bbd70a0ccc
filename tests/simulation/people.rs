//! The people who read what arrives: some follow a link of it, at once or days later, and confirm what it does.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use fanfare::links::PATH;
use fanfare::planner::links::Unguessable;
use tower::ServiceExt;

use super::ledger::Post as Letter;
use super::life::Stage;
use super::world::World;
use crate::model::{DAY, HOUR, MINUTE, Ms};

/// How many messages in a thousand make somebody follow a link.
const FOLLOWED: u32 = 120;

thread_local! {
    static DICE: RefCell<fastrand::Rng> = const { RefCell::new(fastrand::Rng::with_seed(0)) };
}

/// From now on the keys of this thread's seed come from here, the same each time.
pub fn seed(seed: u64) {
    DICE.set(fastrand::Rng::with_seed(seed));
}

/// A key that only this seed has.
pub fn draw() -> Option<Unguessable> {
    let mut bytes = [0; 32];
    DICE.with_borrow_mut(|dice| dice.fill(&mut bytes));
    Some(Unguessable(bytes))
}

/// The paths of the links in a text.
pub fn links(text: &str) -> Vec<String> {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let tokens = text.split(PATH).skip(1).map(|rest| rest.split(|c| !is_of_token(c)).next().unwrap_or_default());
    tokens.map(|token| format!("{PATH}{token}")).collect()
}

/// Someone reads a message that arrived.
pub fn read(world: &Arc<World>, letter: &Letter) {
    if letter.links.is_empty() || world.is_calm() || !world.chance(FOLLOWED) {
        return;
    }
    let (link, later, looks) = world.roll(|dice| {
        let link = letter.links[dice.usize(0..letter.links.len())].clone();
        let most = [5 * MINUTE, 3 * HOUR, 3 * DAY][dice.usize(0..3)];
        (link, dice.i64(0..most), dice.bool())
    });
    tokio::spawn(follow(world.clone(), letter.id.to_string(), link, later, looks));
}

/// Follows it after a while: looks, and then confirms, by the name of the message.
async fn follow(world: Arc<World>, by: String, link: String, later: Ms, looks: bool) {
    tokio::time::sleep(Duration::from_millis(later.unsigned_abs())).await;
    if world.is_calm() {
        return;
    }
    if looks {
        let page = Request::get(&link).body(Body::empty()).expect("a request");
        answered(&world, &by, page).await;
    }
    let form = Request::post(&link).header("content-type", "application/x-www-form-urlencoded");
    answered(&world, &by, form.body(Body::from(format!("by={by}"))).expect("a request")).await;
}

/// A link that came with a message works for longer than anyone here takes.
async fn answered(world: &Arc<World>, by: &str, request: Request<Body>) {
    let Some(replica) = world.any_living() else { return };
    let method = request.method().clone();
    let Some(answer) = replica.life.bind(replica.router.clone().oneshot(request)).await else { return };
    let status = answer.expect("the router answers").status().as_u16();
    if replica.life.stage() == Stage::Dead {
        return;
    }
    world.tell(|| format!("{method} of a link of {by} at replica {}: {status}", replica.number));
    if !matches!(status, 200 | 503) {
        world.ledger().violate(format!("a link of {by} was answered {status}"));
    }
}
