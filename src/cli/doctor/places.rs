//! Whether each destination, and anyone who watches Fanfare, can be reached from here. Nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Chart, Finding};
use crate::channels::wire::{Guard, Transport, Wire};
use crate::channels::{Endpoint, WebServer, redact};
use crate::config::Snapshot;
use crate::secret::Secret;

/// The longest that one place is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be reached.
struct Target {
    look: String,
    address: String,
    endpoint: Endpoint,
    secrets: Vec<Secret>,
}

/// Connects to all of them at once, and reports them in order.
pub(super) async fn look(chart: &mut Chart, snapshot: &Arc<Snapshot>) {
    let settings = &snapshot.settings;
    let guard = Guard::new(settings.egress_deny.clone(), settings.egress_allow.clone());
    let wire = match Wire::new(guard) {
        Ok(wire) => wire,
        Err(why) => return chart.add(Finding::wrong("destinations", why, "check the system's TLS")),
    };
    for listener in [settings.listen, settings.admin] {
        wire.listens(listener);
    }
    let wire = Arc::new(wire);
    let places = places(snapshot);
    if places.is_empty() {
        return;
    }
    chart.doing("connecting to every destination");
    let mut reaching = JoinSet::new();
    for (at, place) in places.into_iter().enumerate() {
        let wire = wire.clone();
        reaching.spawn(async move { (at, wire.reach(&place.endpoint, PATIENCE).await, place) });
    }
    let mut reached = reaching.join_all().await;
    reached.sort_by_key(|(at, ..)| *at);
    for (_, reached, place) in reached {
        let Target { look, address, secrets, .. } = place;
        let said = |text: String| redact::redact(&text, &secrets);
        chart.add(match reached {
            Ok(says) => Finding::good(look, said(says)),
            Err(why) => {
                let fix = "check its address, DNS, firewall, certificate, and `egress`";
                Finding::wrong(look, said(format!("{address} can't be reached: {why}")), fix)
            }
        });
    }
}

fn places(snapshot: &Snapshot) -> Vec<Target> {
    let mut places = Vec::new();
    for destination in snapshot.destinations.values() {
        for endpoint in &destination.channel.facts().endpoints {
            places.push(Target {
                look: format!("destination {}", destination.name),
                address: destination.channel.facts().address.clone(),
                endpoint: endpoint.clone(),
                secrets: destination.channel.facts().secrets.clone(),
            });
        }
    }
    if let Some(heartbeat) = &snapshot.settings.heartbeat
        && let Some(server) = WebServer::of_url(&heartbeat.url)
    {
        places.push(Target {
            look: "heartbeat".into(),
            address: server.host.to_string(),
            endpoint: Endpoint::Web(server),
            secrets: vec![heartbeat.url.clone()],
        });
    }
    places
}
