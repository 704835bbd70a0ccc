//! `/`: what waits for a person, what fails, what came and what became of it, and what nobody was bothered with.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{chart, page, row, upcoming, with_frame};
use crate::admin::answer::{Refused, Shared};
use crate::admin::caller::Caller;
use crate::admin::cases::{self, CaseQuery};
use crate::admin::mutes;
use crate::admin::page::people;
use crate::admin::paging::LIMIT_MAX;
use crate::admin::view::{DeliveryView, value};
use crate::clock::plus;
use crate::delivery::{Delivery, State as DeliveryState};
use crate::event::{Event, Seq};
use crate::planner::Case;
use crate::rules::RuleSet;
use crate::steps::Live;
use crate::steps::alive::Absence;
use crate::store::look::{Became, Tally};
use crate::store::{DeliveryFilter, EventFilter, PAGE_BYTES_MAX};

/// How many cases, dead deliveries and coming things are shown.
const FEW: usize = 8;
/// How many events are shown.
const EVENTS: usize = 20;
/// How many of an event's deliveries are shown in its line.
const CHIPS: usize = 4;
/// What happened without bothering anybody: the outcome's word, and what it is called.
const QUIET: [(&str, &str); 6] = [
    ("digest", "collected for a digest"),
    ("held", "held until hours begin"),
    ("throttled", "throttled"),
    ("muted", "muted"),
    ("dropped", "dropped outside hours"),
    ("shadow", "in shadow"),
];

/// `/`.
pub(crate) async fn now(State(live): Shared, caller: Caller) -> Response {
    page(values(&live, &caller).await, "now.html")
}

async fn values(live: &Arc<Live>, caller: &Caller) -> Result<Value, Refused> {
    let snapshot = live.snapshot.load_full();
    let rules = snapshot.rules.as_deref();
    let at = live.clock.now();
    let census = live.store.census().await?;
    let count = |state| census.deliveries.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
    let dead = DeliveryFilter { states: vec![DeliveryState::Dead], limit: FEW, ..DeliveryFilter::default() };
    let dead = live.store.list_deliveries(&dead).await?;
    let failing: Vec<String> = live
        .store
        .standings()
        .await?
        .into_iter()
        .filter(|one| one.pace.is_failing())
        .map(|one| one.destination)
        .collect();
    let muted = mutes::known(live).await?;
    let muted: Vec<Value> =
        muted.iter().filter(|known| known.is_active(at)).map(|known| value(&known.view(at))).collect();
    let tally = live.store.tally(plus(at, SignedDuration::from_hours(-chart::HOURS))).await?;
    let (open, acknowledged) = open_cases(live, rules).await?;
    Ok(with_frame(
        live,
        caller,
        json!({
            "waiting": open,
            "acknowledged": acknowledged,
            "cases": cases::count(live).await?,
            "dead": with_events(live, rules, &dead).await?,
            "dead_count": count(DeliveryState::Dead),
            "retrying": count(DeliveryState::Retrying),
            "failing": failing,
            "mutes": muted,
            "comes": upcoming::soonest(live, FEW).await?,
            "events": stream(live, rules).await?,
            "chart": chart::hours(&tally, at),
            "quiet": quiet(&tally),
            "lag": census.head - census.planned,
            "absence": live.absence.load().as_ref().as_ref().map(Absence::json),
            "back": "/",
        }),
    ))
}

/// Open cases, those that nobody acknowledged and those that somebody did, the most pressing first.
async fn open_cases(live: &Arc<Live>, rules: Option<&RuleSet>) -> Result<(Vec<Value>, Vec<Value>), Refused> {
    let mut found = cases::find(live, &CaseQuery::default(), LIMIT_MAX).await?;
    found.sort_by_key(|(_, case)| people::rank(case));
    let (acknowledged, waiting): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, case)| case.acked.is_some());
    // A case that asked nobody for anything need not be looked at in the night.
    let waiting: Vec<(String, Case)> =
        waiting.into_iter().filter(|(_, case)| case.waits_for_a_person()).take(FEW).collect();
    let acknowledged: Vec<(String, Case)> = acknowledged.into_iter().take(FEW).collect();
    Ok((people::rows(live, rules, &waiting).await?, people::rows(live, rules, &acknowledged).await?))
}

/// Deliveries, each with what its event is about.
pub(super) async fn with_events(
    live: &Live,
    rules: Option<&RuleSet>,
    deliveries: &[Delivery],
) -> Result<Vec<Value>, Refused> {
    let mut seqs: Vec<Seq> = deliveries.iter().map(|delivery| delivery.planned.event).collect();
    seqs.sort_unstable();
    seqs.dedup();
    let about = about(live, rules, &seqs).await?;
    let row = |delivery: &Delivery| {
        let mut row = value(&DeliveryView::from(delivery));
        row["about"] = about.get(&delivery.planned.event).cloned().unwrap_or_default();
        row
    };
    Ok(deliveries.iter().map(row).collect())
}

/// What these events are about, by their places.
pub(super) async fn about(live: &Live, rules: Option<&RuleSet>, seqs: &[Seq]) -> Result<BTreeMap<Seq, Value>, Refused> {
    let mut left: &[Seq] = seqs;
    let mut about = BTreeMap::new();
    while !left.is_empty() {
        // All at once, but where their bodies are large.
        let found = live.store.list_places(left).await?;
        let bytes: usize = found.iter().map(|(_, event)| event.raw.len()).sum();
        let last = found.last().and_then(|(last, _)| left.iter().rposition(|seq| seq == last));
        left = last.filter(|_| bytes >= PAGE_BYTES_MAX).and_then(|last| left.get(last + 1..)).unwrap_or_default();
        about.extend(found.into_iter().map(|(seq, event)| (seq, row::event(rules, seq, event))));
    }
    Ok(about)
}

/// The newest events, each with what became of it.
async fn stream(live: &Live, rules: Option<&RuleSet>) -> Result<Vec<Value>, Refused> {
    let filter = EventFilter { limit: EVENTS, ..EventFilter::default() };
    lines(live, rules, live.store.list_events(&filter).await?).await
}

/// Events as lines, each with what became of it, in a few chips.
pub(super) async fn lines(
    live: &Live,
    rules: Option<&RuleSet>,
    events: Vec<(Seq, Event)>,
) -> Result<Vec<Value>, Refused> {
    let seqs: Vec<Seq> = events.iter().map(|(seq, _)| *seq).collect();
    let mut became = live.store.became(&seqs, CHIPS + 1).await?;
    let line = |(seq, event)| {
        let mut line = row::event(rules, seq, event);
        line["became"] = chips(&became.remove(&seq).unwrap_or_default());
        line
    };
    Ok(events.into_iter().map(line).collect())
}

fn chips(became: &Became) -> Value {
    let sent = became.deliveries.iter().take(CHIPS);
    let sent = sent.map(|chip| json!({"word": chip.destination, "state": chip.state, "delivery": chip.id}));
    let quiet = became.outcomes.iter().filter(|outcome| *outcome != "matched");
    let chips: Vec<Value> = sent.chain(quiet.map(|outcome| json!({"word": outcome, "state": outcome}))).collect();
    json!({"chips": chips, "more": became.deliveries.len() > CHIPS})
}

/// How often nobody was bothered, by why.
fn quiet(tally: &Tally) -> Vec<Value> {
    let of =
        |outcome: &str| tally.decisions.iter().filter(|did| did.outcome == outcome).map(|did| did.count).sum::<u64>();
    let counted = QUIET.iter().map(|(outcome, words)| (outcome, words, of(outcome)));
    counted
        .filter(|(.., count)| *count > 0)
        .map(|(outcome, words, count)| json!({"outcome": outcome, "words": words, "count": count}))
        .collect()
}
