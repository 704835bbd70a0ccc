//! Telegram's Bot API: sending and editing messages, with the text, its entities and its buttons checked, and everything
//! found that Telegram itself makes a mention or a link of.

use std::sync::LazyLock;

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::{Judge, Peer, Rate, Service, keys, long, skeleton, units};
use crate::support::http_peer::{Answer, Recorded};

/// The bot's token.
pub const TOKEN: &str = "1234567890:FAKEq7ZkT4mW9sB2xN6vC1aaaaaaaaaaaaa";
/// A group with topics.
pub const GROUP: i64 = -1_001_234_567_890;

/// The service behind a server.
pub type TelegramPeer = Peer<Telegram>;

/// A message that stands in a chat.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: u64,
    pub chat: Value,
    pub topic: Option<u64>,
    /// The message that it answers.
    pub answers: Option<u64>,
    pub text: String,
    pub buttons: Vec<Value>,
    pub edits: u32,
}

/// The service.
#[derive(Debug, Clone, Default)]
pub struct Telegram {
    /// All messages, oldest first.
    pub messages: Vec<Message>,
    /// The number of a group that has become [`GROUP`].
    pub former: Option<i64>,
    pings: Vec<String>,
    refusals: Vec<String>,
}

type Checked<T = ()> = Result<T, String>;

/// What Telegram looks for in a text by itself.
static FOUND: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let patterns = [
        ("mention", r"(?:^|[^\w@])@\w+|\w@\w"),
        ("url", r"://|[\w]\.\p{L}"),
        ("hashtag", r"(?:^|\W)#\w*\p{L}"),
        ("cashtag", r"(?:^|\W)\$[A-Z]"),
        ("bot_command", r"(?:^|[^\w/<>])/\w"),
    ];
    patterns.into_iter().map(|(name, pattern)| (name, Regex::new(pattern).unwrap())).collect()
});

fn found(text: &str) -> Vec<&'static str> {
    FOUND.iter().filter(|(_, pattern)| pattern.is_match(text)).map(|(name, _)| *name).collect()
}

impl Telegram {
    fn call(&mut self, request: &Recorded) -> Checked<Message> {
        if request.method != "POST" || request.header("content-type") != Some("application/json") {
            return Err(format!("{} without JSON", request.method));
        }
        let Ok(Value::Object(said)) = serde_json::from_slice(&request.body) else {
            return Err("Bad Request: can't parse JSON".into());
        };
        match request.target.strip_prefix(&format!("/bot{TOKEN}/")) {
            Some("sendMessage") => self.send(&said),
            Some("editMessageText") => self.edit(&said),
            _ => Err(format!("Not Found: {}", request.target)),
        }
    }

    fn send(&mut self, said: &Map<String, Value>) -> Checked<Message> {
        let own = ["chat_id", "message_thread_id", "reply_parameters", "disable_notification"];
        keys(said, &[&own[..], &CONTENT].concat())?;
        let pings = content(said)?;
        // 1 is `General`, which no bot can name.
        let topic = said
            .get("message_thread_id")
            .map(|topic| topic.as_u64().filter(|id| *id > 1).ok_or("Bad Request: message thread not found"));
        let answers = said.get("reply_parameters").map(|reply| {
            let is_lenient = reply["allow_sending_without_reply"] == true;
            reply["message_id"].as_u64().filter(|_| is_lenient).ok_or("message to be replied not found")
        });
        let message = Message {
            id: 1001 + self.messages.len() as u64,
            chat: chat(said)?,
            topic: topic.transpose()?,
            answers: answers.transpose()?,
            text: said["text"].as_str().unwrap_or_default().to_owned(),
            buttons: buttons(said)?,
            edits: 0,
        };
        self.pings.extend(pings);
        self.messages.push(message.clone());
        Ok(message)
    }

    fn edit(&mut self, said: &Map<String, Value>) -> Checked<Message> {
        keys(said, &[&["chat_id", "message_id"][..], &CONTENT].concat())?;
        self.pings.extend(content(said)?);
        let (id, chat, buttons) = (said.get("message_id").and_then(Value::as_u64), chat(said)?, buttons(said)?);
        let known = self.messages.iter_mut().find(|message| Some(message.id) == id && message.chat["id"] == chat["id"]);
        let message = known.ok_or("Bad Request: message to edit not found")?;
        said["text"].as_str().unwrap_or_default().clone_into(&mut message.text);
        (message.buttons, message.edits) = (buttons, message.edits + 1);
        Ok(message.clone())
    }
}

const CONTENT: [&str; 4] = ["text", "entities", "link_preview_options", "reply_markup"];

fn chat(said: &Map<String, Value>) -> Checked<Value> {
    match said.get("chat_id") {
        Some(Value::Number(id)) => Ok(json!({"id": id, "type": "supergroup"})),
        Some(Value::String(name)) if name.starts_with('@') => {
            Ok(json!({"id": -1_009_999_999_999_i64, "username": &name[1..], "type": "channel"}))
        }
        other => Err(format!("Bad Request: chat not found: {other:?}")),
    }
}

/// Whom the text mentions, if it is in order.
fn content(said: &Map<String, Value>) -> Checked<Vec<String>> {
    let text = said.get("text").and_then(Value::as_str).unwrap_or_default();
    if text.trim().is_empty() {
        return Err("Bad Request: message text is empty".into());
    }
    if units(text) > 4096 {
        return Err(format!("Bad Request: message is too long: {}", units(text)));
    }
    let wide: Vec<u16> = text.encode_utf16().collect();
    let mut pings = Vec::new();
    let mut plain = wide.clone();
    for entity in said.get("entities").and_then(Value::as_array).into_iter().flatten() {
        let place = |key: &str| entity[key].as_u64().map(|place| place as usize).ok_or(format!("no `{key}`: {entity}"));
        let (start, length) = (place("offset")?, place("length")?);
        let part =
            wide.get(start..start + length).filter(|part| !part.is_empty()).ok_or("an entity beyond the text")?;
        let part = String::from_utf16(part).map_err(|_| format!("{entity} cuts a character"))?;
        match entity["type"].as_str().unwrap_or_default() {
            "bold" | "italic" | "strikethrough" | "code" | "pre" => {}
            "text_link" => {
                let url = entity["url"].as_str().unwrap_or_default();
                if !url.starts_with("http") || url::Url::parse(url).is_err() {
                    return Err(format!("Bad Request: {url} is not a URL"));
                }
            }
            "text_mention" => pings.push(format!("{}", entity["user"]["id"])),
            other => return Err(format!("Bad Request: unsupported entity `{other}`")),
        }
        // In these, nothing is looked for.
        if ["code", "pre", "text_link"].contains(&entity["type"].as_str().unwrap_or_default()) && !part.is_empty() {
            plain[start..start + length].fill(u16::from(b' '));
        }
    }
    if said.get("entities").and_then(Value::as_array).is_some_and(|all| all.len() > 100 || all.is_empty()) {
        return Err("not 1 to 100 entities".into());
    }
    let plain = String::from_utf16_lossy(&plain);
    pings.extend(FOUND[0].1.find_iter(&plain).map(|found| found.as_str().trim().to_owned()));
    let preview = said.get("link_preview_options").ok_or("links of values would unfold")?;
    if preview["is_disabled"] != true && !preview["url"].as_str().unwrap_or_default().starts_with("http") {
        return Err(format!("a preview of {preview}"));
    }
    Ok(pings)
}

fn buttons(said: &Map<String, Value>) -> Checked<Vec<Value>> {
    let Some(markup) = said.get("reply_markup") else { return Ok(Vec::new()) };
    let rows = markup["inline_keyboard"].as_array().filter(|rows| !rows.is_empty()).ok_or("no rows of buttons")?;
    let all: Vec<Value> = rows.iter().flat_map(|row| row.as_array().cloned().unwrap_or_default()).collect();
    for button in &all {
        keys(button.as_object().ok_or("a button is no object")?, &["text", "url"])?;
        let is_web = button["url"].as_str().is_some_and(|url| url.starts_with("http") && url::Url::parse(url).is_ok());
        if !is_web || button["text"].as_str().unwrap_or_default().is_empty() {
            return Err(format!("Bad Request: BUTTON_URL_INVALID: {button}"));
        }
    }
    Ok(all)
}

impl Service for Telegram {
    fn serve(&mut self, request: &Recorded) -> Answer {
        let said: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if self.former.is_some() && said["chat_id"].as_i64() == self.former {
            let said = "Bad Request: group chat was upgraded to a supergroup chat";
            let parameters = json!({"migrate_to_chat_id": GROUP});
            return Answer::status(400)
                .json(&json!({"ok": false, "error_code": 400, "description": said, "parameters": parameters}));
        }
        match self.call(request) {
            Ok(message) => {
                let mut result = json!({"message_id": message.id, "chat": message.chat, "text": message.text});
                if let Some(topic) = message.topic {
                    result["message_thread_id"] = topic.into();
                }
                Answer::status(200).json(&json!({"ok": true, "result": result}))
            }
            Err(why) => {
                self.refusals.push(why.clone());
                Answer::status(400).json(&json!({"ok": false, "error_code": 400, "description": why}))
            }
        }
    }
}

impl Judge for Telegram {
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
        let seconds = wait.as_secs();
        let answer = Answer::status(429).json(&json!({
            "ok": false, "error_code": 429, "description": format!("Too Many Requests: retry after {seconds}"),
            "parameters": {"retry_after": seconds},
        }));
        (answer.reply(), wait)
    }

    fn rate(&self) -> Option<Rate> {
        // Twenty a minute in a group.
        Some(Rate::ms(1, 3000))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        let mut body = json!({"chat_id": GROUP, "text": "t", "link_preview_options": {"is_disabled": true}});
        match of {
            "the text of a message, its entities aside" => body["text"] = long(size).into(),
            "`entities`" => body["entities"] = vec![json!({"type": "bold", "offset": 0, "length": 1}); size].into(),
            other => panic!("`{other}` has no limit here"),
        }
        let url = Secret::new(format!("https://api.telegram.example/bot{TOKEN}/sendMessage"));
        Request::Http(HttpRequest::json("POST", url, &body))
    }

    fn shown(&self, request: &Request) -> String {
        let body: Value = request.body().map(|body| serde_json::from_slice(body).unwrap()).unwrap_or_default();
        body["text"].as_str().unwrap_or_default().replace('\u{2060}', "")
    }

    fn form(&self, request: &Request) -> Value {
        let mut form = skeleton(request, &|spot| {
            if spot.key == "text" && spot.object.contains_key("link_preview_options") {
                found(spot.text).into()
            } else {
                "text".into()
            }
        });
        // Joiners move what follows them.
        for entity in form["body"]["entities"].as_array_mut().into_iter().flatten() {
            entity["offset"].take();
            entity["length"].take();
        }
        form
    }
}
