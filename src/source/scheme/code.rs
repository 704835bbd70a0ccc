//! How a code is computed from key and pieces, and how its bytes are written.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::secret::Secret;

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA1, for senders that have nothing better.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA512.
    Sha512,
}

impl Algorithm {
    /// All, by their names in files.
    pub const ALL: [(&'static str, Algorithm); 3] =
        [("sha256", Algorithm::Sha256), ("sha1", Algorithm::Sha1), ("sha512", Algorithm::Sha512)];

    pub(super) fn code(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Algorithm::Sha1 => code_of::<Hmac<Sha1>>(key, parts),
            Algorithm::Sha256 => code_of::<Hmac<Sha256>>(key, parts),
            Algorithm::Sha512 => code_of::<Hmac<Sha512>>(key, parts),
        }
    }
}

fn code_of<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of every length; were that to change, an empty code matches nothing.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// How the bytes of a code are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal; read in either case, written in lower case.
    Hex,
    /// Base64 with the standard alphabet; read with or without padding.
    Base64,
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Encoding {
    /// All, by their names in files.
    pub const ALL: [(&'static str, Encoding); 2] = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];

    pub(super) fn read(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => BASE64.decode(text).ok(),
        }
    }

    pub(super) fn write(self, code: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode(code),
            Encoding::Base64 => BASE64.encode(code),
        }
    }
}

/// How a secret becomes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Its UTF-8 bytes, undecoded.
    Text,
    /// What its Base64 stands for, after an optional `whsec_` (Standard Webhooks).
    Whsec,
}

impl Key {
    /// The key's bytes; `None` where the secret isn't written as it must be.
    pub(super) fn bytes(self, secret: &Secret) -> Option<Vec<u8>> {
        let text = secret.open();
        match self {
            Key::Text => Some(text.as_bytes().to_vec()),
            Key::Whsec => BASE64.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok().filter(|key| !key.is_empty()),
        }
    }

    /// Whether the secret can be a key at all.
    pub fn takes(self, secret: &Secret) -> bool {
        self.bytes(secret).is_some()
    }
}
