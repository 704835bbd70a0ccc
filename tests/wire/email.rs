//! The email channel: what people get, and what nobody can slip into it.

use fanfare::channels::{Form, Request};
use fanfare::delivery::{AttemptOutcome, MessageOp, Severity};
use fanfare::message::{Block, Field, File, Inline, Message, Native};
use proptest::prelude::*;
use serde_json::json;

use super::{AMPLE, wire};
use crate::support::leak::assert_no_leak;
use crate::support::mime::Mime;
use crate::support::parsing::{channel, try_channel};
use crate::support::sending::{Given, message};
use crate::support::smtp_peer::{Setup, SmtpPeer};

const FINANCE: &str = "
type: email
smtp: smtps://fanfare:s3cret%40w0rd@smtp.example.com
from: Fanfare <fanfare@label.example>
to: [finance@label.example, 'Ann Lee <ann@label.example>']
cc: heads@label.example
reply_to: desk@label.example
";

fn letter(given: &Given) -> Mime {
    let Ok(Request::Mail(mail)) = channel(FINANCE).compose(&given.sending()) else { panic!("a mail") };
    Mime::parse(&mail.message)
}

#[test]
fn a_mail_says_who_when_and_what() {
    let mail = letter(&Given::default());
    let table = [
        ("From", "Fanfare <fanfare@label.example>"),
        ("To", "finance@label.example, \"Ann Lee\" <ann@label.example>"),
        ("Cc", "heads@label.example"),
        ("Reply-To", "desk@label.example"),
        ("Subject", "Midnight City is live"),
        ("Date", "Mon, 05 Jan 2026 10:00:00 +0000"),
        ("Message-ID", "<dlv_0123456789abcdef0123456789@label.example>"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("List-Id", "<release-live.fanfare.label.example>"),
        ("MIME-Version", "1.0"),
    ];
    for (name, expected) in table {
        assert_eq!(mail.header(name), Some(expected), "{name}");
        assert_eq!(mail.count(name), 1, "{name}");
    }
    assert_eq!(mail.header("References"), None);
    assert_eq!(mail.header("Importance"), None);
}

#[test]
fn the_plain_part_comes_first_and_says_everything() {
    let mail = letter(&Given::default());
    assert!(mail.header("Content-Type").unwrap().starts_with("multipart/alternative"));
    let kinds: Vec<&str> = mail.parts.iter().filter_map(|part| part.header("Content-Type")).collect();
    assert_eq!(kinds, ["text/plain; charset=utf-8", "text/html; charset=utf-8"]);
    assert!(mail.parts.iter().all(|part| part.header("Content-Transfer-Encoding") == Some("quoted-printable")));
    assert_eq!(
        mail.parts[0].text,
        "Midnight City is live\n\nIt is live on 3 of 4 platforms.\n\n- Spotify\n- Deezer\n\nLabel: Warp\nTracks: 12\n\n\
         https://app.jewelmusic.example/releases/rel_1\n\n-- \nSent by Fanfare: success · release-live · \
         release.live\n"
    );
    let html = &mail.parts[1].text;
    for piece in [
        "<title>Midnight City is live</title>",
        "<strong>live</strong> on 3 of 4 platforms.",
        "<li>Spotify</li>",
        ">Tracks</td>",
        "href=\"https://app.jewelmusic.example/releases/rel_1\"",
        "src=\"https://img.jewelmusic.example/rel_1.jpg\"",
        "border-top:4px solid #15803d",
        "release-live",
    ] {
        assert!(html.contains(piece), "{piece} is not in {html}");
    }
}

#[test]
fn every_attempt_says_the_same_bytes() {
    let channel = channel(FINANCE);
    let later = Given { at: "2026-01-06T00:00:00Z".parse().unwrap(), ..Given::default() };
    let bytes = |given: &Given| match channel.compose(&given.sending()) {
        Ok(Request::Mail(mail)) => mail.message,
        other => panic!("{other:?}"),
    };
    assert_eq!(bytes(&Given::default()), bytes(&later));
}

#[test]
fn the_mails_of_a_case_stand_in_one_thread() {
    for (act, id) in [(MessageOp::Open, "dlv_1"), (MessageOp::Again, "dlv_2"), (MessageOp::Close, "dlv_3")] {
        let id = fanfare::delivery::DeliveryId(id.into());
        let mail = letter(&Given { act, id, lane: Some("case_77".into()), ..Given::default() });
        for name in ["In-Reply-To", "References"] {
            assert_eq!(mail.header(name), Some("<case_77@label.example>"), "{name}");
        }
        assert_ne!(mail.header("Message-ID"), Some("<case_77@label.example>"));
    }
}

#[test]
fn what_follows_in_a_case_has_the_subject_of_what_it_answers() {
    let lane = Some("case_77".to_owned());
    let channel = channel(FINANCE);
    let opening = Given { lane: lane.clone(), ..Given::default() };
    let receipt = channel.remembers(&opening.sending());
    let reminder = Message { title: "Still nobody".into(), ..message() };
    let later = Given { act: MessageOp::Again, lane, receipt, ..Given::message(reminder) };
    let mail = letter(&later);
    assert_eq!(mail.header("Subject"), Some("Re: Midnight City is live"));
    assert!(mail.part("text/plain").unwrap().text.starts_with("Still nobody\n"), "what it says is not lost");
    assert!(mail.part("text/html").unwrap().text.contains("Still nobody"));
}

#[test]
fn a_kept_subject_is_as_harmless_as_a_title() {
    for hostile in HOSTILE.iter().map(|text| (*text).to_owned()).chain(["ü ".repeat(3000)]) {
        let receipt = serde_json::Map::from_iter([("subject".to_owned(), json!(hostile))]);
        let mail = letter(&Given { act: MessageOp::Again, receipt: Some(receipt), ..Given::default() });
        assert_eq!((mail.count("Bcc"), mail.count("Subject")), (0, 1), "{hostile:?}");
        let subject = mail.header("Subject").unwrap();
        assert!(!subject.chars().any(char::is_control) && subject.chars().count() <= 204, "{subject:?}");
    }
    for odd in [json!(""), json!(" \n"), json!(7), json!(null)] {
        let receipt = serde_json::Map::from_iter([("subject".to_owned(), odd)]);
        let mail = letter(&Given { receipt: Some(receipt), ..Given::default() });
        assert_eq!(mail.header("Subject"), Some("Midnight City is live"));
    }
}

#[test]
fn what_is_critical_is_marked_important() {
    let mail = letter(&Given::message(Message { severity: Severity::Critical, ..message() }));
    assert_eq!(mail.header("Importance"), Some("high"));
}

#[test]
fn plain_text_goes_alone() {
    let mail = letter(&Given { form: Form::Plain, ..Given::default() });
    assert_eq!(mail.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert!(mail.text.starts_with("Midnight City is live\n\nIt is live"));
}

#[test]
fn a_file_stands_beside_what_is_said() {
    let mut given = Given::default();
    given.rendered.file = Some(File { name: "Zahlungen März.csv".into(), text: "\"Künstler\"\r\n".into() });
    let mail = letter(&given);
    assert!(mail.header("Content-Type").unwrap().starts_with("multipart/mixed"));
    let [said, file] = &mail.parts[..] else { panic!("{} parts", mail.parts.len()) };
    assert!(said.header("Content-Type").unwrap().starts_with("multipart/alternative"));
    assert_eq!(file.header("Content-Type"), Some("text/csv; charset=utf-8"));
    assert!(file.header("Content-Disposition").unwrap().starts_with("attachment;"));
    assert_eq!(file.text, "\u{feff}\"Künstler\"\n");
    given.form = Form::Plain;
    let mail = letter(&given);
    assert_eq!(mail.parts.len(), 2);
    assert!(mail.parts[0].header("Content-Type").unwrap().starts_with("text/plain"));
}

#[test]
fn a_template_of_its_own_replaces_the_html_part_alone() {
    let mail = letter(&Given::native(Native::Html("<h1>Grüße</h1>".into())));
    assert_eq!(mail.part("text/html").unwrap().text, "<h1>Grüße</h1>");
    assert!(mail.part("text/plain").unwrap().text.starts_with("Midnight City is live"));
    let mail = letter(&Given::native(Native::Json(json!({"not": "ours"}))));
    assert!(mail.part("text/html").unwrap().text.contains("Midnight City is live"));
}

#[test]
fn a_choice_decides_who_gets_it() {
    let channel = channel(
        "{type: email, smtp: 'smtp://localhost?tls=none', from: a@label.example, to: {by: $.data.label, map: \
         {Warp: [warp@label.example, both@label.example]}, else: all@label.example}, cc: both@label.example}",
    );
    let envelope = |label: &str| {
        let given = Given { root: json!({"data": {"label": label}}), ..Given::default() };
        match channel.compose(&given.sending()) {
            Ok(Request::Mail(mail)) => mail.envelope_to,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(envelope("Warp"), ["warp@label.example", "both@label.example"]);
    assert_eq!(envelope("Ninja"), ["all@label.example", "both@label.example"]);
}

/// What people may write into a release's title, and worse.
const HOSTILE: [&str; 12] = [
    "x\r\nBcc: evil@evil.example",
    "x\nBcc: evil@evil.example\n\nbody",
    "x\rBcc: evil@evil.example",
    "\0\u{1b}[2J\u{202e}evil",
    "=?utf-8?q?=0D=0ABcc:_evil@evil.example?=",
    "=?utf-8?b?DQpCY2M6IGV2aWxAZXZpbC5leGFtcGxl?=",
    "</title></td><script>alert(1)</script><img src=x onerror=alert(1)>",
    "\r\n.\r\nMAIL FROM:<evil@evil.example>",
    "\n.\n",
    "\u{2028}Bcc: evil@evil.example\u{2029}\u{85}x",
    "Grüße, \u{1F3B5} من ليلى",
    "\r\n--=_000000000000000000000000--\r\n",
];

#[test]
fn no_value_becomes_a_header_a_recipient_or_markup() {
    for hostile in HOSTILE.iter().map(|text| (*text).to_owned()).chain(["a".repeat(5000), "ü ".repeat(3000)]) {
        let given = Given {
            rule: hostile.clone(),
            lane: Some(hostile.clone()),
            ..Given::message(Message {
                title: hostile.clone(),
                fields: vec![Field { name: hostile.clone(), value: hostile.clone() }],
                body: vec![Block::Paragraph(vec![Inline::Text(hostile.clone())])],
                ..message()
            })
        };
        let Ok(Request::Mail(mail)) = channel(FINANCE).compose(&given.sending()) else { panic!("a mail") };
        assert_eq!(mail.envelope_to, ["finance@label.example", "ann@label.example", "heads@label.example"]);
        let mail = Mime::parse(&mail.message);
        assert_eq!((mail.count("Bcc"), mail.count("To"), mail.count("Subject")), (0, 1, 1), "{hostile:?}");
        assert_eq!(mail.headers.len(), letter(&Given { lane: Some("x".into()), ..Given::default() }).headers.len());
        let subject = mail.header("Subject").unwrap();
        assert!(!subject.chars().any(char::is_control) && subject.chars().count() <= 200, "{subject:?}");
        assert_eq!(mail.parts.len(), 2, "{hostile:?}");
        let html = &mail.part("text/html").unwrap().text;
        assert!(!html.contains("<script") && html.matches("<img").count() == 1, "{html}");
    }
}

#[test]
fn a_hundred_recipients_stand_on_lines_that_every_server_takes() {
    let many = |name: &str, to: &str| -> String {
        (0..100).map(|n| format!("{name} {n} <{to}{n}@label.example>")).collect::<Vec<_>>().join(", ")
    };
    let destination = format!(
        "type: email\nsmtp: smtps://h\nfrom: a@label.example\nto: [{}]\ncc: [{}]\n",
        many("Ólöf Ærøskøbing-Müller", "x"),
        many("Ann Lee", "y")
    );
    let given = Given::default();
    let Request::Mail(mail) = channel(&destination).compose(&given.sending()).unwrap() else { panic!("a mail") };
    assert_eq!(mail.envelope_to.len(), 200);
    let head = String::from_utf8_lossy(&mail.message);
    let head = head.split("\r\n\r\n").next().unwrap();
    for line in head.lines() {
        assert!(line.len() <= 78 || line.starts_with("List-Id"), "{} characters: {line}", line.len());
    }
    let mime = Mime::parse(&mail.message);
    let to = mime.header("to").unwrap();
    for n in [0, 42, 99] {
        assert!(
            to.contains(&format!("Ólöf Ærøskøbing-Müller {n}")) && to.contains(&format!("<x{n}@label.example>")),
            "{to}"
        );
    }
    assert!(mime.header("cc").unwrap().contains("<y99@label.example>"));
}

#[test]
fn a_name_to_greet_by_is_checked() {
    let (_, said) = try_channel("type: email\nsmtp: smtps://h\nfrom: a@b.example\nto: x@y.example\nhelo: my host\n");
    assert_eq!(
        said,
        ["fanfare.yaml:5:7: error: this name can't be used to greet a mail server (write this host's full name: \
             `fanfare.label.example`)"]
    );
}

#[test]
fn a_title_in_any_script_arrives_as_it_is() {
    for title in
        ["Grüße aus Köln", "\u{1F3B5} 夜の街 — من ليلى", "Tab & \"quotes\" <angle> = equals ?=", "=?utf-8?q?plain?="]
    {
        let mail = letter(&Given::message(Message { title: title.into(), ..message() }));
        assert_eq!(mail.header("Subject"), Some(title));
    }
}

#[test]
fn a_message_without_words_still_has_a_subject() {
    let message = Message { title: String::new(), body: vec![], fields: vec![], link: None, image: None, ..message() };
    assert_eq!(letter(&Given::message(message)).header("Subject"), Some("release-live"));
}

#[test]
fn no_mail_is_so_long_that_its_link_is_clipped() {
    let paragraph = Block::Paragraph(vec![Inline::Text("word <&> ".repeat(200))]);
    let mail = letter(&Given::message(Message { body: vec![paragraph; 500], ..message() }));
    let html = &mail.part("text/html").unwrap().text;
    assert!(html.len() < 100 * 1024, "{} bytes", html.len());
    assert!(html.contains("href=\"https://app.jewelmusic.example/releases/rel_1\""));
    assert!(mail.part("text/plain").unwrap().text.len() < 100 * 1024);
}

proptest! {
    #[test]
    fn any_text_makes_a_mail_that_can_be_read(title in "(?s).{0,400}", body in "(?s).{0,400}", name in ".{0,40}") {
        let mail = letter(&Given::message(Message {
            title,
            fields: vec![Field { name: name.clone(), value: name }],
            body: vec![Block::Paragraph(vec![Inline::Text(body.clone())]), Block::Code(String::new(), body)],
            ..message()
        }));
        prop_assert_eq!(mail.parts.len(), 2);
    }
}

#[tokio::test]
async fn a_mail_goes_all_the_way() {
    let peer = SmtpPeer::start(Setup::default()).await;
    let channel = channel(&format!(
        "{{type: email, smtp: '{}', from: 'Fänfare <fanfare@label.example>', to: ann@label.example}}",
        peer.url()
    ));
    let hostile = Given::message(Message { title: "x\r\n.\r\nMAIL FROM:<e@e>".into(), ..message() });
    for given in [Given::default(), Given { form: Form::Plain, ..hostile }] {
        let request = channel.compose(&given.sending()).unwrap();
        let verdict = channel.verdict(&wire().send(&request, AMPLE).await);
        assert_eq!((verdict.outcome, verdict.reason.as_str()), (AttemptOutcome::Delivered, "250 2.0.0 kept"));
    }
    let mails = peer.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].mime().header("From"), Some("Fänfare <fanfare@label.example>"));
    assert_eq!(mails[0].from, "fanfare@label.example");
    peer.assert_clean();
}

#[test]
fn nothing_of_the_password_is_ever_said() {
    let channel = channel(FINANCE);
    let request = channel.compose(&Given::default().sending()).unwrap();
    assert_no_leak(&*channel, &request, &["s3cret"]);
    assert_eq!(channel.facts().address, "smtp.example.com:465");
}

#[test]
fn what_is_wrong_is_said_where_and_how_to_fix_it() {
    const START: &str = "type: email\nsmtp: smtps://h\nfrom: a@b.example\nto: ";
    let table = [
        (
            "type: email\nto: x@y.example".to_owned(),
            vec![
                "fanfare.yaml:1:1: error: destination `x` has no `smtp`",
                "fanfare.yaml:1:1: error: destination `x` has no `from`",
            ],
        ),
        (
            format!("{START}nobody"),
            vec![
                "fanfare.yaml:4:5: error: `nobody` is not an address (write `name@host` or `Name <name@host>`; several as \
                 a list)",
            ],
        ),
        (
            format!("{START}[x@y.example, 'x@y.example, z@y.example']"),
            vec![
                "fanfare.yaml:4:19: error: `x@y.example, z@y.example` is not an address (write `name@host` or \
                 `Name <name@host>`; several as a list)",
            ],
        ),
        (
            format!("{START}\"Evil\\r\\nBcc: e@e.example <x@y.example>\""),
            vec![
                "fanfare.yaml:4:5: error: `Evil Bcc: e@e.example <x@y.example>` is not an address (write `name@host` or \
                 `Name <name@host>`; several as a list)",
            ],
        ),
        (
            format!("{START}jürgen@y.example"),
            vec![
                "fanfare.yaml:4:5: error: few servers accept an address such as `jürgen@y.example` (write it in ASCII, \
                 the domain in its `xn--` form)",
            ],
        ),
        (format!("{START}[]"), vec!["fanfare.yaml:4:5: error: expected an address, found a list"]),
        (
            format!("{START}x@y.example\nsubject: no"),
            vec![
                "fanfare.yaml:5:1: error: destination `x` has no key `subject` (known: `type`, `smtp`, `from`, `to`, \
                 `cc`, `reply_to`, `helo`)",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(try_channel(&text).1, expected, "{text}");
    }
}

#[test]
fn a_wrong_server_is_said_without_its_password() {
    let table = [
        ("smtp.example.com", "this is not a URL: relative URL without a base"),
        ("https://u:CANARY@h", "a mail server's URL begins with `smtps://` or `smtp://`"),
        ("smtps://u:CANARY@h?tls=none", "`smtps` uses TLS from the first byte: remove `tls`"),
        ("smtp://u:CANARY@h?tls=maybe", "`tls` is `required`, `opportunistic` or `none`"),
        ("smtp://u:CANARY@h?ssl=on", "a mail server's URL has no option `ssl`, only `tls`"),
        ("smtp://CANARY@h", "the URL has a user and no password"),
        ("smtp://u:CANARY%zz@h", "a `%` in the URL's user or password must be written `%25`"),
        ("smtp://u:CANARY%00@h", "the URL's user or password holds a NUL"),
        ("smtp://u:CANARY@h/a b", "a mail server's URL has no path: put the name for the greeting into `helo`"),
        ("smtp:///x", "the URL has no host"),
    ];
    for (url, expected) in table {
        let (channel, problems) =
            try_channel(&format!("{{type: email, smtp: '{url}', from: a@b.example, to: a@b.example}}"));
        assert!(channel.is_none(), "{url}");
        let expected = format!("fanfare.yaml:1:21: error: {expected} (write `smtps://user:password@smtp.example.com`)");
        assert_eq!(problems, [expected], "{url}");
    }
    let clear = "{type: email, smtp: 'smtp://u:CANARY@h?tls=none', from: a@b.example, to: a@b.example}";
    let (channel, problems) = try_channel(clear);
    assert!(channel.is_some() && problems[0].contains("warning") && !problems[0].contains("CANARY"), "{problems:?}");
}
