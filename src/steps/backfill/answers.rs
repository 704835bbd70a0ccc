//! Reads what the API of a sender answers: lists in pages, refusals, and when it wants to be asked again. Pure.
//!
//! Its SDKs name things in camelCase or snake_case, and put a list's pages beside it or under `meta`: both are read.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::channels::Reply;
use crate::channels::verdict::{retry_after, seconds};

/// The most characters that are kept of what an API says is wrong.
const SAID_MAX: usize = 200;
/// Longer ids are none.
const ID_MAX: usize = 256;
/// How long to wait where the sender only says that it is too much.
const LIMITED: SignedDuration = SignedDuration::from_secs(60);
/// The longest wait that a sender may ask for.
const WAIT_MAX: SignedDuration = SignedDuration::from_hours(1);
/// How long between two calls where the sender doesn't say how many are left: its limit is 100 a minute.
const SPACING: SignedDuration = SignedDuration::from_millis(600);
/// Smaller numbers are seconds from now, not a time.
const EPOCH_MIN: i64 = 1_000_000_000;

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub items: Vec<Value>,
    /// Whether there is another.
    pub more: bool,
}

/// A page with `per_page` entries at most. `None` if that is no list.
pub(super) fn page(reply: &Reply, number: u64, per_page: u64) -> Option<Page> {
    let body = reply.json()?;
    let data = if body["data"].is_null() { &body } else { &body["data"] };
    let items = data.as_array().or_else(|| data["items"].as_array())?.clone();
    let pages = [&data["pagination"], &body["pagination"], &body["meta"]["pagination"]];
    let of = |camel: &str, snake: &str| {
        let found = pages.iter().find_map(|pages| Some(&pages[camel]).filter(|value| !value.is_null()));
        found.or_else(|| pages.iter().find_map(|pages| Some(&pages[snake]).filter(|value| !value.is_null()))).cloned()
    };
    let by_flag = of("hasNext", "has_next").and_then(|has| has.as_bool());
    let by_count = of("totalPages", "total_pages").and_then(|pages| pages.as_u64()).map(|pages| number < pages);
    let is_full = u64::try_from(items.len()).is_ok_and(|count| count >= per_page);
    let more = by_flag.or(by_count).unwrap_or(is_full) && !items.is_empty();
    Some(Page { items, more })
}

/// The first of these members that is a text or a number.
pub(super) fn text(item: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match &item[*name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// An id, if it is one.
pub(super) fn id(item: &Value) -> Option<String> {
    text(item, &["id", "deliveryId", "delivery_id"]).filter(|id| !id.is_empty() && id.len() <= ID_MAX)
}

/// A time, if one of these members is one.
pub(super) fn time(item: &Value, names: &[&str]) -> Option<Timestamp> {
    text(item, names)?.parse().ok()
}

/// What an API says is wrong, in a line: `422 VALIDATION_ERROR: no such thing`.
pub(super) fn refusal(reply: &Reply) -> String {
    let Reply::Http { status, .. } = reply else { return reply.account() };
    let body = reply.json().unwrap_or_default();
    let said = |name: &str| body["error"][name].as_str().map(|text| text.replace(char::is_control, " "));
    let said: Vec<String> = [said("code"), said("message")].into_iter().flatten().collect();
    format!("{status} {}", said.join(": ")).trim_end().chars().take(SAID_MAX).collect()
}

/// How long a sender that had enough wants to be left alone.
pub(super) fn limited(reply: &Reply, now: Timestamp) -> SignedDuration {
    let asked = retry_after(reply).or_else(|| reset(reply, now)).unwrap_or(LIMITED);
    asked.clamp(SignedDuration::from_secs(1), WAIT_MAX)
}

/// How long to wait before the next call, after one that went well.
pub(super) fn spacing(reply: &Reply, now: Timestamp) -> SignedDuration {
    match reply.header("x-ratelimit-remaining").and_then(|left| left.trim().parse::<u64>().ok()) {
        Some(0) => reset(reply, now).unwrap_or(LIMITED).clamp(SignedDuration::ZERO, WAIT_MAX),
        Some(_) => SignedDuration::ZERO,
        None => SPACING,
    }
}

/// When the sender's limit begins anew.
fn reset(reply: &Reply, now: Timestamp) -> Option<SignedDuration> {
    let said = reply.header("x-ratelimit-reset")?.trim();
    match said.parse::<i64>() {
        Ok(at) if at >= EPOCH_MIN => Some(Timestamp::from_second(at).ok()?.duration_since(now)),
        _ => seconds(said),
    }
}
