//! `fanfare.yaml` as JSON Schema, for editors. Sources and channels describe themselves; the rest stands here. Pure.

use serde_json::{Value, json};

use crate::channels;
use crate::channels::schema::kinds;
use crate::config::access::{Right, USER_HEADER};
use crate::config::settings::DESTINATION_KEYS;
use crate::locale;
use crate::rules;
use crate::source;
use crate::yaml::schema::{
    any_number, described, document, mapping, object, one_or_more, pattern, reference, span, text, truth, whole, with,
    words,
};

/// The keys of `fanfare.yaml`, with what each is for.
pub const KEYS: [(&str, &str); 15] = [
    ("listen", "The address and port for webhooks; nothing else answers there"),
    ("tls", "Certificate and key, if no TLS proxy is in front"),
    ("admin", "The page, the API, metrics and health"),
    ("store", "The database: `sqlite:PATH`, or `postgres://…` for several replicas"),
    ("rules", "The folder of rules"),
    ("templates", "The folder of messages"),
    ("samples", "The folder of your own samples: one received event per file"),
    ("timezone", "The default time zone of hours and dates: an IANA name"),
    ("locale", "The language of numbers, dates and default messages; `en` by default"),
    ("retention", "How long to keep events that nothing needs any more; at least a day"),
    ("sources", "The senders, by name"),
    ("destinations", "The destinations, by the names that rules use"),
    ("egress", "Networks that destinations may be in, or not"),
    ("heartbeat", "A URL to call while everything works; silence is the alarm"),
    ("links", "Links in messages, by which people acknowledge, close or mute a case; none by default"),
];

/// The keys of `admin`.
pub const ADMIN_KEYS: [(&str, &str); 5] = [
    ("listen", "An address and a port; one that others can reach needs a `token`"),
    ("token", "The token for the page and the API, with every right"),
    ("tokens", "More tokens, by name: each with `token` and what it `may` do, `read`, `act` or `admin`"),
    ("proxy", "A proxy that signs people in: the addresses it connects `from`, and the header that names the `user`"),
    ("url", "The page's URL, for links in messages"),
];

/// The keys of `retry`.
const RETRY_KEYS: [(&str, &str); 3] = [
    ("first", "The wait before the second try"),
    ("max", "The longest wait between two tries"),
    ("give_up", "When to give up, counted from the first try"),
];

/// The schema of `fanfare.yaml`. A value that holds a `${…}` may be anything.
pub fn schema() -> Value {
    let keys = KEYS.map(|(key, doc)| (key, described(takes(key), &format!("{doc}."))));
    let root = with(object(keys, &[]), json!({"description": "Senders, destinations, and how the server runs."}));
    document(
        "config",
        "The configuration of Fanfare",
        root,
        [("source", source::schema::schema()), ("destination", destination()), ("window", rules::schema::window())],
    )
}

fn or_placeholder(schema: Value) -> Value {
    json!({"anyOf": [schema, pattern(r"\$\{")]})
}

/// Keys that a person names: letters, digits, `-` and `_`.
fn named(values: Value) -> Value {
    with(mapping(values), json!({"propertyNames": {"pattern": "^[A-Za-z0-9_-]{1,64}$"}}))
}

fn takes(key: &str) -> Value {
    match key {
        "listen" => with(address(), json!({"default": "127.0.0.1:8080"})),
        "tls" => object(
            [("cert", described(text(), "The chain, a PEM file.")), ("key", described(text(), "The key, a PEM file."))],
            &["cert", "key"],
        ),
        "admin" => object(ADMIN_KEYS.map(|(key, doc)| (key, described(admin(key), &format!("{doc}.")))), &[]),
        "store" => with(
            or_placeholder(pattern("^(sqlite:|memory:|postgres://|postgresql://)")),
            json!({"default": "sqlite:data/fanfare.db"}),
        ),
        "rules" => with(text(), json!({"default": "rules/"})),
        "templates" => with(text(), json!({"default": "templates/"})),
        "samples" => with(text(), json!({"default": "samples/"})),
        "timezone" => with(text(), json!({"examples": ["Europe/Berlin", "America/New_York", "UTC"]})),
        "locale" => with(locales(), json!({"default": "en"})),
        "retention" => with(or_placeholder(span()), json!({"default": "30d"})),
        "sources" => named(reference("source")),
        "destinations" => named(reference("destination")),
        "heartbeat" => object(
            [
                ("url", described(or_placeholder(pattern("^https?://")), "The URL to call: a secret.")),
                (
                    "every",
                    described(with(or_placeholder(span()), json!({"default": "1m"})), "The interval: from 10s to 1h."),
                ),
            ],
            &["url"],
        ),
        "links" => object(
            [
                ("url", described(or_placeholder(pattern("^https?://")), "How people reach the address of `listen`.")),
                (
                    "expires",
                    described(
                        with(or_placeholder(span()), json!({"default": "7d"})),
                        "How long a link works after its message: from 1h to 90d.",
                    ),
                ),
            ],
            &["url"],
        ),
        _ => object(
            [
                ("deny", described(any_number(text()), "No destination may be in these networks.")),
                ("allow", described(any_number(text()), "If any: the only networks that a destination may be in.")),
            ],
            &[],
        ),
    }
}

fn admin(key: &str) -> Value {
    match key {
        "listen" => with(address(), json!({"default": "127.0.0.1:8081"})),
        "url" => or_placeholder(pattern("^https?://")),
        "tokens" => named(object(
            [
                ("token", described(text(), "The token: a secret.")),
                ("may", described(right(), "What its holders may do.")),
            ],
            &["token", "may"],
        )),
        "proxy" => object(
            [
                ("from", described(one_or_more(text()), "The addresses or networks that the proxy connects from.")),
                (
                    "user",
                    described(
                        with(text(), json!({"default": USER_HEADER})),
                        "The header in which it names the person.",
                    ),
                ),
                ("may", described(with(right(), json!({"default": "act"})), "What everyone may do whom it signs in.")),
                ("users", described(mapping(right()), "Who may do something else, by the name in the header.")),
            ],
            &["from"],
        ),
        _ => text(),
    }
}

fn locales() -> Value {
    or_placeholder(words(locale::ALL.map(|locale| locale.code)))
}

fn right() -> Value {
    or_placeholder(words(Right::ALL.map(Right::name)))
}

fn address() -> Value {
    or_placeholder(pattern(r"^(localhost|[0-9.]+|\[[0-9A-Fa-f:.]+\])?:[0-9]{1,5}$"))
}

/// A destination: by its `type`, the keys of that channel and those of every destination.
fn destination() -> Value {
    let of_kind = channels::ALL.iter().map(|kind| {
        let (own, required) = channels::schema::keys(kind);
        let shared = DESTINATION_KEYS.iter().map(|(key, doc)| (*key, described(shared(key), &sentence(doc))));
        let is_kind = json!({"properties": {"type": {"const": kind.name}}, "required": ["type"]});
        let required: Vec<&str> = required.into_iter().chain(["type"]).collect();
        json!({"if": is_kind, "then": object(shared.chain(own), &required)})
    });
    json!({
        "type": "object",
        "description": "A destination of messages.",
        "properties": {"type": or_placeholder(kinds(channels::ALL))},
        "required": ["type"],
        "allOf": of_kind.collect::<Vec<_>>(),
    })
}

/// What a key takes that every destination has.
fn shared(key: &str) -> Value {
    match key {
        "type" => json!({}),
        "retry" => {
            object(RETRY_KEYS.map(|(key, doc)| (key, described(or_placeholder(span()), &format!("{doc}.")))), &[])
        }
        "rate" => {
            with(or_placeholder(pattern(r"^\s*0*[1-9][0-9]*\s*/\s*[smh]\s*$")), json!({"examples": ["1/s", "30/m"]}))
        }
        "burst" | "concurrency" => or_placeholder(whole(1)),
        "timeout" => with(or_placeholder(span()), json!({"default": "10s"})),
        "hours" => json!({"anyOf": [{"type": "string"}, reference("window")]}),
        "fallback" => {
            let after = with(or_placeholder(span()), json!({"default": "5m where the channel pages people"}));
            let to = described(any_number(text()), "The destinations.");
            let after = described(after, "The time after the message became due, if it was not delivered by then.");
            json!({"anyOf": [any_number(text()), object([("to", to), ("after", after)], &["to"])]})
        }
        "locale" => locales(),
        "footer" => with(text(), json!({"examples": ["none"]})),
        "mentions" => mapping(json!({"type": ["string", "number"]})),
        "external" => truth(),
        "fields" => one_or_more(text()),
        "embargo" => with(pattern(r"^until\s"), json!({"examples": ["until release_date"]})),
        _ => json!({"anyOf": [text(), truth(), one_or_more(text()), mapping(json!(true))]}),
    }
}

fn sentence(doc: &str) -> String {
    let mut chars = doc.chars();
    let first: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
