//! The token of a link: made, read and checked. Pure.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use subtle::ConstantTimeEq;

use crate::planner::links::{LinkKey, LinkKeys, keyed};

/// What a code is made for, so that a code of anything else is none of a link.
const PURPOSE: &[u8] = b"fanfare link 1";
/// The parts of a token, in bytes.
const ID: usize = 16;
const NTH: usize = 4;
const CODE: usize = 16;
/// How long a token is as text.
const TEXT: usize = (ID + NTH + CODE) / 3 * 4;

/// A token as it came, before anything is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    id: [u8; ID],
    nth: u32,
    code: [u8; CODE],
}

impl Token {
    /// The token of the link with this id, as text; `None` where the id is none.
    pub fn make(id: &str, key: &LinkKey) -> Option<String> {
        let mut token = Self { id: [0; ID], nth: key.nth, code: [0; CODE] };
        hex::decode_to_slice(id, &mut token.id).ok()?;
        token.code = token.code_by(key);
        let bytes = [&token.id[..], &token.nth.to_be_bytes(), &token.code].concat();
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads what stands in a URL.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = (text.len() == TEXT).then(|| URL_SAFE_NO_PAD.decode(text).ok())??;
        let (id, rest) = bytes.split_first_chunk()?;
        let (nth, code) = rest.split_first_chunk()?;
        Some(Self { id: *id, nth: u32::from_be_bytes(*nth), code: code.try_into().ok()? })
    }

    /// Under which id the store knows what it is for.
    pub fn id(&self) -> String {
        hex::encode(self.id)
    }

    /// Whether it was made with one of these keys that still counts.
    pub fn is_made_with(&self, keys: &LinkKeys, now: Timestamp) -> bool {
        keys.find(self.nth, now).is_some_and(|key| bool::from(self.code_by(key).ct_eq(&self.code)))
    }

    fn code_by(&self, key: &LinkKey) -> [u8; CODE] {
        let code = keyed(&key.secret, &[PURPOSE, &self.id, &self.nth.to_be_bytes()]);
        // Were there no code, one of random bytes would have to be guessed: zeros must not do.
        code.first_chunk().copied().unwrap_or([0xff; CODE])
    }
}
