//! `/api/v1`: lists, single things, and what a person may ask for. JSON in and out; errors are RFC 9457 documents.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::{
    audit, backfill, bulk, cases, deliveries, document, drill, events, floods, links, live, mutes, status, upcoming,
};
use crate::steps::Live;

/// The routes below `/api/v1`.
pub fn router() -> Router<Arc<Live>> {
    let document = || async { ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()) };
    described().split_for_parts().0.route("/openapi.json", get(document))
}

/// The document of the API, as it is served.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| document::of(described().into_openapi()).to_string() + "\n");

/// The document of the API: OpenAPI 3.1, made from what the handlers take and give.
pub fn document() -> &'static str {
    &DOCUMENT
}

/// Every call with what describes it, so that neither is there without the other.
fn described() -> OpenApiRouter<Arc<Live>> {
    OpenApiRouter::new()
        .routes(routes!(status::show))
        .routes(routes!(events::list))
        .routes(routes!(events::one))
        .routes(routes!(events::replay))
        .routes(routes!(bulk::replay))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::one))
        .routes(routes!(deliveries::retry))
        .routes(routes!(deliveries::cancel))
        .routes(routes!(bulk::retry))
        .routes(routes!(bulk::cancel))
        .routes(routes!(cases::list))
        .routes(routes!(cases::show))
        .routes(routes!(cases::ack))
        .routes(routes!(cases::close))
        .routes(routes!(upcoming::list))
        .routes(routes!(upcoming::send))
        .routes(routes!(upcoming::cancel))
        .routes(routes!(mutes::list, mutes::add))
        .routes(routes!(mutes::end))
        .routes(routes!(backfill::list, backfill::begin))
        .routes(routes!(floods::list))
        .routes(routes!(floods::let_go))
        .routes(routes!(floods::drop_held))
        .routes(routes!(links::rotate))
        .routes(routes!(audit::list))
        .routes(routes!(status::destinations))
        .routes(routes!(live::stream))
        .routes(routes!(drill::run))
}
