//! Any message at all: every service takes it on the first try, in the rich and in the plain form, and nobody is
//! pinged who wasn't asked for.

use fanfare::channels::Form;
use fanfare::delivery::{AttemptOutcome, MessageOp, Severity};
use fanfare::message::text::{clean, one_line};
use fanfare::message::{Block, Field, Inline, Message};
use proptest::collection::vec;
use proptest::prelude::*;

use super::destinations;
use super::judges::{self, accept};
use crate::support::sending::Given;

/// What templates make of a value: any text that is fit to be seen, short or longer than any limit.
fn text() -> impl Strategy<Value = String> {
    let signs = "[ *_~`|<>\\[\\]()#:@&\\\\.+!\n-]{0,12}";
    prop_oneof![
        6 => "\\PC{0,20}",
        3 => signs,
        1 => ("\\PC{1,4}", 1usize..3000).prop_map(|(text, count)| text.repeat(count)),
    ]
    .prop_map(|text| clean(&text))
}

fn inlines() -> impl Strategy<Value = Vec<Inline>> {
    let leaf = prop_oneof![
        text().prop_map(Inline::Text),
        text().prop_map(Inline::Code),
        Just(Inline::Break),
        link().prop_map(|target| Inline::Link(target, vec![])),
    ];
    let nested = leaf.prop_recursive(2, 8, 3, |inner| {
        let inner = vec(inner, 0..3).boxed();
        prop_oneof![
            inner.clone().prop_map(Inline::Emphasis),
            inner.clone().prop_map(Inline::Strong),
            inner.clone().prop_map(Inline::Strike),
            (link(), inner).prop_map(|(target, inner)| Inline::Link(target, inner)),
        ]
    });
    vec(nested, 0..4)
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let leaf = prop_oneof![
        3 => inlines().prop_map(Block::Paragraph),
        1 => (1u8..=6, inlines()).prop_map(|(level, inner)| Block::Heading(level, inner)),
        1 => ("[a-z`]{0,5}", text()).prop_map(|(language, code)| Block::Code(language, code)),
        1 => (vec(inlines(), 1..3), vec(vec(inlines(), 0..3), 0..4)).prop_map(|(head, rows)| Block::Table(head, rows)),
        1 => Just(Block::Rule),
    ];
    let nested = leaf.prop_recursive(3, 24, 3, |inner| {
        let items = vec(vec(inner.clone(), 0..3), 0..4).boxed();
        prop_oneof![
            items.clone().prop_map(Block::Bullets),
            (0u64..=u64::MAX, items).prop_map(|(first, items)| Block::Numbered(first, items)),
            vec(inner, 0..3).prop_map(Block::Quote),
        ]
    });
    prop_oneof![9 => vec(nested, 0..6).boxed(), 1 => vec(inlines().prop_map(Block::Paragraph), 30..90).boxed()]
}

fn link() -> impl Strategy<Value = String> {
    ("[a-z]{1,8}", text()).prop_map(|(path, value)| {
        let mut url = url::Url::parse("https://label.example/").unwrap();
        url.set_path(&path);
        url.query_pairs_mut().append_pair("q", &value);
        url.to_string()
    })
}

fn message() -> impl Strategy<Value = Message> {
    let field = (text(), text()).prop_map(|(name, value)| Field { name, value }).boxed();
    let severity = (0..Severity::ALL.len()).prop_map(|nth| Severity::ALL[nth]);
    let fields = prop_oneof![4 => vec(field.clone(), 0..4), 1 => vec(field, 20..40)];
    (text(), severity, proptest::option::of(link()), fields, proptest::option::of(link()), blocks()).prop_map(
        |(title, severity, link, fields, image, body)| Message {
            title: one_line(&title),
            severity,
            link,
            fields,
            image,
            body,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_service_takes_any_message_at_once_and_pings_nobody(message in message()) {
        for destination in destinations::kinds() {
            let channel = &destination.channel;
            let mut judge = judges::of(destination.kind.name);
            let mut given = Given { lane: Some("case_1".into()), ..Given::message(message.clone()) };
            for (act, form) in [
                (MessageOp::Open, Form::Rich), (MessageOp::Again, Form::Rich), (MessageOp::Close, Form::Rich),
                (MessageOp::Open, Form::Plain), (MessageOp::Close, Form::Plain),
            ] {
                (given.act, given.form) = (act, form);
                let request = channel.compose(&given.sending());
                let request = request.map_err(|why| TestCaseError::fail(format!("{}: {why}", destination.name)))?;
                let verdict = channel.verdict(&accept(judge.as_mut(), &request).redacted(&channel.facts().secrets));
                prop_assert_eq!(verdict.outcome, AttemptOutcome::Delivered, "{}: {:?}", destination.name, verdict);
                given.receipt = given.receipt.or(verdict.receipt);
            }
            prop_assert!(judge.pings().is_empty(), "{} pings {:?}", destination.name, judge.pings());
        }
    }
}
