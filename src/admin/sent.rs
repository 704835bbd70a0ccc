//! What was sent of a case, found without reading all deliveries that there are.

use std::collections::BTreeSet;

use crate::admin::answer::Refused;
use crate::admin::paging::LIMIT_MAX;
use crate::config::Snapshot;
use crate::delivery::{Delivery, DeliveryId, Lane};
use crate::event::Seq;
use crate::planner::{Case, names_for};
use crate::steps::Live;
use crate::store::DeliveryFilter;

/// How many deliveries are shown.
const SHOWN: usize = 100;
/// About how many of its newest matches they are looked for.
const MATCHES: usize = 20;
/// Among how many of the newest deliveries of all.
const LOOKED_AT: usize = 20_000;

/// The newest deliveries of a case: those among the newest of all, and those about the events that it names.
pub(super) async fn sent(live: &Live, snapshot: &Snapshot, case: &Case) -> Result<Vec<Delivery>, Refused> {
    let lanes: BTreeSet<&Lane> = case.lanes.values().map(|shown| &shown.lane).collect();
    // A delivery bears the name that its rule had when it was planned.
    let names = snapshot.rules.as_ref().map_or_else(|| vec![case.rule.clone()], |rules| names_for(rules, &case.rule));
    let named = names.into_iter().map(|rule| DeliveryFilter {
        rule: Some(rule),
        since: Some(case.opened),
        within: Some(LOOKED_AT),
        ..DeliveryFilter::default()
    });
    let events = case.lanes.values().map(|shown| shown.event).chain([case.event]);
    let events: BTreeSet<Seq> = events.chain(case.matches.iter().rev().take(MATCHES).copied()).collect();
    let about = events.into_iter().map(|event| DeliveryFilter { event: Some(event), ..DeliveryFilter::default() });
    let (mut found, mut known) = (Vec::new(), BTreeSet::<DeliveryId>::new());
    for filter in named.chain(about) {
        let all = live.store.list_deliveries(&DeliveryFilter { limit: LIMIT_MAX, ..filter }).await?;
        let of_case = |one: &Delivery| one.planned.lane.as_ref().is_some_and(|lane| lanes.contains(lane));
        found.extend(all.into_iter().filter(|one| of_case(one) && known.insert(one.planned.id.clone())));
    }
    found.sort_by_key(|one| std::cmp::Reverse(one.created));
    found.truncate(SHOWN);
    Ok(found)
}
