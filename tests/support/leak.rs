//! The leak rule: whatever goes wrong, no secret is said.
//!
//! [`assert_no_leak`] makes a channel fail in every way there is, with the other side echoing all that it was sent, and
//! looks for each of the channel's secrets, and for their tell-trace parts, in all that would be logged, kept or shown.

use fanfare::channels::redact::Redactor;
use fanfare::channels::{Channel, Reply, Request, account};
use fanfare::secret::Secret;

/// Fails if a verdict, an account or a debug form of `request` and its replies holds one of the channel's secrets, or
/// one of `canaries`: pieces of the secrets that must not be seen either, such as the password within a URL.
pub fn assert_no_leak(channel: &dyn Channel, request: &Request, canaries: &[&str]) {
    let secrets = &channel.facts().secrets;
    assert!(!secrets.is_empty(), "a channel without secrets can't be tested for leaks");
    let mut said = vec![
        ("debug of the channel".to_owned(), format!("{channel:?}")),
        ("address".to_owned(), channel.facts().address.clone()),
        ("debug of the request".to_owned(), format!("{:?}", without_content(request))),
        ("account of the request".to_owned(), account(request, &Redactor::new(secrets))),
    ];
    for reply in replies(request, secrets) {
        let reply = reply.redacted(secrets);
        let verdict = channel.verdict(&reply);
        said.push((format!("verdict on {reply:?}"), format!("{verdict:?}")));
        said.push(("account of a reply".to_owned(), reply.account()));
        said.push(("debug of a reply".to_owned(), format!("{reply:?}")));
    }
    for (what, text) in &said {
        for canary in secrets.iter().map(Secret::open).chain(canaries.iter().copied()) {
            assert!(!text.contains(canary), "{what} holds `{canary}`: {text}");
        }
    }
}

/// Bodies are the message's own; their secrets are [`account`]'s business.
fn without_content(request: &Request) -> Request {
    let mut request = request.clone();
    match &mut request {
        Request::Http(request) => request.body.clear(),
        Request::Mail(mail) => mail.message.clear(),
        Request::Nothing => {}
    }
    request
}

/// Every kind of reply, each echoing everything.
fn replies(request: &Request, secrets: &[Secret]) -> Vec<Reply> {
    let secrets: Vec<&str> = secrets.iter().map(Secret::open).collect();
    let echo = format!("you sent {} by {}", everything(request), secrets.join(" and "));
    let json = serde_json::json!({"error": echo, "message": echo, "errors": [echo]}).to_string();
    let mut replies = vec![
        Reply::NotSent(echo.clone()),
        Reply::NoAnswer(echo.clone()),
        Reply::Mail { accepted: vec![], refused: vec![], code: Some(535), text: echo.clone() },
        Reply::Mail {
            accepted: vec![],
            refused: vec![("a@label.example".into(), 550, echo.clone())],
            code: None,
            text: echo.clone(),
        },
    ];
    for status in [200, 202, 204, 301, 400, 401, 403, 404, 410, 413, 429, 500, 503] {
        for body in [&echo, &json] {
            replies.push(Reply::Http {
                status,
                headers: vec![("location".into(), echo.clone()), ("retry-after".into(), echo.clone())],
                body: body.clone().into_bytes(),
                whole: true,
            });
        }
    }
    replies
}

/// All that the other side gets to see.
fn everything(request: &Request) -> String {
    match request {
        Request::Http(request) => {
            let headers: Vec<&str> = request.headers.iter().map(|(_, value)| value.open()).collect();
            format!("{} {} {}", request.url.open(), headers.join(" "), String::from_utf8_lossy(&request.body))
        }
        Request::Mail(mail) => format!("{} {}", mail.server.url.open(), String::from_utf8_lossy(&mail.message)),
        Request::Nothing => String::new(),
    }
}
