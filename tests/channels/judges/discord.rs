//! Discord's webhooks on loopback: posting and editing, with every documented limit checked.
//!
//! ```ignore
//! let peer = DiscordPeer::start().await;
//! // webhook_url: peer.webhook_url()
//! peer.http.answer(discord_peer::limited(0.65));       // misbehaves once, see `HttpPeer`
//! assert_eq!(peer.discord().messages[0].pings, ["<@123456789012345678>"]);
//! peer.assert_clean();                                 // nothing was refused
//! ```

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use url::Url;

use super::{Judge, Peer, Rate, Service, long, skeleton, texts, units};
use crate::support::http_peer::{Answer, Recorded};

pub(super) mod markup;

/// The webhook's id.
pub const WEBHOOK_ID: &str = "123456789012345678";
/// The webhook's path, its token included.
pub const WEBHOOK: &str = "/api/webhooks/123456789012345678/FAKE-xJ3vQ0yT8wRkN5bZ1cL7dM2pS4aG6hUe";
/// The webhook's channel.
pub const CHANNEL: &str = "345678901234567890";

/// The service behind a server.
pub type DiscordPeer = Peer<Discord>;

impl DiscordPeer {
    /// The webhook's URL.
    pub fn webhook_url(&self) -> String {
        self.http.url(WEBHOOK)
    }

    /// The service as it stands.
    pub fn discord(&self) -> Discord {
        self.service()
    }

    /// Somebody deletes all messages.
    pub fn forget(&self) {
        self.change(|discord| {
            discord.deleted += discord.messages.len();
            discord.messages.clear();
        });
    }
}

/// Discord's 429.
pub fn limited(seconds: f64) -> Answer {
    Answer::status(429)
        .header("Retry-After", &seconds.ceil().to_string())
        .json(&json!({"message": "You are being rate limited.", "retry_after": seconds, "global": false}))
}

/// A message that stands in a channel or thread.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    /// The channel, or the thread.
    pub channel: String,
    pub content: String,
    pub embeds: Vec<Value>,
    /// Whom it pinged, as the content says it.
    pub pings: Vec<String>,
    /// How often it was edited.
    pub edits: u32,
}

impl Message {
    /// The title of its first embed, as people see it.
    pub fn title(&self) -> String {
        let title = self.embeds.first().and_then(|embed| embed["title"].as_str()).unwrap_or_default();
        title.replace('\\', "")
    }
}

/// The service.
#[derive(Debug, Clone, Default)]
pub struct Discord {
    /// All messages, oldest first.
    pub messages: Vec<Message>,
    /// How many stood here once: no id is given twice.
    pub deleted: usize,
    /// Why requests were refused: Discord's code, and what was wrong.
    pub refusals: Vec<String>,
}

/// A status, Discord's code, and what is wrong.
struct Refusal(u16, u32, String);

type Checked<T = ()> = Result<T, Refusal>;

fn malformed<T>(why: impl Into<String>) -> Checked<T> {
    Err(Refusal(400, 50_035, why.into()))
}

impl Discord {
    fn route(&mut self, request: &Recorded) -> Checked<Option<Message>> {
        let url = Url::parse(&format!("http://peer{}", request.target)).expect("the target is a path and a query");
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let of = |key: &str| query.iter().find(|(found, _)| found == key).map(|(_, value)| value.clone());
        if let Some((key, _)) = query.iter().find(|(key, _)| !["wait", "thread_id"].contains(&key.as_str())) {
            return malformed(format!("unknown query `{key}`"));
        }
        let Some(rest) = url.path().strip_prefix(WEBHOOK) else {
            return Err(Refusal(404, 10_015, "Unknown Webhook".into()));
        };
        let thread = of("thread_id");
        if thread.as_ref().is_some_and(|id| !is_snowflake(id)) {
            return malformed("thread_id is not a snowflake");
        }
        let channel = thread.unwrap_or_else(|| CHANNEL.to_owned());
        match (request.method.as_str(), rest.strip_prefix("/messages/")) {
            ("POST", None) if rest.is_empty() => {
                let message = self.post(request, channel)?;
                Ok((of("wait").as_deref() == Some("true")).then_some(message))
            }
            ("PATCH", Some(id)) => self.edit(request, id, &channel).map(Some),
            (method, _) => Err(Refusal(405, 0, format!("{method} {rest}"))),
        }
    }

    fn post(&mut self, request: &Recorded, channel: String) -> Checked<Message> {
        let said = body(request, &["content", "embeds", "components", "flags", "username", "allowed_mentions"])?;
        let message = Message {
            id: format!("8000000000000000{:02}", self.messages.len() + self.deleted),
            channel,
            content: content(&said)?,
            embeds: embeds(&said)?,
            pings: pings(&said)?,
            edits: 0,
        };
        if message.content.trim().is_empty() && message.embeds.is_empty() {
            return Err(Refusal(400, 50_006, "Cannot send an empty message".into()));
        }
        self.messages.push(message.clone());
        Ok(message)
    }

    fn edit(&mut self, request: &Recorded, id: &str, channel: &str) -> Checked<Message> {
        let said = body(request, &["content", "embeds", "components", "flags", "allowed_mentions"])?;
        let (content, embeds, pings) = (content(&said)?, embeds(&said)?, pings(&said)?);
        let Some(message) = self.messages.iter_mut().find(|message| message.id == id && message.channel == channel)
        else {
            return Err(Refusal(404, 10_008, "Unknown Message".into()));
        };
        // What isn't named stays.
        if said.contains_key("content") {
            message.content = content;
        }
        if said.contains_key("embeds") {
            message.embeds = embeds;
        }
        message.pings.extend(pings);
        message.edits += 1;
        Ok(message.clone())
    }
}

fn body(request: &Recorded, known: &[&str]) -> Checked<Map<String, Value>> {
    if request.header("content-type") != Some("application/json") {
        return malformed("no JSON by its Content-Type");
    }
    let Ok(Value::Object(said)) = serde_json::from_slice(&request.body) else {
        return Err(Refusal(400, 50_109, "The request body contains invalid JSON.".into()));
    };
    keys(&said, known)?;
    if let Some(username) = said.get("username") {
        text(Some(username), 80)?;
    }
    Ok(said)
}

fn content(said: &Map<String, Value>) -> Checked<String> {
    match said.get("content") {
        None => Ok(String::new()),
        Some(Value::String(content)) if units(content) <= 2000 => Ok(content.clone()),
        Some(Value::String(content)) => malformed(format!("content of {} characters", units(content))),
        Some(other) => malformed(format!("content is {other}")),
    }
}

fn embeds(said: &Map<String, Value>) -> Checked<Vec<Value>> {
    let embeds = match said.get("embeds") {
        None => return Ok(Vec::new()),
        Some(Value::Array(embeds)) if embeds.len() <= 10 => embeds,
        Some(_) => return malformed("embeds is not a list of at most 10"),
    };
    let mut sum = 0;
    for value in embeds {
        let Some(embed) = value.as_object() else { return malformed("an embed is not an object") };
        keys(embed, &["title", "description", "url", "color", "fields", "image", "footer", "timestamp"])?;
        sum += optional(embed, "title", 256)? + optional(embed, "description", 4096)?;
        if let Some(url) = embed.get("url") {
            web(url)?;
        }
        if embed.get("color").is_some_and(|colour| colour.as_u64().is_none_or(|colour| colour > 0xFF_FFFF)) {
            return malformed("color");
        }
        if let Some(time) = embed.get("timestamp") {
            let time = time.as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
            if time.is_none() {
                return malformed("timestamp");
            }
        }
        if let Some(image) = embed.get("image") {
            web(image.get("url").unwrap_or(&Value::Null))?;
        }
        if let Some(footer) = embed.get("footer") {
            sum += text(footer.get("text"), 2048)?;
        }
        let fields = embed.get("fields").map(|fields| fields.as_array().cloned().unwrap_or_default());
        if fields.as_ref().is_some_and(|fields| fields.len() > 25) {
            return malformed("more than 25 fields");
        }
        for field in fields.into_iter().flatten() {
            keys(field.as_object().unwrap_or(&Map::new()), &["name", "value", "inline"])?;
            sum += text(field.get("name"), 256)? + text(field.get("value"), 1024)?;
        }
    }
    if sum > 6000 {
        return malformed(format!("{sum} characters in all embeds"));
    }
    Ok(embeds.clone())
}

/// Whom the content would ping: what stands in it, as far as `allowed_mentions` lets it. Backslashes don't help here.
fn pings(said: &Map<String, Value>) -> Checked<Vec<String>> {
    let Some(allowed) = said.get("allowed_mentions").and_then(Value::as_object) else {
        return malformed("no allowed_mentions: every mention in a value would ping");
    };
    keys(allowed, &["parse", "users", "roles"])?;
    let Some(parse) = allowed.get("parse").and_then(Value::as_array) else { return malformed("no parse") };
    if let Some(other) = parse.iter().find(|kind| kind.as_str() != Some("everyone")) {
        return malformed(format!("parse {other}: mentions in values would ping"));
    }
    let ids = |key: &str| {
        let ids = allowed.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        match ids.iter().find(|id| !id.as_str().is_some_and(is_snowflake)) {
            Some(id) => malformed(format!("{id} in {key}")),
            None => Ok(ids),
        }
    };
    let (users, roles) = (ids("users")?, ids("roles")?);
    let text = content(said)?;
    let mut pings = Vec::new();
    for word in ["@everyone", "@here"] {
        if !parse.is_empty() && text.contains(word) {
            pings.push(word.to_owned());
        }
    }
    for (ids, forms) in [(users, ["<@", "<@!"]), (roles, ["<@&", "<@&"])] {
        for id in ids.iter().filter_map(Value::as_str) {
            if let Some(form) = forms.iter().map(|form| format!("{form}{id}>")).find(|form| text.contains(form)) {
                pings.push(form);
            }
        }
    }
    Ok(pings)
}

fn optional(embed: &Map<String, Value>, key: &str, max: usize) -> Checked<usize> {
    match embed.get(key) {
        None => Ok(0),
        some => text(some, max),
    }
}

/// Discord trims what it counts, and refuses what is empty then.
fn text(value: Option<&Value>, max: usize) -> Checked<usize> {
    let Some(text) = value.and_then(Value::as_str) else { return malformed("text is missing") };
    let long = units(text.trim());
    if long == 0 || units(text) > max {
        return malformed(format!("text of {} characters, 1 to {max} allowed: {text}", units(text)));
    }
    Ok(units(text))
}

fn web(url: &Value) -> Checked {
    let text = url.as_str().unwrap_or_default();
    let is_web = (text.starts_with("https://") || text.starts_with("http://")) && Url::parse(text).is_ok();
    if is_web && units(text) <= 2048 { Ok(()) } else { malformed(format!("{url} is not a URL")) }
}

fn keys(map: &Map<String, Value>, known: &[&str]) -> Checked {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => malformed(format!("unknown key `{key}`")),
        None => Ok(()),
    }
}

fn is_snowflake(id: &str) -> bool {
    (15..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
}

impl Service for Discord {
    fn serve(&mut self, request: &Recorded) -> Answer {
        let done = self.route(request);
        match done {
            Ok(Some(message)) => Answer::status(200)
                .header("X-RateLimit-Limit", "5")
                .header("X-RateLimit-Remaining", "4")
                .header("X-RateLimit-Reset-After", "0.4")
                .json(&json!({
                    "id": message.id, "type": 0, "channel_id": message.channel, "webhook_id": WEBHOOK_ID,
                    "content": message.content, "embeds": message.embeds,
                })),
            Ok(None) => Answer::status(204),
            Err(Refusal(status, code, why)) => {
                self.refusals.push(format!("{code}: {why}"));
                Answer::status(status).json(&json!({"message": why, "code": code}))
            }
        }
    }
}

impl Judge for Discord {
    fn answer(&mut self, request: &Request) -> Reply {
        self.judge(request)
    }

    fn refusals(&self) -> &[String] {
        &self.refusals
    }

    fn pings(&self) -> Vec<String> {
        self.messages.iter().flat_map(|message| message.pings.clone()).collect()
    }

    fn limited(&self, wait: SignedDuration) -> (Reply, SignedDuration) {
        // The header rounds up what the body says.
        (limited(wait.as_secs_f64() - 0.35).reply(), wait)
    }

    fn rate(&self) -> Option<Rate> {
        // Five in two seconds, for each webhook.
        Some(Rate::ms(5, 400))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        let embed = |more: Value| json!({"embeds": [more]});
        let fields = |name: String, value: String| json!({"fields": [{"name": name, "value": value}]});
        let mut body = match of {
            "`content`" => json!({"content": long(size)}),
            "an embed's `title`" => embed(json!({"title": long(size)})),
            "an embed's `description`" => embed(json!({"description": long(size)})),
            "an embed's `fields`" => embed(json!({"fields": vec![json!({"name": "n", "value": "v"}); size]})),
            "a field's `name`" => embed(fields(long(size), "v".into())),
            "a field's `value`" => embed(fields("n".into(), long(size))),
            "an embed's footer" => embed(json!({"footer": {"text": long(size)}})),
            "a URL" => embed(json!({"title": "t", "url": format!("https://a.example/{}", long(size - 18))})),
            "all texts of all embeds" => {
                json!({"embeds": [{"description": long(size / 2)}, {"description": long(size - size / 2)}]})
            }
            other => panic!("`{other}` has no limit here"),
        };
        body["allowed_mentions"] = json!({"parse": []});
        Request::Http(HttpRequest::json("POST", Secret::new(format!("https://discord.example{WEBHOOK}")), &body))
    }

    fn shown(&self, request: &Request) -> String {
        texts(request, |spot| Some(markup::shown(spot.text)))
    }

    fn form(&self, request: &Request) -> Value {
        skeleton(request, &|spot| markup::signs(spot.text).into())
    }
}
