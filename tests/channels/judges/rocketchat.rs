//! A Rocket.Chat server: an incoming webhook, and messages by its REST API, with what its parser reads as markup, mentions
//! and links.

use std::sync::LazyLock;

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use super::{Judge, Peer, Rate, Service, Spot, keys, long, skeleton, texts, units};
use crate::support::http_peer::{Answer, Recorded};

/// The bot's token.
pub const TOKEN: &str = "FAKEq7ZkT4mW9sB2xN6vC1aaaaaaaaaaaaaaaaaaaaa";
/// The bot.
pub const USER: &str = "rbAXPnMktTFbNpwtJ";
/// The webhook's path.
pub const WEBHOOK: &str = "/hooks/65f1c0ffee0123456789abcd/FAKEq7ZkT4mW9sB2xN6vC1aaaaaa";
/// The id of the room `#releases`.
pub const ROOM: &str = "Xnb2kLD2Pnhdwe3RH";

/// The server behind a socket.
pub type RocketChatPeer = Peer<RocketChat>;

/// A message that stands in a room.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    /// The message whose thread it is in.
    pub thread: Option<String>,
    pub text: String,
    pub edits: u32,
}

/// The server.
#[derive(Debug, Clone, Default)]
pub struct RocketChat {
    /// All messages, oldest first.
    pub messages: Vec<Message>,
    pings: Vec<String>,
    refusals: Vec<String>,
}

type Checked<T = ()> = Result<T, String>;

/// Whom a text calls, in code too.
static MENTION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"@[\w.-]+").unwrap());
/// A link as the parser reads it; no sign in it is read again.
static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"<(https?://[^|<>\s()]+)\|([^|<>\n]+)>").unwrap());
/// What the parser reads as a whole, from the left: code in lines, what is escaped, a link, code in a line.
static WHOLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)(```\n.+?\n```)|\\([*_~`#.])|<https?://[^|<>\s()]+\|([^|<>\n]+)>|`([^`\n]+)`").unwrap()
});
/// What a template makes bold, italic or struck out.
static STYLED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\*\*([^*\n]+)\*\*|~~([^~\n]+)~~|\b_([^_\n]+)_\b|_([^_\n]+)_").unwrap());
/// What else is markup, a name or a link.
static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    let alternatives = [
        r"[*~`]",
        r"(?:^|\W)_|_(?:\W|$)",
        r"^[ \t]*(?:#{1,4}[ \t]|[->|+=]|\d+\.)",
        r"\]\(",
        r"@+[\w.-]",
        r"#[\w.-]",
        r"<[\w/!3]",
        r"\w\.\p{L}",
        r"\d\.\d+\.\d",
        r"://",
        r":[\w+.-]*[a-z_+-][\w+.-]*:",
        r"\|\|",
        r"\+[\d(]",
        r"\\[\[(]",
    ];
    Regex::new(&format!("(?im){}", alternatives.join("|"))).unwrap()
});

impl RocketChat {
    fn route(&mut self, request: &Recorded) -> Checked<Message> {
        let said: Value = serde_json::from_slice(&request.body).map_err(|_| "Invalid JSON")?;
        let said = said.as_object().ok_or("Invalid JSON")?;
        if request.target == WEBHOOK {
            keys(said, &["text", "attachments"])?;
            return self.post(said, None);
        }
        let is_bot = request.header("x-auth-token") == Some(TOKEN) && request.header("x-user-id") == Some(USER);
        if !is_bot {
            return Err("You must be logged in to do this.".into());
        }
        let room = said.get("roomId").and_then(Value::as_str).unwrap_or_default();
        match request.target.strip_prefix("/api/v1/") {
            Some("chat.postMessage") => {
                keys(said, &["roomId", "text", "attachments", "tmid"])?;
                if ![ROOM, "#releases"].contains(&room) {
                    return Err("invalid-channel [invalid-channel]".into());
                }
                let thread = said.get("tmid").and_then(Value::as_str).map(str::to_owned);
                if thread.as_ref().is_some_and(|id| !self.messages.iter().any(|message| message.id == *id)) {
                    return Err("error-invalid-message".into());
                }
                self.post(said, thread)
            }
            Some("chat.update") => {
                keys(said, &["roomId", "msgId", "text"])?;
                let text = content(said)?;
                if room != ROOM {
                    return Err("The room id provided does not match where the message is from.".into());
                }
                self.pings.extend(pings(&text));
                let id = said.get("msgId").and_then(Value::as_str).unwrap_or_default();
                let message = self.messages.iter_mut().find(|message| message.id == id);
                let message = message.ok_or(format!("No message found with the id of \"{id}\"."))?;
                (message.text, message.edits) = (text, message.edits + 1);
                Ok(message.clone())
            }
            _ => Err(format!("{} {}", request.method, request.target)),
        }
    }

    fn post(&mut self, said: &Map<String, Value>, thread: Option<String>) -> Checked<Message> {
        let text = content(said)?;
        self.pings.extend(pings(&text));
        let id = format!("msg{:014}", self.messages.len());
        let message = Message { id, thread, text, edits: 0 };
        self.messages.push(message.clone());
        Ok(message)
    }
}

fn content(said: &Map<String, Value>) -> Checked<String> {
    let text = said.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    if units(&text) > 5000 {
        return Err("error-message-size-exceeded".into());
    }
    if text.trim().is_empty() {
        return Err("No text".into());
    }
    for attachment in said.get("attachments").and_then(Value::as_array).into_iter().flatten() {
        keys(attachment.as_object().ok_or("an attachment is no object")?, &["image_url"])?;
        if attachment["image_url"].as_str().is_none_or(|url| url::Url::parse(url).is_err()) {
            return Err("Invalid href value provided".into());
        }
    }
    Ok(text)
}

fn pings(text: &str) -> Vec<String> {
    let text = LINK.replace_all(text, "$2");
    MENTION.find_iter(&text).map(|found| found.as_str().to_owned()).collect()
}

impl Service for RocketChat {
    fn serve(&mut self, request: &Recorded) -> Answer {
        match self.route(request) {
            Ok(_) if request.target == WEBHOOK => Answer::status(200).json(&json!({"success": true})),
            Ok(message) => Answer::status(200).json(
                &json!({"success": true, "channel": ROOM, "message": {"_id": message.id, "rid": ROOM, "tmid": message.thread}}),
            ),
            Err(why) => {
                self.refusals.push(why.clone());
                Answer::status(400).json(&json!({"success": false, "error": why}))
            }
        }
    }
}

impl Judge for RocketChat {
    fn answer(&mut self, request: &Request) -> Reply {
        self.judge(request)
    }

    fn refusals(&self) -> &[String] {
        &self.refusals
    }

    fn pings(&self) -> Vec<String> {
        self.pings.clone()
    }

    fn limited(&self, wait: SignedDuration) -> (Reply, SignedDuration) {
        let said = format!(
            "Error, too many requests. Please slow down. You must wait {} seconds before trying this endpoint again. [error-too-many-requests]",
            wait.as_secs()
        );
        let answer = Answer::status(429).header("X-RateLimit-Limit", "10").header("X-RateLimit-Remaining", "0");
        (answer.json(&json!({"success": false, "error": said})).reply(), wait)
    }

    fn rate(&self) -> Option<Rate> {
        // Ten calls a minute, unless the bot may more.
        Some(Rate::ms(10, 6000))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        assert_eq!(of, "`text`");
        let body = json!({"text": long(size)});
        Request::Http(HttpRequest::json("POST", Secret::new(format!("https://chat.example{WEBHOOK}")), &body))
    }

    fn shown(&self, request: &Request) -> String {
        texts(request, |spot| Some(shown(spot.text)))
    }

    fn form(&self, request: &Request) -> Value {
        skeleton(request, &|spot| signs(spot).into())
    }
}

/// The text as people read it.
fn shown(text: &str) -> String {
    // What stands for itself is no sign of a style.
    let own = |text: &str| text.replace('*', "\u{1}").replace('_', "\u{2}").replace('~', "\u{3}").replace('`', "\u{4}");
    let kept = WHOLE.replace_all(text, |found: &Captures<'_>| {
        let inner = found.get(1).map(|code| code.as_str().replace("```\n", "").replace("\n```", ""));
        own(&inner.unwrap_or_else(|| (2..=4).filter_map(|nth| found.get(nth)).map(|inner| inner.as_str()).collect()))
    });
    let shown = STYLED.replace_all(&kept, "$1$2$3$4").replace('\u{2060}', "");
    shown.replace('\u{1}', "*").replace('\u{2}', "_").replace('\u{3}', "~").replace('\u{4}', "`")
}

/// Everything in a text that the server would take for markup, our own styles and links aside: what needs an escape goes
/// without a style.
fn signs(spot: &Spot<'_>) -> String {
    if spot.key == "roomId" {
        return spot.text.to_owned();
    }
    let (mut links, mut codes) = (0, 0);
    let text = WHOLE.replace_all(spot.text, |found: &Captures<'_>| {
        links += usize::from(found.get(3).is_some());
        codes += usize::from(found.get(1).is_some());
        // A bracket before the code may begin a link that ends in it.
        links += usize::from(found[0].contains("]("));
        // No letter, so that no name begins with it.
        "\u{2062}"
    });
    let text = STYLED.replace_all(&text, "$1$2$3$4");
    let more: Vec<&str> = MARKUP.find_iter(&text).map(|found| found.as_str()).collect();
    format!("{links} {codes} {more:?}")
}
