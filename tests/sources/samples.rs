//! The samples: they are what they say, and can be sent.

use std::collections::HashSet;

use fanfare::path::Path;
use fanfare::source::presets;
use fanfare::source::samples::{ALL, PAGE, fresh, named};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{now, signed, source};

#[test]
fn the_first_sixteen_are_the_page_s_types_in_its_order() {
    let names: Vec<&str> = ALL.iter().take(PAGE).map(|sample| sample.name).collect();
    assert_eq!(names, presets::known_types("jewelmusic")[..PAGE]);
}

#[test]
fn every_sample_is_an_event_of_the_type_that_it_is_named_by() {
    let mut ids = HashSet::new();
    for sample in ALL {
        let event = signed(&source("jewelmusic"), sample.text.as_bytes());
        assert_eq!(&*event.kind, sample.kind(), "{}", sample.name);
        assert!(ids.insert(event.id.clone()), "{} has the id of another", sample.name);
        let day = event.created.to_string();
        assert!(day.starts_with("2026-01-05T"), "{}: {day}", sample.name);
        assert_eq!(named(sample.name), Some(sample));
    }
}

#[test]
fn every_file_of_samples_is_in_the_table() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/source/samples");
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, ALL.len());
}

#[test]
fn an_instance_has_an_id_of_its_own_and_its_time_and_is_the_same_from_the_same_dice() {
    let at: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let source = source("jewelmusic");
    let mut dice = fastrand::Rng::with_seed(7);
    let mut ids = HashSet::new();
    for sample in ALL {
        let first = sample.instance(&mut dice, at);
        assert!(ids.insert(first.id.clone()));
        let event = signed(&source, &first.raw());
        assert_eq!((event.id.as_str(), &*event.kind, event.created), (&*first.id, &*first.kind, at), "{}", sample.name);
        let same = |seed| sample.instance(&mut fastrand::Rng::with_seed(seed), at);
        assert_eq!(same(1), same(1));
        assert_ne!(same(1).id, same(2).id);
    }
}

#[test]
fn an_instance_keeps_the_text_of_amounts() {
    let instance = named("royalty.payment.pending").unwrap().instance(&mut fastrand::Rng::with_seed(1), now());
    assert!(String::from_utf8(instance.raw()).unwrap().contains(r#""amount":1250.00"#));
}

#[test]
fn a_body_without_id_type_and_time_is_given_them() {
    let mut dice = fastrand::Rng::with_seed(1);
    let instance = fresh(json!({"data": {"a": 1}}), "track.uploaded", &mut dice, now());
    assert_eq!(instance.body["type"], "track.uploaded");
    assert_eq!(signed(&source("jewelmusic"), &instance.raw()).created, now());
    assert_eq!(fresh(json!([1]), "x", &mut dice, now()).body["data"], json!([1]));
}

fn first(paths: &[&str], body: &Value) -> Option<Value> {
    paths.iter().find_map(|path| {
        Path::parse(path).unwrap().select(body, &mut 100_000).unwrap().first().map(|value| (*value).clone())
    })
}

#[test]
fn the_preset_s_names_find_the_same_in_every_shape() {
    let name = |name: &str, sample: &str| {
        let (_, paths) = presets::preset_names("jewelmusic").iter().find(|(word, _)| *word == name).unwrap();
        first(paths, &named(sample).unwrap().body())
    };
    for (sample, word, expected) in [
        ("release.live", "release", json!("rel_9Xb4nVs7")),
        ("release.live-sdk", "release", json!("rel_5Rn7dYw4")),
        ("release.live-typescript", "release", json!("rel_8Fs3gLm6")),
        ("release.live", "artist", json!("Mira Okafor")),
        ("release.live-sdk", "artist", json!("DJ Halogen")),
        ("release.live-typescript", "artist", json!("Joana Vale")),
        ("track.failed", "artist", json!("Kasimir & the Weather")),
        ("track.failed", "title", json!("Kein Empfang")),
        ("analysis.completed", "track", json!("trk_7Jp3xZt6")),
        ("royalty.payment", "currency", json!("USD")),
        ("fraud.action_required", "fraud_case", json!("frc_7Kd2wQx8")),
        ("release.live-typescript", "livemode", json!(true)),
    ] {
        assert_eq!(name(word, sample), Some(expected), "{word} of {sample}");
    }
    assert_eq!(name("amount", "royalty.payment").unwrap().to_string(), "1250.00");
    assert_eq!(name("livemode", "release.live"), None);
}

/// GS1: weights of 3 and 1 from the right, the check digit brings the sum to a multiple of ten.
#[test]
fn every_upc_has_a_valid_check_digit_and_every_isrc_its_form() {
    for sample in ALL {
        let body = sample.body();
        let metadata = &body["data"]["metadata"];
        if let Some(upc) = metadata["upc"].as_str() {
            let sum: u32 =
                upc.chars().rev().enumerate().map(|(nth, c)| c.to_digit(10).unwrap() * [1, 3][nth % 2]).sum();
            assert!(sum.is_multiple_of(10) && [12, 13].contains(&upc.len()), "{}: {upc}", sample.name);
        }
        if let Some(isrc) = metadata["isrc"].as_str() {
            let (country, rest) = isrc.split_at(2);
            let (_, digits) = rest.split_at(3);
            assert!(country.chars().all(|c| c.is_ascii_uppercase()), "{isrc}");
            assert!(digits.len() == 7 && digits.chars().all(|c| c.is_ascii_digit()), "{isrc}");
        }
    }
}
