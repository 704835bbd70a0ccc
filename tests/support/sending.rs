//! What a channel is given, with everything filled in: a test says only what it is about.

use fanfare::channels::{Button, Footer, Form, Sending};
use fanfare::delivery::{DeliveryId, MessageOp, Receipt, Severity};
use fanfare::message::{Block, Field, Inline, Message, Native, Rendered};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Everything that a [`Sending`] borrows.
#[derive(Debug, Clone)]
pub struct Given {
    pub id: DeliveryId,
    pub at: Timestamp,
    pub planned: Timestamp,
    pub act: MessageOp,
    pub form: Form,
    pub rendered: Rendered,
    pub rule: String,
    pub event: Value,
    pub root: Value,
    pub context: Map<String, Value>,
    pub overrides: Map<String, Value>,
    pub mentions: Vec<String>,
    pub lane: Option<String>,
    pub receipt: Option<Receipt>,
    pub footer: Footer,
    pub links: Vec<Button>,
}

impl Default for Given {
    fn default() -> Self {
        let body = json!({"id": "evt_1", "type": "release.live", "data": {"release_id": "rel_1", "label": "Warp"}});
        Self {
            id: DeliveryId("dlv_0123456789abcdef0123456789".into()),
            at: "2026-01-05T10:00:05Z".parse().unwrap(),
            planned: "2026-01-05T10:00:00Z".parse().unwrap(),
            act: MessageOp::Open,
            form: Form::Rich,
            rendered: rendered(message(), None),
            rule: "release-live".into(),
            event: json!({
                "source": "jewelmusic",
                "id": "evt_1",
                "type": "release.live",
                "created": "2026-01-05T09:59:59Z",
                "received": "2026-01-05T10:00:00Z",
                "body": body,
            }),
            root: body,
            context: Map::from_iter([("event".to_owned(), json!({"id": "evt_1", "type": "release.live"}))]),
            overrides: Map::new(),
            mentions: Vec::new(),
            lane: None,
            receipt: None,
            footer: Footer::Usual,
            links: Vec::new(),
        }
    }
}

impl Given {
    /// The default with this message.
    pub fn message(message: Message) -> Self {
        Self { rendered: rendered(message, None), ..Self::default() }
    }

    /// The default with this replacement for the channel.
    pub fn native(native: Native) -> Self {
        Self { rendered: rendered(message(), Some(native)), ..Self::default() }
    }

    /// As a channel gets it.
    pub fn sending(&self) -> Sending<'_> {
        Sending {
            id: &self.id,
            at: self.at,
            planned: self.planned,
            act: self.act,
            form: self.form,
            rendered: &self.rendered,
            rule: &self.rule,
            event: &self.event,
            root: &self.root,
            context: &self.context,
            to: None,
            overrides: &self.overrides,
            mentions: &self.mentions,
            lane: self.lane.as_deref(),
            receipt: self.receipt.as_ref(),
            footer: &self.footer,
            settled: &[],
            links: &self.links,
            locale: fanfare::locale::english(),
            outside: false,
        }
    }
}

/// As it would be kept with a delivery: what went well in rendering.
fn rendered(message: Message, native: Option<Native>) -> Rendered {
    serde_json::from_value(json!({"message": message, "native": native})).expect("a rendered message")
}

/// A message with a bit of everything.
pub fn message() -> Message {
    let text = |text: &str| Inline::Text(text.into());
    Message {
        title: "Midnight City is live".into(),
        severity: Severity::Success,
        link: Some("https://app.jewelmusic.example/releases/rel_1".into()),
        fields: vec![
            Field { name: "Label".into(), value: "Warp".into() },
            Field { name: "Tracks".into(), value: "12".into() },
        ],
        image: Some("https://img.jewelmusic.example/rel_1.jpg".into()),
        body: vec![
            Block::Paragraph(vec![text("It is "), Inline::Strong(vec![text("live")]), text(" on 3 of 4 platforms.")]),
            Block::Bullets(vec![
                vec![Block::Paragraph(vec![text("Spotify")])],
                vec![Block::Paragraph(vec![text("Deezer")])],
            ]),
        ],
    }
}
