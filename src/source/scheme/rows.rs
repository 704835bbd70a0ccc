//! The schemes of senders: a row each. Data only.

use std::borrow::Cow;

use super::{Algorithm, Beside, Encoding, Form, Key, Names, Piece, Scheme};

const fn name(name: &'static str) -> Cow<'static, str> {
    Cow::Borrowed(name)
}

const NONE: Names = Cow::Borrowed(&[]);
const JEWELMUSIC: Names = Cow::Borrowed(&[name("x-jewelmusic-signature"), name("jewelmusic-signature")]);
const BODY: Cow<'static, [Piece]> = Cow::Borrowed(&[Piece::Body]);
const TIME_BODY: Cow<'static, [Piece]> = Cow::Borrowed(&[Piece::Time, Piece::Text(name(".")), Piece::Body]);

/// The page's scheme of JewelMusic.
pub static JEWELMUSIC_BODY: Scheme = Scheme {
    name: "jewelmusic:sha256",
    doc: "JewelMusic's webhook page: `X-JewelMusic-Signature: sha256=<hex>`, HMAC-SHA256 of the body",
    headers: JEWELMUSIC,
    form: Form::Prefixed(name("sha256=")),
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Hex,
    signed: BODY,
    key: Key::Text,
    id: NONE,
    time: NONE,
    beside: &[("x-jewelmusic-event", Beside::Kind), ("x-jewelmusic-timestamp", Beside::Seconds)],
};

/// The SDKs' scheme of JewelMusic.
pub static JEWELMUSIC_TIMED: Scheme = Scheme {
    name: "jewelmusic:t,v1",
    doc: "JewelMusic's SDKs: `X-JewelMusic-Signature: t=<unix seconds>,v1=<hex>`, HMAC-SHA256 of `<t>.<body>`",
    headers: JEWELMUSIC,
    form: Form::Pairs,
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Hex,
    signed: TIME_BODY,
    key: Key::Text,
    id: NONE,
    time: NONE,
    beside: &[],
};

/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
pub static STANDARD_WEBHOOKS: Scheme = Scheme {
    name: "standard-webhooks",
    doc: "Standard Webhooks: `webhook-signature: v1,<base64> …`, HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>`; \
          secrets `whsec_<base64>`; Svix's header names too",
    headers: Cow::Borrowed(&[name("webhook-signature"), name("svix-signature")]),
    form: Form::Listed,
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Base64,
    signed: Cow::Borrowed(&[Piece::Id, Piece::Text(name(".")), Piece::Time, Piece::Text(name(".")), Piece::Body]),
    key: Key::Whsec,
    id: Cow::Borrowed(&[name("webhook-id"), name("svix-id")]),
    time: Cow::Borrowed(&[name("webhook-timestamp"), name("svix-timestamp")]),
    beside: &[],
};

/// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
pub static GITHUB: Scheme = Scheme {
    name: "github",
    doc: "GitHub: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 of the body",
    headers: Cow::Borrowed(&[name("x-hub-signature-256")]),
    form: Form::Prefixed(name("sha256=")),
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Hex,
    signed: BODY,
    key: Key::Text,
    id: NONE,
    time: NONE,
    beside: &[("x-github-event", Beside::KindHead), ("x-github-delivery", Beside::Id)],
};

/// <https://docs.stripe.com/webhooks#verify-manually>
pub static STRIPE: Scheme = Scheme {
    name: "stripe",
    doc: "Stripe: `Stripe-Signature: t=<unix seconds>,v1=<hex>`, HMAC-SHA256 of `<t>.<body>`",
    headers: Cow::Borrowed(&[name("stripe-signature")]),
    form: Form::Pairs,
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Hex,
    signed: TIME_BODY,
    key: Key::Text,
    id: NONE,
    time: NONE,
    beside: &[],
};

/// <https://developer.pagerduty.com/docs/verifying-webhook-signatures>
pub static PAGERDUTY: Scheme = Scheme {
    name: "pagerduty",
    doc: "PagerDuty (webhooks v3): `X-PagerDuty-Signature: v1=<hex>,v1=<hex>`, HMAC-SHA256 of the body",
    headers: Cow::Borrowed(&[name("x-pagerduty-signature")]),
    form: Form::Pairs,
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Hex,
    signed: BODY,
    key: Key::Text,
    id: NONE,
    time: NONE,
    beside: &[],
};

/// <https://labelgrid-docs.pages.dev/en/integrations/webhooks/>
pub static LABELGRID: Scheme = Scheme {
    name: "labelgrid",
    doc: "LabelGrid: `X-Webhook-Signature: <hex>`, HMAC-SHA256 of the body",
    headers: Cow::Borrowed(&[name("x-webhook-signature")]),
    form: Form::Prefixed(name("")),
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Hex,
    signed: BODY,
    key: Key::Text,
    id: NONE,
    time: NONE,
    beside: &[("x-webhook-event", Beside::Kind)],
};

/// <https://apidocs.royalti.io/guides/webhook-integration>
pub static ROYALTI: Scheme = Scheme {
    name: "royalti",
    doc: "Royalti.io: `X-Royalti-Signature: <hex>`, HMAC-SHA256 of the body; only financial events and splits are signed",
    headers: Cow::Borrowed(&[name("x-royalti-signature")]),
    form: Form::Prefixed(name("")),
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Hex,
    signed: BODY,
    key: Key::Text,
    id: NONE,
    time: NONE,
    beside: &[],
};

/// Any other sender that sends an HMAC of the body; `preset: hmac` says where and how.
pub static HMAC: Scheme = Scheme {
    name: "hmac",
    doc: "Any sender of an HMAC: by default `X-Signature: <hex>`, HMAC-SHA256 of the body",
    headers: Cow::Borrowed(&[name("x-signature")]),
    form: Form::Prefixed(name("")),
    algorithm: Algorithm::Sha256,
    encoding: Encoding::Hex,
    signed: BODY,
    key: Key::Text,
    id: NONE,
    time: NONE,
    beside: &[],
};

/// Every scheme there is. To add one: its row, its place here, and a preset that names it.
pub static SCHEMES: &[&Scheme] = &[
    &JEWELMUSIC_BODY,
    &JEWELMUSIC_TIMED,
    &STANDARD_WEBHOOKS,
    &GITHUB,
    &STRIPE,
    &PAGERDUTY,
    &LABELGRID,
    &ROYALTI,
    &HMAC,
];
