//! Exact decimal numbers: 9007199254740993 and 1250.00 compare and add as what they are, never as floats.
//!
//! Pure. Digits of any length and exponents of up to [`EXPONENT_MAX`] compare without being written out; whatever
//! writes digits out (adding, printing) refuses, or falls back to an exponent, beyond [`DIGITS_MAX`] of them, so that
//! no number in an event can make the process spend memory on zeros.

use std::cmp::Ordering;
use std::fmt;

/// The most digits that a sum, or a number written out, may span.
pub const DIGITS_MAX: usize = 1000;

/// The largest exponent, by magnitude, that a number may be written with. JSON sets no bound; beyond this one a
/// number is not read.
pub const EXPONENT_MAX: i128 = 10i128.pow(36);

/// A decimal number of any size, equal to another exactly when their values are equal: `1.50`, `1.5` and `15e-1` are
/// one number, and so are `0` and `-0`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// Values 0 to 9, most significant first, no leading and no trailing zeros; empty for zero.
    digits: Vec<u8>,
    /// The value is 0.DIGITS × 10^exponent; 0 for zero.
    exponent: i128,
}

impl Decimal {
    /// A number in JSON's grammar (RFC 8259, section 6), and nothing around it: no blank, no `+`, no leading zero.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = sign(text);
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (rest, Exponent::Of(0)),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) || !fraction.is_none_or(is_digits) {
            return None;
        }
        Self::of_parts(negative, whole, fraction.unwrap_or_default(), exponent)
    }

    /// A number in JSON's grammar, or a plainly grouped one.
    ///
    /// JSON's grammar comes first: `12.500` is 12.5. Otherwise `,` and `.` may stand between groups of three digits
    /// where the grouping can't be meant as anything else:
    ///
    /// - one of them groups and the other marks the decimals: `12.500,00`, `1,250,000.00`, `1.250,5`;
    /// - the same one stands at least twice: `1,250,000`, `1.250.000`.
    ///
    /// What could be read either way is not read at all: `1,250` is 1250 in London and 1.25 in Berlin, and `12,5` is no
    /// grouping. Nor is a number whose first group is empty, longer than three digits, or begins with a zero.
    pub fn parse_grouped(text: &str) -> Option<Self> {
        if let Some(number) = Self::parse(text) {
            return Some(number);
        }
        let (negative, rest) = sign(text);
        let group = rest.chars().find(|c| matches!(c, ',' | '.'))?;
        let point = if group == ',' { '.' } else { ',' };
        let (whole, fraction) = match rest.split_once(point) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (rest, None),
        };
        let mut groups = whole.split(group);
        let first = groups.next()?;
        let others: Vec<&str> = groups.collect();
        let plain = is_digits(first)
            && first.len() <= 3
            && !first.starts_with('0')
            && others.iter().all(|group| group.len() == 3 && is_digits(group))
            && match fraction {
                Some(fraction) => !others.is_empty() && is_digits(fraction),
                None => others.len() >= 2,
            };
        if !plain {
            return None;
        }
        Self::of_parts(negative, &whole.replace(group, ""), fraction.unwrap_or_default(), Exponent::Of(0))
    }

    /// From digits before and after the point.
    fn of_parts(negative: bool, whole: &str, fraction: &str, exponent: Exponent) -> Option<Self> {
        let digits = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
        match exponent {
            Exponent::Of(exponent) => Some(Self::normal(negative, digits, exponent + whole.len() as i128)),
            // Whatever the exponent, zero is zero.
            Exponent::TooLarge => digits.iter().all(|digit| *digit == 0).then(Self::default),
        }
    }

    /// The one form that a value has: zeros at both ends go.
    fn normal(negative: bool, mut digits: Vec<u8>, exponent: i128) -> Self {
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        let trailing = digits.iter().rev().take_while(|digit| **digit == 0).count();
        digits.truncate(digits.len() - trailing);
        if digits.is_empty() {
            return Self::default();
        }
        Self { negative, digits, exponent: exponent - leading as i128 }
    }

    /// Whether it is 0.
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Whether it is below 0.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// The power of ten of the last digit.
    fn last_place(&self) -> i128 {
        self.exponent - self.digits.len() as i128
    }

    /// The exact sum; `None` when it would span more than [`DIGITS_MAX`] digits, from the highest place of either
    /// number to the lowest.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        if self.is_zero() {
            return Some(other.clone());
        }
        if other.is_zero() {
            return Some(self.clone());
        }
        let low = self.last_place().min(other.last_place());
        let high = self.exponent.max(other.exponent);
        let width = usize::try_from(high - low).ok().filter(|width| *width <= DIGITS_MAX)?;
        let (a, b) = (self.aligned(low, width)?, other.aligned(low, width)?);
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, sum(&a, &b))
        } else if a >= b {
            (self.negative, difference(&a, &b))
        } else {
            (other.negative, difference(&b, &a))
        };
        // The sum has one digit more than its operands: the carry, or 0.
        Some(Self::normal(negative, digits, high + 1))
    }

    /// The digits in `width` places of which the last is 10^`low`.
    fn aligned(&self, low: i128, width: usize) -> Option<Vec<u8>> {
        let after = usize::try_from(self.last_place() - low).ok()?;
        let before = width.checked_sub(after)?.checked_sub(self.digits.len())?;
        let mut digits = vec![0; before];
        digits.extend_from_slice(&self.digits);
        digits.resize(width, 0);
        Some(digits)
    }

    /// Rounded half to even to `places` decimal places, written out with exactly this many: `1250.00` with two, `1250`
    /// with none. A value that rounds to zero has no sign. `None` when that would take more than [`DIGITS_MAX`] digits
    /// on either side of the point.
    pub fn fixed(&self, places: usize) -> Option<String> {
        if places > DIGITS_MAX || self.exponent > DIGITS_MAX as i128 {
            return None;
        }
        let rounded = self.rounded(places);
        let whole = usize::try_from(rounded.exponent.max(0)).ok()?;
        let mut text = String::with_capacity(whole + places + 2);
        if rounded.negative {
            text.push('-');
        }
        if whole == 0 {
            text.push('0');
        }
        for place in 0..whole as i128 {
            text.push(rounded.digit(place));
        }
        if places > 0 {
            text.push('.');
        }
        for place in 0..places as i128 {
            text.push(rounded.digit(whole as i128 + place));
        }
        Some(text)
    }

    /// The digit at `place`, counted from the highest place that is written: that of the units or, above them, of
    /// 10^(exponent - 1).
    fn digit(&self, place: i128) -> char {
        let at = place - (self.exponent.max(0) - self.exponent);
        let digit = usize::try_from(at).ok().and_then(|at| self.digits.get(at)).copied().unwrap_or(0);
        char::from(b'0' + digit)
    }

    /// Rounded half to even to `places` decimal places.
    fn rounded(&self, places: usize) -> Self {
        let keep = self.exponent + places as i128;
        if keep >= self.digits.len() as i128 {
            return self.clone();
        }
        let Ok(keep) = usize::try_from(keep) else { return Self::default() };
        let mut kept = vec![0];
        kept.extend_from_slice(self.digits.get(..keep).unwrap_or_default());
        let rest = self.digits.get(keep..).unwrap_or_default();
        let odd = kept.last().is_some_and(|digit| digit % 2 == 1);
        // No trailing zeros: `[5]` alone is exactly one half.
        let up = match rest {
            [5] => odd,
            [first, ..] => *first >= 5,
            [] => false,
        };
        if up {
            for digit in kept.iter_mut().rev() {
                if *digit < 9 {
                    *digit += 1;
                    break;
                }
                *digit = 0;
            }
        }
        Self::normal(self.negative, kept, self.exponent + 1)
    }

    /// Compares the values without their signs.
    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Without leading zeros the exponent decides first; without trailing zeros a longer number with the same
            // beginning is the greater one, as the lexical order of the digits has it.
            (false, false) => self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

/// Takes the sign off.
fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

/// Whether there are digits and nothing else.
fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands behind an `e`.
enum Exponent {
    Of(i128),
    /// Beyond [`EXPONENT_MAX`].
    TooLarge,
}

fn read_exponent(text: &str) -> Option<Exponent> {
    let (negative, digits) = match text.strip_prefix('+') {
        Some(digits) => (false, digits),
        None => sign(text),
    };
    if !is_digits(digits) {
        return None;
    }
    Some(match digits.parse::<i128>() {
        Ok(exponent) if exponent <= EXPONENT_MAX => Exponent::Of(if negative { -exponent } else { exponent }),
        _ => Exponent::TooLarge,
    })
}

/// `a` + `b`, of equal length; the result has one digit more.
fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut digits: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let sum = a + b + carry;
            carry = sum / 10;
            sum % 10
        })
        .collect();
    digits.push(carry);
    digits.reverse();
    digits
}

/// `a` - `b`, of equal length and `a` not the smaller; the result has one digit more.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut digits: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let take = b + borrow;
            borrow = u8::from(*a < take);
            a + 10 * borrow - take
        })
        .collect();
    digits.push(0);
    digits.reverse();
    digits
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        let (negative, magnitude) = (number < 0, number.unsigned_abs().to_string());
        let digits: Vec<u8> = magnitude.bytes().map(|digit| digit - b'0').collect();
        let exponent = digits.len() as i128;
        Self::normal(negative, digits, exponent)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.cmp_magnitude(other),
            (true, true) => other.cmp_magnitude(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    /// In JSON's grammar, so that it parses back to itself: written out where that takes no more than forty zeros
    /// beyond its own digits, else with an exponent (`1.5e400`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ZEROS_MAX: i128 = 40;
        let places = -self.last_place();
        if self.is_zero() || (places <= self.digits.len() as i128 + ZEROS_MAX && -places <= ZEROS_MAX) {
            return self.write_out(f);
        }
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        write!(f, "{}{first}{point}{rest}e{}", if self.negative { "-" } else { "" }, self.exponent - 1)
    }
}

impl Decimal {
    /// Every digit, and a point if there are decimals.
    fn write_out(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.negative {
            f.write_char('-')?;
        }
        let whole = self.exponent.max(0);
        if whole == 0 {
            f.write_char('0')?;
        }
        for place in 0..whole {
            f.write_char(self.digit(place))?;
        }
        let places = (-self.last_place()).max(0);
        if places > 0 {
            f.write_char('.')?;
        }
        for place in 0..places {
            f.write_char(self.digit(whole + place))?;
        }
        Ok(())
    }
}
