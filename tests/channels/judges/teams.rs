//! A workflow of Microsoft Teams, and the Adaptive Card that it posts: every element of version 1.4 that Teams draws, with
//! the properties that it has, and the size of a message.
//!
//! The real workflow queues everything and fails later, unseen. This one refuses at once.

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::discord::markup;
use super::{Judge, Rate, Service, keys, long, skeleton, texts};
use crate::support::http_peer::{Answer, Recorded};

/// The workflow's path.
pub const PATH: &str = "/powerautomate/automations/direct/workflows/0123456789abcdef/triggers/manual/paths/invoke";
/// What must come with it.
pub const QUERY: &str =
    "api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=FAKE-q7ZkT4mW9sB2xN6vC1aaaaaaaaaaaaaaaaaaaaaa";

/// The workflow and its channel.
#[derive(Debug, Clone, Default)]
pub struct Teams {
    /// The cards in the channel, oldest first.
    pub cards: Vec<Value>,
    pings: Vec<String>,
    refusals: Vec<String>,
}

type Checked<T = ()> = Result<T, String>;

impl Teams {
    fn post(&mut self, request: &Recorded) -> Checked {
        if request.method != "POST" || request.target != format!("{PATH}?{QUERY}") {
            return Err(format!("{} {}", request.method, request.target));
        }
        if request.header("content-type") != Some("application/json") {
            return Err("no JSON by its Content-Type".into());
        }
        let size: usize = String::from_utf8_lossy(&request.body)
            .chars()
            .map(|c| if c.is_ascii() { 1 } else { 6 * c.len_utf16() })
            .sum();
        if size > 28 * 1024 {
            return Err(format!("Request Entity too large: {size}"));
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| "no JSON")?;
        let body = object(&body)?;
        keys(body, &["type", "attachments"])?;
        let attachments = body.get("attachments").and_then(Value::as_array).ok_or("no `attachments` to go through")?;
        if body.get("type") != Some(&json!("message")) || attachments.len() != 1 {
            return Err("not one card in a message".into());
        }
        let attachment = object(&attachments[0])?;
        keys(attachment, &["contentType", "contentUrl", "content"])?;
        if attachment.get("contentType") != Some(&json!("application/vnd.microsoft.card.adaptive")) {
            return Err("the attachment is no Adaptive Card".into());
        }
        let card = object(attachment.get("content").unwrap_or(&Value::Null))?;
        self.pings.extend(check(card)?);
        self.cards.push(Value::Object(card.clone()));
        Ok(())
    }
}

/// Whom a card mentions, if it is in order.
fn check(card: &Map<String, Value>) -> Checked<Vec<String>> {
    keys(card, &["$schema", "type", "version", "body", "actions", "msteams"])?;
    if card.get("type") != Some(&json!("AdaptiveCard")) || card.get("version") != Some(&json!("1.4")) {
        return Err("not an Adaptive Card 1.4".into());
    }
    let body = card.get("body").and_then(Value::as_array).filter(|body| !body.is_empty()).ok_or("no body")?;
    let mut markdown = Vec::new();
    body.iter().try_for_each(|element| check_element(element, &mut markdown))?;
    let actions = card.get("actions").map(|actions| actions.as_array().cloned().unwrap_or_default());
    if actions.as_ref().is_some_and(|actions| !(1..=6).contains(&actions.len())) {
        return Err("not 1 to 6 actions".into());
    }
    actions.iter().flatten().try_for_each(|action| check_action(action, true))?;
    let teams = object(card.get("msteams").unwrap_or(&Value::Null))?;
    keys(teams, &["width", "entities"])?;
    let mut pings = Vec::new();
    for entity in teams.get("entities").and_then(Value::as_array).into_iter().flatten() {
        let text = text_of(entity, "text")?;
        if entity["type"] != "mention" || text_of(&entity["mentioned"], "id")?.is_empty() {
            return Err(format!("an entity is no mention: {entity}"));
        }
        // Every place that says so becomes a mention.
        let count: usize = markdown.iter().map(|said: &String| said.matches(text).count()).sum();
        if count == 0 {
            return Err(format!("`{text}` stands nowhere"));
        }
        pings.extend(vec![text.to_owned(); count]);
    }
    Ok(pings)
}

fn check_element(element: &Value, markdown: &mut Vec<String>) -> Checked {
    let map = object(element)?;
    let kind = text_of(element, "type")?;
    let known: &[&str] = match kind {
        "TextBlock" => &["type", "text", "wrap", "weight", "size", "isSubtle", "color", "spacing"],
        "RichTextBlock" => &["type", "inlines", "spacing"],
        "Container" => &["type", "style", "bleed", "items", "spacing"],
        "Image" => &["type", "url", "altText", "size", "spacing"],
        other => return Err(format!("no element `{other}` in 1.4")),
    };
    keys(map, known)?;
    one_of(map, "spacing", &["None", "Small", "Default", "Medium", "Large"])?;
    match kind {
        "TextBlock" => {
            if element["wrap"] != true || text_of(element, "text")?.trim().is_empty() {
                return Err("a TextBlock that is empty or doesn't wrap".into());
            }
            markdown.push(text_of(element, "text")?.to_owned());
            Ok(())
        }
        "RichTextBlock" => {
            let inlines = element["inlines"].as_array().filter(|inlines| !inlines.is_empty()).ok_or("no inlines")?;
            inlines.iter().try_for_each(check_run)
        }
        "Container" => {
            one_of(map, "style", &["default", "emphasis", "good", "attention", "warning", "accent"])?;
            let items = element["items"].as_array().ok_or("a container without items")?;
            items.iter().try_for_each(|item| check_element(item, markdown))
        }
        _ => {
            one_of(map, "size", &["Auto", "Stretch", "Small", "Medium", "Large"])?;
            web(text_of(element, "url")?, "https://")
        }
    }
}

fn check_run(run: &Value) -> Checked {
    let known = ["type", "text", "weight", "italic", "strikethrough", "fontType", "size", "isSubtle", "selectAction"];
    let map = object(run)?;
    keys(map, &known)?;
    one_of(map, "weight", &["Lighter", "Default", "Bolder"])?;
    one_of(map, "fontType", &["Default", "Monospace"])?;
    one_of(map, "size", &["Small", "Default", "Medium", "Large"])?;
    let text = text_of(run, "text")?;
    if run["type"] != "TextRun" || text.is_empty() || text.contains('\n') {
        return Err(format!("not a run of text in one line: {run}"));
    }
    map.get("selectAction").map_or(Ok(()), |action| check_action(action, false))
}

fn check_action(action: &Value, is_button: bool) -> Checked {
    keys(object(action)?, &["type", "title", "url"])?;
    if action["type"] != "Action.OpenUrl" || (is_button && text_of(action, "title")?.is_empty()) {
        return Err(format!("a webhook can't have the action {action}"));
    }
    web(text_of(action, "url")?, "http")
}

fn web(url: &str, start: &str) -> Checked {
    if url.starts_with(start) && url::Url::parse(url).is_ok() { Ok(()) } else { Err(format!("{url} is no such URL")) }
}

fn one_of(map: &Map<String, Value>, key: &str, known: &[&str]) -> Checked {
    match map.get(key).map(|value| value.as_str().unwrap_or_default()) {
        Some(value) if !known.contains(&value) => Err(format!("{key} is `{value}`")),
        _ => Ok(()),
    }
}

fn object(value: &Value) -> Checked<&Map<String, Value>> {
    value.as_object().ok_or_else(|| format!("{value} is no object"))
}

fn text_of<'v>(value: &'v Value, key: &str) -> Checked<&'v str> {
    value[key].as_str().ok_or_else(|| format!("no `{key}` in {value}"))
}

impl Service for Teams {
    fn serve(&mut self, request: &Recorded) -> Answer {
        match self.post(request) {
            Ok(()) => Answer::status(202),
            Err(why) => {
                self.refusals.push(why.clone());
                Answer::status(400).json(&json!({"error": {"code": "TriggerInputSchemaMismatch", "message": why}}))
            }
        }
    }
}

impl Judge for Teams {
    fn answer(&mut self, request: &Request) -> Reply {
        self.judge(request)
    }

    fn refusals(&self) -> &[String] {
        &self.refusals
    }

    fn pings(&self) -> Vec<String> {
        self.pings.clone()
    }

    fn limited(&self, _wait: SignedDuration) -> (Reply, SignedDuration) {
        // Hidden in a success, and without a time.
        let said = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId x";
        (Answer::status(200).body(said).reply(), SignedDuration::from_mins(1))
    }

    fn rate(&self) -> Option<Rate> {
        // Four a second, and sixty in thirty seconds.
        Some(Rate::ms(4, 500))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        let block = |text: String| json!({"type": "TextBlock", "text": text, "wrap": true});
        let mut card = json!({"type": "AdaptiveCard", "version": "1.4", "body": [block("t".into())], "msteams": {}});
        let action = json!({"type": "Action.OpenUrl", "title": "t", "url": "https://a.example/"});
        let whole = |card: &Value| {
            json!({"type": "message", "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
            }]})
        };
        match of {
            "the buttons of a card" => card["actions"] = vec![action; size].into(),
            "the whole message, with 6 bytes for each character beyond ASCII" => {
                let rest = size - whole(&card).to_string().len() + 1;
                card["body"] = json!([block(long(rest))]);
            }
            other => panic!("`{other}` has no limit here"),
        }
        let url = Secret::new(format!("https://flow.example{PATH}?{QUERY}"));
        Request::Http(HttpRequest::json("POST", url, &whole(&card)))
    }

    fn shown(&self, request: &Request) -> String {
        texts(request, |spot| {
            let is_markdown = spot.object.get("type") == Some(&json!("TextBlock"));
            Some(if is_markdown { markup::shown(spot.text).replace('\u{200b}', "") } else { spot.text.to_owned() })
        })
    }

    fn form(&self, request: &Request) -> Value {
        skeleton(request, &|spot| {
            let is_markdown = spot.object.get("type") == Some(&json!("TextBlock")) && spot.key == "text";
            if is_markdown { markup::markdown_signs(spot.text).into() } else { "text".into() }
        })
    }
}
