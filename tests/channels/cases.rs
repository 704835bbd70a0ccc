//! The messages under test: `messages/*.yaml`.
//!
//! ```yaml
//! title: Fraud case C1 needs a person        # one line
//! severity: critical                         # default: info
//! link: https://…                            # and `image`
//! fields: {Artist: Beyoncé}                  # in this order
//! body: |                                    # Markdown
//!   …
//! event: fraud.action_required               # its type
//! rule: fraud-needs-a-person
//! act: again                                 # or `update`, or `close`; the same message was delivered as the case's first before
//! form: plain
//! mentions: {slack: [U024BE7LH]}             # by kind
//! native: {slack: {…}}                       # by kind: an author's own JSON or HTML
//! ```

use fanfare::channels::Form;
use fanfare::delivery::{MessageOp, Severity};
use fanfare::message::pieces::Piece;
use fanfare::message::{Block, Field, Message, Native, markdown};
use fanfare::problem::{File, Problems};
use fanfare::yaml;
use serde_json::{Map, Value};

use crate::support::sending::Given;

/// A message under test.
pub struct Case {
    pub name: String,
    values: Map<String, Value>,
}

/// All of them.
pub fn all() -> Vec<Case> {
    super::destinations::files("messages", "yaml").into_iter().map(|(name, text)| read(name, text)).collect()
}

fn read(name: String, text: String) -> Case {
    const KEYS: [&str; 12] =
        ["title", "severity", "link", "image", "fields", "body", "event", "rule", "act", "form", "mentions", "native"];
    let mut problems = Problems::new();
    let node = yaml::read(&File::new(format!("{name}.yaml"), text), &mut problems);
    assert!(problems.is_empty(), "{name}: {problems:?}");
    let Value::Object(values) = node.unwrap().to_json() else { panic!("{name} is not a mapping") };
    for key in values.keys() {
        assert!(KEYS.contains(&key.as_str()), "{name}: unknown key `{key}`");
    }
    Case { name, values }
}

/// The blocks of Markdown without values.
pub fn markdown(text: &str) -> Vec<Block> {
    markdown::blocks(&[Piece::Raw(text.to_owned())]).unwrap()
}

impl Case {
    fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|value| value.as_str().unwrap_or_else(|| panic!("{}: `{key}` is not text", self.name)))
    }

    fn for_kind(&self, key: &str, kind: &str) -> Option<&Value> {
        self.values.get(key)?.get(kind)
    }

    /// What a channel of this kind is given, except for the receipt.
    pub fn given(&self, kind: &str) -> Given {
        let message = Message {
            title: self.text("title").unwrap_or_default().to_owned(),
            severity: self.text("severity").map_or(Severity::Info, |name| Severity::named(name).unwrap()),
            link: self.text("link").map(str::to_owned),
            fields: self.fields(),
            image: self.text("image").map(str::to_owned),
            body: markdown(self.text("body").unwrap_or_default()),
        };
        let mut given = Given::message(message);
        if let Some(rule) = self.text("rule") {
            given.rule = rule.to_owned();
        }
        if let Some(event) = self.text("event") {
            given.event["type"] = event.into();
        }
        given.act = match self.text("act") {
            None => MessageOp::Open,
            Some("again") => MessageOp::Again,
            Some("update") => MessageOp::Update,
            Some("close") => MessageOp::Close,
            Some(other) => panic!("{}: no act `{other}`", self.name),
        };
        if given.act != MessageOp::Open {
            given.lane = Some("case_0123456789abcdef0123456789".into());
        }
        if self.text("form") == Some("plain") {
            given.form = Form::Plain;
        }
        let mentions = self.for_kind("mentions", kind).and_then(Value::as_array);
        given.mentions = mentions.into_iter().flatten().map(|id| id.as_str().unwrap().to_owned()).collect();
        given.rendered.native = self.for_kind("native", kind).map(|native| match native {
            Value::String(html) => Native::Html(html.clone()),
            json => Native::Json(json.clone()),
        });
        given
    }

    fn fields(&self) -> Vec<Field> {
        let fields = self.values.get("fields").and_then(Value::as_object);
        let field = |(name, value): (&String, &Value)| Field {
            name: name.clone(),
            value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        };
        fields.into_iter().flatten().map(field).collect()
    }
}
