//! What goes wrong, and when: crashes, pauses, a store and destinations that fail, clocks that jump, people and reloads.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanfare::clock::from_ms;
use fanfare::event::{Command, Item, Mute, UpcomingOp};
use fanfare::planner::loaded::DueTimer;
use jiff::Timestamp;

use super::label::{DESTINATIONS, versions};
use super::life::Stage;
use super::wire::Mood;
use super::world::{Doom, Sky, World};
use crate::model::{DAY, HOUR, MINUTE, Ms, SECOND};

/// Sets everything up that will go wrong, near what happens and in between.
pub fn unleash(world: &Arc<World>, clusters: &[Ms], until_ms: Ms) {
    let now_ms = world.true_ms();
    let moments = world.roll(|dice| {
        let mut moments: Vec<Ms> = (0..12).map(|_| now_ms + dice.i64(0..until_ms)).collect();
        for cluster in clusters {
            moments.extend((0..dice.usize(1..4)).map(|_| cluster + dice.i64(-10 * MINUTE..90 * MINUTE)));
        }
        moments
    });
    for at in moments {
        let world = world.clone();
        tokio::spawn(async move {
            sleep(at - world.true_ms()).await;
            if !world.is_calm() {
                strike(&world).await;
            }
        });
    }
}

async fn sleep(ms: Ms) {
    tokio::time::sleep(Duration::from_millis(ms.max(0).unsigned_abs())).await;
}

async fn strike(world: &Arc<World>) {
    let kind = world.roll(|dice| dice.u32(0..100));
    match kind {
        0..=15 => doom(world, Doom::End),
        16..=21 => doom(world, Doom::Task),
        22..=24 => world.living().iter().for_each(|replica| replica.life.turn(Stage::Dead)),
        25..=39 => doom(world, pause(world)),
        40..=57 => weather(world).await,
        58..=77 => sulk(world).await,
        78..=83 => jump(world).await,
        84..=91 => reload(world).await,
        _ => command(world).await,
    }
}

/// A replica will die, lose a main task, or be held up, within one of its next steps.
fn doom(world: &World, doom: Doom) {
    let Some(replica) = world.any_living() else { return };
    let steps = world.roll(|dice| dice.u32(1..40));
    world.tell(|| format!("replica {} meets {doom:?} in {steps} steps", replica.number));
    *replica.doom.lock().unwrap() = (steps, doom);
}

/// For how long a process is held up: for less than a lease, for about as long, or for much longer.
fn pause(world: &World) -> Doom {
    Doom::Pause(world.roll(|dice| match dice.u32(0..8) {
        0 => dice.u64(2_000..10_000),
        1..=5 => dice.u64(39_000..44_000),
        6 => 5 * 60_000,
        _ => 2 * 3_600_000,
    }))
}

/// The store fails for a while.
async fn weather(world: &World) {
    let (sky, span) = world.roll(|dice| {
        let sky = match dice.u32(0..10) {
            0..=4 => Sky::Flaky(dice.u32(30..500)),
            5..=7 => Sky::Away,
            _ => Sky::Full,
        };
        let span = [20 * SECOND, 2 * MINUTE, 20 * MINUTE, 3 * HOUR][dice.usize(0..4)];
        (sky, span)
    });
    if *world.sky.lock().unwrap() != Sky::Clear {
        return;
    }
    world.tell(|| format!("the store is {sky:?} for {} s", span / SECOND));
    *world.sky.lock().unwrap() = sky;
    world.ledger().disturbed(world.true_ms(), span);
    sleep(span).await;
    *world.sky.lock().unwrap() = Sky::Clear;
    world.poke_all();
}

/// A destination is no good for a while.
async fn sulk(world: &World) {
    let (destination, mood, span) = world.roll(|dice| {
        // Most often where cases are announced: what waits behind an announcement is what can be called off.
        let destination = DESTINATIONS[[0, 0, 0, 1, 1, 2, 3, 4][dice.usize(0..8)]].0;
        let mood = Mood::bad(dice);
        let span = [MINUTE, 20 * MINUTE, 2 * HOUR, 6 * HOUR, 30 * HOUR, 60 * HOUR][dice.usize(0..6)];
        (destination, mood, span)
    });
    world.tell(|| format!("{destination} is {mood:?} for {} s", span / SECOND));
    world.moods.lock().unwrap().insert(destination.to_owned(), mood);
    sleep(span).await;
    world.moods.lock().unwrap().remove(destination);
}

/// The clocks are off for a while, by minutes or a day.
async fn jump(world: &World) {
    let (by, span) = world.roll(|dice| {
        let by = [5 * MINUTE, HOUR, 7 * HOUR, DAY][dice.usize(0..4)];
        (if dice.bool() { by } else { -by }, dice.i64(MINUTE..12 * HOUR))
    });
    world.jump(by).await;
    sleep(span).await;
    if !world.is_calm() {
        world.jump(0).await;
    }
}

/// Other files are on the disk, and each replica takes them up when it looks.
async fn reload(world: &World) {
    let version = world.roll(|dice| dice.usize(0..versions().len()));
    world.version.store(version, Ordering::Relaxed);
    for replica in world.living() {
        let late = world.roll(|dice| dice.i64(0..2_500));
        sleep(late).await;
        if replica.life.stage() != Stage::Dead {
            world.tell(|| format!("replica {} reloads version {version}", replica.number));
            replica.reload(version);
            world.ledger().counts.reloads += 1;
        }
    }
}

/// A person asks for something.
async fn command(world: &World) {
    let Some(replica) = world.any_living() else { return };
    let now_ms = world.now_ms();
    let open = world.ledger().open_cases();
    let waiting = world.raw.timers((Timestamp::MIN, ""), 200).await.unwrap_or_default();
    let command = world.roll(|dice| {
        let case = (!open.is_empty()).then(|| open[dice.usize(0..open.len())].clone());
        let number = dice.u32(..);
        match (case, dice.u32(0..3)) {
            (Some((rule, key)), 0) => Command::CloseCase { rule, key, by: "ana".into(), note: None },
            (Some((rule, key)), 1) => Command::AckCase { rule, key, by: "ben".into(), note: None },
            // Most timers mean nothing that could be sent.
            _ if number.is_multiple_of(2) && !waiting.is_empty() => {
                let DueTimer { timer, .. } = waiting[dice.usize(0..waiting.len())].clone();
                let does = if dice.bool() { UpcomingOp::Send } else { UpcomingOp::Cancel };
                Command::Upcoming { timer: timer.text, due: timer.due, does, by: "dan".into() }
            }
            _ => {
                let destination = DESTINATIONS[dice.usize(0..DESTINATIONS.len())].0;
                Command::Mute(Mute {
                    id: format!("m{number}"),
                    reason: "quiet".into(),
                    by: "cem".into(),
                    events: Vec::new(),
                    rule: dice.bool().then(|| "bots".into()),
                    destination: Some(destination.into()),
                    when: None,
                    from: from_ms(now_ms),
                    until: from_ms(now_ms + dice.i64(MINUTE..8 * HOUR)),
                })
            }
        }
    });
    world.tell(|| format!("{command:?}"));
    // It may be lost: anyone who asked is reported so, and asks again or not.
    let told = replica.live.store.tell(Item::Command(command), from_ms(now_ms));
    let _ = replica.life.bind(told).await;
}
