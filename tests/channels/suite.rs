//! Every channel against its judge: what a person may be sent, the service takes at the first try, and what it refuses, the
//! channel doesn't send.

use std::collections::BTreeSet;

use fanfare::channels::{ALL, Button, Footer, Form, Request};
use fanfare::delivery::{AttemptOutcome, LinkOp, MessageOp};
use fanfare::message::{Block, Field, Inline, Message};
use jiff::SignedDuration;

use super::destinations::{self, Destination};
use super::judges::{self, Judge, accept};
use crate::shipped;
use crate::support::mime::Mime;
use crate::support::sending::{Given, message};

/// The verdict on what the service answers to a request that must be in order.
fn delivered(destination: &Destination, judge: &mut dyn Judge, given: &mut Given) -> Request {
    let channel = &destination.channel;
    let request = channel.compose(&given.sending()).unwrap();
    let reply = accept(judge, &request).redacted(&channel.facts().secrets);
    let verdict = channel.verdict(&reply);
    assert_eq!(verdict.outcome, AttemptOutcome::Delivered, "{}: {verdict:?}", destination.name);
    let remembers = channel.remembers(&given.sending());
    given.receipt = given.receipt.take().or(verdict.receipt).or(remembers);
    request
}

/// The same for a message of no case, in both forms. Gives what people read.
fn read(destination: &Destination, message: &Message) -> Vec<String> {
    let forms = [Form::Rich, Form::Plain].into_iter();
    let read = forms.map(|form| {
        let mut judge = judges::of(destination.kind.name);
        let mut given = Given { form, ..Given::message(message.clone()) };
        let request = delivered(destination, judge.as_mut(), &mut given);
        assert!(judge.pings().is_empty(), "{} pings {:?}", destination.name, judge.pings());
        judge.shown(&request)
    });
    read.collect()
}

#[test]
fn every_kind_of_channel_has_a_judge_and_no_judge_is_left_over() {
    let kinds: BTreeSet<&str> = ALL.iter().map(|kind| kind.name).collect();
    let judges: BTreeSet<&str> = judges::ALL.iter().map(|(name, _)| *name).collect();
    let without: Vec<_> = kinds.difference(&judges).collect();
    assert!(without.is_empty(), "no judge for {without:?}: write tests/channels/judges/NAME.rs, and its row in mod.rs");
    assert_eq!(kinds, judges);
}

#[test]
fn a_service_takes_what_its_kind_says_and_not_one_more() {
    for kind in ALL {
        for limit in kind.limits {
            for (size, is_taken) in [(limit.max, true), (limit.max + 1, false)] {
                let mut judge = judges::of(kind.name);
                let request = judge.sized(limit.of, size);
                judge.answer(&request);
                let refusals = judge.refusals();
                assert_eq!(refusals.is_empty(), is_taken, "{}: {} of {size}: {refusals:?}", kind.name, limit.of);
            }
        }
    }
}

#[test]
fn every_message_of_the_starter_set_is_taken_at_the_first_try_by_every_service() {
    let said = shipped::said();
    assert!(said.len() > 30, "only {} messages", said.len());
    for destination in destinations::kinds() {
        for rendered in &said {
            let mut judge = judges::of(destination.kind.name);
            let mut given = Given { rendered: rendered.clone(), ..Given::default() };
            delivered(&destination, judge.as_mut(), &mut given);
        }
    }
}

/// A message in which this text stands everywhere.
fn everywhere(text: &str) -> Message {
    let plain = || vec![Inline::Text(text.to_owned())];
    let paragraph = || Block::Paragraph(plain());
    Message {
        title: text.replace('\n', " "),
        fields: vec![Field { name: text.to_owned(), value: text.to_owned() }; 3],
        body: vec![
            Block::Heading(2, plain()),
            paragraph(),
            Block::Bullets(vec![vec![paragraph()]]),
            Block::Quote(vec![paragraph()]),
            Block::Table(vec![plain(), plain()], vec![vec![plain(), plain()]]),
            Block::Code(String::new(), text.to_owned()),
        ],
        ..message()
    }
}

#[test]
fn an_empty_message_and_one_of_100_kilobytes_in_each_part_are_taken_at_the_first_try() {
    let empty = Message { link: None, image: None, body: vec![], fields: vec![], ..everywhere("") };
    for destination in destinations::kinds() {
        read(&destination, &empty);
        read(&destination, &everywhere(""));
        for sign in ["word ", "*\n"] {
            read(&destination, &everywhere(&sign.repeat(100_000 / sign.len())));
        }
    }
}

#[test]
fn text_from_right_to_left_is_read_as_it_was_written() {
    let text = "שירים חדשים – أغنية جديدة";
    for destination in destinations::kinds() {
        for read in read(&destination, &everywhere(text)) {
            assert!(read.contains(text), "{}:\n{read}", destination.name);
        }
    }
}

#[test]
fn no_emoji_is_cut_in_two_wherever_a_text_has_to_end() {
    const FAMILY: &str = "👨‍👩‍👧‍👦";
    for destination in destinations::kinds() {
        // As many units before the first as one has, so that an end falls on each of them.
        for before in 0..=11 {
            let text = format!("{}{}", "x".repeat(before), FAMILY.repeat(500));
            for read in read(&destination, &everywhere(&text)) {
                let rest = read.replace(FAMILY, "");
                let part = rest.chars().find(|c| FAMILY.contains(*c));
                assert_eq!(part, None, "{}: a part of an emoji with {before} before it", destination.name);
            }
        }
    }
}

#[test]
fn a_case_goes_its_whole_way_in_every_channel() {
    for destination in destinations::all() {
        let can = destination.channel.facts().can;
        let mut judge = judges::of(destination.kind.name);
        let mut given = Given { lane: Some("case_1".into()), ..Given::default() };
        // Opened, told again, changed, reminded of, closed.
        for act in [MessageOp::Open, MessageOp::Again, MessageOp::Update, MessageOp::Again, MessageOp::Close] {
            given.act = act;
            given.id.0 = format!("dlv_{act:?}");
            let request = delivered(&destination, judge.as_mut(), &mut given);
            if act != MessageOp::Close {
                assert!(!matches!(request, Request::Nothing), "{}: {act:?} sends nothing", destination.name);
            } else if can.closes() {
                assert!(!matches!(request, Request::Nothing), "{}: a close changes nothing", destination.name);
            }
        }
        // An edit or a thread needs to find what was sent.
        if can.keeps_together() {
            assert!(given.receipt.is_some(), "{} remembers nothing of a case", destination.name);
        }
    }
}

#[test]
fn a_change_is_an_edit_of_the_first_message_pings_nobody_and_is_sent_as_the_first_where_none_stands() {
    for destination in destinations::all().into_iter().filter(|one| one.channel.facts().can.edits) {
        let mut judge = judges::of(destination.kind.name);
        let lane = Some("case_1".to_owned());
        let mut given = Given { lane, act: MessageOp::Update, ..Given::default() };
        let first = delivered(&destination, judge.as_mut(), &mut given);
        let way = |request: &Request| match request {
            Request::Http(http) => format!("{} {}", http.method, http.url.open()),
            other => format!("{other:?}"),
        };
        let receipt = given.receipt.clone();
        assert!(receipt.is_some(), "{} remembers nothing of what was sent", destination.name);
        let mut open = Given { act: MessageOp::Open, ..given.clone() };
        open.receipt = None;
        let open = destination.channel.compose(&open.sending()).unwrap();
        assert_eq!(way(&first), way(&open), "{}", destination.name);
        given.id.0 = "dlv_changed".into();
        let mut with_mentions = super::cases::all().into_iter().filter(|case| case.name == "critical-with-mention");
        given.mentions = with_mentions.next().unwrap().given(destination.kind.name).mentions;
        let change = delivered(&destination, judge.as_mut(), &mut given);
        assert!(judge.pings().is_empty(), "{} pings {:?}", destination.name, judge.pings());
        assert_eq!(given.receipt, receipt, "{}", destination.name);
        // ntfy replaces what has the same name; all others have a way of their own for it.
        assert!(way(&change) != way(&first) || destination.kind.name == "ntfy", "{}", destination.name);
    }
}

/// All that people can do.
const ALL_THREE: &[LinkOp] = &[LinkOp::Acknowledge, LinkOp::Close, LinkOp::Mute(3600)];

/// A request has the links that do this, and no other.
fn assert_offers(name: &str, request: &Request, offered: &[LinkOp]) {
    let said = said(request);
    for button in links(ALL_THREE) {
        let is_there = offered.contains(&button.does);
        assert_eq!(said.contains(&button.url), is_there, "{name}: {}:\n{said:.3000}", button.does.word());
    }
}

/// Links that do this, as long as real ones are.
fn links(does: &[LinkOp]) -> Vec<Button> {
    let token = |does: LinkOp| format!("{}{}", &"aZ09_-bY18".repeat(5)[..40], does.word().replace(' ', "-"));
    let button = |does: &LinkOp| Button {
        does: *does,
        label: does.label(),
        url: format!("https://hooks.label.example/act/{}", token(*does)),
    };
    does.iter().map(button).collect()
}

/// All that a request says, where a link may stand.
fn said(request: &Request) -> String {
    let Request::Mail(mail) = request else {
        let body = request.body().unwrap_or_default();
        // A form's values are encoded.
        let values = url::form_urlencoded::parse(body).map(|(_, value)| value.into_owned());
        return std::iter::once(String::from_utf8_lossy(body).into_owned()).chain(values).collect();
    };
    let mail = Mime::parse(&mail.message);
    let parts: Vec<&str> =
        ["text/plain", "text/html"].iter().filter_map(|kind| Some(&*mail.part(kind)?.text)).collect();
    parts.join("\n")
}

#[test]
fn a_case_is_acknowledged_from_every_channel_and_offers_it_no_more_after_that() {
    const AFTER: &[LinkOp] = &[LinkOp::Close, LinkOp::Mute(3600)];
    for (destination, form) in destinations::all().iter().flat_map(|one| [(one, Form::Rich), (one, Form::Plain)]) {
        let mut judge = judges::of(destination.kind.name);
        let mut given = Given { lane: Some("case_1".into()), form, ..Given::default() };
        // Opened, told again, reminded of; acknowledged, told again; closed.
        let way = [
            (MessageOp::Open, ALL_THREE),
            (MessageOp::Again, ALL_THREE),
            (MessageOp::Again, ALL_THREE),
            (MessageOp::Again, AFTER),
            (MessageOp::Close, &[]),
        ];
        for (nth, (act, offered)) in way.into_iter().enumerate() {
            (given.act, given.links) = (act, links(offered));
            given.id.0 = format!("dlv_{nth}");
            assert_offers(&destination.name, &delivered(destination, judge.as_mut(), &mut given), offered);
        }
    }
}

#[test]
fn a_message_that_is_too_long_is_shortened_and_its_links_are_not() {
    for destination in destinations::kinds() {
        for form in [Form::Rich, Form::Plain] {
            let mut judge = judges::of(destination.kind.name);
            let long = everywhere(&"word ".repeat(8_000));
            let mut given = Given { form, links: links(ALL_THREE), ..Given::message(long) };
            assert_offers(&destination.name, &delivered(&destination, judge.as_mut(), &mut given), ALL_THREE);
        }
    }
}

#[test]
fn what_an_example_can_do_is_what_its_kind_can() {
    for destination in destinations::kinds() {
        assert_eq!(destination.channel.facts().can, destination.kind.can, "{}", destination.name);
    }
}

#[test]
fn who_is_asked_to_come_later_waits_as_long_as_the_service_says() {
    for destination in destinations::all() {
        let channel = &destination.channel;
        let (reply, asked) = judges::of(destination.kind.name).limited(SignedDuration::from_secs(17));
        let verdict = channel.verdict(&reply.redacted(&channel.facts().secrets));
        // A mail server has no other word for it than "later".
        let outcomes = [AttemptOutcome::Limited, AttemptOutcome::Temporary];
        assert!(outcomes.contains(&verdict.outcome) && !verdict.failing, "{}: {verdict:?}", destination.name);
        assert_eq!(verdict.wait.unwrap_or_default(), asked, "{}: {verdict:?}", destination.name);
    }
}

/// What people read of a message with this footer, at a destination of this kind.
fn below(yaml: &str, footer: Footer) -> String {
    let destination = destinations::build("footer", yaml);
    let given = Given { footer, ..Given::default() };
    judges::of(destination.kind.name).shown(&destination.channel.compose(&given.sending()).unwrap())
}

#[test]
fn a_team_reads_where_a_message_comes_from_and_others_read_what_the_destination_says() {
    const ORIGIN: &str = "success · release-live · release.live";
    let mail = |to: &str| format!("type: email\nsmtp: smtps://mail.example\nfrom: a@label.example\nto: [{to}]\n");
    let of_kind = |name: &str| destinations::one(name).yaml;
    let (slack, discord) = (of_kind("slack"), of_kind("discord"));
    let (inside, outside) = (mail("b@label.example, c@uk.label.example"), mail("b@label.example, fan@post.example"));
    for (yaml, is_team) in [(&slack, true), (&discord, false), (&inside, true), (&outside, false)] {
        assert_eq!(below(yaml, Footer::Usual).contains(ORIGIN), is_team, "{yaml}");
        assert!(!below(yaml, Footer::None).contains(ORIGIN), "{yaml}");
        let own = below(yaml, Footer::Text("Halide Records".into()));
        assert!(own.contains("Halide Records") && !own.contains(ORIGIN), "{yaml}:\n{own}");
    }
}
