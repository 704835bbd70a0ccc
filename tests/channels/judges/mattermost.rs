//! A Mattermost server: an incoming webhook, and posts by its REST API, with what it reads as Markdown, mentions and links.

use std::sync::LazyLock;

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::discord::markup;
use super::{Judge, Peer, Rate, Service, Spot, keys, long, skeleton, spots, texts, units};
use crate::support::http_peer::{Answer, Recorded};

/// The bot's token.
pub const TOKEN: &str = "fakeq7zkt4mw9sb2xn6vc1FAKE";
/// The webhook's path.
pub const WEBHOOK: &str = "/hooks/fakeq7zkt4mw9sb2xn6vc1FAKE";
/// A channel's id.
pub const CHANNEL: &str = "4xp9fdt77pncbef59f4k1qe83o";

/// The server behind a socket.
pub type MattermostPeer = Peer<Mattermost>;

/// A post that stands in a channel.
#[derive(Debug, Clone)]
pub struct Post {
    pub id: String,
    pub channel: String,
    /// The post whose thread it is in.
    pub root: Option<String>,
    pub text: String,
    pub attachments: Vec<Value>,
    pub priority: Option<Value>,
    pub edits: u32,
}

/// The server.
#[derive(Debug, Clone, Default)]
pub struct Mattermost {
    /// All posts, oldest first.
    pub posts: Vec<Post>,
    pings: Vec<String>,
    refusals: Vec<String>,
}

type Checked<T = ()> = Result<T, String>;

/// Whom a text calls; the server looks for them in all of it.
static MENTION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"@[a-z0-9][a-z0-9._-]*|<!\w+>|<@?\w{9,}>").unwrap());
/// What the server makes a link of, as Slack writes it.
static SLACK_LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"<[^>\n]*\|[^>\n]*>").unwrap());
static ENTITY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"&(#\d+|lt|gt|amp);").unwrap());
/// What else is markup: setext headings, formulas, tags, addresses.
static MORE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?im)^ {0,3}=+\s*$|\$[^$\n]+\$|(?:^|\W)#\w|www\.\w|\w@\w|^ {4}").unwrap());

impl Mattermost {
    fn route(&mut self, request: &Recorded) -> Checked<Post> {
        let said: Value = serde_json::from_slice(&request.body).map_err(|_| "Unable to parse incoming data")?;
        let said = said.as_object().ok_or("Unable to parse incoming data")?;
        if request.target == WEBHOOK {
            keys(said, &["text", "attachments", "username", "priority"])?;
            return self.post(said, "text", said.get("attachments"), None);
        }
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return Err("Invalid or expired session".into());
        }
        let attachments = said.get("props").map(|props| &props["attachments"]);
        match (request.method.as_str(), request.target.strip_prefix("/api/v4/posts")) {
            ("POST", Some("")) => {
                keys(said, &["channel_id", "message", "root_id", "props", "metadata"])?;
                if said.get("channel_id") != Some(&json!(CHANNEL)) {
                    return Err("no such channel".into());
                }
                let root = said.get("root_id").and_then(Value::as_str).map(str::to_owned);
                if root.as_ref().is_some_and(|root| !self.posts.iter().any(|post| post.id == *root)) {
                    return Err("Invalid RootId parameter".into());
                }
                self.post(said, "message", attachments, root)
            }
            ("PUT", Some(rest)) => {
                keys(said, &["message", "props"])?;
                let (text, found) = content(said, "message", attachments)?;
                self.pings.extend(pings(&text, &found));
                let id = rest.trim_start_matches('/').trim_end_matches("/patch");
                let post = self.posts.iter_mut().find(|post| post.id == id).ok_or("no such post")?;
                (post.text, post.attachments, post.edits) = (text, found, post.edits + 1);
                Ok(post.clone())
            }
            (method, _) => Err(format!("{method} {}", request.target)),
        }
    }

    fn post(
        &mut self,
        said: &Map<String, Value>,
        key: &str,
        attachments: Option<&Value>,
        root: Option<String>,
    ) -> Checked<Post> {
        let (text, attachments) = content(said, key, attachments)?;
        let priority = said.get("priority").or_else(|| said.get("metadata")?.get("priority")).cloned();
        if root.is_some() && priority.is_some() {
            return Err("a priority in a thread".into());
        }
        self.pings.extend(pings(&text, &attachments));
        let id = format!("post{:022}", self.posts.len());
        let post = Post { id, channel: CHANNEL.into(), root, text, attachments, priority, edits: 0 };
        self.posts.push(post.clone());
        Ok(post)
    }
}

fn content(said: &Map<String, Value>, key: &str, attachments: Option<&Value>) -> Checked<(String, Vec<Value>)> {
    let text = said.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let attachments = attachments.and_then(Value::as_array).cloned().unwrap_or_default();
    let texts = attachments.iter().filter_map(|attachment| attachment["text"].as_str()).chain([text.as_str()]);
    for text in texts {
        if units(text) > 16_383 {
            return Err(format!("a text of {} becomes several posts", units(text)));
        }
    }
    if text.trim().is_empty() {
        return Err("No text specified".into());
    }
    for attachment in &attachments {
        let map = attachment.as_object().ok_or("an attachment is no object")?;
        keys(map, &["fallback", "color", "text", "fields", "image_url", "footer"])?;
        if attachment["footer"].as_str().is_some_and(|footer| units(footer) > 300) {
            return Err("a footer that is cut".into());
        }
        let image = attachment["image_url"].as_str();
        if image.is_some_and(|url| !url.starts_with("http") || url::Url::parse(url).is_err()) {
            return Err("an image that is none".into());
        }
        for field in attachment["fields"].as_array().into_iter().flatten() {
            keys(field.as_object().ok_or("a field is no object")?, &["title", "value", "short"])?;
            if ["title", "value"].iter().any(|key| field[*key].as_str().is_none_or(|text| text.trim().is_empty())) {
                return Err("a field that is empty".into());
            }
        }
    }
    Ok((text, attachments))
}

/// In code, the server looks for nobody.
fn pings(text: &str, attachments: &[Value]) -> Vec<String> {
    let none = Map::new();
    let whole = json!({"text": text, "attachments": attachments});
    let mut found = Vec::new();
    spots("", &none, &whole, &mut found);
    let shown = found.iter().filter(|spot| spot.key != "footer" && !spot.key.ends_with("url"));
    let called = shown.flat_map(|spot| {
        let text = markup::plain(spot.text, 'x');
        MENTION.find_iter(&text).map(|found| found.as_str().to_owned()).collect::<Vec<_>>()
    });
    called.collect()
}

impl Service for Mattermost {
    fn serve(&mut self, request: &Recorded) -> Answer {
        match self.route(request) {
            Ok(_) if request.target == WEBHOOK => Answer::status(200).body("ok"),
            Ok(post) => {
                let status = if request.method == "POST" { 201 } else { 200 };
                Answer::status(status).json(&json!({"id": post.id, "channel_id": post.channel, "root_id": post.root}))
            }
            Err(why) => {
                self.refusals.push(why.clone());
                Answer::status(400).json(&json!({"id": "api.app_error", "message": why, "status_code": 400}))
            }
        }
    }
}

impl Judge for Mattermost {
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
        let answer = Answer::status(429).header("Retry-After", &wait.as_secs().to_string());
        (answer.header("X-RateLimit-Reset", &wait.as_secs().to_string()).body("limit exceeded").reply(), wait)
    }

    fn rate(&self) -> Option<Rate> {
        None
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        let body = match of {
            "a text" => json!({"text": long(size)}),
            "an attachment's footer" => json!({"text": "t", "attachments": [{"fallback": "f", "footer": long(size)}]}),
            other => panic!("`{other}` has no limit here"),
        };
        Request::Http(HttpRequest::json("POST", Secret::new(format!("https://chat.example{WEBHOOK}")), &body))
    }

    fn shown(&self, request: &Request) -> String {
        texts(request, |spot| {
            let text = markup::shown(spot.text).replace(['\u{200b}'], "").replace('\u{a0}', " ");
            let entities = [
                ("&lt;", "<"),
                ("&gt;", ">"),
                ("&#124;", "|"),
                ("&#36;", "$"),
                ("&#61;", "="),
                ("&#58;", ":"),
                ("&amp;", "&"),
            ];
            Some(entities.iter().fold(text, |text, (entity, sign)| text.replace(entity, sign)))
        })
    }

    fn form(&self, request: &Request) -> Value {
        skeleton(request, &|spot| signs(spot).into())
    }
}

/// Everything in a text that Mattermost would take for markup.
fn signs(spot: &Spot<'_>) -> String {
    if ["footer", "fallback", "color"].contains(&spot.key) {
        return "text".into();
    }
    let text = ENTITY.replace_all(spot.text, "x");
    // No letter, so that a tag doesn't begin with it.
    let dotted = ENTITY.replace_all(spot.text, "·");
    // A URL of ours is a link as a whole, whatever stands in it.
    static URL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"https?://\S+").unwrap());
    let plain = URL.replace_all(&markup::plain(&dotted, '·'), "url").into_owned();
    // Within code, where the server rewrites it too, it is no link.
    let slack = SLACK_LINK.find_iter(&plain).count();
    let more: Vec<&str> = MORE.find_iter(&plain).map(|found| found.as_str()).collect();
    format!("{} {slack} {more:?}", markup::signs(&text.replace('@', "x")))
}
