//! The JSON Schemas: they accept every good file there is, refuse every mistake that a schema can see, and know exactly
//! the keys that the readers know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fanfare::channels;
use fanfare::cli::schema::{Of, of};
use fanfare::problem::{File, Gravity, Problems};
use fanfare::yaml;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::docs;
use crate::docs::block::{Kind, blocks};

mod good;
mod keys;
mod unseen;

fn validator(files: Of) -> Validator {
    jsonschema::draft202012::new(&of(files)).unwrap()
}

/// What an editor would see of a text; `None` where the YAML itself is wrong, which an editor says without a schema.
fn document(text: &str) -> Option<Value> {
    let mut problems = Problems::new();
    let node = yaml::read(&File::new("a.yaml", text), &mut problems);
    (!problems.has_errors()).then(|| node.map_or(Value::Null, |node| node.to_json()))
}

/// What the schema says against a document, in short.
fn said(validator: &Validator, document: &Value) -> Vec<String> {
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The YAML files of a folder and of those in it, with their text.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|ending| ending == "yaml") => {
                    let text = fs::read_to_string(&path).unwrap();
                    found.push((path, text));
                }
                false => {}
            }
        }
    }
    found.sort();
    found
}

fn is_test(path: &Path) -> bool {
    path.to_str().unwrap().ends_with(".test.yaml")
}

#[test]
fn each_is_a_schema_of_the_draft_that_it_names() {
    for files in Of::ALL {
        let schema = of(files);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        if let Err(error) = jsonschema::meta::validate(&schema) {
            panic!("{files:?}: {error} at {}", error.instance_path());
        }
    }
}

#[test]
fn everything_that_is_referred_to_is_there_and_everything_there_is_referred_to() {
    for files in Of::ALL {
        let schema = of(files);
        let text = schema.to_string();
        let used: BTreeSet<&str> =
            text.split("\"#/$defs/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let there: BTreeSet<&str> = schema["$defs"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(used, there, "{files:?}");
    }
}

#[test]
fn every_key_is_described_in_a_sentence() {
    fn walk(at: &str, schema: &Value, wrong: &mut Vec<String>) {
        match schema {
            Value::Object(map) => {
                for (key, part) in map {
                    // What only narrows a key that is described elsewhere needs no words.
                    if matches!(key.as_str(), "if" | "then" | "not" | "allOf" | "anyOf" | "dependentSchemas")
                        && !at.contains("destination")
                    {
                        continue;
                    }
                    if key == "properties" && map.contains_key("additionalProperties") {
                        for (name, schema) in part.as_object().unwrap() {
                            let doc = schema["description"].as_str().unwrap_or_default();
                            if !doc.ends_with('.') || doc.ends_with("..") {
                                wrong.push(format!("{at}/{name}: {doc:?}"));
                            }
                        }
                    }
                    walk(&format!("{at}/{key}"), part, wrong);
                }
            }
            Value::Array(parts) => parts.iter().for_each(|part| walk(at, part, wrong)),
            _ => {}
        }
    }
    let mut wrong = Vec::new();
    Of::ALL.into_iter().for_each(|files| walk(files.name(), &of(files), &mut wrong));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
