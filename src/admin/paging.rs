//! Lists in pages: how long one may be, and where the next begins. A page goes on from a place that never changes, so that what
//! comes or goes meanwhile is neither skipped nor repeated.

use axum::http::header::LINK;
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use serde::Serialize;
use url::form_urlencoded;

use crate::admin::answer::{Refused, json_answer};

/// The longest list.
pub(crate) const LIMIT_MAX: usize = 1_000;
/// Among how many of the newest deliveries one look looks for what no index finds.
pub(crate) const LOOKED_AT: usize = 20_000;
/// A list's length when nobody asks.
pub(crate) const LIMIT: usize = 50;

/// How long a list may be, as asked for: more than there can be is said, not cut off in silence.
pub(crate) fn limit(asked: Option<usize>) -> Result<Option<usize>, Refused> {
    match asked {
        Some(asked) if asked > LIMIT_MAX => {
            Err(Refused::Bad(format!("`limit` is at most {LIMIT_MAX}: ask for the next page with the last one's end")))
        }
        asked => Ok(asked),
    }
}

/// A page of a list, as asked for at `uri`; where there may be more, with the address of the next page, which begins after
/// what `cursor` names.
pub(crate) fn page_answer(list: &[impl Serialize], uri: &Uri, (cursor, next): (&str, Option<String>)) -> Response {
    let mut response = json_answer(&list);
    if let Some(next) = next {
        let asked = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(asked.filter(|(name, _)| name != cursor)).append_pair(cursor, &next);
        let link = format!("</api/v1{}?{}>; rel=\"next\"", uri.path(), query.finish());
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(LINK, link);
        }
    }
    response
}
