//! Numbers, money, sums and times: exact, and with the text they were sent with.

use fanfare::delivery::Say;
use fanfare::message::{Context, plain};
use serde_json::{Value, json};

use super::{context, event, event_of, failure, templates};

/// A body's text about a body that is given as text, since JSON's numbers are what it is about.
fn with_data(template: &str, data: &str) -> String {
    let event = event_of("x", &format!("{{\"data\": {data}}}"));
    let rendered = super::render(&format!("---\ntitle: T\n---\n{template}"), &event);
    assert_eq!(rendered.problem, None, "{template}");
    plain::blocks(&rendered.message.body)
}

#[test]
fn a_number_prints_as_it_was_sent() {
    let sent = [
        "0",
        "-0",
        "7",
        "-7",
        "1250.00",
        "1250.0",
        "0.10",
        "1e+3",
        "1.5e-7",
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551616",
        "123456789012345678901234567890",
        "1.10",
        "1e+999",
        "0.1",
        "340282366920938463463374607431768211457",
        "9007199254740993.25",
    ];
    for number in sent {
        assert_eq!(with_data("{{ data.n }}", &format!("{{\"n\": {number}}}")), number);
        assert_eq!(with_data("{{ data.n|string }}", &format!("{{\"n\": {number}}}")), number);
        assert_eq!(with_data("{{ [data.n, 1]|join(' ') }}", &format!("{{\"n\": {number}}}")), format!("{number} 1"));
        assert_eq!(with_data("{{ data }}", &format!("{{\"n\": {number}}}")), format!("{{\"n\":{number}}}"));
    }
}

#[test]
fn two_numbers_that_only_a_decimal_tells_apart_stay_apart() {
    let data = "{\"a\": 9007199254740993.25, \"b\": 9007199254740993.5}";
    assert_eq!(with_data("{{ data.a }} {{ data.b }}", data), "9007199254740993.25 9007199254740993.5");
}

#[test]
fn numbers_compare_and_add_as_numbers() {
    let data = "{\"a\": 1250.00, \"b\": 9.5, \"big\": 9007199254740993, \"i\": 3}";
    let says = |template: &str| with_data(template, data);
    assert_eq!(says("{{ data.a > 1000 }} {{ data.a == 1250 }} {{ data.b < data.a }}"), "true true true");
    assert_eq!(says("{{ data.big == 9007199254740993 }} {{ data.big + 1 }}"), "true 9007199254740994");
    assert_eq!(says("{{ data.i * 2 }} {{ data.b + 1 }}"), "6 10.5");
    assert_eq!(says("{% if data.a >= 1250.00 %}yes{% endif %}"), "yes");
}

#[test]
fn decimal_groups_and_rounds_half_to_even() {
    let rows = [
        ("1250000", "", "1,250,000"),
        ("1250.00", "", "1,250.00"),
        ("-1234567.5", "", "-1,234,567.5"),
        ("999", "", "999"),
        ("\"12.500,00\"", "", "12,500.00"),
        ("\"1,250,000\"", "", "1,250,000"),
        ("\"1.250.000\"", "", "1,250,000"),
        ("\"12.500\"", "", "12.500"),
        ("2.5", "(0)", "2"),
        ("3.5", "(0)", "4"),
        ("1.005", "(2)", "1.00"),
        ("1", "(2)", "1.00"),
        ("1e3", "", "1,000"),
        ("9007199254740993", "", "9,007,199,254,740,993"),
        ("null", "", ""),
    ];
    for (number, places, text) in rows {
        let data = format!("{{\"n\": {number}}}");
        assert_eq!(with_data(&format!("{{{{ data.n|decimal{places} }}}}"), &data), text, "{number}{places}");
    }
}

#[test]
fn money_is_never_rounded_and_has_the_currencys_decimals() {
    let rows = [
        ("1234.5", "\"EUR\"", "1,234.50 EUR"),
        ("1234.50", "\"usd\"", "1,234.50 USD"),
        ("1500", "\"JPY\"", "1,500 JPY"),
        ("1500.5", "\"JPY\"", "1,500.5 JPY"),
        ("1.5", "\"KWD\"", "1.500 KWD"),
        ("0.00125", "\"USD\"", "0.00125 USD"),
        ("\"1.234,50\"", "\"EUR\"", "1,234.50 EUR"),
        ("-5", "\"EUR\"", "-5.00 EUR"),
        ("5", "null", "5.00"),
        ("5", "\"€\"", "5.00 €"),
        ("90071992547409931.01", "\"EUR\"", "90,071,992,547,409,931.01 EUR"),
    ];
    for (amount, currency, text) in rows {
        let data = format!("{{\"n\": {amount}, \"c\": {currency}}}");
        assert_eq!(with_data("{{ data.n|money(data.c) }}", &data), text);
    }
}

#[test]
fn what_is_no_number_fails_with_its_text() {
    let reason = failure("\n{{ data.n|money('EUR') }}", json!({"n": "soon"}));
    assert_eq!(reason, "templates/m.md:5:11: `money` needs a number, and `soon` is none");
}

fn digest(template: &str, amounts: &[&str]) -> (String, Option<String>) {
    let events: Vec<_> =
        amounts.iter().map(|data| event_of("royalty.reported", &format!("{{\"data\": {data}}}"))).collect();
    let context = Context { events: events.iter().collect(), ..context(events.last().unwrap()) };
    let templates = templates(&[("m.md", &format!("---\ntitle: T\n---\n{template}"))]);
    let rendered = templates.render(&Say::Message("m".into()), &context, None);
    (plain::blocks(&rendered.message.body), rendered.problem)
}

#[test]
fn total_adds_exactly_and_apart_by_currency() {
    let total = |template: &str, amounts: &[&str]| {
        let (text, problem) = digest(template, amounts);
        assert_eq!(problem, None);
        text
    };
    let amounts = [
        "{\"amount\": 0.1, \"currency\": \"EUR\"}",
        "{\"amount\": 0.2, \"currency\": \"EUR\"}",
        "{\"amount\": \"1.249,70\", \"currency\": \"EUR\"}",
        "{\"amount\": 90, \"currency\": \"USD\"}",
        "{\"note\": \"no amount\"}",
    ];
    assert_eq!(total("{{ events|total(\"$.data.amount\", by=\"currency\") }}", &amounts), "1,250.00 EUR + 90.00 USD");
    assert_eq!(total("{{ events|total(\"amount\", by=\"$.data.currency\") }}", &amounts), "1,250.00 EUR + 90.00 USD");
    assert_eq!(total("{{ events|total(\"$.data.amount\") }}", &amounts), "1,340");
    let nested = ["{\"payment\": {\"amount\": 5, \"currency\": \"EUR\"}}"];
    assert_eq!(total("{{ events|total(\"$.data.payment.amount\", by=\"currency\") }}", &nested), "5.00 EUR");
    let many = ["{\"parts\": [{\"n\": 9007199254740993}, {\"n\": 0.01}]}"];
    assert_eq!(total("{{ events|total(\"$.data.parts[*].n\") }}", &many), "9,007,199,254,740,993.01");
    assert_eq!(total("{{ event|total(\"$.data.parts[*].n\") }}", &many), "9,007,199,254,740,993.01");
    assert_eq!(total("{{ event.data.parts|total(\"$.n\") }}", &many), "9,007,199,254,740,993.01");
    assert_eq!(total("{{ events|total(\"$.data.none\") }}", &amounts), "0");
    let looped =
        "{% for sum in events|total(\"$.data.amount\", by=\"currency\") %}{{ sum.by }}={{ sum.amount }} {% endfor %}";
    assert_eq!(total(looped, &amounts), "EUR=1250 USD=90");
}

#[test]
fn total_refuses_what_it_cannot_add() {
    let (_, problem) = digest("{{ events|total(\"$.data.amount\") }}", &["{\"amount\": \"soon\"}"]);
    assert!(problem.unwrap().contains("`total` needs numbers, and `soon` is none"));
    let (_, problem) = digest("{{ events|total(\"$.data[\") }}", &["{\"amount\": 1}"]);
    assert!(problem.unwrap().contains("is not a path"));
}

#[test]
fn dates_are_written_in_the_zone_that_is_asked_for() {
    let rows: [(Value, &str, &str); 9] = [
        (json!("2026-01-05T10:00:00Z"), "", "2026-01-05 10:00 UTC"),
        (json!("2026-01-05T10:00:00Z"), "(\"%d.%m.%Y %H:%M\", \"Europe/Berlin\")", "05.01.2026 11:00"),
        (json!(1_693_526_400), "(\"%Y-%m-%d\")", "2023-09-01"),
        (json!("1693526400"), "", "2023-09-01 00:00 UTC"),
        (json!(1_693_526_400.5), "(\"%H:%M\")", "00:00"),
        (json!("2025-09-01"), "", "2025-09-01"),
        (json!("2025-09-01"), "(\"%-d %B %Y\", \"Asia/Tokyo\")", "1 September 2025"),
        (json!("2026-01-05T10:00:00"), "(\"%H:%M %Z\", \"Europe/Berlin\")", "10:00 CET"),
        (json!(null), "", ""),
    ];
    for (time, how, text) in rows {
        let event = event("x", json!({"t": time}));
        let rendered = super::render(&format!("---\ntitle: T\n---\n{{{{ data.t|date{how} }}}}"), &event);
        assert_eq!(rendered.problem, None, "{time}");
        assert_eq!(plain::blocks(&rendered.message.body), text, "{time}");
    }
}

#[test]
fn a_wrong_date_zone_or_format_fails_with_what_was_wrong() {
    let failed = |template: &str| failure(template, json!({"t": "2026-01-05T10:00:00Z", "s": "soon"}));
    assert!(failed("{{ data.s|date }}").contains("`date` needs a time, and `soon` is none"));
    assert!(failed("{{ data.t|date('%Y', 'Berlin') }}").contains("there is no time zone `Berlin`"));
    assert!(failed("{{ data.t|date('%Q%') }}").contains("is not a format for a date"));
}

#[test]
fn ago_tells_how_long_in_the_largest_unit() {
    // Now is 2026-01-05T13:00:00Z.
    let rows = [
        ("2026-01-05T12:59:30Z", "just now"),
        ("2026-01-05T12:59:00Z", "1 minute ago"),
        ("2026-01-05T10:00:00Z", "3 hours ago"),
        ("2025-12-29T13:00:00Z", "7 days ago"),
        ("2026-01-07T13:30:00Z", "in 2 days"),
    ];
    for (time, text) in rows {
        assert_eq!(super::body("{{ data.t|ago }}", json!({"t": time})), text);
    }
}
