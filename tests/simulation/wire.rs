//! The destinations: each has a mood, and remembers what came.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fanfare::channels::wire::Transport;
use fanfare::channels::{Reply, Request};
use serde_json::Value;

use super::broken::Breakage;
use super::ledger::Post as Letter;
use super::people;
use super::world::{CLAIM, Doom, Replica, World};

/// How a destination is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mood {
    /// Takes everything.
    Well,
    /// Takes everything, in this many ms.
    Slow(u64),
    /// Can't be reached.
    Gone,
    /// Answers with this status, and takes nothing.
    Refuses(u16),
    /// Asks to wait for this many seconds, and takes nothing.
    Limits(&'static str),
    /// Takes some, and never answers.
    Mute,
    /// Takes it, and says that it failed.
    Lies,
}

impl Mood {
    /// One that is no good.
    pub fn bad(dice: &mut fastrand::Rng) -> Self {
        match dice.u32(0..10) {
            0 | 1 => Mood::Slow(dice.u64(1_000..9_500)),
            2 | 3 => Mood::Gone,
            4 => Mood::Refuses(503),
            5 => Mood::Refuses(500),
            6 => Mood::Limits(["0", "5", "90", "4000", "99999999", "-1", "soon"][dice.usize(0..7)]),
            7 => Mood::Lies,
            8 => Mood::Refuses(if dice.bool() { 410 } else { 422 }),
            _ => Mood::Mute,
        }
    }
}

/// The way of one replica to the destinations.
pub struct Post {
    pub world: Arc<World>,
    pub replica: Weak<Replica>,
}

impl Post {
    async fn deliver(&self, destination: &str, request: &Request, deadline: Duration) -> Reply {
        let (world, replica) = (&self.world, self.replica.upgrade().expect("who calls is there"));
        let (id, token) = CLAIM.with(Clone::clone);
        let mut letter = read(destination, request, id, token);
        if world.breakage == Breakage::RetryWithoutKey {
            letter.key = format!("{}-{token}", letter.key);
        }
        world.ledger().sends(&letter, replica.number);
        let mood = world.moods.lock().unwrap().get(destination).copied().unwrap_or(Mood::Well);
        let mood = match mood {
            Mood::Well if !world.is_calm() && world.chance(10) => world.roll(Mood::bad),
            mood => mood,
        };
        let doom = replica.step(world);
        let early = world.chance(300);
        meet(world, &replica, doom.filter(|_| early)).await;
        let way = world.roll(|dice| dice.u64(1..200));
        tokio::time::sleep(Duration::from_millis(way)).await;
        let taken = match mood {
            Mood::Well | Mood::Slow(_) | Mood::Lies => true,
            Mood::Mute => world.chance(600),
            Mood::Gone | Mood::Refuses(_) | Mood::Limits(_) => false,
        };
        world.tell(|| format!("{destination} ({mood:?}) gets {} from replica {}", letter.id, replica.number));
        if taken {
            let violation = world.ledger().arrives(&letter, replica.number);
            violation.into_iter().for_each(|violation| world.ledger().violate(violation));
            people::read(world, &letter);
        }
        meet(world, &replica, doom.filter(|_| !early)).await;
        self.answer(mood, &letter, Duration::from_millis(way), deadline).await
    }

    async fn answer(&self, mood: Mood, letter: &Letter, passed: Duration, deadline: Duration) -> Reply {
        let excuse = |why| self.world.ledger().excuse_one(&letter.id, letter.token, why);
        match mood {
            Mood::Well => Reply::http(202, "ok"),
            Mood::Slow(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Reply::http(202, "ok")
            }
            Mood::Lies => {
                excuse("the destination said that it failed");
                Reply::http(500, "not now")
            }
            Mood::Gone => Reply::NotSent("no way there".into()),
            Mood::Refuses(status) => {
                if status == 422 {
                    self.world.ledger().refused(&letter.id);
                }
                Reply::http(status, "no")
            }
            Mood::Limits(seconds) => {
                self.world.ledger().asked(&letter.id, seconds);
                let headers = vec![("retry-after".into(), seconds.into())];
                Reply::Http { status: 429, headers, body: Vec::new(), whole: true }
            }
            Mood::Mute => {
                excuse("no answer came");
                tokio::time::sleep(deadline.saturating_sub(passed)).await;
                Reply::NoAnswer("no answer in time".into())
            }
        }
    }
}

async fn meet(world: &World, replica: &Arc<Replica>, doom: Option<Doom>) {
    match doom {
        Some(Doom::End) => replica.life.end().await,
        Some(Doom::Task) => replica.next_main_task_dies(),
        Some(Doom::Pause(ms)) => replica.pause(world, ms).await,
        None => {}
    }
}

fn read(destination: &str, request: &Request, id: fanfare::delivery::DeliveryId, token: u64) -> Letter {
    let Request::Http(request) = request else { panic!("{destination} is an HTTP endpoint") };
    let keys = request.headers.iter().filter(|(name, _)| name == "idempotency-key");
    let key: String = keys.map(|(_, value)| value.open()).collect();
    let said: Value = serde_json::from_slice(&request.body).expect("JSON");
    let key = if key.is_empty() { said["dedup_key"].as_str().unwrap_or_default().to_owned() } else { key };
    let text = String::from_utf8_lossy(&request.body);
    let links = people::links(&text);
    let mut body = DefaultHasher::new();
    // A key may be replaced between two attempts.
    let plain = links.iter().fold(text.into_owned(), |text, link| text.replace(link, ""));
    plain.hash(&mut body);
    Letter { id, token, destination: destination.to_owned(), key, body: body.finish(), links }
}

impl Transport for Post {
    fn send<'a>(
        &'a self,
        destination: &'a str,
        request: &'a Request,
        deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        Box::pin(self.deliver(destination, request, deadline))
    }
}
