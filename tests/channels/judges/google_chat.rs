//! A space of Google Chat behind its webhook: cards of version 2 with the HTML that they read, threads by their keys, and
//! requests that are known by their ids.

use std::sync::LazyLock;

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use regex::Regex;
use serde_json::{Map, Value, json};
use url::Url;

use super::{Judge, Peer, Rate, Service, keys, long, skeleton, texts, units};
use crate::support::http_peer::{Answer, Recorded};

/// The webhook, its password included.
pub const WEBHOOK: &str = "/v1/spaces/AAAAexample/messages?key=AIzaFAKE-q7ZkT4mW9sB2xN6vC1aaaaaaaaaaaa&token=FAKE-xJ3vQ0yT8wRkN5bZ1cL7dM2pS4aG6hUe";

/// The space behind a server.
pub type GoogleChatPeer = Peer<GoogleChat>;

/// A message that stands in the space.
#[derive(Debug, Clone)]
pub struct Message {
    /// The id of the request that made it.
    pub request: String,
    pub thread: Option<String>,
}

/// The space.
#[derive(Debug, Clone, Default)]
pub struct GoogleChat {
    /// All messages, oldest first.
    pub messages: Vec<Message>,
    pings: Vec<String>,
    refusals: Vec<String>,
}

type Checked<T = ()> = Result<T, String>;

static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"<(/?(?:b|i|s|a)|br|a href="[^"<>]*")>"#).unwrap());

/// The tags of a text, and what is between them; nothing if another `<` or `&` is there.
fn tags(html: &str) -> Checked<Vec<String>> {
    let text = TAG.replace_all(html, "");
    let entities = Regex::new("&(amp|lt|gt|quot|#39);").unwrap();
    let rest = entities.replace_all(&text, "");
    if rest.contains(['<', '>', '&']) {
        return Err(format!("not escaped: {rest}"));
    }
    Ok(TAG.captures_iter(html).map(|tag| tag[1].split('?').next().unwrap().to_owned()).collect())
}

impl GoogleChat {
    fn post(&mut self, request: &Recorded) -> Checked<Message> {
        let url = Url::parse(&format!("http://peer{}", request.target)).map_err(|_| "no path")?;
        let known = Url::parse(&format!("http://peer{WEBHOOK}")).unwrap();
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let is_known = known.query_pairs().all(|(key, value)| query.contains(&(key.into(), value.into())));
        if request.method != "POST" || url.path() != known.path() || !is_known {
            return Err(format!("{} {}", request.method, request.target));
        }
        if request.header("content-type") != Some("application/json; charset=UTF-8") {
            return Err("no JSON by its Content-Type".into());
        }
        if request.body.len() > 32_000 {
            return Err(format!("INVALID_ARGUMENT: a message of {} bytes", request.body.len()));
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| "no JSON")?;
        keys(object(&body)?, &["text", "cardsV2", "fallbackText", "thread"])?;
        let of = |key: &str| query.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
        let key = body["thread"].as_object().map(|thread| thread["threadKey"].as_str().unwrap_or_default().to_owned());
        if key.as_deref().is_some_and(|key| key.is_empty() || units(key) > 4000) {
            return Err("INVALID_ARGUMENT: threadKey".into());
        }
        // Without it, the key means nothing.
        let replies = of("messageReplyOption").as_deref() == Some("REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD");
        if key.is_some() != replies {
            return Err("a key without the option, or the option without a key".into());
        }
        let text = body["text"].as_str().unwrap_or_default();
        let cards = body["cardsV2"].as_array().filter(|cards| cards.len() == 1).ok_or("not one card")?;
        check_card(&cards[0])?;
        let message = Message { request: of("requestId").ok_or("no requestId")?, thread: key };
        if let Some(known) = self.messages.iter().find(|known| known.request == message.request) {
            return Ok(known.clone());
        }
        let mention = Regex::new(r"<users/[^>]*>").unwrap();
        self.pings.extend(mention.find_iter(text).map(|found| found.as_str().to_owned()));
        self.messages.push(message.clone());
        Ok(message)
    }
}

fn check_card(card: &Value) -> Checked {
    keys(object(card)?, &["cardId", "card"])?;
    keys(object(&card["card"])?, &["sections"])?;
    let sections = card["card"]["sections"].as_array().ok_or("no sections")?;
    let widgets: Vec<&Value> =
        sections.iter().flat_map(|section| section["widgets"].as_array().into_iter().flatten()).collect();
    if widgets.is_empty() || widgets.len() > 100 {
        return Err(format!("{} widgets", widgets.len()));
    }
    widgets.into_iter().try_for_each(|widget| {
        let (kind, inner) = object(widget)?.iter().next().ok_or("an empty widget")?;
        match kind.as_str() {
            "textParagraph" => match inner["text"].as_str() {
                Some(text) if !text.is_empty() => tags(text).map(|_| ()),
                _ => Err("an empty paragraph".into()),
            },
            "image" => web(&inner["imageUrl"], "https://"),
            "buttonList" => {
                let buttons = inner["buttons"].as_array().filter(|all| !all.is_empty()).ok_or("no buttons")?;
                buttons.iter().try_for_each(|button| web(&button["onClick"]["openLink"]["url"], "http"))
            }
            other => Err(format!("Unknown name \"{other}\"")),
        }
    })
}

fn web(url: &Value, start: &str) -> Checked {
    let is_web = url.as_str().is_some_and(|url| url.starts_with(start) && Url::parse(url).is_ok());
    if is_web { Ok(()) } else { Err(format!("{url} is no such URL")) }
}

fn object(value: &Value) -> Checked<&Map<String, Value>> {
    value.as_object().ok_or_else(|| format!("{value} is no object"))
}

impl Service for GoogleChat {
    fn serve(&mut self, request: &Recorded) -> Answer {
        match self.post(request) {
            Ok(message) => Answer::status(200).json(&json!({
                "name": format!("spaces/AAAAexample/messages/{}", message.request),
                "thread": {"name": "spaces/AAAAexample/threads/x"},
            })),
            Err(why) => {
                self.refusals.push(why.clone());
                let error = json!({"code": 400, "message": why, "status": "INVALID_ARGUMENT"});
                Answer::status(400).json(&json!({ "error": error }))
            }
        }
    }
}

impl Judge for GoogleChat {
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
        // It says that, and not until when.
        let error = json!({"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"});
        (Answer::status(429).json(&json!({ "error": error })).reply(), SignedDuration::ZERO)
    }

    fn rate(&self) -> Option<Rate> {
        // One a second in a space.
        Some(Rate::ms(1, 1000))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        let with = |text: String| {
            let widgets = json!([{"textParagraph": {"text": text}}]);
            json!({"cardsV2": [{"cardId": "c", "card": {"sections": [{"widgets": widgets}]}}]})
        };
        let (mut body, mut more) = (with("t".into()), "");
        match of {
            "the whole message" => body = with(long(size - with(String::new()).to_string().len())),
            "the key of a thread" => {
                body["thread"] = json!({"threadKey": long(size)});
                more = "&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD";
            }
            other => panic!("`{other}` has no limit here"),
        }
        let url = Secret::new(format!("https://chat.example{WEBHOOK}&requestId=r{more}"));
        let mut request = HttpRequest::json("POST", url, &body);
        request.headers = vec![("content-type".into(), Secret::new("application/json; charset=UTF-8"))];
        Request::Http(request)
    }

    fn shown(&self, request: &Request) -> String {
        texts(request, |spot| {
            let text = TAG.replace_all(&spot.text.replace("<br>", "\n"), "").into_owned();
            let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
            Some(entities.iter().fold(text, |text, (entity, sign)| text.replace(entity, sign)))
        })
    }

    fn form(&self, request: &Request) -> Value {
        skeleton(request, &|spot| {
            // Of the rest of a card, and of what notifications say, all is shown as it is.
            let is_html = spot.key == "text" && !spot.object.contains_key("onClick");
            if is_html { tags(spot.text).unwrap().into() } else { "text".into() }
        })
    }
}
