//! The API's verbs, and that what describes it is true.

use serde_json::{Value, json};

use super::desk::Desk;
use super::{delivery, start};
use crate::support::app::{App, event, eventually, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::smtp_peer::{Setup, SmtpPeer};

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn events_are_listed_newest_first_and_filtered() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    for (id, kind) in [("evt_1", "release.live"), ("evt_2", "release.rejected"), ("evt_3", "track.uploaded")] {
        app.send(&event(id, kind)).await;
    }
    for (query, expected) in [
        ("", vec!["evt_3", "evt_2", "evt_1"]),
        ("?type=release.live", vec!["evt_1"]),
        ("?type=release.*", vec!["evt_2", "evt_1"]),
        ("?type=*", vec!["evt_3", "evt_2", "evt_1"]),
        ("?type=release", vec![]),
        ("?source=jewelmusic&limit=1", vec!["evt_3"]),
        ("?source=other", vec![]),
        ("?before=2", vec!["evt_1"]),
        ("?limit=0", vec![]),
        ("?limit=1000", vec!["evt_3", "evt_2", "evt_1"]),
        ("?since=2026-01-05T10:00:00Z", vec!["evt_3", "evt_2", "evt_1"]),
        ("?until=2026-01-05T10:00:00Z", vec![]),
    ] {
        assert_eq!(ids(&app.json(&format!("/api/v1/events{query}")).await), expected, "{query}");
    }
    for query in ["?limit=-1", "?limit=1001", "?limit=many", "?since=yesterday", "?tpye=release.live", "?before=x"] {
        let answer = app.ask("GET", &format!("/api/v1/events{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{query}");
    }
    app.end().await;
}

#[tokio::test]
async fn an_event_is_shown_with_what_became_of_it() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let made = delivery(&app, &peer, "evt_1", "delivered").await;
    for id in ["evt_1", "1"] {
        let seen = app.json(&format!("/api/v1/events/{id}")).await;
        assert_eq!(seen["id"], "evt_1");
        assert_eq!(seen["source"], "jewelmusic");
        assert_eq!(seen["body"]["data"]["label"], "Warp");
        assert_eq!(seen["proof"], "jewelmusic:sha256 secret 1");
        assert_eq!(
            (&seen["rules"][0]["rule"], &seen["rules"][0]["outcome"]),
            (&"everything".into(), &"matched".into())
        );
        assert_eq!(ids(&seen["deliveries"]), [made.as_str()]);
        assert_eq!(seen["conflicts"], json!([]));
    }
    for id in ["evt_9", "9", "-1", "99999999999999999999", "%00", "a%2Fb", "%ff"] {
        let answer = app.ask("GET", &format!("/api/v1/events/{id}")).await;
        assert!(matches!(answer.status, 400 | 404), "{id}: {}", answer.status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{id}: {}", answer.text());
    }
    app.end().await;
}

#[tokio::test]
async fn an_id_like_a_place_hides_nothing() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    for id in ["2", "evt_b", "a/b?c#d é"] {
        assert_eq!(app.send(&event(id, "release.live")).await.status, 200);
    }
    assert_eq!(app.json("/api/v1/events/2").await["seq"], 1, "an id comes before a place");
    assert_eq!(app.json("/api/v1/events/a%2Fb%3Fc%23d%20%C3%A9").await["seq"], 3);
    let page = app.ask("GET", "/events/2").await.text();
    assert!(page.contains("evt_b"), "the page's links are places: {page}");
    app.end().await;
}

#[tokio::test]
async fn deliveries_are_listed_and_filtered() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let one = delivery(&app, &peer, "evt_1", "delivered").await;
    let two = delivery(&app, &peer, "evt_2", "dead").await;
    let three = delivery(&app, &peer, "evt_3", "retrying").await;
    for (query, expected) in [
        ("?state=delivered", vec![&one]),
        ("?state=dead,retrying", vec![&three, &two]),
        ("?event=evt_2", vec![&two]),
        ("?rule=everything&destination=ledger", vec![&three, &two, &one]),
        ("?rule=nothing", vec![]),
        ("?destination=nowhere", vec![]),
        ("?skip=1&limit=1", vec![&two]),
        ("?since=2026-01-05T10:00:00Z", vec![&three, &two, &one]),
    ] {
        assert_eq!(ids(&app.json(&format!("/api/v1/deliveries{query}")).await), expected, "{query}");
    }
    assert_eq!(app.ask("GET", "/api/v1/deliveries?state=lost").await.status, 400);
    assert_eq!(app.ask("GET", "/api/v1/deliveries?event=evt_9").await.status, 404);
    let seen = app.json(&format!("/api/v1/deliveries/{two}")).await;
    assert_eq!((&seen["state"], &seen["attempts"]), (&"dead".into(), &1.into()));
    assert!(seen["last_error"].as_str().unwrap().contains("400"), "{seen}");
    assert_eq!(seen["attempts_made"][0]["outcome"], "permanent");
    assert_eq!(app.ask("GET", "/api/v1/deliveries/dlv_none").await.status, 404);
    app.end().await;
}

/// A list, a page of three at a time, from the first to the one that is empty; `cursor` is the parameter of the next page,
/// and the member of the last item that it takes. `first` is where the first page begins.
async fn pages(app: &App, path: &str, first: &str, cursor: (&str, &str)) -> Vec<Vec<Value>> {
    let mut pages: Vec<Vec<Value>> = Vec::new();
    let mut from = first.to_owned();
    loop {
        let page = app.json(&format!("/api/v1/{path}?limit=3{from}")).await;
        let page = page.as_array().unwrap().clone();
        if let Some(last) = page.last() {
            let last = last[cursor.1].as_str().map_or_else(|| last[cursor.1].to_string(), str::to_owned);
            from = format!("&{}={}", cursor.0, last.replace('/', "%2F"));
        }
        pages.push(page);
        if pages.last().is_some_and(Vec::is_empty) {
            return pages;
        }
    }
}

#[tokio::test]
async fn every_list_is_read_to_its_end_page_by_page_however_long_it_is() {
    let peer = HttpPeer::start().await;
    let rules = "rules: [{name: cases, events: 'case.*', case: $.id, actions: {to: ledger}}]\n";
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), rules)).await;
    let lists = [
        ("events", "", ("before", "seq")),
        ("events", "&after=0", ("after", "seq")),
        ("deliveries", "", ("before", "id")),
        ("cases", "", ("after", "id")),
        ("audit", "", ("before", "id")),
    ];
    for count in 0..=4 {
        for (path, first, cursor) in lists {
            let pages = pages(&app, path, first, cursor).await;
            let all: Vec<String> = pages.iter().flatten().map(|item| item[cursor.1].to_string()).collect();
            let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
            assert_eq!((all.len(), distinct.len()), (count, count), "{path} by {cursor:?}: {all:?}");
            assert_eq!(pages.len(), count.div_ceil(3) + 1, "{path} by {cursor:?}");
        }
        let key = format!("c{count}");
        case(&app, &key).await;
        eventually("sent", async || {
            let sent = app.json("/api/v1/deliveries?state=delivered").await;
            (sent.as_array().unwrap().len() == count + 1).then_some(())
        })
        .await;
        assert_eq!(app.ask("POST", &format!("/api/v1/cases/cases%2F{key}/ack?by=ana")).await.status, 200);
        eventually("acknowledged", async || {
            (app.json(&format!("/api/v1/cases/{key}")).await["acked_by"] == "ana").then_some(())
        })
        .await;
    }
    app.end().await;
}

async fn state(app: &App, id: &str) -> Value {
    app.json(&format!("/api/v1/deliveries/{id}")).await["state"].clone()
}

#[tokio::test]
async fn a_dead_delivery_is_retried_at_a_persons_word() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let dead = delivery(&app, &peer, "evt_1", "dead").await;
    let answer = app.ask("POST", &format!("/api/v1/deliveries/{dead}/retry")).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"retried": 1})));
    eventually("delivered", async || (state(&app, &dead).await == "delivered").then_some(())).await;
    let requests = peer.requests();
    assert_eq!(requests[0].header("idempotency-key"), requests[1].header("idempotency-key"));
    for id in [dead.as_str(), "dlv_none"] {
        assert_eq!(app.ask("POST", &format!("/api/v1/deliveries/{id}/retry")).await.status, 404, "{id}");
    }
    app.end().await;
}

#[tokio::test]
async fn a_waiting_delivery_is_cancelled_or_hurried() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let one = delivery(&app, &peer, "evt_1", "retrying").await;
    let two = delivery(&app, &peer, "evt_2", "retrying").await;
    assert_eq!(app.ask("POST", &format!("/api/v1/deliveries/{one}/cancel")).await.json(), json!({"cancelled": 1}));
    assert_eq!(state(&app, &one).await, "cancelled");
    assert_eq!(app.ask("POST", &format!("/api/v1/deliveries/{one}/cancel")).await.status, 404);
    assert_eq!(app.ask("POST", &format!("/api/v1/deliveries/{two}/retry")).await.status, 200);
    eventually("delivered", async || (state(&app, &two).await == "delivered").then_some(())).await;
    app.end().await;
}

#[tokio::test]
async fn a_replay_makes_what_is_missing_and_again_makes_it_anew() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let first = delivery(&app, &peer, "evt_1", "delivered").await;
    let planned = async |count: i64| {
        eventually("planned", async || (app.json("/api/v1/status").await["inbox"]["planned"] == count).then_some(()))
            .await;
    };
    assert_eq!(app.ask("POST", "/api/v1/events/evt_1/replay").await.json(), json!({"replayed": 1}));
    planned(3).await;
    assert_eq!(ids(&app.json("/api/v1/deliveries").await), [first.as_str()], "it is there already");
    assert_eq!(app.ask("POST", "/api/v1/events/evt_1/replay?again=true").await.status, 200);
    planned(5).await;
    let requests = soon("it is sent anew", peer.received(2)).await;
    assert_ne!(requests[0].header("idempotency-key"), requests[1].header("idempotency-key"));
    let other = app.ask("POST", "/api/v1/events/evt_1/replay?rule=everthing&again=true").await;
    let said = "there is no rule `everthing`; did you mean `everything`?";
    assert_eq!((other.status, other.json()["detail"].as_str()), (400, Some(said)));
    assert_eq!(app.ask("POST", "/api/v1/events/evt_9/replay").await.status, 404);
    assert_eq!(app.ask("POST", "/api/v1/events/evt_1/replay?agian=true").await.status, 400);
    app.end().await;
}

#[tokio::test]
async fn destinations_are_shown_without_their_secrets() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let list = app.json("/api/v1/destinations").await;
    assert_eq!(list[0]["id"], "ledger");
    assert_eq!((&list[0]["type"], &list[0]["failing"]), (&"http".into(), &false.into()));
    assert!(list[0]["address"].as_str().unwrap().contains("127.0.0.1"), "{list}");
    app.end().await;
}

/// A program on which everything that the API shows exists: [`EVERYTHING`], and a rule with cases.
async fn start_with_cases(peer: &HttpPeer) -> App {
    let config = CONFIG.replace("{first: 1s, max: 1s}", "{first: 1h, max: 1h}");
    let config = format!("links: {{url: \"https://hooks.label.example\"}}{config}");
    let rules = format!("{EVERYTHING}  - {{name: cases, events: 'case.*', case: $.id, actions: {{to: ledger}}}}\n");
    let rules = format!(
        "{rules}  - {{name: list, events: 'list.*', actions: {{to: ledger, digest: {{every: 8h, per: $.id}}}}}}\n"
    );
    App::start(Folder::new(&config, &peer.url("/ledger"), &rules)).await
}

#[tokio::test]
async fn what_describes_the_api_is_true_of_it() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(503));
    let app = start_with_cases(&peer).await;
    let made = delivery(&app, &peer, "evt_1", "retrying").await;
    let document = app.json("/api/v1/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 9);
    // The stream doesn't end by itself; what pages do with it, the browser's tests show.
    for (path, methods) in paths.iter().filter(|(path, _)| *path != "/stream") {
        for (method, operation) in methods.as_object().unwrap() {
            let own = format!("evt_{}", path.replace(['/', '{', '}'], "_"));
            // They need a sender with an API, and a rule that floods.
            if path.starts_with("/floods/") || (path == "/backfills" && method == "post") {
                continue;
            }
            let id = match (path.split('/').nth(1).unwrap(), method.as_str()) {
                ("deliveries", "post") if path.contains("{id}") => delivery(&app, &peer, &own, "retrying").await,
                ("deliveries", _) => made.clone(),
                ("cases", _) => case(&app, &own).await,
                ("upcoming", "post") => digest(&app, &own).await,
                ("mutes", "post") => mute(&app).await,
                ("destinations", "post") => "ledger".to_owned(),
                _ => "evt_1".to_owned(),
            };
            let target = format!("/api/v1{}", path.replace("{id}", &id));
            let query: Vec<String> = parameters(operation, "query").iter().map(example).collect();
            assert_eq!(parameters(operation, "path").len(), path.matches('{').count(), "{method} {path}");
            let all = [query.join("&")];
            let each = query.iter().map(String::as_str).chain(["", &all[0]]);
            // A change is asked for once.
            let queries = if method == "post" { vec![all[0].as_str()] } else { each.collect() };
            for query in queries {
                let body = &operation["requestBody"]["content"]["application/json"]["example"];
                let answer = app.send_json(&method.to_uppercase(), &format!("{target}?{query}"), body).await;
                let has = operation["responses"].as_object().unwrap();
                assert!(answer.status == 200, "{method} {path}?{query}: {}", answer.text());
                let told = &has[&answer.status.to_string()]["content"]["application/json"]["schema"];
                assert_fits(&document, told, &answer.json(), &format!("{method} {path}?{query}"));
            }
            assert_ne!(app.ask("PATCH", &target).await.status, 200);
        }
    }
    references(&document, &document);
    app.end().await;
}

/// Whether an answer is what the document says.
fn assert_fits(document: &Value, schema: &Value, answer: &Value, call: &str) {
    assert!(!schema.is_null(), "{call}: the document says nothing of the answer");
    let whole = json!({"allOf": [schema], "components": document["components"]});
    let validator = jsonschema::validator_for(&whole).unwrap();
    let wrong: Vec<String> =
        validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{call}: {}\n{answer:#}", wrong.join("\n"));
}

/// Mutes something and gives the mute's id.
async fn mute(app: &App) -> String {
    let asked = json!({"rule": "cases", "reason": "a test", "by": "ana", "for": "1h"});
    let made = app.send_json("POST", "/api/v1/mutes", &asked).await.json();
    let id = made["id"].as_str().unwrap().to_owned();
    eventually("muted", async || {
        let found = app.json("/api/v1/mutes").await;
        found.as_array().unwrap().iter().any(|mute| mute["id"] == id.as_str()).then_some(id.clone())
    })
    .await
}

/// Opens a case and gives its key.
async fn case(app: &App, key: &str) -> String {
    assert_eq!(app.send(&event(key, "case.opened")).await.status, 200);
    eventually("open", async || {
        let found = app.json(&format!("/api/v1/cases?key={key}")).await;
        found[0]["key"].as_str().map(str::to_owned)
    })
    .await
}

/// A digest that waits, with this event in it.
async fn digest(app: &App, id: &str) -> String {
    assert_eq!(app.send(&event(id, "list.grows")).await.status, 200);
    let found = eventually("it waits", async || {
        let waiting = app.json("/api/v1/upcoming?limit=1000").await;
        let ids: Vec<String> = ids(&waiting).into_iter().map(str::to_owned).collect();
        ids.into_iter().find(|waits| waits.contains(&format!("/{id}/")))
    })
    .await;
    found.replace('%', "%25").replace('/', "%2F")
}

fn parameters(operation: &Value, place: &str) -> Vec<Value> {
    let all = operation["parameters"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|parameter| parameter["in"] == place).collect()
}

/// A query that the schema of a parameter allows.
fn example(parameter: &Value) -> String {
    let name = parameter["name"].as_str().unwrap();
    let schema = &parameter["schema"];
    let value = match (schema["type"].as_str().unwrap(), schema["format"].as_str()) {
        ("integer", _) => "1",
        ("boolean", _) => "true",
        (_, Some("date-time")) => "2026-01-05T10:00:00Z",
        _ => match name {
            "state" => "dead",
            "event" => "evt_1",
            "rule" => "cases",
            _ => "x",
        },
    };
    format!("{name}={value}")
}

fn references(value: &Value, document: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(to) = map.get("$ref") {
                let pointer = to.as_str().unwrap().trim_start_matches('#');
                assert!(document.pointer(pointer).is_some(), "{to} leads nowhere");
            }
            map.values().for_each(|value| references(value, document));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, document)),
        _ => {}
    }
}

#[tokio::test]
async fn a_mail_that_was_sent_is_shown_line_by_line_with_no_stray_character() {
    let mail = SmtpPeer::start(Setup::default()).await;
    let more =
        format!("  office: {{type: email, smtp: \"{}\", from: f@label.example, to: o@label.example}}\n", mail.url());
    let rules = "rules:\n  - {name: r, events: x, actions: {to: office, text: \"Ólöf Brim\\n\\nis **live**\"}}\n";
    let desk = Desk::start_with(rules, &more).await;
    desk.send("evt_1", "x", json!({})).await;
    soon("the mail", mail.received(1)).await;
    desk.planned().await;
    let id = desk.each("/api/v1/deliveries?rule=r", "id").await.remove(0);
    let shown = desk.run(&["deliveries", "show", &id]).await.good();
    assert!(!shown.contains(['\u{fffd}', '\r']), "{shown:?}");
    assert!(shown.contains("\n    Subject: ") && shown.contains("\n    MIME-Version: 1.0\n"), "{shown}");
    desk.app.end().await;
}

#[tokio::test]
async fn a_list_names_its_next_page_and_the_pages_neither_skip_nor_repeat() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    for n in 0..7 {
        delivery(&app, &peer, &format!("evt_{n}"), "delivered").await;
    }
    for (list, member, count) in
        [("events", "id", 7), ("deliveries", "event", 7), ("audit", "id", 0), ("cases", "id", 0)]
    {
        let mut next = Some(format!("/api/v1/{list}?limit=3"));
        let (mut seen, mut pages) = (Vec::new(), 0);
        while let Some(path) = next {
            let answer = app.ask("GET", &path).await;
            assert_eq!(answer.status, 200, "{path}");
            seen.extend(answer.json().as_array().unwrap().iter().map(|one| one[member].to_string()));
            // What arrives meanwhile is on no later page.
            assert_eq!(app.send(&event(&format!("{list}_{pages}"), "release.late")).await.status, 200);
            pages += 1;
            next = answer.header("link").map(|link| {
                let (path, rel) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
                assert_eq!(rel, "; rel=\"next\"");
                path.to_owned()
            });
        }
        if list == "events" {
            let expected: Vec<String> = (0..7).rev().map(|n| format!("\"evt_{n}\"")).collect();
            assert_eq!((&seen, pages), (&expected, 3), "{list}");
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "{list} repeats: {seen:?}");
        assert!(seen.len() >= count, "{list} skips: {seen:?}");
    }
    app.end().await;
}
