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
//! What it can't know
//! of the real one (how much text is too much) it judges by the strictest number that users have met.

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use self::blocks::Check;
use super::{Judge, Peer, Rate, Service, long, skeleton, texts, units};
use crate::support::http_peer::{Answer, Recorded};

mod blocks;

/// The bot's token.
pub const TOKEN: &str = "xoxb-000000000000-FAKE-q7ZkT4mW9sB2xN6vC1";
/// The webhook's path.
pub const WEBHOOK: &str = "/services/T0000FAKE/B0000FAKE/q7ZkT4mW9sB2xN6vC1aaaaaa";
/// The channel that the webhook posts to.
pub const WEBHOOK_CHANNEL: &str = "C0000HOOK";

/// The workspace behind a server.
pub type SlackPeer = Peer<Slack>;

impl SlackPeer {
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
        self.service()
    }

    /// Somebody deletes all messages.
    pub fn forget(&self) {
        self.change(|slack| {
            let gone: Vec<Post> = slack.posts.drain(..).collect();
            slack.deleted.extend(gone.into_iter().map(|post| post.ts));
        });
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
            Some(_) => return refuse("invalid_blocks_format", "`blocks` is not a list"),
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
        let mut check = Check { pings: Vec::new(), units: 0, has_table: false };
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

impl Service for Slack {
    fn serve(&mut self, request: &Recorded) -> Answer {
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
}

impl Judge for Slack {
    fn answer(&mut self, request: &Request) -> Reply {
        self.judge(request)
    }

    fn refusals(&self) -> &[String] {
        &self.refusals
    }

    fn pings(&self) -> Vec<String> {
        self.posts.iter().flat_map(|post| post.pings.clone()).collect()
    }

    fn limited(&self, wait: SignedDuration) -> (Reply, SignedDuration) {
        let answer = Answer::status(429).header("Retry-After", &wait.as_secs().to_string());
        (answer.json(&json!({"ok": false, "error": "ratelimited"})).reply(), wait)
    }

    fn rate(&self) -> Option<Rate> {
        // One a second to a channel; short bursts are allowed, and not counted on.
        Some(Rate::ms(1, 1000))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        let header = |text: String| json!({"type": "header", "text": {"type": "plain_text", "text": text}});
        let section = |text: String| json!({"type": "section", "text": {"type": "plain_text", "text": text}});
        let image = |url: &str, alt: String| json!({"type": "image", "image_url": url, "alt_text": alt});
        let table = |rows: usize, columns: usize| {
            let row = vec![json!({"type": "raw_text", "text": "c"}); columns];
            json!({"type": "table", "rows": vec![row; rows], "column_settings": [{"is_wrapped": true}]})
        };
        let mut text = "t".to_owned();
        let blocks = match of {
            "`text`" => {
                text = long(size);
                vec![]
            }
            "blocks" => vec![json!({"type": "divider"}); size],
            "a `header`" => vec![header(long(size))],
            "the text of another block" => vec![section(long(size))],
            "the rows of a `table`" => vec![table(size, 1)],
            "the cells of a row" => vec![table(1, size)],
            "a URL" => vec![image(&format!("https://a.example/{}", long(size - 18)), "a".into())],
            "an image's `alt_text`" => vec![image("https://a.example/", long(size))],
            "all text of all blocks" => {
                let parts = (0..size).step_by(2400).map(|start| section(long(2400.min(size - start))));
                parts.collect()
            }
            other => panic!("`{other}` has no limit here"),
        };
        let body = json!({"text": text, "blocks": blocks, "unfurl_links": false, "unfurl_media": false});
        Request::Http(HttpRequest::json("POST", Secret::new(format!("https://hooks.example{WEBHOOK}")), &body))
    }

    fn shown(&self, request: &Request) -> String {
        // Beside the blocks, Slack shows `text` nowhere but in notifications.
        texts(request, |spot| (spot.key != "text" || !spot.object.contains_key("blocks")).then(|| spot.text.to_owned()))
    }

    fn form(&self, request: &Request) -> Value {
        skeleton(request, &|spot| {
            // Slack interprets `text` beside the blocks, and where it is called mrkdwn.
            let is_mrkdwn = spot.key == "text" && spot.object.get("type").is_none_or(|kind| kind == "mrkdwn");
            if !is_mrkdwn {
                return "text".into();
            }
            // The angle brackets that no entity stands for: of links and mentions.
            spot.text.chars().filter(|c| "<>".contains(*c)).collect::<String>().into()
        })
    }
}
