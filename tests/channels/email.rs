//! What a mail looks like.

use fanfare::channels::{Button, Request};
use fanfare::delivery::LinkOp;
use fanfare::message::Field;
use regex::Regex;

use super::destinations;
use crate::support::mime::Mime;
use crate::support::sending::{Given, message};

#[test]
fn every_colour_of_a_mail_has_another_in_the_dark() {
    let mut message = message();
    message.fields = vec![Field { name: "Label".into(), value: "Halide".into() }];
    let links = vec![Button {
        does: LinkOp::Acknowledge,
        label: "Acknowledge".into(),
        url: "https://hooks.label.example/act/x".into(),
    }];
    let given = Given { links, ..Given::message(message) };
    let Request::Mail(mail) = destinations::one("email").channel.compose(&given.sending()).unwrap() else {
        panic!("no mail");
    };
    let html = Mime::parse(&mail.message).part("text/html").unwrap().text.clone();
    assert!(html.contains("<meta name=\"color-scheme\" content=\"light dark\">"), "{html}");
    let coloured = Regex::new(
        "<(?:[^>\"]|\"[^\"]*\")*style=\"[^\"]*(?:background|[^-]color|border(?:-top)?:[1-9]px solid #[^e]):?[^\"]*\"",
    )
    .unwrap();
    let found: Vec<&str> = coloured.find_iter(&html).map(|tag| tag.as_str()).collect();
    assert!(found.len() > 6, "{found:#?}");
    for tag in found {
        let class = ["page", "card", "strong", "quiet", "tone", "fill"];
        assert!(class.iter().any(|class| tag.contains(&format!("class=\"{class}"))), "{tag}");
    }
}
