//! What was sent of a case, found without reading all deliveries that there are.

use std::collections::BTreeSet;

use crate::admin::answer::Refused;
use crate::admin::paging::LOOKED_AT;
use crate::delivery::{Delivery, DeliveryId, Lane};
use crate::event::Seq;
use crate::planner::Case;
use crate::steps::Live;
use crate::store::DeliveryFilter;

/// How many deliveries are shown.
const SHOWN: usize = 100;
/// About how many of its newest matches they are looked for.
const MATCHES: usize = 20;

/// The newest deliveries of a case: those among the newest of all, and those about the events that it names.
pub(super) async fn sent(live: &Live, case: &Case) -> Result<Vec<Delivery>, Refused> {
    let lanes: Vec<Lane> = case.lanes.values().map(|shown| shown.lane.clone()).collect();
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let events = case.lanes.values().map(|shown| shown.event).chain([case.event]);
    let events: BTreeSet<Seq> = events.chain(case.matches.iter().rev().take(MATCHES).copied()).collect();
    let of_case = DeliveryFilter { lanes, limit: SHOWN, ..DeliveryFilter::default() };
    let newest = DeliveryFilter { since: Some(case.opened), within: Some(LOOKED_AT), ..of_case.clone() };
    let about = DeliveryFilter { events: events.into_iter().collect(), ..of_case };
    let mut found = live.store.list_deliveries(&newest).await?;
    let known: BTreeSet<DeliveryId> = found.iter().map(|one| one.planned.id.clone()).collect();
    let more = live.store.list_deliveries(&about).await?;
    found.extend(more.into_iter().filter(|one| !known.contains(&one.planned.id)));
    found.sort_by_key(|one| std::cmp::Reverse(one.created));
    found.truncate(SHOWN);
    Ok(found)
}
