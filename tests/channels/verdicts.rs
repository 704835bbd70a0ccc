//! What every status means to every channel, and what a service's own words mean: `golden/DESTINATION/verdicts.txt`
//! and `verdicts.txt`.

use std::fs;

use fanfare::channels::Reply;

use super::destinations;

/// The outcome, `failing` where the destination is marked so, and the wait in seconds.
fn judged(destination: &destinations::Destination, reply: &Reply) -> String {
    let verdict = destination.channel.verdict(&reply.clone().redacted(&destination.channel.facts().secrets));
    assert!(!verdict.reason.is_empty(), "{}: no reason for {reply:?}", destination.name);
    let failing = if verdict.failing { " failing" } else { "" };
    let wait = verdict.wait.map(|wait| format!(" wait={}", wait.as_secs_f64())).unwrap_or_default();
    format!("{}{failing}{wait}", verdict.outcome.name())
}

#[test]
fn every_status_without_a_word_means_to_every_channel_what_its_table_says() {
    let mut wrong = Vec::new();
    for destination in destinations::all() {
        let mut runs: Vec<(u16, u16, String)> = Vec::new();
        for status in 100..600 {
            let said = judged(&destination, &Reply::http(status, ""));
            match runs.last_mut() {
                Some((_, end, before)) if *before == said => *end = status,
                _ => runs.push((status, status, said)),
            }
        }
        let table: String = runs.iter().map(|(start, end, said)| format!("{start}-{end} {said}\n")).collect();
        let path = destinations::folder("golden").join(&destination.name).join("verdicts.txt");
        if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &table).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        if golden != table {
            wrong.push(format!("{}: (`UPDATE=1` accepts this)\n{table}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A line: `DESTINATION STATUS [HEADER: VALUE]… BODY => OUTCOME`.
#[test]
fn what_a_service_says_of_its_own_means_what_the_list_says() {
    let list = fs::read_to_string(destinations::folder("verdicts.txt")).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (asked, expected) = line.rsplit_once(" => ").unwrap_or_else(|| panic!("no `=>` in {line}"));
        let mut words = asked.splitn(3, ' ');
        let (name, status) = (words.next().unwrap(), words.next().unwrap());
        let mut rest = words.next().unwrap_or_default();
        let mut headers = Vec::new();
        while let Some((header, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let (name, value) = header.split_once(": ").unwrap();
            headers.push((name.to_owned(), value.to_owned()));
            rest = after.trim_start();
        }
        let (body, whole) = match rest.strip_suffix('…') {
            Some(start) => (start, false),
            None => (rest, true),
        };
        let reply = Reply::Http { status: status.parse().unwrap(), headers, body: body.into(), whole };
        let said = judged(&destinations::one(name), &reply);
        if said != expected {
            wrong.push(format!("{line}\n  was: {said}"));
        }
        count += 1;
    }
    assert!(count > 60, "only {count} lines were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_not_sent_is_temporary_and_what_was_not_answered_is_ambiguous_everywhere() {
    for destination in destinations::all() {
        assert_eq!(judged(&destination, &Reply::NotSent("no such host".into())), "temporary");
        assert_eq!(judged(&destination, &Reply::NoAnswer("timed out".into())), "ambiguous");
        assert_eq!(judged(&destination, &Reply::Nothing), "delivered");
    }
}

#[test]
fn a_mail_server_that_takes_no_password_fails_for_every_mail_and_one_that_refuses_a_mail_does_not() {
    let email = destinations::one("email");
    let said = |code: u16, text: &str| {
        let reply = Reply::Mail { accepted: vec![], refused: vec![], code: Some(code), text: text.into() };
        judged(&email, &reply)
    };
    assert_eq!(
        said(535, "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled"),
        "permanent failing"
    );
    assert_eq!(said(550, "5.7.30 Basic authentication is not supported for Client Submission."), "permanent failing");
    assert_eq!(said(550, "5.7.1 not this one"), "permanent");
    assert_eq!(said(550, "5.6.1 no such form"), "refused");
}
