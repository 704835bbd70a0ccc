//! Shortening, plain text and HTML.

use fanfare::delivery::Severity;
use fanfare::message::{Block, Field, Inline, Message, fit, html, plain};
use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::{event, render};

/// The blocks of a Markdown text.
fn blocks(markdown: &str) -> Vec<Block> {
    let event = event("x", serde_json::json!({}));
    render(&format!("---\ntitle: T\n---\n{markdown}"), &event).message.body
}

#[test]
fn a_text_is_cut_at_a_word_or_else_between_what_a_reader_takes_for_characters() {
    let rows: [(&str, usize, &str); 9] = [
        ("short", 5, "short"),
        ("one two three", 12, "one two…"),
        ("one two three four five six", 26, "one two three four five…"),
        ("abcdefghij", 5, "abcd…"),
        ("one two", 4, "one…"),
        ("👩‍🎤👩‍🎤👩‍🎤", 7, "👩‍🎤👩‍🎤…"),
        ("👩‍🎤👩‍🎤", 3, "…"),
        ("e\u{301}e\u{301}e\u{301}", 4, "e\u{301}…"),
        ("abc", 0, ""),
    ];
    for (text, max, expected) in rows {
        assert_eq!(fit::text(text, max, fit::chars), expected, "{text} {max}");
    }
    assert_eq!(fit::text("👍👍👍", 5, fit::utf16), "👍👍…");
    assert_eq!(fit::text("éééé", 7, fit::bytes), "éé…");
    assert_eq!(fit::text("a&b&c", 8, |text| text.replace('&', "&amp;").len()), "a…");
}

fn fitted(markdown: &str, max: usize) -> String {
    let fitted = fit::blocks(&blocks(markdown), max, &|blocks| plain::blocks(blocks).chars().count());
    assert!(fitted.cut);
    plain::blocks(&fitted.blocks)
}

#[test]
fn blocks_are_left_out_from_the_end() {
    let paragraphs = "First paragraph here.\n\nSecond paragraph here.\n\nThird paragraph here.";
    assert_eq!(fitted(paragraphs, 60), "First paragraph here.\n\nSecond paragraph here.\n\n…");
    assert_eq!(fitted("A text\n\n# Heading\n\nIts text, which is long", 26), "A text\n\n…");
}

#[test]
fn lists_and_tables_lose_items_and_say_how_many() {
    assert_eq!(fitted("- one\n- two\n- three\n- four\n- five", 28), "- one\n- two\n- … 3 more");
    assert_eq!(fitted("x\n\n1. one\n2. two\n3. three", 22), "x\n\n1. one\n2. … 2 more");
    let table = format!("| a | b |\n|---|---|\n{}", "| 1 | 2 |\n".repeat(12));
    assert_eq!(fitted(&table, 60), "a         | b\n----------|--\n1         | 2\n… 11 more");
}

#[test]
fn a_paragraph_is_cut_within_itself_where_nothing_else_would_be_left() {
    assert_eq!(fitted("A long paragraph with **strong words in it** and more", 32), "A long paragraph with strong…");
    assert_eq!(fitted("**Strong words only, and quite many of them**", 20), "Strong words only,…");
    assert_eq!(fitted("> A quotation that is long enough to be cut", 20), "> A quotation that…");
    assert_eq!(fitted("```\nline one\nline two\nline three\n```", 31), "    line one\n    line two\n    …");
    assert_eq!(fitted("- A list with a single item that is long", 20), "- A list with a…");
}

#[test]
fn a_link_keeps_its_target_when_its_text_is_cut() {
    let inlines = [Inline::Link("https://a.example/".into(), vec![Inline::Text("a long label of a link".into())])];
    let cut = fit::inlines(&inlines, 12, &|inlines| plain::words(inlines).chars().count());
    assert_eq!(cut, [Inline::Link("https://a.example/".into(), vec![Inline::Text("a long…".into())])]);
}

#[test]
fn what_fits_is_left_as_it_is() {
    let all = blocks("# One\n\n- a\n- b\n\n```rust\ncode\n```\n\n---\n");
    let fitted = fit::blocks(&all, 1000, &|blocks| plain::blocks(blocks).len());
    assert_eq!((fitted.blocks, fitted.cut), (all, false));
}

#[test]
fn a_message_reads_well_as_plain_text() {
    let message = Message {
        title: "Title".into(),
        severity: Severity::Info,
        link: Some("https://a.example/".into()),
        fields: vec![
            Field { name: "Artist".into(), value: "X".into() },
            Field { name: "ISRC".into(), value: "1".into() },
        ],
        image: None,
        body: blocks(
            "# Head\n\nA **b** *c* ~~d~~ `e` [f](https://f.example/) <https://g.example/>\nnext line\n\n- one\n  - inner\n- two\n\n  more\n\n\
             3. x\n4. y\n\n> quoted\n>\n> twice\n\n```rust\nfn x() {}\n```\n\n| a | long head |\n|---|---|\n| wide cell | b |\n\n---\n\nlast",
        ),
    };
    let expected = "Title\n\nHead\n\nA b c d e f (https://f.example/) https://g.example/\nnext line\n\n\
        - one\n  - inner\n- two\n  more\n\n3. x\n4. y\n\n> quoted\n>\n> twice\n\n    fn x() {}\n\n\
        a         | long head\n----------|----------\nwide cell | b\n\n---\n\nlast\n\nArtist: X\nISRC: 1\n\nhttps://a.example/";
    assert_eq!(plain::message(&message), expected);
}

#[test]
fn blocks_become_html_with_every_text_escaped() {
    let html = html::blocks(&blocks(
        "# A & B\n\nx **b** [l](https://a.example/?a=1&b='2')\nline `<c>`\n\n- one\n- two\n\n```\n<pre>\n```\n",
    ));
    let expected = "<h2>A &amp; B</h2>\n<p>x <strong>b</strong> <a href=\"https://a.example/?a=1&amp;b=%272%27\">l</a><br>\nline <code>&lt;c&gt;</code></p>\n\
        <ul>\n<li>one</li>\n<li>two</li>\n</ul>\n<pre style=\"padding:8px;background:#f4f4f4;white-space:pre-wrap\"><code>&lt;pre&gt;</code></pre>\n";
    assert_eq!(html, expected);
    assert_eq!(html::escape("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
}

fn any_blocks() -> impl Strategy<Value = Vec<Block>> {
    let word = prop_oneof!["[a-z]{1,9}( [a-z]{1,9}){0,6}", "\\PC{0,12}", "(👩‍🎤|e\u{301}|ü){1,5}"];
    let inline = word.clone().prop_map(Inline::Text).prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Inline::Strong),
            prop::collection::vec(inner.clone(), 1..3)
                .prop_map(|inner| Inline::Link("https://a.example/".into(), inner)),
            "[a-z]{1,9}".prop_map(Inline::Code),
            Just(Inline::Break),
        ]
    });
    let inlines = prop::collection::vec(inline, 1..4);
    let leaf = prop_oneof![
        inlines.clone().prop_map(Block::Paragraph),
        inlines.clone().prop_map(|inner| Block::Heading(2, inner)),
        "[a-z\n]{0,40}".prop_map(|code| Block::Code(String::new(), code)),
        Just(Block::Rule),
        (prop::collection::vec(inlines.clone(), 2), prop::collection::vec(prop::collection::vec(inlines, 2), 0..5))
            .prop_map(|(head, rows)| Block::Table(head, rows)),
    ];
    let block = leaf.prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(prop::collection::vec(inner.clone(), 1..3), 1..5).prop_map(Block::Bullets),
            prop::collection::vec(prop::collection::vec(inner.clone(), 1..3), 1..5)
                .prop_map(|items| Block::Numbered(7, items)),
            prop::collection::vec(inner, 1..3).prop_map(Block::Quote),
        ]
    });
    prop::collection::vec(block, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn blocks_never_exceed_what_they_are_cut_to(all in any_blocks(), max in 0usize..200) {
        let measure = |blocks: &[Block]| html::blocks(blocks).len();
        let fitted = fit::blocks(&all, max, &measure);
        prop_assert!(measure(&fitted.blocks) <= max, "{} > {max}", measure(&fitted.blocks));
        prop_assert_eq!(fitted.cut, fitted.blocks != all);
    }

    #[test]
    fn a_text_never_exceeds_what_it_is_cut_to(text in "\\PC{0,60}", max in 0usize..40) {
        for measure in [fit::chars, fit::utf16, fit::bytes] {
            let cut = fit::text(&text, max, measure);
            prop_assert!(measure(&cut) <= max);
            if cut != text {
                prop_assert!(cut.is_empty() || cut.ends_with('…'));
                let kept = cut.strip_suffix('…').unwrap_or_default();
                let whole: Vec<&str> = text.graphemes(true).collect();
                let parts: Vec<&str> = kept.graphemes(true).collect();
                prop_assert_eq!(&parts[..], &whole[..parts.len()]);
            }
        }
    }
}
