//! What PagerDuty's webhooks (v3) say that a person did to an incident that Fanfare raised. Pure.
//!
//! <https://developer.pagerduty.com/docs/webhooks-overview>: `event.data.incident_key` is the key under which the incident was
//! raised, `event.agent` who did it. Only a user acts on a case: a merge, a rule or a service that resolves an incident
//! closes nothing here.

use serde_json::Value;

use crate::event::{Event, Report, Reported};

/// The service, as people know it.
const SERVICE: &str = "PagerDuty";
/// The longest name that is kept of what PagerDuty says, in characters.
const NAME_MAX: usize = 80;

/// What an event reports of an incident; nothing for an event that is about something else, or that no person set off.
pub(super) fn report(event: &Event) -> Option<Report> {
    let told = event.body.get("event")?;
    let data = told.get("data")?;
    let what = event.kind.strip_prefix("incident.")?;
    let agent = told.get("agent").filter(|agent| text(agent, "type").starts_with("user"));
    let does = match what {
        "acknowledged" | "resolved" if agent.is_none() => Reported::Nothing("no person did it".into()),
        "acknowledged" | "resolved" if data.get("resolve_reason").is_some_and(|reason| !reason.is_null()) => {
            Reported::Nothing(format!("for another reason ({})", reason(data)))
        }
        "acknowledged" => Reported::Acknowledged,
        "resolved" => Reported::Closed,
        "unacknowledged" | "reopened" => Reported::Unacknowledged,
        // What services and rules do is no news: Fanfare itself triggers incidents.
        _ => Reported::Nothing(agent.map(|_| "changes nothing here".to_owned())?),
    };
    Some(Report {
        service: SERVICE,
        raised: lane(text(data, "incident_key")).to_owned(),
        name: format!("{} ({})", incident(data), event.kind),
        by: agent
            .map(|agent| plain(text(agent, "summary")))
            .filter(|by| !by.is_empty())
            .unwrap_or_else(|| SERVICE.into()),
        does,
    })
}

/// The lane under which an incident was raised: where several integrations share a destination, a mark of the integration's
/// key stands behind it.
fn lane(key: &str) -> &str {
    match key.rsplit_once('-') {
        Some((lane, mark)) if mark.len() == 8 && mark.bytes().all(|byte| byte.is_ascii_hexdigit()) => lane,
        _ => key,
    }
}

/// The number of the incident that something is about, else its title, else its id.
fn incident(data: &Value) -> String {
    let about = data.get("incident").unwrap_or(data);
    match about.get("number").and_then(Value::as_u64) {
        Some(number) => format!("incident #{number}"),
        None => {
            let named = [text(about, "summary"), text(about, "id")].into_iter().find(|name| !name.is_empty());
            format!("incident {}", plain(named.unwrap_or("without a number")))
        }
    }
}

fn reason(data: &Value) -> String {
    data.get("resolve_reason").map(|reason| plain(text(reason, "type"))).unwrap_or_default()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// One line, not too long.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect()
}
