//! The way back: what a sender by a scheme sends, for `send`, `demo` and tests.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{Beside, Form, Names, Piece, Scheme};
use crate::secret::Secret;

/// What is to be signed.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The event's id.
    pub id: &'a str,
    /// The event's type.
    pub kind: &'a str,
    /// The body, as it will be sent.
    pub body: &'a [u8],
    /// The moment to sign.
    pub at: Timestamp,
}

/// The headers that a sender by this scheme sends with a body: the signature, what is signed beside the body, and what
/// it adds unsigned. `None` where the secret can't be a key (see `Key`).
pub fn sign(scheme: &Scheme, secret: &Secret, outgoing: &Outgoing<'_>) -> Option<Vec<(String, String)>> {
    let seconds = outgoing.at.as_second().to_string();
    let parts = scheme.parts(Some(outgoing.id), Some(&seconds), outgoing.body);
    let code = scheme.encoding.write(&scheme.algorithm.code(&scheme.key.bytes(secret)?, &parts));
    let signature = match &scheme.form {
        Form::Prefixed(prefix) => format!("{prefix}{code}"),
        Form::Pairs if scheme.signs(&Piece::Time) => format!("t={seconds},v1={code}"),
        Form::Pairs => format!("v1={code}"),
        Form::Listed => format!("v1,{code}"),
    };
    let mut headers = Vec::new();
    let mut add = |name: Option<&str>, value: &str| {
        headers.extend(name.map(|name| (name.to_owned(), value.to_owned())));
    };
    add(first(&scheme.headers), &signature);
    add(first(&scheme.id).filter(|_| scheme.signs(&Piece::Id)), outgoing.id);
    add(first(&scheme.time).filter(|_| scheme.signs(&Piece::Time)), &seconds);
    for (name, what) in scheme.beside {
        let value = match what {
            Beside::Kind => outgoing.kind,
            Beside::KindHead => outgoing.kind.split('.').next().unwrap_or_default(),
            Beside::Id => outgoing.id,
            Beside::Seconds => &seconds,
        };
        add(Some(name), value);
    }
    Some(headers)
}

fn first(names: &Names) -> Option<&str> {
    names.first().map(Cow::as_ref)
}
