//! Mail, against every kind of server.

use std::time::Duration;

use fanfare::channels::verdict::{Family, shared};
use fanfare::channels::wire::{Guard, Wire};
use fanfare::channels::{Endpoint, MailRequest, MailServer, Reply, Request, Verdict};
use fanfare::delivery::AttemptOutcome;

use super::{AMPLE, SHORT, no_answer, not_sent, server_at, wire};
use crate::support::smtp_peer::{Act, Moment, PeerTls, Setup, SmtpPeer};

const CONTENT: &str = "Subject: hello\r\n\r\n.\r\n..\r\n.hidden\r\nthe end\r\n";

fn mail(server: &str, to: &[&str]) -> Request {
    Request::Mail(Box::new(MailRequest {
        server: server_at(server),
        envelope_to: to.iter().map(|to| (*to).to_owned()).collect(),
        message: CONTENT.into(),
    }))
}

async fn send(wire: &Wire, peer: &SmtpPeer, to: &[&str], deadline: Duration) -> Reply {
    wire.send(&mail(&peer.url(), to), deadline).await
}

async fn verdict(peer: &SmtpPeer, to: &[&str]) -> Verdict {
    shared(Family::Http, &send(&wire(), peer, to, AMPLE).await)
}

fn starttls() -> Setup {
    Setup { tls: PeerTls::Start, ..Setup::default() }
}

#[tokio::test]
async fn a_mail_arrives_whole_with_its_dots() {
    let peer = SmtpPeer::start(Setup::default()).await;
    let reply = send(&wire(), &peer, &["ann@label.example", "bob@label.example"], AMPLE).await;
    let Reply::Mail { accepted, refused, code: Some(250), text } = reply else { panic!("{reply:?}") };
    assert_eq!(accepted, ["ann@label.example", "bob@label.example"]);
    assert_eq!((refused.len(), text.as_str()), (0, "2.0.0 kept"));
    let [kept] = &peer.mails()[..] else { panic!("one mail") };
    assert_eq!(kept.from, "fanfare@label.example");
    assert_eq!(kept.to, ["ann@label.example", "bob@label.example"]);
    assert_eq!(String::from_utf8_lossy(&kept.content), CONTENT);
    peer.assert_clean();
}

#[tokio::test]
async fn bare_line_ends_smuggle_no_second_mail() {
    let peer = SmtpPeer::start(Setup::default()).await;
    let request = Request::Mail(Box::new(MailRequest {
        server: server_at(&peer.url()),
        envelope_to: vec!["ann@label.example".into()],
        message: b"Subject: x\n\na\n.\nMAIL FROM:<evil@evil.example>\r.\rb\r\n.\r\nc\n.\r\nd\r\n.\ne".to_vec(),
    }));
    wire().send(&request, AMPLE).await;
    let [kept] = &peer.mails()[..] else { panic!("one mail") };
    let expected =
        "Subject: x\r\n\r\na\r\n.\r\nMAIL FROM:<evil@evil.example>\r\n.\r\nb\r\n.\r\nc\r\n.\r\nd\r\n.\r\ne\r\n";
    assert_eq!(String::from_utf8_lossy(&kept.content), expected);
    peer.assert_clean();
}

#[tokio::test]
async fn one_refused_recipient_does_not_keep_the_others_from_the_mail() {
    let peer = SmtpPeer::start(Setup::default()).await;
    peer.on(Moment::Rcpt("bob@label.example"), Act::Say("550 5.1.1 <bob@label.example> is unknown"));
    let verdict = verdict(&peer, &["ann@label.example", "bob@label.example", "cyd@label.example"]).await;
    assert_eq!(verdict.outcome, AttemptOutcome::Delivered);
    assert_eq!(
        verdict.reason,
        "250 2.0.0 kept; refused for b…@label.example (550 5.1.1 <b…@label.example> is unknown)"
    );
    assert_eq!(peer.mails()[0].to, ["ann@label.example", "cyd@label.example"]);
    peer.assert_clean();
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_by_ourselves() {
    let peer = SmtpPeer::start(Setup::default()).await;
    let evil = "evil@label.example>\r\nRCPT TO:<other@label.example";
    let reply = send(&wire(), &peer, &["ann@label.example", evil], AMPLE).await;
    assert!(matches!(&reply, Reply::Mail { refused, .. } if refused[0].1 == 553), "{reply:?}");
    assert_eq!(peer.mails()[0].to, ["ann@label.example"]);
    peer.assert_clean();
}

#[tokio::test]
async fn what_the_answers_mean() {
    use AttemptOutcome::{Permanent, Refused, Temporary};
    use Moment::{Auth, Content, Data, Greeting, Mail, Rcpt};
    const ANN: Moment = Rcpt("ann@label.example");
    const BOB: Moment = Rcpt("bob@label.example");
    let table: [(&[(Moment, &str)], AttemptOutcome); 15] = [
        (&[(ANN, "450 4.7.1 greylisted"), (BOB, "451 4.7.1 greylisted")], Temporary),
        (&[(ANN, "550 5.1.1 unknown"), (BOB, "553 5.1.3 what")], Permanent),
        (&[(ANN, "550 5.1.1 unknown"), (BOB, "452 4.2.2 full")], Temporary),
        (&[(ANN, "421 4.3.2 going down")], Temporary),
        (&[(Greeting, "554 5.3.2 no service")], Permanent),
        (&[(Greeting, "421 4.3.2 busy")], Temporary),
        (&[(Mail, "550 5.7.1 you may not send so")], Permanent),
        (&[(Mail, "452 4.3.1 full")], Temporary),
        (&[(Data, "554 5.5.1 no")], Permanent),
        (&[(Data, "451 4.3.0 later")], Temporary),
        (&[(Content, "552 5.3.4 too large")], Permanent),
        (&[(Content, "554 5.6.0 no such content")], Refused),
        (&[(Content, "451 4.3.0 later")], Temporary),
        (&[(Data, "250 what")], Temporary),
        (&[(Auth, "454 4.7.0 later")], Temporary),
    ];
    for (acts, expected) in table {
        let login = acts.iter().any(|(moment, _)| *moment == Auth).then_some(("label", "password"));
        let peer = SmtpPeer::start(Setup { login, ..Setup::default() }).await;
        for (moment, line) in acts {
            // The table's lines live as long as the program.
            peer.on(moment.clone(), Act::Say(Box::leak(line.to_string().into_boxed_str())));
        }
        let verdict = verdict(&peer, &["ann@label.example", "bob@label.example"]).await;
        assert_eq!(verdict.outcome, expected, "{acts:?}: {verdict:?}");
        assert!(!verdict.failing, "{acts:?}");
        assert_eq!(peer.mails().len(), 0, "{acts:?}");
        peer.assert_clean();
    }
}

#[tokio::test]
async fn a_login_is_made_before_the_mail() {
    let login = Some(("label", "p4ss:w0rd"));
    let peer = SmtpPeer::start(Setup { login, ..starttls() }).await;
    let url = format!("smtp://label:p4ss%3Aw0rd@localhost:{}", peer.address.port());
    let reply = wire().send(&mail(&url, &["ann@label.example"]), AMPLE).await;
    assert!(matches!(reply, Reply::Mail { code: Some(250), .. }), "{reply:?}");
    assert_eq!(peer.mails()[0].user.as_deref(), Some("label"));
    peer.assert_clean();
}

#[tokio::test]
async fn a_wrong_password_marks_the_destination_failing() {
    let peer = SmtpPeer::start(Setup { login: Some(("label", "right")), ..Setup::default() }).await;
    let url = format!("smtp://label:wrong@127.0.0.1:{}?tls=none", peer.address.port());
    let verdict = shared(Family::Http, &wire().send(&mail(&url, &["ann@label.example"]), AMPLE).await);
    assert_eq!((verdict.outcome, verdict.failing), (AttemptOutcome::Permanent, true));
    assert_eq!(verdict.reason, "535 5.7.8 wrong user or password");
}

#[tokio::test]
async fn both_kinds_of_tls_carry_the_mail() {
    for tls in [PeerTls::Start, PeerTls::Implicit] {
        let peer = SmtpPeer::start(Setup { tls, ..Setup::default() }).await;
        let reply = send(&wire(), &peer, &["ann@label.example"], AMPLE).await;
        assert!(matches!(reply, Reply::Mail { code: Some(250), .. }), "{tls:?} {reply:?}");
        assert!(peer.mails()[0].over_tls);
        peer.assert_clean();
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_said_where_it_is_required() {
    let peer = SmtpPeer::start(Setup { login: Some(("label", "password")), ..Setup::default() }).await;
    let port = peer.address.port();
    for query in ["", "?tls=required"] {
        let url = format!("smtp://label:password@localhost:{port}{query}");
        let why = not_sent(wire().send(&mail(&url, &["ann@label.example"]), AMPLE).await);
        assert_eq!(why, "the mail server offers no STARTTLS, and nothing is sent without");
    }
    let url = format!("smtp://label:password@localhost:{port}?tls=opportunistic");
    let why = not_sent(wire().send(&mail(&url, &["ann@label.example"]), AMPLE).await);
    assert_eq!(why, "the mail server offers no TLS, and the password is not sent without");
    assert_eq!(peer.mails().len(), 0);
}

#[tokio::test]
async fn opportunistic_takes_tls_where_it_is() {
    for tls in [PeerTls::Off, PeerTls::Start] {
        let peer = SmtpPeer::start(Setup { tls, ..Setup::default() }).await;
        let url = format!("smtp://localhost:{}?tls=opportunistic", peer.address.port());
        wire().send(&mail(&url, &["ann@label.example"]), AMPLE).await;
        assert_eq!(peer.mails()[0].over_tls, tls == PeerTls::Start);
    }
}

#[tokio::test]
async fn opportunistic_takes_a_certificate_of_the_servers_own_making_unless_a_password_is_at_stake() {
    for certificate in ["elsewhere", "expired", "localhost"] {
        let peer = SmtpPeer::start(Setup { certificate, ..starttls() }).await;
        let url = format!("smtp://localhost:{}?tls=opportunistic", peer.address.port());
        // Nobody has told this wire of the tests' authority.
        let wire = Wire::new(Guard::default()).unwrap();
        wire.send(&mail(&url, &["ann@label.example"]), AMPLE).await;
        assert!(peer.mails()[0].over_tls, "{certificate}");
        let url = format!("smtp://label:password@localhost:{}?tls=opportunistic", peer.address.port());
        let why = not_sent(wire.send(&mail(&url, &["ann@label.example"]), AMPLE).await);
        assert!(why.contains("TLS: "), "{certificate}: {why}");
        peer.assert_clean();
    }
}

#[tokio::test]
async fn what_a_server_offers_in_lower_case_is_taken() {
    for tls in [PeerTls::Start, PeerTls::Implicit] {
        let peer =
            SmtpPeer::start(Setup { tls, login: Some(("label", "password")), in_lower_case: true, ..Setup::default() })
                .await;
        let Request::Mail(mut mail) = mail(&peer.url(), &["ann@label.example"]) else { panic!("a mail") };
        mail.message = "Subject: x\r\n\r\nÓlöf\r\n".into();
        let reply = wire().send(&Request::Mail(mail), AMPLE).await;
        let Reply::Mail { code: Some(250), text, .. } = reply else { panic!("{tls:?}: {reply:?}") };
        assert_eq!(text, "2.0.0 kept", "its own words stay as they are");
        assert_eq!(peer.mails()[0].user.as_deref(), Some("label"));
        // It would be, had 8BITMIME not been announced.
        peer.assert_clean();
    }
}

/// By what a peer was greeted whose mail comes from there.
async fn greeted(helo: Option<&str>, from: &str) -> String {
    let peer = SmtpPeer::start(Setup::default()).await;
    let server = MailServer { helo: helo.map(str::to_owned), from: from.into(), ..server_at(&peer.url()) };
    let to = vec!["ann@label.example".into()];
    let mail = MailRequest { server, envelope_to: to, message: CONTENT.into() };
    wire().send(&Request::Mail(Box::new(mail)), AMPLE).await;
    peer.assert_clean();
    peer.hellos().remove(0)
}

#[tokio::test]
async fn a_server_is_greeted_by_a_name_that_it_can_look_up() {
    assert_eq!(greeted(Some("mx.label.example"), "fanfare@other.example").await, "mx.label.example");
    assert_eq!(greeted(Some("[192.0.2.7]"), "fanfare@other.example").await, "[192.0.2.7]");
    let (known, unknown) = (greeted(None, "fanfare@label.example").await, greeted(None, "fanfare@localhost").await);
    // Where this machine has a full name, it is both times that one.
    assert!(known == "label.example" || (known.contains('.') && known == unknown), "{known}");
    assert!(unknown == "[127.0.0.1]" || unknown == known, "{unknown}");
}

#[tokio::test]
async fn who_only_wants_to_know_greets_by_the_same_name() {
    let peer = SmtpPeer::start(starttls()).await;
    let server = MailServer { helo: Some("mx.label.example".into()), ..server_at(&peer.url()) };
    let said = wire().reach(&Endpoint::Mail(server), AMPLE).await.unwrap();
    assert!(said.ends_with("answers, TLS"), "{said}");
    assert_eq!(peer.hellos(), ["mx.label.example", "mx.label.example"], "before TLS and after");
    peer.assert_clean();
}

#[tokio::test]
async fn a_mail_server_with_a_wrong_certificate_gets_nothing() {
    for tls in [PeerTls::Start, PeerTls::Implicit] {
        for (certificate, expected) in [("elsewhere", "not valid for"), ("expired", "expired")] {
            let peer =
                SmtpPeer::start(Setup { tls, certificate, login: Some(("label", "password")), ..Setup::default() })
                    .await;
            let why = not_sent(send(&wire(), &peer, &["ann@label.example"], AMPLE).await);
            assert!(why.contains("TLS: ") && why.contains(expected), "{tls:?} {certificate}: {why}");
            assert_eq!(peer.mails().len(), 0);
        }
        let peer = SmtpPeer::start(Setup { tls, ..Setup::default() }).await;
        let why = not_sent(send(&Wire::new(Guard::default()).unwrap(), &peer, &["ann@label.example"], AMPLE).await);
        assert!(why.contains("UnknownIssuer"), "{tls:?}: {why}");
    }
}

#[tokio::test]
async fn what_is_slipped_in_behind_the_answer_to_starttls_is_not_believed() {
    let peer = SmtpPeer::start(starttls()).await;
    peer.on(Moment::StartTls, Act::Say("220 go ahead\r\n250 peer.example"));
    not_sent(send(&wire(), &peer, &["ann@label.example"], AMPLE).await);
    assert_eq!(peer.mails().len(), 0);
}

#[tokio::test]
async fn a_loss_before_the_content_is_not_sent_and_after_it_ambiguous() {
    use Moment::{Auth, Content, Data, Greeting, Mail, Rcpt};
    for moment in [Greeting, Auth, Mail, Rcpt("ann@label.example"), Data] {
        for act in [Act::Drop, Act::Hang] {
            let peer = SmtpPeer::start(Setup { login: Some(("label", "password")), ..Setup::default() }).await;
            peer.on(moment.clone(), act.clone());
            let why = not_sent(send(&wire(), &peer, &["ann@label.example"], SHORT / 3).await);
            assert!(!why.contains("password"), "{moment:?} {act:?} {why}");
        }
    }
    for act in [Act::Drop, Act::Hang] {
        let peer = SmtpPeer::start(Setup::default()).await;
        peer.on(Content, act.clone());
        let reply = send(&wire(), &peer, &["ann@label.example"], SHORT / 3).await;
        assert_eq!(shared(Family::Http, &reply).outcome, AttemptOutcome::Ambiguous);
        assert!(no_answer(reply).starts_with("the mail server did not confirm the mail"), "{act:?}");
        // It may have been kept, and here it was.
        assert_eq!(peer.received(1).await.len(), 1);
    }
}

#[tokio::test]
async fn a_line_without_end_ends() {
    for moment in [Moment::Greeting, Moment::Mail, Moment::Data] {
        let peer = SmtpPeer::start(Setup::default()).await;
        peer.on(moment, Act::Flood);
        let begun = std::time::Instant::now();
        not_sent(send(&wire(), &peer, &["ann@label.example"], AMPLE).await);
        assert!(begun.elapsed() < AMPLE / 2);
    }
}

#[tokio::test]
async fn a_connection_carries_more_than_one_mail() {
    let peer = SmtpPeer::start(starttls()).await;
    let wire = wire();
    for _ in 0..3 {
        send(&wire, &peer, &["ann@label.example"], AMPLE).await;
    }
    assert_eq!((peer.mails().len(), peer.connections()), (3, 1));
    peer.assert_clean();
}

#[tokio::test]
async fn a_kept_connection_that_died_costs_no_mail() {
    let peer = SmtpPeer::start(Setup::default()).await;
    let wire = wire();
    send(&wire, &peer, &["ann@label.example"], AMPLE).await;
    peer.on(Moment::Rset, Act::Drop);
    let reply = send(&wire, &peer, &["ann@label.example"], AMPLE).await;
    assert!(matches!(reply, Reply::Mail { code: Some(250), .. }), "{reply:?}");
    assert_eq!((peer.mails().len(), peer.connections()), (2, 2));
}

#[tokio::test]
async fn a_refused_mail_leaves_nothing_behind_for_the_next() {
    let peer = SmtpPeer::start(Setup::default()).await;
    let wire = wire();
    peer.on(Moment::Data, Act::Say("451 4.3.0 later"));
    send(&wire, &peer, &["ann@label.example"], AMPLE).await;
    peer.behave();
    send(&wire, &peer, &["bob@label.example"], AMPLE).await;
    assert_eq!(peer.mails()[0].to, ["bob@label.example"]);
    assert_eq!(peer.connections(), 1);
    peer.assert_clean();
}

#[tokio::test]
async fn two_servers_do_not_share_a_connection() {
    let login = Some(("label", "password"));
    let peer = SmtpPeer::start(Setup { login, ..Setup::default() }).await;
    let wire = wire();
    send(&wire, &peer, &["ann@label.example"], AMPLE).await;
    let other = format!("smtp://label:wrong@127.0.0.1:{}?tls=none", peer.address.port());
    let reply = wire.send(&mail(&other, &["ann@label.example"]), AMPLE).await;
    assert!(matches!(reply, Reply::Mail { code: Some(535), .. }), "{reply:?}");
    assert_eq!(peer.mails().len(), 1);
}
