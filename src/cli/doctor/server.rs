//! The running server: whether it is there, can commit, goes by the files on disk, and answers where senders post.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Chart, Finding};
use crate::cli::client::{Client, from_here};
use crate::cli::term;
use crate::clock::{Clock, RealClock};
use crate::config::Snapshot;

/// A server notes that it lives once a minute: who did within this is running.
const ALIVE: SignedDuration = SignedDuration::from_mins(2);

/// Looks at the server. `alive`: when one was there last; `url`: how senders reach it.
pub(super) async fn look(chart: &mut Chart, snapshot: &Snapshot, alive: Option<Timestamp>, url: Option<&str>) {
    let settings = &snapshot.settings;
    let admin = format!("http://{}", from_here(settings.admin));
    let client = Client::new(admin.clone(), settings.access.own_token().cloned());
    let asked = match client {
        Ok(client) => client.look("/readyz").await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(answer) => ready(chart, snapshot, &admin, answer).await,
        Err(error) => {
            let says = format!("no server answers at {admin}: {error:#}");
            match alive.filter(|at| RealClock.now().duration_since(*at) < ALIVE) {
                Some(at) => chart.add(Finding::wrong(
                    "server",
                    format!("{says}; one was there at {}", term::time(at)),
                    "check that it runs on this configuration, and read its log",
                )),
                None => chart.add(Finding::note("server", says, "start it: `fanfare serve`")),
            }
            if url.is_none() {
                return;
            }
        }
    }
    webhooks(chart, snapshot, url).await;
}

/// What it says of itself.
async fn ready(chart: &mut Chart, snapshot: &Snapshot, admin: &str, answer: reqwest::Response) {
    let status = answer.status();
    let Ok(body) = answer.bytes().await else {
        return chart.add(Finding::wrong("server", format!("{admin} broke off"), "read its log"));
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(store) = body["store"].as_str() else {
        let says = format!("what answers at {admin} with {status} is not Fanfare");
        return chart.add(Finding::wrong("server", says, "check what listens there, and `admin.listen`"));
    };
    if body["ready"] == true {
        chart.add(Finding::good("server", format!("{admin} is ready")));
    } else {
        let says = if body["draining"] == true { "it is ending" } else { store };
        chart.add(Finding::wrong("server", format!("{admin} is not ready: {says}"), "read its log"));
    }
    if let Some(absence) = body["absence"].as_object() {
        let of = |name: &str| absence.get(name).and_then(Value::as_str).unwrap_or_default();
        let time = |name: &str| term::time_of(of(name));
        let says = format!("no process received events from {} until {}", time("from"), time("until"));
        chart.add(Finding::note("absence", says, of("advice")));
    }
    rules(chart, snapshot, &body["rules"]);
}

/// Whether what is in force is what stands on disk.
fn rules(chart: &mut Chart, snapshot: &Snapshot, rules: &Value) {
    let count = rules["count"].as_u64().map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX));
    let since = rules["since"].as_str().map(term::time_of).unwrap_or_default();
    if rules["in_force"] == false {
        let says = "no rules are in force: events are kept, and nothing is planned";
        chart.add(Finding::wrong("rules", says, "fix them: `fanfare check`"));
    } else if rules["stale"] == true {
        let says = format!("files on disk are broken; those of {since} are in force");
        chart.add(Finding::wrong("rules", says, "fix them: `fanfare check`"));
    } else if rules["hash"] != snapshot.hash.as_str() {
        let says = format!("the rules in force, since {since}, differ from those on disk");
        chart.add(Finding::wrong(
            "rules",
            says,
            "`fanfare reload`; is it the same `--config`, with the same variables?",
        ));
    } else {
        chart.add(Finding::good(
            "rules",
            format!("{} in force as on disk, since {since}", term::count(count, "rule", "rules")),
        ));
    }
}

/// Whether each source's path is one that the webhooks' address knows. A GET asks that, and is no event.
async fn webhooks(chart: &mut Chart, snapshot: &Snapshot, url: Option<&str>) {
    let listen = from_here(snapshot.settings.listen);
    if url.is_none() && snapshot.settings.tls.is_some() {
        let says = format!("{listen} speaks TLS, under a name that isn't known here");
        return chart.add(Finding::note(
            "webhooks",
            says,
            "say how senders reach it: `fanfare doctor --url https://…`",
        ));
    }
    let base = url.map_or_else(|| format!("http://{listen}"), |url| url.trim_end_matches('/').to_owned());
    for source in snapshot.sources.values() {
        let look = format!("webhooks {}", source.name);
        let shown = format!("{base}{}", source.path);
        let asked = match Client::new(base.clone(), None) {
            Ok(client) => client.look(&source.path).await,
            Err(error) => Err(error),
        };
        chart.add(match asked {
            Err(error) => Finding::wrong(
                look,
                format!("{shown} can't be reached: {error:#}"),
                "check `listen`, the proxy, DNS and the certificate",
            ),
            Ok(answer)
                if answer.status() == 405 && answer.headers().get("allow").is_some_and(|allow| allow == "POST") =>
            {
                Finding::good(look, format!("{shown} takes events"))
            }
            Ok(answer) => Finding::wrong(
                look,
                format!("{shown} answers a GET with {}, and Fanfare would with 405", answer.status().as_u16()),
                "check what the proxy does with this path, and whether a reload is due",
            ),
        });
    }
}
