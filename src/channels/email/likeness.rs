//! What a mail looks like: subject, text and HTML of the multipart that Fanfare made, read back. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::channels::Request;
use crate::channels::picture::Picture;
use crate::message::html::escape;

/// A mail: its subject, its text, and its HTML in a frame of its own.
pub fn draw(request: &Request) -> Picture {
    let raw = match request {
        Request::Mail(mail) => String::from_utf8_lossy(&mail.message).replace('\r', ""),
        Request::Http(_) | Request::Nothing => String::new(),
    };
    let mail = read(&raw);
    let mut picture = Picture { title: mail.subject, ..Picture::default() };
    picture.text = mail.text.lines().map(str::to_owned).collect();
    picture.document.clone_from(&mail.html);
    picture.html = match mail.html {
        Some(html) => format!("<iframe sandbox srcdoc=\"{}\"></iframe>", escape(&html)),
        None => format!("<pre>{}</pre>", escape(&mail.text)),
    };
    picture
}

/// A mail, as far as it is shown.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mail {
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
}

/// Reads a mail with `\n` line ends. What can't be read is shown as it is.
fn read(raw: &str) -> Mail {
    let (headers, body) = split(raw);
    let mut mail = Mail { subject: words(&header(&headers, "subject")), ..Mail::default() };
    part(&headers, body, &mut mail, 0);
    mail
}

fn part(headers: &[(String, String)], body: &str, mail: &mut Mail, depth: usize) {
    let kind = header(headers, "content-type");
    if let Some(boundary) = boundary(&kind)
        && depth < 4
    {
        let mark = format!("--{boundary}");
        for inner in body.split(mark.as_str()).skip(1).filter(|inner| !inner.starts_with("--")) {
            let (headers, body) = split(inner.trim_start_matches('\n'));
            part(&headers, body, mail, depth + 1);
        }
        return;
    }
    let text = decoded(body, &header(headers, "content-transfer-encoding"));
    if kind.starts_with("text/html") {
        mail.html = Some(text);
    } else if mail.text.is_empty() {
        mail.text = text;
    }
}

/// Headers (names in lower case, folded lines joined) and body.
fn split(raw: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = raw.split_once("\n\n").unwrap_or((raw, ""));
    let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
    let headers = unfolded.lines().filter_map(|line| line.split_once(':'));
    (headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect(), body)
}

fn header(headers: &[(String, String)], name: &str) -> String {
    headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

fn boundary(kind: &str) -> Option<&str> {
    let (_, rest) = kind.split_once("boundary=")?;
    rest.trim_start_matches('"').split(['"', ';']).next().filter(|boundary| !boundary.is_empty())
}

fn decoded(body: &str, encoding: &str) -> String {
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "quoted-printable" => quoted_printable(body.trim_end()),
        "base64" => {
            let joined: String = body.split_whitespace().collect();
            STANDARD.decode(joined).unwrap_or_else(|_| body.as_bytes().to_vec())
        }
        _ => body.trim_end().as_bytes().to_vec(),
    };
    String::from_utf8_lossy(&bytes).replace('\r', "")
}

/// RFC 2045, section 6.7.
fn quoted_printable(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| hex::decode(pair).ok());
        match (bytes[at], pair) {
            (b'=', Some(decoded)) => {
                out.extend(decoded);
                at += 3;
            }
            (b'=', None) if bytes.get(at + 1) == Some(&b'\n') => at += 2,
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// Encoded words (RFC 2047) of a header; the blank between two of them belongs to neither.
fn words(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some(at) = rest.find("=?") {
        let before = &rest[..at];
        let Some((word, after)) = rest[at + 2..].split_once("?=").filter(|(word, _)| word.matches('?').count() == 2)
        else {
            break;
        };
        if !before.trim().is_empty() || out.is_empty() {
            out.push_str(before);
        }
        let mut parts = word.split('?').skip(1);
        let (encoding, text) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let bytes = match encoding {
            "b" | "B" => STANDARD.decode(text).unwrap_or_default(),
            _ => quoted_printable(&text.replace('_', " ")),
        };
        out.push_str(&String::from_utf8_lossy(&bytes));
        rest = after;
    }
    out.push_str(rest);
    out
}
