//! Reads a mail as a mail program would: headers unfolded and decoded, parts decoded. Strict: what RFC 5322 and RFC
//! 2045 forbid is a panic.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A mail or a part of one.
#[derive(Debug, Clone)]
pub struct Mime {
    /// Names as they stand, values unfolded and decoded (RFC 2047), in order.
    pub headers: Vec<(String, String)>,
    /// The decoded text, if it has no parts.
    pub text: String,
    /// The parts of a multipart.
    pub parts: Vec<Mime>,
}

impl Mime {
    /// Reads one.
    pub fn parse(content: &[u8]) -> Self {
        assert!(content.is_ascii(), "a mail of ours is ASCII on the wire");
        let content = String::from_utf8(content.to_vec()).unwrap();
        assert!(!content.replace("\r\n", "").contains(['\r', '\n']), "a line end that is not CRLF: {content:?}");
        for line in content.split("\r\n") {
            assert!(line.len() <= 998, "a line of {} characters", line.len());
        }
        Self::read(&content)
    }

    fn read(content: &str) -> Self {
        let (head, body) = content.split_once("\r\n\r\n").unwrap_or((content, ""));
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let headers: Vec<(String, String)> = unfolded
            .split("\r\n")
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
                assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "no header name: {name:?}");
                (name.to_owned(), decode_words(value.trim()))
            })
            .collect();
        let mut mime = Self { headers, text: String::new(), parts: Vec::new() };
        let kind = mime.header("Content-Type").unwrap_or("text/plain").to_owned();
        if kind.starts_with("multipart/") {
            let boundary = kind.split("boundary=").nth(1).expect("a boundary").trim_matches('"').to_owned();
            let body = format!("\r\n{body}");
            let (parts, _) = body.split_once(&format!("\r\n--{boundary}--")).expect("a last boundary");
            mime.parts = parts
                .split(&format!("\r\n--{boundary}"))
                .skip(1)
                .map(|part| Self::read(part.strip_prefix("\r\n").expect("a line of its own")))
                .collect();
        } else {
            mime.text = decode(mime.header("Content-Transfer-Encoding").unwrap_or("7bit"), body);
        }
        mime
    }

    /// The value of the first header with this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How many headers have this name.
    pub fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).count()
    }

    /// The first part of this type, anywhere within.
    pub fn part(&self, kind: &str) -> Option<&Mime> {
        if self.parts.is_empty() {
            return self.header("Content-Type").is_some_and(|found| found.starts_with(kind)).then_some(self);
        }
        self.parts.iter().find_map(|part| part.part(kind))
    }
}

fn decode(encoding: &str, body: &str) -> String {
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "7bit" => body.as_bytes().to_vec(),
        "base64" => STANDARD.decode(body.replace("\r\n", "")).expect("base64"),
        "quoted-printable" => quoted_printable(&body.replace("=\r\n", "")),
        other => panic!("an encoding that no mail of ours has: {other}"),
    };
    String::from_utf8(bytes).expect("UTF-8").replace("\r\n", "\n")
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let mut pieces = text.split('=');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).expect("two hex digits behind `=`"));
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    bytes
}

/// Encoded words (RFC 2047); white space between two of them is none.
fn decode_words(value: &str) -> String {
    let mut out = String::new();
    let mut last_was_encoded = false;
    for (at, word) in value.split(' ').enumerate() {
        let decoded = word.strip_prefix("=?utf-8?").or(word.strip_prefix("=?UTF-8?")).and_then(|word| {
            let (kind, text) = word.strip_suffix("?=")?.split_once('?')?;
            Some(match kind {
                "b" | "B" => STANDARD.decode(text).expect("base64"),
                _ => quoted_printable(&text.replace('_', " ")),
            })
        });
        if at > 0 && !(last_was_encoded && decoded.is_some()) {
            out.push(' ');
        }
        last_was_encoded = decoded.is_some();
        match decoded {
            Some(bytes) => out.push_str(&String::from_utf8(bytes).expect("UTF-8")),
            None => out.push_str(word),
        }
    }
    out
}
