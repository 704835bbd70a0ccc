//! Cuts secrets out of what others say.
//!
//! The last line of defence: a server may echo the URL or a header that it was sent, in an error or a page. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::secret::Secret;

/// What stands in place of a secret.
const DOTS: &str = "•••";

/// Shorter texts are no secrets, and cutting them out would tear words apart.
const LENGTH_MIN: usize = 4;

/// The same text with every secret replaced by dots, whether it stands there as it is or as JSON, URLs and headers
/// would write it. Of a URL, also its password, its path, and those parts of path and query that are long enough to
/// be tokens.
pub fn redact(text: &str, secrets: &[Secret]) -> String {
    let mut forms: Vec<String> = secrets.iter().flat_map(|secret| forms(secret.open())).collect();
    // The longest first, so that no form is spoilt by one that is a part of it.
    forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms.dedup();
    let mut clean = text.to_owned();
    for form in forms.iter().filter(|form| form.len() >= LENGTH_MIN) {
        if clean.contains(form.as_str()) {
            clean = clean.replace(form.as_str(), DOTS);
        }
    }
    clean
}

/// A secret, its tell-trace parts, and how each may be written.
fn forms(secret: &str) -> Vec<String> {
    let mut parts = vec![secret.to_owned()];
    if let Ok(url) = Url::parse(secret)
        && url.has_host()
    {
        parts.extend(url_parts(&url));
    }
    parts.iter().flat_map(|part| spellings(part)).collect()
}

fn url_parts(url: &Url) -> Vec<String> {
    /// Segments of this length are tokens rather than words: Slack's have 24, Discord's 68 characters.
    const TOKEN_MIN: usize = 16;
    let mut parts = vec![url.as_str().to_owned()];
    if let Some(password) = url.password() {
        parts.push(password.to_owned());
        parts.push(percent_decoded(password));
        let user = percent_decoded(url.username());
        // As a Basic header and SMTP's AUTH PLAIN carry them.
        parts.push(STANDARD.encode(format!("{user}:{}", percent_decoded(password))));
        parts.push(STANDARD.encode(format!("\0{user}\0{}", percent_decoded(password))));
    }
    if url.path().len() > TOKEN_MIN {
        parts.push(url.path().to_owned());
    }
    parts.extend(url.path_segments().into_iter().flatten().filter(|part| part.len() >= TOKEN_MIN).map(str::to_owned));
    parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()).filter(|value| value.len() >= TOKEN_MIN));
    parts
}

fn spellings(text: &str) -> Vec<String> {
    let json = serde_json::Value::from(text).to_string();
    let json = json.trim_matches('"').to_owned();
    let escaped: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    vec![text.to_owned(), json.replace('/', "\\/"), json, escaped.replace('+', "%20"), escaped, STANDARD.encode(text)]
}

fn percent_decoded(text: &str) -> String {
    // A query pair decodes `+` as a blank, which user names and passwords in a URL do not.
    let query = format!("k={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
