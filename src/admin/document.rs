//! The document of the API: what is the same of every call is written here, once.

use serde_json::Value;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, Header, Info, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder, Schema, Server,
};

use crate::admin::view::{Problem, value};

/// What the document says of the whole.
const ABOUT: &str = "Lists, single things, and what a person may ask for. Where a token is set it goes into \
                     `Authorization: Bearer`; a change needs it, or the header `Fanfare-Request: 1`.";
/// The cursors of lists: who takes one answers in pages.
const CURSORS: [&str; 2] = ["before", "after"];

/// The whole document of these calls.
pub(super) fn of(mut api: OpenApi) -> Value {
    let mut info = Info::new("Fanfare admin API", "1");
    info.description = Some(ABOUT.into());
    api.info = info;
    api.servers = Some(vec![Server::new("/api/v1")]);
    let token = SecurityRequirement::new("token", Vec::<String>::new());
    api.security = Some(vec![SecurityRequirement::default(), token]);
    let mut components = api.components.take().unwrap_or_default();
    components.schemas.insert("Problem".into(), Problem::schema());
    components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    api.components = Some(components);
    for (path, item) in &mut api.paths.paths {
        complete(path, item);
    }
    value(&api)
}

fn complete(path: &str, item: &mut PathItem) {
    let PathItem { get, post, .. } = item;
    for (method, operation) in [("get", get), ("post", post)] {
        let Some(operation) = operation else { continue };
        let name = path.replace(['{', '}'], "").replace('/', "_");
        operation.operation_id = Some(format!("{method}{name}"));
        operation.tags = None;
        operation.parameters.iter_mut().flatten().for_each(never_null);
        if method == "get" && is_paged(operation) {
            link(operation);
        }
        let wrong = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(wrong)).build();
        let wrong = ResponseBuilder::new().description("What went wrong").content("application/problem+json", content);
        operation.responses.responses.insert("default".into(), wrong.build().into());
    }
}

/// A parameter may be left out; nothing in an address is `null`.
fn never_null(parameter: &mut RefOr<Parameter>) {
    if let RefOr::T(Parameter { schema: Some(RefOr::T(Schema::Object(schema))), .. }) = parameter
        && let SchemaType::Array(types) = &schema.schema_type
        && let Some(kind) = types.iter().find(|kind| **kind != Type::Null)
    {
        schema.schema_type = SchemaType::Type(kind.clone());
    }
}

/// Whether it takes a cursor.
fn is_paged(operation: &Operation) -> bool {
    operation
        .parameters
        .iter()
        .flatten()
        .any(|parameter| matches!(parameter, RefOr::T(parameter) if CURSORS.contains(&parameter.name.as_str())))
}

/// Adds where the next page is.
fn link(operation: &mut Operation) {
    let Some(RefOr::T(Response { headers, .. })) = operation.responses.responses.get_mut("200") else { return };
    let mut link = Header::default();
    link.description = Some("The address of the next page, with `rel=\"next\"`, if there is one".into());
    headers.insert("Link".into(), link.into());
}
