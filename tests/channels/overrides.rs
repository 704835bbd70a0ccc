//! What an action says otherwise than its destination: how a message comes there, and never to whom.

use fanfare::channels::{ALL, Form, Request};
use serde_json::{Map, Value, json};

use super::destinations::{self, Destination};
use super::judges::{self, accept};
use crate::support::sending::Given;

/// What is sent with these overrides: query and body.
fn sent(destination: &Destination, overrides: &Value) -> (String, Value) {
    let overrides: Map<String, Value> = overrides.as_object().unwrap().clone();
    let given = Given { overrides, form: Form::Rich, ..Given::default() };
    let request = destination.channel.compose(&given.sending()).unwrap();
    accept(judges::of(destination.kind.name).as_mut(), &request);
    let Request::Http(http) = &request else { panic!("no HTTP") };
    (http.url.open().to_owned(), serde_json::from_slice(&http.body).unwrap())
}

#[test]
fn an_action_says_how_its_message_comes() {
    let of = |name: &str, overrides: Value| sent(&destinations::one(name), &overrides);
    let (url, _) = of("discord", json!({"thread_id": "345678901234567890"}));
    assert!(url.contains("thread_id=345678901234567890"), "{url}");
    let (_, body) = of("telegram", json!({"topic": 9, "silent": true}));
    assert_eq!((&body["message_thread_id"], &body["disable_notification"]), (&json!(9), &json!(true)));
    let (_, body) = of("telegram", json!({"topic": "9", "silent": false}));
    assert_eq!((&body["message_thread_id"], body.get("disable_notification")), (&json!(9), None));
    // `General` in a link; a message without a topic goes there.
    assert_eq!(of("telegram", json!({"topic": 1})).1.get("message_thread_id"), None);
    assert_eq!(of("ntfy", json!({"priority": 1})).1["priority"], 1);
    assert_eq!(of("jsm", json!({"priority": "P5"})).1["priority"], "P5");
    let (_, body) = of("mattermost", json!({"priority": "important"}));
    assert_eq!(body["metadata"]["priority"], json!({"priority": "important"}));
    let (_, body) = of("mattermost", json!({"priority": "urgent", "requested_ack": true}));
    assert_eq!(body["metadata"]["priority"], json!({"priority": "urgent", "requested_ack": true}));
    assert_eq!(of("mattermost", json!({"requested_ack": true})).1.get("metadata"), None);
    assert_eq!(of("mattermost-webhook", json!({"priority": "urgent"})).1["priority"], json!({"priority": "urgent"}));
}

#[test]
fn what_a_destination_does_not_take_changes_nothing_of_what_is_sent() {
    let wrong = json!({"priority": "loud", "topic": -1, "silent": "yes", "requested_ack": "yes", "thread_id": "x", "chat": "1", "to": "a",
        "channel": "#elsewhere", "webhook_url": "https://evil.example", "api_key": "x", "url": "https://evil.example"});
    for destination in destinations::all() {
        let compose = |overrides: &Value| {
            let given = Given { overrides: overrides.as_object().unwrap().clone(), ..Given::default() };
            format!(
                "{:?}",
                destination.channel.compose(&given.sending()).map(|request| match request {
                    Request::Http(http) => (http.url.open().to_owned(), http.body),
                    Request::Mail(mail) => (mail.envelope_to.join(","), Vec::new()),
                    Request::Nothing => (String::new(), Vec::new()),
                })
            )
        };
        assert_eq!(compose(&wrong), compose(&json!({})), "{}", destination.name);
    }
}

#[test]
fn nothing_that_decides_who_receives_a_message_can_be_overridden() {
    const WHO: [&str; 9] =
        ["webhook_url", "token", "channel", "chat", "to", "cc", "api_key", "routing_key", "responders"];
    for kind in ALL {
        let found = kind.overrides.iter().find(|one| WHO.contains(&one.name) || one.name.contains("url"));
        assert!(found.is_none(), "{}: {found:?}", kind.name);
    }
}
