//! Bodies as text: what is read, what isn't, and what JavaScript would make of it.

use fanfare::json::{read, stringify};
use proptest::prelude::*;
use serde_json::Value;

fn value(text: &str) -> Option<Value> {
    read(text.as_bytes()).map(|document| document.value)
}

#[test]
fn numbers_keep_their_text() {
    for number in ["1250.00", "9007199254740993", "1e+999", "-0.0", "123456789012345678901234567890", "1e-7"] {
        assert_eq!(value(&format!("[{number}]")).unwrap().to_string(), format!("[{number}]"));
    }
    // All that the reader changes is how an exponent is written.
    assert_eq!(value("[1E999, 2E-7]").unwrap().to_string(), "[1e+999,2e-7]");
}

#[test]
fn what_is_no_json_is_not_read() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for text in [
        "",
        " ",
        "{",
        "{}{}",
        "[1,]",
        "{'a':1}",
        "NaN",
        "01",
        "\u{feff}{}",
        "\"\\x\"",
        "\"\u{1}\"",
        "nul",
        &deep,
        "{\"a\"}",
    ] {
        assert_eq!(value(text), None, "{text}");
    }
    assert!(read(b"{\"a\":\"\xff\"}").is_none());
}

#[test]
fn a_body_cannot_write_the_reader_s_private_keys() {
    for text in [
        r#"{"$serde_json::private::Number": "12"}"#,
        r#"{"a": {"\u0024serde_json::private::Number": "12"}}"#,
        r#"{"$serde_json::private::RawValue": "[[[[]]]]"}"#,
        r#"{"x": 1, "$serde_json::private::RawValue": "{}"}"#,
        r#"[{"x": 1, "$serde_json::private::Number": "7"}]"#,
    ] {
        assert_eq!(value(text), None, "{text}");
    }
}

#[test]
fn keys_that_stand_twice_at_the_top_are_reported_and_the_last_one_counts() {
    let document = read(br#"{"id":"a","x":{"id":1,"id":2},"id":"b","\u0069d":"c","y":1,"y":2}"#).unwrap();
    assert_eq!(document.doubled, ["id", "y"]);
    assert_eq!(document.value.to_string(), r#"{"id":"c","x":{"id":2},"y":2}"#);
}

#[test]
fn half_an_emoji_doesn_t_hide_an_event() {
    for (text, read) in [
        (r#""a\ud83d""#, "a\u{fffd}"),
        (r#""\ude00b""#, "\u{fffd}b"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\\ud83d \ud83d\n""#, "\\ud83d \u{fffd}\n"),
        (r#""\uD83Dx""#, "\u{fffd}x"),
    ] {
        assert_eq!(value(text), Some(Value::from(read)), "{text}");
    }
}

/// Left what `JSON.parse` was given, right what `JSON.stringify` printed, in Node.js.
#[test]
fn numbers_are_printed_as_javascript_prints_them() {
    for (text, printed) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1", "1"),
        ("10", "10"),
        ("100000000000000000000", "100000000000000000000"),
        ("1e20", "100000000000000000000"),
        ("123456789012345678901", "123456789012345680000"),
        ("1e21", "1e+21"),
        ("1.5e21", "1.5e+21"),
        ("123456789012345678901234567890", "1.2345678901234568e+29"),
        ("0.1", "0.1"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("1.2345e-7", "1.2345e-7"),
        ("123e-20", "1.23e-18"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("1e309", "null"),
        ("-1e309", "null"),
        ("1e-400", "0"),
        ("1250.00", "1250"),
        ("12.50", "12.5"),
        ("0.30", "0.3"),
        ("-9.4", "-9.4"),
        ("9007199254740993", "9007199254740992"),
        ("1E5", "100000"),
        ("3.141592653589793238", "3.141592653589793"),
        ("-1.5e-10", "-1.5e-10"),
        ("4.35", "4.35"),
        ("0.1e1", "1"),
        ("1e2", "100"),
    ] {
        assert_eq!(stringify(&value(text).unwrap()), printed, "{text}");
    }
}

#[test]
fn keys_and_texts_are_printed_as_javascript_prints_them() {
    let text = r#"{"b":1,"2":2,"a":{"10":1,"9":2,"x":3,"4294967295":4,"4294967294":5,"01":6,"-1":7},"2":3,
        "s":"\u0001\u001f\u007f\u2028\/\"\\\b\f\n\r\té😀"}"#;
    let printed = "{\"2\":3,\"b\":1,\"a\":{\"9\":2,\"10\":1,\"4294967294\":5,\"x\":3,\"4294967295\":4,\"01\":6,\"-1\":7},\
                   \"s\":\"\\u0001\\u001f\u{7f}\u{2028}/\\\"\\\\\\b\\f\\n\\r\\té😀\"}";
    assert_eq!(stringify(&value(text).unwrap()), printed);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(document) = read(&bytes) {
            stringify(&document.value);
        }
    }

    #[test]
    fn what_serde_json_reads_is_read_alike(text in r#"(\[|\]|\{|\}|,|:|"a"|"b"|1|0\.5|-1e3|true|null| |\\ud83d|"\\ud83d"|"\\u00e9"){0,14}"#) {
        match serde_json::from_str::<Value>(&text) {
            Ok(expected) => prop_assert_eq!(value(&text), Some(expected)),
            Err(_) => prop_assert!(value(&text).is_none() || text.contains("ud83d")),
        }
    }

    #[test]
    fn what_is_stringified_reads_back_as_the_same_doubles(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
        let printed = stringify(&value(&format!("{number:e}")).unwrap());
        prop_assert_eq!(printed.parse::<f64>().unwrap(), number);
        let again = stringify(&value(&printed).unwrap());
        prop_assert_eq!(again, printed);
    }
}
