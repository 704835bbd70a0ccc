//! The Compose files: what they mount is there, and Fanfare runs in them as it does in the image's own test. No engine runs
//! here, so nothing is started.

use std::fs;
use std::path::Path;

use serde_json::Value;

const HERE: &str = "deploy/compose";

#[test]
fn every_compose_file_runs_this_version_as_nobody_special_and_mounts_what_is_there() {
    for entry in fs::read_dir(HERE).unwrap() {
        let path = entry.unwrap().path();
        let file: Value = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let fanfare = &file["services"]["fanfare"];
        let is_addition = path.ends_with("monitoring.yaml");
        if !is_addition {
            assert_eq!(fanfare["image"], format!("fanfare:{}", env!("CARGO_PKG_VERSION")), "{}", path.display());
            assert_eq!((&fanfare["read_only"], &fanfare["cap_drop"][0]), (&true.into(), &"ALL".into()));
        }
        let used = fanfare["secrets"].as_array().into_iter().flatten();
        for secret in used {
            assert!(file["secrets"][secret.as_str().unwrap()].is_object(), "{}: no secret {secret}", path.display());
        }
        for (name, service) in file["services"].as_object().unwrap() {
            for volume in service["volumes"].as_array().into_iter().flatten() {
                let source = volume.as_str().unwrap().split(':').next().unwrap();
                // A folder beside the file is the operator's own.
                if source.starts_with("../") {
                    assert!(Path::new(HERE).join(source).exists(), "{}: {name} mounts {source}", path.display());
                } else if !source.starts_with("./") {
                    assert!(file["volumes"].as_object().unwrap().contains_key(source), "{}: {source}", path.display());
                }
            }
            for config in service["configs"].as_array().into_iter().flatten() {
                let source = config["source"].as_str().unwrap();
                let content = file["configs"][source]["content"].as_str();
                let content = content.unwrap_or_else(|| panic!("{}: no config {source}", path.display()));
                serde_yaml::from_str::<Value>(content).unwrap();
            }
        }
    }
}
