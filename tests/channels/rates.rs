//! Five hundred messages at once to each service, which takes no more than it documents and answers 429 in its own form
//! beyond that: all of them arrive, as fast as it allows. Time is moved by hand, so hours take no time.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfare::channels::wire::Transport;
use fanfare::channels::{ALL, Reply, Request};
use fanfare::clock::{Clock, VirtualClock};
use fanfare::delivery::State;
use jiff::SignedDuration;

use super::house::{House, start};
use super::judges::{self, Judge, Rate};

/// How many come at once.
const MESSAGES: usize = 500;
/// How many are sent faster than is allowed.
const FAST: usize = 70;

/// A service, and how much of its rate is used up.
struct Gate {
    judge: Box<dyn Judge>,
    /// When the next request would be on time if all came evenly.
    slot_ms: i64,
    /// When it last took something.
    last_ms: i64,
    taken: usize,
    /// How many it sent away.
    limited: usize,
}

impl Gate {
    fn new(kind: &str) -> Self {
        Self { judge: judges::of(kind), slot_ms: 0, last_ms: 0, taken: 0, limited: 0 }
    }

    fn answer(&mut self, request: &Request, now_ms: i64) -> Reply {
        if let Some(Rate { burst, every }) = self.judge.rate() {
            let every_ms = every.as_millis() as i64;
            let free_ms = self.slot_ms - (burst - 1) * every_ms;
            if now_ms < free_ms {
                self.limited += 1;
                // Services count in whole seconds.
                let wait = SignedDuration::from_secs((free_ms - now_ms + 999) / 1000);
                return self.judge.limited(wait).0;
            }
            self.slot_ms = self.slot_ms.max(now_ms) + every_ms;
        }
        (self.taken, self.last_ms) = (self.taken + 1, now_ms);
        self.judge.answer(request)
    }
}

/// All services, by the names of their destinations.
struct Services(Mutex<BTreeMap<String, Gate>>, VirtualClock);

impl Transport for Services {
    fn send<'a>(
        &'a self,
        destination: &'a str,
        request: &'a Request,
        _: Duration,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        let now_ms = self.1.now().as_millisecond();
        let reply = self.0.lock().unwrap().get_mut(destination).unwrap().answer(request, now_ms);
        Box::pin(std::future::ready(reply))
    }
}

/// Sends all messages to a destination of each kind, with these further keys. Gives the services, and how long it took.
async fn rush(count: usize, more: &str) -> (BTreeMap<String, Gate>, SignedDuration) {
    let clock = VirtualClock::new(start());
    let gates = ALL.iter().map(|kind| (kind.name.to_owned(), Gate::new(kind.name))).collect();
    let services = Arc::new(Services(Mutex::new(gates), clock.clone()));
    let destinations: Vec<_> = ALL.iter().map(|kind| (kind.name, format!("{}{more}", kind.example))).collect();
    let house = House::new(&destinations, &clock, services.clone()).await;
    house.receive(count).await;
    house.until_done().await;
    let all = house.deliveries().await;
    assert_eq!(all.len(), count * ALL.len());
    let lost: Vec<_> = all.iter().filter(|one| one.state != State::Delivered).take(3).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    let gates = std::mem::take(&mut *services.0.lock().unwrap());
    (gates, clock.now().duration_since(start()))
}

#[tokio::test]
async fn five_hundred_messages_at_once_arrive_everywhere_as_fast_as_each_service_allows() {
    let (services, _) = rush(MESSAGES, "").await;
    for (name, gate) in services {
        assert_eq!((gate.taken, gate.limited, gate.judge.refusals()), (MESSAGES, 0, &[][..]), "{name}");
        // Not much slower than it might be.
        let took_ms = gate.last_ms - start().as_millisecond();
        let rate = gate.judge.rate().unwrap_or(Rate::ms(1, 0));
        let least_ms = (MESSAGES as i64 - rate.burst) * rate.every.as_millis() as i64;
        let most_ms = (least_ms * 2).max(MESSAGES as i64 * 2_000);
        assert!((least_ms..=most_ms).contains(&took_ms), "{name} took {took_ms} ms, and {least_ms} are possible");
    }
}

#[tokio::test]
async fn messages_that_are_sent_faster_than_a_service_allows_wait_as_it_says_and_none_is_lost() {
    let (services, took) = rush(FAST, "rate: 100/s\nburst: 50\n").await;
    for (name, gate) in services {
        assert_eq!((gate.taken, gate.judge.refusals()), (FAST, &[][..]), "{name}");
        // All that are under way when the first is sent away, and not all that wait.
        let most = gate.judge.rate().map_or(0, |_| FAST * 4);
        assert!(gate.limited <= most, "{name} said {} times that it is too much", gate.limited);
    }
    assert!(took > SignedDuration::from_mins(2), "{took:#}");
}
