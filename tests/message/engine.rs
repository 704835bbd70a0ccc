//! What templates may do, and how values print.

use fanfare::message::{Block, Inline};
use serde_json::json;

use super::{body, event, render};

#[test]
fn a_template_makes_title_fields_and_body() {
    let event = event("release.live", json!({"title": "My Album", "artist": "X", "url": "https://a.example/1"}));
    let rendered = render(
        "---\ntitle: \"{{ data.title }} is live\"\nseverity: success\nlink: \"{{ data.url }}\"\nfields:\n  Artist: \"{{ data.artist }}\"\n---\n**{{ data.title }}** by {{ data.artist }}\n",
        &event,
    );
    assert_eq!(rendered.problem, None);
    assert_eq!(rendered.undefined, 0);
    let message = rendered.message;
    assert_eq!(message.title, "My Album is live");
    assert_eq!(message.severity.name(), "success");
    assert_eq!(message.link.as_deref(), Some("https://a.example/1"));
    assert_eq!(message.fields[0].value, "X");
    let strong = Inline::Strong(vec![Inline::Text("My Album".into())]);
    assert_eq!(message.body, [Block::Paragraph(vec![strong, Inline::Text(" by X".into())])]);
}

#[test]
fn values_print_as_people_write_them() {
    let data = json!({"yes": true, "none": null, "list": [1, "a"], "map": {"a": 1.50}, "n": 3});
    assert_eq!(body("{{ data.yes }} [{{ data.none }}] {{ data.n }}", data.clone()), "true [] 3");
    assert_eq!(body("{{ data.list }} {{ data.map }}", data), "[1,\"a\"] {\"a\":1.5}");
}
