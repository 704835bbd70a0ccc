//! Exact decimals: what is read, how it compares, adds, rounds and prints.

use std::cmp::Ordering;

use fanfare::decimal::{DIGITS_MAX, Decimal};
use proptest::prelude::*;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap_or_else(|| panic!("`{text}` is a number"))
}

#[test]
fn only_what_json_calls_a_number_is_read() {
    for text in ["0", "-0", "7", "-7", "10", "0.5", "1250.00", "1e3", "1E+3", "1.5e-300", "9007199254740993"] {
        assert!(Decimal::parse(text).is_some(), "{text}");
    }
    for text in [
        "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1e1.5", " 1", "1 ", "1_000", "0x10", "NaN", "Infinity",
        "1,5", "--1", "1e--1", "١", "1.5.5", "1e5e5",
    ] {
        assert_eq!(Decimal::parse(text), None, "{text:?}");
    }
}

#[test]
fn grouped_numbers_are_read_only_where_the_grouping_is_plain() {
    for (text, value) in [
        ("12.500,00", "12500"),
        ("1,250,000.00", "1250000"),
        ("1,250,000", "1250000"),
        ("1.250.000", "1250000"),
        ("1,250.5", "1250.5"),
        ("-1.250,5", "-1250.5"),
        ("12.500", "12.5"),
        ("999,999,999,999,999,999.99", "999999999999999999.99"),
    ] {
        assert_eq!(Decimal::parse_grouped(text), Some(decimal(value)), "{text}");
    }
    for text in [
        "1,250",
        "12,5",
        "1,25,000",
        "1250,000.00",
        "1,250.000,00",
        "0,250,000",
        "012.500,00",
        ",250,000",
        "1,,250,000",
        "1,250,",
        "1,250,000.",
        "1.250,",
        "1 250,00",
        "+1,250,000",
        "1,250,000e3",
        "1,250,0000",
        "",
        ",",
        "-",
        "1,250.00 EUR",
    ] {
        assert_eq!(Decimal::parse_grouped(text), None, "{text:?}");
    }
}

#[test]
fn equal_values_are_one_number_however_they_are_written() {
    for same in [["1.50", "15e-1"], ["0", "-0.00e7"], ["100", "1e2"], ["0.001", "1E-3"], ["-2.0", "-2"]] {
        assert_eq!(decimal(same[0]), decimal(same[1]), "{same:?}");
    }
    assert_ne!(decimal("9007199254740993"), decimal("9007199254740992"));
    assert_ne!(decimal("0.1"), decimal("0.10000000000000001"));
}

#[test]
fn numbers_in_ascending_order_compare_so() {
    let ascending = [
        "-1e99999999999999999999",
        "-1e400",
        "-10",
        "-9.99",
        "-1",
        "-1e-400",
        "0",
        "1e-99999999999999999999",
        "0.09",
        "0.1",
        "0.10000000000000001",
        "1",
        "1.00000000000000000000000000001",
        "2",
        "10",
        "9007199254740992",
        "9007199254740993",
        "1e400",
        "1.0000000001e400",
        "1e99999999999999999999",
        "2e99999999999999999999",
    ];
    for (i, a) in ascending.iter().enumerate() {
        for (j, b) in ascending.iter().enumerate() {
            assert_eq!(decimal(a).cmp(&decimal(b)), i.cmp(&j), "{a} and {b}");
        }
    }
}

#[test]
fn a_huge_exponent_is_never_written_out() {
    let huge = decimal("1e999999999999999999");
    assert_eq!(huge.to_string(), "1e999999999999999999");
    assert_eq!(huge.plus(&decimal("1")), None);
    assert_eq!(huge.plus(&huge), Some(decimal("2e999999999999999999")));
    assert_eq!(huge.fixed(2), None);
    let tiny = decimal("-1.25e-999999999999999999");
    assert_eq!(tiny.to_string(), "-1.25e-999999999999999999");
    assert_eq!(tiny.fixed(2).as_deref(), Some("0.00"));
    assert_eq!(tiny.fixed(DIGITS_MAX + 1), None);
    let beyond = format!("1e{}", "9".repeat(60));
    assert_eq!(Decimal::parse(&beyond), None, "an exponent of sixty digits is not read");
    assert_eq!(Decimal::parse(&beyond.replacen('1', "0", 1)), Some(decimal("0")), "but zero is zero");
}

#[test]
fn a_number_prints_as_itself() {
    for text in ["0", "-1", "1250", "0.001", "9007199254740993", "1234567890.0987654321", "1e400", "-1.5e-400"] {
        assert_eq!(decimal(text).to_string(), text);
    }
    assert_eq!(decimal("1e3").to_string(), "1000");
    assert_eq!(decimal("1250.00").to_string(), "1250");
}

#[test]
fn fixed_rounds_half_to_even() {
    for (text, places, fixed) in [
        ("1250", 2, "1250.00"),
        ("0.5", 0, "0"),
        ("1.5", 0, "2"),
        ("2.5", 0, "2"),
        ("2.5000001", 0, "3"),
        ("-0.5", 0, "0"),
        ("-1.5", 0, "-2"),
        ("0.005", 2, "0.00"),
        ("0.015", 2, "0.02"),
        ("0.025", 2, "0.02"),
        ("9.999", 2, "10.00"),
        ("99.5", 0, "100"),
        ("0.05", 1, "0.0"),
        ("0.06", 1, "0.1"),
        ("0.95", 1, "1.0"),
        ("0.001", 5, "0.00100"),
        ("12e2", 1, "1200.0"),
        ("0", 3, "0.000"),
        ("-0.001", 2, "0.00"),
    ] {
        assert_eq!(decimal(text).fixed(places).as_deref(), Some(fixed), "{text} to {places} places");
    }
}

#[test]
fn a_sum_is_refused_beyond_a_thousand_digits() {
    assert!(decimal("1e998").plus(&decimal("0.1")).is_some());
    assert_eq!(decimal("1e1000").plus(&decimal("0.1")), None);
}

/// A number in JSON's grammar, of any shape.
fn any_number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?"
}

/// `units` / 10^`places`, as text.
fn scaled(units: i64, places: usize) -> String {
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let point = if places > 0 { "." } else { "" };
    format!("{}{whole}{point}{fraction}", if units < 0 { "-" } else { "" })
}

proptest! {
    #[test]
    fn what_prints_parses_back_to_itself(text in any_number()) {
        let number = decimal(&text);
        prop_assert_eq!(Decimal::parse(&number.to_string()), Some(number));
    }

    #[test]
    fn the_order_is_that_of_integers(a in any::<i64>(), b in any::<i64>(), places in 0..12usize) {
        let (x, y) = (decimal(&scaled(a, places)), decimal(&scaled(b, places)));
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x == y, a == b);
    }

    #[test]
    fn the_order_is_total(a in any_number(), b in any_number(), c in any_number()) {
        let (a, b, c) = (decimal(&a), decimal(&b), decimal(&c));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn a_sum_is_exact(a in any::<i64>(), b in any::<i64>(), p in 0..9usize, q in 0..9usize) {
        let sum = decimal(&scaled(a, p)).plus(&decimal(&scaled(b, q))).unwrap();
        let exact = i128::from(a) * 10i128.pow(9 - p as u32) + i128::from(b) * 10i128.pow(9 - q as u32);
        prop_assert_eq!(sum, decimal(&format!("{exact}e-9")));
    }

    #[test]
    fn adding_goes_either_way_and_back(a in any_number(), b in any_number()) {
        let (a, b) = (decimal(&a), decimal(&b));
        prop_assert_eq!(a.plus(&b), b.plus(&a));
        if let Some(sum) = a.plus(&b) {
            let negated = if b.is_negative() { b.to_string()[1..].to_owned() } else { format!("-{b}") };
            // Cancelling may not need more digits than the sum did.
            prop_assert_eq!(sum.plus(&decimal(&negated)), Some(a));
        }
    }

    #[test]
    fn fixed_is_within_half_a_unit(units in any::<i64>(), places in 0..10usize, to in 0..12usize) {
        let fixed = decimal(&scaled(units, places)).fixed(to).unwrap();
        prop_assert_eq!(fixed.split_once('.').map_or(0, |(_, fraction)| fraction.len()), to);
        let off = decimal(&fixed).plus(&decimal(&scaled(units.checked_neg().unwrap_or(i64::MAX), places))).unwrap();
        prop_assume!(units != i64::MIN);
        prop_assert!(off <= decimal(&format!("5e-{}", to + 1)) && off >= decimal(&format!("-5e-{}", to + 1)), "{}", off);
    }

    #[test]
    fn an_integer_becomes_itself(number in any::<i64>()) {
        prop_assert_eq!(Decimal::from(number).to_string(), number.to_string());
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}|[-+0-9.,eE]{0,40}") {
        let _ = Decimal::parse(&text);
        if let Some(number) = Decimal::parse_grouped(&text) {
            let _ = (number.fixed(2), number.plus(&number), number.to_string());
        }
    }

    #[test]
    fn grouping_never_changes_the_value(units in 1_000_000u64.., cents in 0..100u8) {
        let plain = units.to_string();
        let mut grouped = String::new();
        for (i, digit) in plain.chars().enumerate() {
            if i > 0 && (plain.len() - i).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let english = format!("{grouped}.{cents:02}");
        let german = english.replace(',', " ").replace('.', ",").replace(' ', ".");
        let value = Some(decimal(&format!("{plain}.{cents:02}")));
        prop_assert_eq!(Decimal::parse_grouped(&english), value.clone());
        prop_assert_eq!(Decimal::parse_grouped(&german), value);
        prop_assert_eq!(Decimal::parse_grouped(&grouped), Some(decimal(&plain)));
    }
}
