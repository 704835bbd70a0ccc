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

/// The cells of a flat OpenDocument sheet, in order, each with its type and what a reader sees of it.
fn cells_of(fods: &str) -> Vec<(String, String)> {
    let of = |text: &str, name: &str| {
        let rest = text.split_once(&format!("{name}=\""))?.1;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let cells = fods.split("<table:table-cell ").skip(1).filter_map(|cell| {
        let (head, rest) = cell.split_once('>')?;
        let kind = of(head, "office:value-type")?;
        let body = rest.split_once("</table:table-cell>").map_or("", |(body, _)| body);
        let shown = of(head, "office:value").unwrap_or_else(|| {
            let text = body.trim().replace("</text:p>", "\n").replace("<text:p>", "");
            text.trim().replace("&apos;", "'").replace("&quot;", "\"").replace("&amp;", "&")
        });
        Some((kind, shown))
    });
    cells.collect()
}

/// Runs where LibreOffice is; `FANFARE_SOFFICE=1` says that it must be there.
#[test]
fn libreoffice_reads_numbers_as_numbers_and_no_formula() {
    let folder = tempfile::TempDir::new().unwrap();
    let texts = ["=1+1", "@SUM(A1)", "+49 30 1234", "-cmd", "=HYPERLINK(\"http://x\")", "two\nlines", "a;=1+1"];
    let money = |amount: &str, places| Cell::money(&serde_json::from_str(amount).unwrap(), places);
    let mut table = line(["Artist", "Amount"].map(|name| Cell::Text(name.into())));
    let amounts = [money("0.1", 2), money("0.2", 2), money("3904.15", 2), money("150000.00", 0), money("-12.5", 2)];
    for (text, amount) in texts.iter().zip(amounts) {
        table.push_str(&line([Cell::of(&Value::from(*text)), amount]));
    }
    for text in &texts[5..] {
        table.push_str(&line([Cell::of(&Value::from(*text)), Cell::of(&Value::Null)]));
    }
    std::fs::write(folder.path().join("table.csv"), &table).unwrap();
    let mut soffice = std::process::Command::new("soffice");
    soffice.args(["--headless", "--norestore", "--convert-to", "fods", "table.csv"]).current_dir(folder.path());
    soffice.arg(format!("-env:UserInstallation=file://{}/profile", folder.path().display()));
    let ran = soffice.output();
    if ran.is_err() && std::env::var_os("FANFARE_SOFFICE").is_none() {
        return;
    }
    let ran = ran.unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let fods = std::fs::read_to_string(folder.path().join("table.fods")).unwrap();
    assert!(!fods.contains("table:formula"), "a cell is a formula");
    let cells = cells_of(&fods);
    let numbers: Vec<&str> =
        cells.iter().filter(|(kind, _)| kind == "float").map(|(_, value)| value.as_str()).collect();
    assert_eq!(numbers, ["0.1", "0.2", "3904.15", "150000", "-12.5"]);
    for text in texts {
        let shown = |cell: &&(String, String)| cell.1.trim_start_matches('\'') == text;
        assert_eq!(cells.iter().find(shown).map(|(kind, _)| kind.as_str()), Some("string"), "{text}: {cells:?}");
    }
}
