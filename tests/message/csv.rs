//! Tables for spreadsheets: what stands in a cell is what was sent, and never a formula.

use fanfare::message::csv::{Cell, file_name, line};
use proptest::prelude::*;
use serde_json::Value;

fn of(json: &str) -> String {
    line([Cell::of(&serde_json::from_str(json).unwrap())]).trim_end().to_owned()
}

/// Reads a table as RFC 4180 has it.
fn read(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {
                assert_eq!(chars.next(), Some('\n'));
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    assert!(!quoted && cell.is_empty() && row.is_empty(), "{text}");
    rows
}

#[test]
fn a_number_keeps_the_text_that_it_was_sent_with() {
    for number in ["9007199254740993", "1250.00", "0.1", "-12.50", "0.10000000000000001"] {
        assert_eq!(of(number), number);
        assert_eq!(of(&format!("\"{number}\"")), number, "a text that is a number");
    }
}

#[test]
fn no_text_is_taken_for_a_formula() {
    for (json, expected) in [
        (r#""=1+1""#, r#""'=1+1""#),
        (r#""=HYPERLINK(\"http://x\")""#, r#""'=HYPERLINK(""http://x"")""#),
        (r#""+49 30 1234""#, r#""'+49 30 1234""#),
        (r#""-cmd""#, r#""'-cmd""#),
        (r#""@SUM(A1)""#, r#""'@SUM(A1)""#),
        (r#""  =1+1""#, r#""'  =1+1""#),
        (r#""\t=1+1""#, "\"'\t=1+1\""),
        (r#""\r=1+1""#, r#""'=1+1""#),
        (r#""＝1+1""#, r#""'＝1+1""#),
        (r#""a;=1+1""#, r#""a;=1+1""#),
        (r#""Ólöf, \"Brim\"""#, r#""Ólöf, ""Brim""""#),
        ("null", ""),
        (r#""""#, ""),
        ("true", r#""true""#),
        (r#"["a",1]"#, r#""[""a"",1]""#),
    ] {
        assert_eq!(of(json), expected, "{json}");
    }
}

#[test]
fn an_amount_has_the_decimals_of_its_currency_and_is_never_rounded() {
    let money = |json: &str, places| line([Cell::money(&serde_json::from_str(json).unwrap(), places)]);
    for (json, places, expected) in [
        ("1250.5", 2, "1250.50"),
        ("1250", 2, "1250.00"),
        ("0.125", 2, "0.125"),
        ("1500.00", 0, "1500"),
        ("1500", 0, "1500"),
        ("1500.5", 0, "1500.5"),
        (r#""1.250,50""#, 2, "1250.50"),
        (r#""a lot""#, 2, r#""a lot""#),
    ] {
        assert_eq!(money(json, places).trim_end(), expected, "{json}");
    }
}

#[test]
fn a_file_s_name_is_one_on_every_system() {
    for (text, expected) in [
        ("payments-2026-01.csv", "payments-2026-01.csv"),
        ("payments", "payments.csv"),
        ("../../etc/passwd", "-..-etc-passwd.csv"),
        ("a\r\nContent-Type: x.csv", "a Content-Type- x.csv"),
        ("", "events.csv"),
        (".csv", "events.csv"),
        ("Müller.csv", "Müller.csv"),
    ] {
        assert_eq!(file_name(text, ".csv"), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn whatever_is_sent_can_be_read_again_and_begins_no_formula(texts in prop::collection::vec(".{0,40}", 1..5)) {
        let cells = texts.iter().map(|text| Cell::of(&Value::from(text.as_str())));
        let rows = read(&line(cells));
        prop_assert_eq!(rows.len(), 1);
        prop_assert_eq!(rows[0].len(), texts.len());
        for (cell, text) in rows[0].iter().zip(&texts) {
            let formula = cell.trim_start().starts_with(['=', '+', '-', '@']);
            prop_assert!(!formula || fanfare::decimal::Decimal::parse(text).is_some(), "{}", cell);
        }
    }
}
