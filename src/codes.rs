//! The codes by which the trade knows releases and recordings: whether they can be right. Pure.

/// Whether a text is a UPC or EAN: 12, 13 or 14 digits, the last of which is the check digit of the others (GS1 General
/// Specifications, section 7.9).
pub fn is_upc(text: &str) -> bool {
    if !(12..=14).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    // From the right, every other digit counts three times; with the check digit the sum is a multiple of ten.
    let digits = text.bytes().rev().map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits.enumerate().map(|(at, digit)| if at % 2 == 1 { 3 * digit } else { digit }).sum();
    sum.is_multiple_of(10)
}

/// Whether a text is an ISRC: two letters, three letters or digits, seven digits; with or without its hyphens (ISO 3901).
/// It has no check digit.
pub fn is_isrc(text: &str) -> bool {
    let plain = match text.split('-').collect::<Vec<_>>()[..] {
        [whole] => whole.to_owned(),
        [country, registrant, year, number]
            if (country.len(), registrant.len(), year.len(), number.len()) == (2, 3, 2, 5) =>
        {
            [country, registrant, year, number].concat()
        }
        _ => return false,
    };
    plain.len() == 12
        && plain.bytes().enumerate().all(|(at, byte)| match at {
            0 | 1 => byte.is_ascii_uppercase(),
            2..=4 => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            _ => byte.is_ascii_digit(),
        })
}
