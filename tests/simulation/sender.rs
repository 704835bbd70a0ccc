//! The sender: events about few things, signed as JewelMusic signs, sent until they are answered, and at times again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use fanfare::clock::from_ms;
use fanfare::source::Outgoing;
use tower::ServiceExt;

use super::label::{SECRET, versions};
use super::life::Stage;
use super::world::{START_MS, World};
use crate::model::{DAY, HOUR, MINUTE, Ms};

/// When JewelMusic sends again, since the first time.
const ATTEMPTS: [Ms; 5] = [0, MINUTE, 6 * MINUTE, 36 * MINUTE, 156 * MINUTE];

/// How long it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Event types and how often they come, of a hundred.
const KINDS: [(&str, u32); 8] = [
    ("track.uploaded", 24),
    ("fraud.action_required", 22),
    ("fraud.resolved", 12),
    ("release.submitted", 9),
    ("release.live", 6),
    ("release.rejected", 9),
    ("fraud.bot_detection", 11),
    ("royalty.reported", 7),
];

/// One event, as the sender knows it.
#[derive(Debug, Clone)]
struct Happening {
    id: String,
    kind: &'static str,
    /// When it is sent first.
    at_ms: Ms,
    body: String,
    /// By which scheme it is signed.
    timed: bool,
    /// Whether a retry is signed anew.
    restamped: bool,
}

/// When something happens: moments at which several things do.
pub fn clusters(dice: &mut fastrand::Rng, until_ms: Ms) -> Vec<Ms> {
    let mut at: Vec<Ms> = (0..dice.usize(10..16)).map(|_| START_MS + dice.i64(0..until_ms)).collect();
    at.sort_unstable();
    at
}

/// What the sender will send, and when.
fn happenings(dice: &mut fastrand::Rng, clusters: &[Ms]) -> Vec<Happening> {
    (0..dice.usize(54..66))
        .map(|number| {
            let near = dice.usize(0..clusters.len());
            let cluster = clusters[near];
            let at_ms = cluster + if dice.bool() { dice.i64(0..5 * MINUTE) } else { dice.i64(0..3 * HOUR) };
            let kind = pick(dice);
            // About the same few things, and most often the same at the same time, so that they meet.
            let key = format!("K{}", if dice.u32(0..4) == 0 { dice.usize(0..3) } else { near % 3 });
            let late = if dice.u32(0..6) == 0 { dice.i64(0..2 * HOUR) } else { dice.i64(0..3_000) };
            let created = (at_ms - late) / 1000;
            let id = format!("evt_{number}");
            let body =
                format!(r#"{{"id":"{id}","type":"{kind}","created":{created},"data":{{"key":"{key}","n":{number}}}}}"#);
            Happening { id, kind, at_ms, body, timed: dice.bool(), restamped: dice.bool() }
        })
        .collect()
}

fn pick(dice: &mut fastrand::Rng) -> &'static str {
    let mut left = dice.u32(0..100);
    for (kind, often) in KINDS {
        if left < often {
            return kind;
        }
        left -= often;
    }
    KINDS[0].0
}

/// Sends everything.
pub fn send_all(world: &Arc<World>, clusters: &[Ms]) {
    let happenings = world.roll(|dice| happenings(dice, clusters));
    for happening in happenings {
        world.ledger().counts.sent += 1;
        let again = world.roll(|dice| match dice.u32(0..12) {
            0 => Some(0),
            1 => Some(dice.i64(0..2_000)),
            2 => Some(dice.i64(0..HOUR)),
            3 => Some(dice.i64(0..20 * DAY)),
            _ => None,
        });
        tokio::spawn(deliver(world.clone(), happening.clone(), 0));
        if let Some(later) = again {
            tokio::spawn(deliver(world.clone(), happening, later));
        }
    }
}

/// Sends an event until it is answered, or the sender has enough.
async fn deliver(world: Arc<World>, happening: Happening, later: Ms) {
    let first = happening.at_ms + later;
    for at in ATTEMPTS {
        let left = first + at - world.true_ms();
        tokio::time::sleep(Duration::from_millis(left.max(0).unsigned_abs())).await;
        let signed_at = if happening.restamped { world.true_ms() } else { first };
        if let Ok(Some(200)) = tokio::time::timeout(PATIENCE, post(&world, &happening, signed_at)).await {
            world.tell(|| format!("{} ({}) is answered 200", happening.id, happening.kind));
            return world.ledger().accepted(&happening.id);
        }
    }
}

/// One request to whichever replica the balancer takes. `None` if nobody answers.
async fn post(world: &Arc<World>, happening: &Happening, signed_at: Ms) -> Option<u16> {
    let replica = world.any_living()?;
    let source = &versions()[0].sources["jewelmusic"];
    assert_eq!(source.secrets[0].open(), SECRET);
    let scheme = source.schemes[usize::from(happening.timed)].name;
    let body = happening.body.as_bytes();
    let outgoing = Outgoing { id: &happening.id, kind: happening.kind, body, at: from_ms(signed_at) };
    let mut request = Request::post("/webhooks/jewelmusic");
    for (name, value) in source.sign(Some(scheme), &outgoing).expect("a scheme that signs") {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(happening.body.clone())).expect("a request");
    world.tell(|| format!("{} ({}) is sent to replica {}", happening.id, happening.kind, replica.number));
    let answered = replica.life.bind(replica.router.clone().oneshot(request)).await?;
    (replica.life.stage() != Stage::Dead).then(|| answered.expect("the router answers").status().as_u16())
}
