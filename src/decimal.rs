//! Exact decimal numbers: 9007199254740993 and 1250.00 compare and add as what they are, never as floats.
//!
//! Pure. Digits of any length and exponents of any size compare without being written out; adding refuses to span
//! more than a thousand digits.

use std::cmp::Ordering;
use std::fmt;

/// A decimal number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// Most significant first, no leading and no trailing zeros; empty for zero.
    digits: Vec<u8>,
    /// The value is 0.DIGITS × 10^exponent.
    exponent: i64,
}

impl Decimal {
    /// A number in JSON's grammar (RFC 8259, section 6).
    pub fn parse(text: &str) -> Option<Self> {
        todo!("{text}")
    }

    /// A number in JSON's grammar, or a plainly grouped one: `12.500,00`, `1,250,000.00`. `12.500` is 12.5.
    pub fn parse_grouped(text: &str) -> Option<Self> {
        todo!("{text}")
    }

    /// The exact sum; `None` when it would span more than a thousand digits.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        todo!("{other}")
    }

    /// Rounded half to even to `places` decimal places, written out with exactly so many.
    pub fn fixed(&self, places: usize) -> Option<String> {
        todo!("{places}")
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        todo!("{other}")
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        {
            let _ = f;
            todo!()
        }
    }
}
