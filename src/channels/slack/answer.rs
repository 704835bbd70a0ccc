//! What Slack answers: `ok`, JSON, or an error in a short word; and what each word means. Pure.

use serde_json::Value;

use crate::channels::verdict::retry_after;
use crate::channels::{Reply, Verdict};
use crate::delivery::{AttemptOutcome, Receipt};

/// What an answer's body says.
pub enum Answer<'a> {
    /// `{"ok": true, …}`, and where the message is.
    Ok(Option<Receipt>),
    /// `{"ok": false, "error": "…"}`.
    Error(String),
    /// A short word.
    Word(&'a str),
    /// Anything else.
    Other,
}

/// Reads it.
pub fn answer(said: &str) -> Answer<'_> {
    let word = said.trim();
    if !word.is_empty() && word.len() <= 60 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return Answer::Word(word);
    }
    let Ok(Value::Object(answer)) = serde_json::from_str(word) else { return Answer::Other };
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    match answer.get("ok").and_then(Value::as_bool) {
        Some(true) => Answer::Ok(text("channel").zip(text("ts")).map(|(channel, ts)| {
            Receipt::from_iter([("channel".to_owned(), channel.into()), ("ts".to_owned(), ts.into())])
        })),
        Some(false) => Answer::Error(text("error").unwrap_or("unknown_error").to_owned()),
        None => Answer::Other,
    }
}

/// Slack's words, of its webhooks and of `chat.postMessage` and `chat.update` (docs.slack.dev). A word that isn't here
/// is judged by its status, and by itself where that is 200, as all are by the Web API.
pub fn by_word(word: &str, by_status: Verdict, reply: &Reply) -> Verdict {
    let outcome = |outcome| Verdict { outcome, reason: format!("Slack says `{word}`"), ..by_status.clone() };
    match word {
        "invalid_blocks"
        | "invalid_blocks_format"
        | "msg_blocks_too_long"
        | "msg_too_long"
        | "invalid_payload"
        | "invalid_attachments"
        | "too_many_attachments"
        | "no_text"
        | "invalid_arguments"
        | "invalid_json"
        | "invalid_array_arg"
        | "invalid_form_data"
        | "cant_update_message"
        | "edit_window_closed" => Verdict { failing: false, ..outcome(AttemptOutcome::Refused) },
        // Only an update can meet this: somebody deleted what was to be marked as closed.
        "message_not_found" => Verdict { failing: false, ..outcome(AttemptOutcome::Delivered) },
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
            Verdict { failing: false, wait: retry_after(reply), ..outcome(AttemptOutcome::Limited) }
        }
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "rollup_error"
        | "team_added_to_org" => Verdict { failing: false, ..outcome(AttemptOutcome::Temporary) },
        "channel_not_found"
        | "not_in_channel"
        | "channel_is_archived"
        | "is_archived"
        | "no_service"
        | "no_service_id"
        | "no_active_hooks"
        | "no_team"
        | "team_disabled"
        | "action_prohibited"
        | "posting_to_general_channel_denied"
        | "restricted_action"
        | "user_not_found"
        | "invalid_token"
        | "invalid_auth"
        | "not_authed"
        | "token_revoked"
        | "token_expired"
        | "account_inactive"
        | "missing_scope"
        | "no_permission"
        | "access_denied"
        | "ekm_access_denied"
        | "org_login_required"
        | "not_allowed_token_type" => outcome(AttemptOutcome::Permanent).failing(),
        _ if by_status.outcome == AttemptOutcome::Delivered => outcome(AttemptOutcome::Permanent),
        _ => outcome(by_status.outcome),
    }
}
