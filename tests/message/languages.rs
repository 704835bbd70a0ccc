//! Languages: numbers, dates and Fanfare's own words in each, and messages that are written in several.

use std::collections::BTreeSet;

use fanfare::delivery::{Say, Severity};
use fanfare::locale::{self, Locale};
use fanfare::message::{Context, Rendered, plain};
use jiff::tz::TimeZone;
use serde_json::json;

use super::{context, event, problems, templates};

fn of(code: &str) -> &'static Locale {
    locale::named(code).unwrap()
}

/// What a template prints about some data, in a language.
fn says(code: &str, template: &str) -> String {
    let data =
        json!({"amount": 12400.5, "small": 1234.5, "at": "2026-03-07T09:05:00Z", "day": "2026-03-07", "n": 1250000});
    let event = event("royalty.payment.completed", data);
    let templates = templates(&[("m.md", &format!("---\ntitle: T\n---\n{template}"))]);
    let rendered = templates.render(&Say::Message("m".into()), &Context { locale: of(code), ..context(&event) }, None);
    assert_eq!(rendered.problem, None, "{template}");
    plain::blocks(&rendered.message.body)
}

#[test]
fn numbers_and_amounts_are_grouped_as_each_language_does() {
    let rows = [
        ("en", "1,250,000", "12,400.50 EUR", "1,234.5"),
        ("de", "1.250.000", "12.400,50 EUR", "1.234,5"),
        ("fr", "1\u{202f}250\u{202f}000", "12\u{202f}400,50 EUR", "1\u{202f}234,5"),
        ("es", "1.250.000", "12.400,50 EUR", "1234,5"),
        ("it", "1.250.000", "12.400,50 EUR", "1234,5"),
        ("nl", "1.250.000", "EUR 12.400,50", "1.234,5"),
        ("pt", "1.250.000", "EUR 12.400,50", "1.234,5"),
        ("sv", "1\u{a0}250\u{a0}000", "12\u{a0}400,50 EUR", "1\u{a0}234,5"),
    ];
    assert_eq!(rows.len(), locale::ALL.len());
    for (code, whole, money, small) in rows {
        assert_eq!(says(code, "{{ data.n|decimal }}"), whole, "{code}");
        assert_eq!(says(code, "{{ data.amount|money('EUR') }}"), money, "{code}");
        assert_eq!(says(code, "{{ data.small|decimal }}"), small, "{code}");
        // A sum reads as its amounts do; a currency without decimals has none; a minus stays one that programs read.
        assert_eq!(
            says(code, "{{ [event]|total('$.data.amount') }}").replace("50", "5"),
            money.replace("50", "5").replace("EUR", "").trim()
        );
        assert_eq!(says(code, "{{ 999|money('JPY') }}").replace("JPY", "").trim(), "999");
        assert!(says(code, "{{ -5|decimal }}").starts_with('-'));
    }
}

#[test]
fn dates_have_the_names_and_the_order_of_each_language() {
    let rows = [
        ("en", "Saturday, 7 March 2026", "2026-03-07 09:05 UTC", "2026-03-07"),
        ("de", "Samstag, 7. März 2026", "07.03.2026 09:05 UTC", "07.03.2026"),
        ("fr", "samedi 7 mars 2026", "07/03/2026 09:05 UTC", "07/03/2026"),
        ("es", "sábado, 7 de marzo de 2026", "7/3/2026 09:05 UTC", "7/3/2026"),
        ("it", "sabato 7 marzo 2026", "07/03/2026 09:05 UTC", "07/03/2026"),
        ("nl", "zaterdag 7 maart 2026", "07-03-2026 09:05 UTC", "07-03-2026"),
        ("pt", "sábado, 7 de março de 2026", "07/03/2026 09:05 UTC", "07/03/2026"),
        ("sv", "lördag 7 mars 2026", "2026-03-07 09:05 UTC", "2026-03-07"),
    ];
    for (code, full, time, date) in rows {
        assert_eq!(says(code, "{{ data.at|date('full') }}"), full);
        assert_eq!(says(code, "{{ data.at|date }}"), time);
        assert_eq!(says(code, "{{ data.day|date }}"), date);
    }
    assert_eq!(
        says("de", "{{ data.at|date('%^a %-d. %b %y, 100%% um %H:%M:%S.%3f %:z') }}"),
        "SA. 7. März 26, 100% um 09:05:00.000 +00:00"
    );
    assert_eq!(says("en", "{{ data.at|date('%A %a %B %b %h %e %j') }}"), "Saturday Sat March Mar Mar  7 066");
    let distances = ["vor 5 Stunden", "in 1 Stunde", "gerade eben"].map(str::to_owned);
    assert_eq!([18_000, -3_600, 3].map(|seconds| of("de").distance(seconds)), distances);
}

#[test]
fn every_name_of_every_language_is_its_own_and_english_is_what_the_calendar_library_says() {
    let names = |code: &str| {
        let month = |month: i8| jiff::civil::date(2026, month, 1).to_zoned_datetime(TimeZone::UTC).unwrap();
        let day = |day: i8| jiff::civil::date(2026, 3, day).to_zoned_datetime(TimeZone::UTC).unwrap();
        let of_months = (1..=12).map(month).map(|at| of(code).date(&at, Some("%B %b"), true).unwrap());
        let of_days = (1..=7).map(day).map(|at| of(code).date(&at, Some("%A %a"), true).unwrap());
        of_months.chain(of_days).collect::<Vec<_>>()
    };
    for locale in locale::ALL {
        let all = names(locale.code);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 19, "{}: {all:?}", locale.code);
    }
    let of_library = (1..=12).map(|month| jiff::civil::date(2026, month, 1).strftime("%B %b").to_string());
    assert_eq!(names("en").into_iter().take(12).collect::<Vec<_>>(), of_library.collect::<Vec<_>>());
    // A Monday.
    let at = jiff::civil::date(2026, 1, 5).to_zoned_datetime(TimeZone::UTC).unwrap();
    let mondays = locale::ALL.map(|locale| locale.date(&at, Some("%A"), true).unwrap());
    assert_eq!(mondays, ["Monday", "Montag", "lunes", "lundi", "lunedì", "maandag", "segunda-feira", "måndag"]);
}

#[test]
fn fanfares_own_words_have_as_many_gaps_in_each_language_as_in_english() {
    let gaps = |locale: &Locale| {
        format!("{:?}", locale.words).split(", ").map(|part| part.matches("{}").count()).sum::<usize>()
    };
    for locale in locale::ALL {
        assert_eq!(gaps(locale), gaps(locale::english()), "{}", locale.code);
    }
    // A value that looks like a gap is a value.
    assert_eq!(locale::fill(of("de").words.by, &["{}", "{}"]), "{} von {}");
}

#[test]
fn the_default_message_and_a_summary_speak_the_language() {
    let data =
        json!({"title": "Salz", "artist": "Mira Okafor", "amount": 1234.5, "currency": "EUR", "explicit": false});
    let event = event("release.live", data);
    let rendered =
        templates(&[]).render(&Say::Default, &Context { locale: of("de"), suppressed: 2, ..context(&event) }, None);
    assert_eq!(rendered.message.title, "Release live: Salz von Mira Okafor, 1.234,50 EUR");
    assert_eq!(plain::blocks(&rendered.message.body), "2 weitere wurden weggelassen");
    assert_eq!(rendered.message.fields[0].value, "nein");
    let several = Context { locale: of("fr"), events: vec![&event, &event], more: 3, ..context(&event) };
    let text = plain::message(&templates(&[]).render(&Say::Summary, &several, None).message);
    assert!(text.contains("et 3 de plus") && text.contains("Salz de Mira Okafor"), "{text}");
    let died = Context { locale: of("es"), died: Some("HTTP 410"), ..context(&event) };
    let text = plain::message(&templates(&[]).render(&Say::Default, &died, None).message);
    assert!(text.contains("Este mensaje no se pudo entregar a su destino: HTTP 410"), "{text}");
}

const ORIGINAL: &str =
    "---\ntitle: \"{{ data.title }} is out\"\nseverity: success\nlink: https://a.example/1\n---\nListen.\n";

fn spoken(code: &str, files: &[(&str, &str)]) -> Rendered {
    let event = event("release.live", json!({"title": "Salz"}));
    templates(files).render(&Say::Message("out".into()), &Context { locale: of(code), ..context(&event) }, None)
}

#[test]
fn a_message_in_a_persons_language_is_its_translation_and_else_the_original() {
    let german = "---\ntitle: \"{{ data.title }} ist da\"\n---\nAnhören.\n";
    let files = [("out.md", ORIGINAL), ("out.de.md", german)];
    let message = spoken("de", &files).message;
    assert_eq!((message.title.as_str(), plain::blocks(&message.body).as_str()), ("Salz ist da", "Anhören."));
    // What has no words stands once.
    assert_eq!((message.severity, message.link.as_deref()), (Severity::Success, Some("https://a.example/1")));
    assert_eq!(spoken("fr", &files).message.title, "Salz is out");
    assert_eq!(spoken("en", &files).message.title, "Salz is out");
}

#[test]
fn what_is_wrong_with_a_translation_is_said_where_it_stands() {
    let event = event("release.live", json!({"title": "Salz"}));
    let contexts = [context(&event)];
    let said = |name: &str, text: &str| problems(&[("out.md", ORIGINAL), (name, text)], &contexts);
    assert_eq!(said("out.de.md", "{{ data.title }}"), "");
    assert!(
        said("out.de.md", "{{ data.titel }}").contains("templates/out.de.md:1:4"),
        "{}",
        said("out.de.md", "{{ data.titel }}")
    );
    assert!(
        said("out.de.md", "{{ data.title|mony }}").contains("error"),
        "{}",
        said("out.de.md", "{{ data.title|mony }}")
    );
    assert!(said("out.da.md", "x").contains("there is no locale `da`"), "{}", said("out.da.md", "x"));
    assert!(said("ou.de.md", "x").contains("there is no message `ou.md` for this to say in German"));
    let severe = said("out.de.md", "---\nseverity: critical\n---\nx");
    assert!(severe.contains("the severity of a message is the same in every language"), "{severe}");
    let event = super::event("x", json!({}));
    let formats = "{{ event.created|date('ful') }}";
    let said = problems(&[("m.md", formats)], &[context(&event)]);
    assert!(said.contains("`ful` prints itself") && said.contains("did you mean `full`?"), "{said}");
}
