//! Slack on loopback: an incoming webhook and the two methods of the Web API that Fanfare calls, with every documented
//! limit and the syntax of every block checked.
//!
//! ```ignore
//! let peer = SlackPeer::start().await;
//! // webhook_url: peer.webhook_url(), or token: slack_peer::TOKEN with url: peer.api()
//! peer.http.answer(Answer::status(429).header("Retry-After", "7"));    // misbehaves once, see `HttpPeer`
//! assert_eq!(peer.slack().posts[0].pings, ["<!here>"]);
//! peer.assert_clean();                                                 // nothing was refused
//! ```
//!
//! [`Slack`] is the workspace without the server, for tests of values: a request in, an answer out. What it can't know
//! of the real one (how much text is too much) it judges by the strictest number that users have met.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use super::http_peer::{Answer, HttpPeer, Recorded};

/// The bot's token.
pub const TOKEN: &str = "xoxb-000000000000-FAKE-q7ZkT4mW9sB2xN6vC1";
/// The webhook's path.
pub const WEBHOOK: &str = "/services/T0000FAKE/B0000FAKE/q7ZkT4mW9sB2xN6vC1aaaaaa";
/// The channel that the webhook posts to.
pub const WEBHOOK_CHANNEL: &str = "C0000HOOK";

/// The workspace behind a server.
pub struct SlackPeer {
    /// The server, to make it misbehave.
    pub http: HttpPeer,
    slack: Arc<Mutex<Slack>>,
}

impl SlackPeer {
    /// Starts one with the channels `#releases`, `#warp` and `#ninja`.
    pub async fn start() -> Self {
        let slack = Arc::new(Mutex::new(Slack::default()));
        let answering = slack.clone();
        let http = HttpPeer::serving(move |request| answering.lock().unwrap().answer(request)).await;
        Self { http, slack }
    }

    /// The webhook's URL.
    pub fn webhook_url(&self) -> String {
        self.http.url(WEBHOOK)
    }

    /// The Web API's URL.
    pub fn api(&self) -> String {
        self.http.url("/api")
    }

    /// The workspace as it stands.
    pub fn slack(&self) -> Slack {
        self.slack.lock().unwrap().clone()
    }

    /// Somebody deletes all messages.
    pub fn forget(&self) {
        let mut slack = self.slack.lock().unwrap();
        let gone: Vec<Post> = slack.posts.drain(..).collect();
        slack.deleted.extend(gone.into_iter().map(|post| post.ts));
    }

    /// Fails if anything was refused.
    pub fn assert_clean(&self) {
        assert!(self.slack().refusals.is_empty(), "Slack refused: {:#?}", self.slack().refusals);
    }
}

/// A message that stands in the workspace.
#[derive(Debug, Clone)]
pub struct Post {
    /// The channel's id.
    pub channel: String,
    /// Its id within the channel.
    pub ts: String,
    /// The message whose thread it is in.
    pub thread: Option<String>,
    /// Whether the channel sees it though it is in a thread.
    pub broadcast: bool,
    /// What notifications say.
    pub text: String,
    /// What people see.
    pub blocks: Vec<Value>,
    /// Whom it pinged, in Slack's notation.
    pub pings: Vec<String>,
    /// How often it was changed.
    pub updates: u32,
}

/// The workspace.
#[derive(Debug, Clone)]
pub struct Slack {
    /// Ids and names.
    pub channels: Vec<(&'static str, &'static str)>,
    /// All messages, oldest first.
    pub posts: Vec<Post>,
    /// What stood here once, by its id.
    pub deleted: Vec<String>,
    /// Why requests were refused: Slack's word, and what was wrong.
    pub refusals: Vec<String>,
}

impl Default for Slack {
    fn default() -> Self {
        let channels = vec![
            (WEBHOOK_CHANNEL, "#hook"),
            ("C0000RELS", "#releases"),
            ("C0000WARP", "#warp"),
            ("C0000NINJ", "#ninja"),
        ];
        Self { channels, posts: Vec::new(), deleted: Vec::new(), refusals: Vec::new() }
    }
}

/// Slack's word for what is wrong, and what that is.
struct Refusal(&'static str, String);

type Checked<T = ()> = Result<T, Refusal>;

fn refuse<T>(word: &'static str, why: impl Into<String>) -> Checked<T> {
    Err(Refusal(word, why.into()))
}

impl Slack {
    /// The messages that stand in the channel, and those in the thread of each, as people see them.
    pub fn threads(&self) -> Vec<(&Post, Vec<&Post>)> {
        let answers = |first: &Post| self.posts.iter().filter(|post| post.thread.as_ref() == Some(&first.ts)).collect();
        self.posts.iter().filter(|post| post.thread.is_none()).map(|first| (first, answers(first))).collect()
    }

    /// Answers as Slack does.
    pub fn answer(&mut self, request: &Recorded) -> Answer {
        let path = request.target.as_str();
        let done = match path {
            WEBHOOK => self.webhook(request),
            "/api/chat.postMessage" => self.authorised(request).and_then(|()| self.post(request, None)),
            "/api/chat.update" => self.authorised(request).and_then(|()| self.update(request)),
            _ => refuse("no_service", format!("nothing is at {path}")),
        };
        let is_api = path.starts_with("/api/");
        match done {
            Ok(post) if is_api => Answer::status(200).json(&json!({
                "ok": true, "channel": post.channel, "ts": post.ts,
                "message": {"type": "message", "ts": post.ts, "text": post.text, "blocks": post.blocks},
            })),
            Ok(_) => Answer::status(200).header("Content-Type", "text/html").body("ok"),
            Err(Refusal(word, why)) => {
                self.refusals.push(format!("{word}: {why}"));
                match word {
                    _ if is_api => Answer::status(200).json(&json!({
                        "ok": false, "error": word, "response_metadata": {"messages": [why]},
                    })),
                    "no_service" => Answer::status(404).body(word),
                    "invalid_token" => Answer::status(403).body(word),
                    _ => Answer::status(400).body(word),
                }
            }
        }
    }

    fn authorised(&self, request: &Recorded) -> Checked {
        match request.header("authorization") {
            Some(given) if given == format!("Bearer {TOKEN}") => Ok(()),
            None => refuse("not_authed", "no Authorization header"),
            Some(_) => refuse("invalid_auth", "another token"),
        }
    }

    fn webhook(&mut self, request: &Recorded) -> Checked<Post> {
        let said = body(request)?;
        for key in ["channel", "ts", "thread_ts", "reply_broadcast"] {
            if said.contains_key(key) {
                return refuse("invalid_payload", format!("a webhook takes no `{key}`"));
            }
        }
        self.post(request, Some(WEBHOOK_CHANNEL))
    }

    fn post(&mut self, request: &Recorded, channel: Option<&str>) -> Checked<Post> {
        let said = body(request)?;
        let channel = match channel {
            Some(channel) => channel.to_owned(),
            None => self.channel(&said)?,
        };
        let mut thread = said.get("thread_ts").and_then(Value::as_str).map(str::to_owned);
        // Slack takes an answer to what was deleted, and shows it in the channel.
        thread.take_if(|thread| self.deleted.contains(thread));
        if let Some(thread) = &thread
            && !self.posts.iter().any(|post| post.ts == *thread && post.channel == channel)
        {
            return refuse("thread_not_found", thread.clone());
        }
        let broadcast = said.get("reply_broadcast") == Some(&Value::Bool(true));
        if broadcast && !said.contains_key("thread_ts") {
            return refuse("invalid_arguments", "reply_broadcast without thread_ts");
        }
        for key in ["unfurl_links", "unfurl_media"] {
            if said.get(key) != Some(&Value::Bool(false)) {
                return refuse("invalid_arguments", format!("`{key}` isn't false: links of values would unfold"));
            }
        }
        let content = Content::read(&said)?;
        let post = Post {
            channel,
            ts: format!("17000000{:02}.000100", self.posts.len() + self.deleted.len()),
            thread,
            broadcast,
            text: content.text,
            blocks: content.blocks,
            pings: content.pings,
            updates: 0,
        };
        self.posts.push(post.clone());
        Ok(post)
    }

    fn update(&mut self, request: &Recorded) -> Checked<Post> {
        let said = body(request)?;
        let Some(channel) = said.get("channel").and_then(Value::as_str).filter(|channel| channel.starts_with('C'))
        else {
            return refuse("channel_not_found", "an update needs the channel's id");
        };
        for key in ["unfurl_links", "unfurl_media", "mrkdwn", "thread_ts"] {
            if said.contains_key(key) {
                return refuse("invalid_arguments", format!("an update takes no `{key}`"));
            }
        }
        let content = Content::read(&said)?;
        let ts = said.get("ts").and_then(Value::as_str).unwrap_or_default();
        match self.posts.iter_mut().find(|post| post.ts == ts && post.channel == channel) {
            None => refuse("message_not_found", ts),
            Some(post) => {
                post.text = content.text;
                post.blocks = content.blocks;
                post.updates += 1;
                // An edit pings nobody, but a mention in it would still be shown as one.
                post.pings.extend(content.pings);
                Ok(post.clone())
            }
        }
    }

    fn channel(&self, said: &Map<String, Value>) -> Checked<String> {
        let wanted = said.get("channel").and_then(Value::as_str).unwrap_or_default();
        match self.channels.iter().find(|(id, name)| wanted == *id || wanted == *name) {
            Some((id, _)) => Ok((*id).to_owned()),
            None => refuse("channel_not_found", wanted),
        }
    }
}

fn body(request: &Recorded) -> Checked<Map<String, Value>> {
    const KEYS: [&str; 12] = [
        "text",
        "blocks",
        "attachments",
        "mrkdwn",
        "unfurl_links",
        "unfurl_media",
        "link_names",
        "parse",
        "channel",
        "ts",
        "thread_ts",
        "reply_broadcast",
    ];
    if request.method != "POST" {
        return refuse("invalid_payload", format!("method {}", request.method));
    }
    if !request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return refuse("invalid_payload", "no JSON by its Content-Type");
    }
    let Ok(Value::Object(said)) = serde_json::from_slice(&request.body) else {
        return refuse("invalid_payload", "no JSON object");
    };
    match said.keys().find(|key| !KEYS.contains(&key.as_str())) {
        Some(key) => refuse("invalid_arguments", format!("unknown key `{key}`")),
        None => Ok(said),
    }
}

/// What a message says, checked.
struct Content {
    text: String,
    blocks: Vec<Value>,
    pings: Vec<String>,
}

impl Content {
    fn read(said: &Map<String, Value>) -> Checked<Self> {
        let text = said.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        let blocks = match said.get("blocks") {
            None => Vec::new(),
            Some(Value::Array(blocks)) => blocks.clone(),
            Some(_) => return refuse("invalid_blocks_format", "`blocks` is no list"),
        };
        if text.trim().is_empty() {
            return refuse("no_text", "no `text`, which notifications show");
        }
        if units(&text) > 4000 {
            return refuse("msg_too_long", format!("`text` has {} characters", units(&text)));
        }
        if said.get("link_names") == Some(&Value::Bool(true)) {
            return refuse("invalid_arguments", "`link_names` makes mentions of values");
        }
        let mut check = Check { pings: Vec::new(), units: 0 };
        check.mrkdwn(&text)?;
        let pings_of_text = std::mem::take(&mut check.pings);
        if blocks.len() > 50 {
            return refuse("invalid_blocks", format!("{} blocks", blocks.len()));
        }
        for block in &blocks {
            check.block(block)?;
        }
        if check.units > 9600 {
            return refuse("msg_blocks_too_long", format!("{} characters in all blocks", check.units));
        }
        // Beside blocks, a mention in `text` shows in notifications only.
        let pings = if blocks.is_empty() { pings_of_text } else { check.pings };
        Ok(Self { text, blocks, pings })
    }
}

struct Check {
    pings: Vec<String>,
    units: usize,
}

impl Check {
    fn block(&mut self, block: &Value) -> Checked {
        match kind(block)? {
            "header" => {
                keys(block, &["type", "text"])?;
                self.text_object(block.get("text"), &["plain_text"], 150)
            }
            "section" => {
                keys(block, &["type", "text", "fields"])?;
                let fields = block.get("fields").and_then(Value::as_array);
                if fields.is_none() || block.get("text").is_some() {
                    self.text_object(block.get("text"), &["plain_text", "mrkdwn"], 3000)?;
                }
                if fields.is_some_and(|fields| fields.is_empty() || fields.len() > 10) {
                    return refuse("invalid_blocks", "a section has 1 to 10 fields");
                }
                fields
                    .into_iter()
                    .flatten()
                    .try_for_each(|field| self.text_object(Some(field), &["plain_text", "mrkdwn"], 2000))
            }
            "context" => {
                keys(block, &["type", "elements"])?;
                let elements = list(block, "elements", 10)?;
                elements.iter().try_for_each(|text| self.text_object(Some(text), &["plain_text", "mrkdwn"], 3000))
            }
            "divider" => keys(block, &["type"]),
            "image" => {
                keys(block, &["type", "image_url", "alt_text"])?;
                self.url(block.get("image_url"))?;
                self.string(block.get("alt_text"), 2000).map(drop)
            }
            "rich_text" => {
                keys(block, &["type", "elements"])?;
                let before = self.units;
                list(block, "elements", usize::MAX)?.iter().try_for_each(|element| self.rich(element))?;
                if self.units - before > 3000 {
                    return refuse("invalid_blocks", "more than 3000 characters in one rich_text");
                }
                Ok(())
            }
            other => refuse("invalid_blocks", format!("a block of type `{other}`")),
        }
    }

    fn rich(&mut self, element: &Value) -> Checked {
        match kind(element)? {
            "rich_text_section" | "rich_text_quote" | "rich_text_preformatted" => {
                keys(element, &["type", "elements", "border"])?;
                list(element, "elements", usize::MAX)?.iter().try_for_each(|inline| self.inline(inline))
            }
            "rich_text_list" => {
                keys(element, &["type", "style", "indent", "offset", "border", "elements"])?;
                if !matches!(element.get("style").and_then(Value::as_str), Some("bullet" | "ordered")) {
                    return refuse("invalid_blocks", "a list is `bullet` or `ordered`");
                }
                if element.get("indent").is_some_and(|indent| indent.as_u64().is_none_or(|indent| indent > 8)) {
                    return refuse("invalid_blocks", "a list's indent is 0 to 8");
                }
                list(element, "elements", usize::MAX)?.iter().try_for_each(|item| match kind(item)? {
                    "rich_text_section" => self.rich(item),
                    other => refuse("invalid_blocks", format!("`{other}` as an item")),
                })
            }
            other => refuse("invalid_blocks", format!("`{other}` in rich_text")),
        }
    }

    fn inline(&mut self, inline: &Value) -> Checked {
        const STYLES: [&str; 4] = ["bold", "italic", "strike", "code"];
        if let Some(style) = inline.get("style") {
            keys(style, &STYLES)?;
            if style.as_object().is_some_and(|style| style.values().any(|value| !value.is_boolean())) {
                return refuse("invalid_blocks", "a style is true or false");
            }
        }
        match kind(inline)? {
            "text" => {
                keys(inline, &["type", "text", "style"])?;
                self.string(inline.get("text"), 3000).map(drop)
            }
            "link" => {
                keys(inline, &["type", "url", "text", "style"])?;
                if inline.get("text").is_some() {
                    self.string(inline.get("text"), 3000)?;
                }
                self.url(inline.get("url"))
            }
            "user" | "usergroup" | "broadcast" => {
                self.pings.push(inline.to_string());
                Ok(())
            }
            other => refuse("invalid_blocks", format!("`{other}` in a section")),
        }
    }

    fn text_object(&mut self, object: Option<&Value>, kinds: &[&str], max: usize) -> Checked {
        let Some(object) = object else { return refuse("invalid_blocks", "no text object") };
        let kind = kind(object)?;
        if !kinds.contains(&kind) {
            return refuse("invalid_blocks", format!("text of the type `{kind}`"));
        }
        keys(object, if kind == "plain_text" { &["type", "text", "emoji"] } else { &["type", "text", "verbatim"] })?;
        let text = self.string(object.get("text"), max)?;
        if kind == "mrkdwn" { self.mrkdwn(&text) } else { Ok(()) }
    }

    fn string(&mut self, value: Option<&Value>, max: usize) -> Checked<String> {
        let Some(text) = value.and_then(Value::as_str) else { return refuse("invalid_blocks", "text is missing") };
        if text.is_empty() || units(text) > max {
            return refuse("invalid_blocks", format!("text of {} characters, 1 to {max} allowed", units(text)));
        }
        self.units += units(text);
        Ok(text.to_owned())
    }

    fn url(&mut self, value: Option<&Value>) -> Checked {
        let url = self.string(value, 3000)?;
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        if !is_web || url.contains(|c: char| c.is_whitespace() || c.is_control() || "<>|".contains(c)) {
            return refuse("invalid_blocks", format!("`{url}` is no URL"));
        }
        Ok(())
    }

    /// Entities are the three that there are, angle brackets are links and mentions, and every mention is noted.
    fn mrkdwn(&mut self, text: &str) -> Checked {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>']) {
            rest = &rest[at..];
            if let Some(entity) = ["&amp;", "&lt;", "&gt;"].into_iter().find(|entity| rest.starts_with(entity)) {
                rest = &rest[entity.len()..];
                continue;
            }
            let Some((inner, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
                return refuse(
                    "invalid_payload",
                    format!("a bare sign before `{}`", rest.chars().take(20).collect::<String>()),
                );
            };
            rest = after;
            let target = inner.split('|').next().unwrap_or_default();
            match target {
                _ if target.starts_with("!date^") || target.starts_with('#') => {}
                _ if target.starts_with(['!', '@']) => self.pings.push(format!("<{target}>")),
                _ if target.starts_with("https://") || target.starts_with("http://") => {}
                _ => return refuse("invalid_payload", format!("`<{inner}>` is neither link nor mention")),
            }
        }
        Ok(())
    }
}

/// As services count at the strictest.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn kind(value: &Value) -> Checked<&str> {
    match value.get("type").and_then(Value::as_str) {
        Some(kind) => Ok(kind),
        None => refuse("invalid_blocks", format!("no type: {value}")),
    }
}

fn keys(value: &Value, known: &[&str]) -> Checked {
    let Some(map) = value.as_object() else { return refuse("invalid_blocks", format!("no object: {value}")) };
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => refuse("invalid_blocks", format!("`{key}` doesn't belong into {value}")),
        None => Ok(()),
    }
}

fn list<'v>(value: &'v Value, key: &str, max: usize) -> Checked<&'v Vec<Value>> {
    match value.get(key).and_then(Value::as_array) {
        Some(items) if !items.is_empty() && items.len() <= max => Ok(items),
        _ => refuse("invalid_blocks", format!("`{key}` is no list of 1 to {max}")),
    }
}
