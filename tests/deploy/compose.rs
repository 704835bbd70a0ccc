//! The Compose files: what they mount is there, and Fanfare runs in them as it does in the image's own test. No engine runs
//! here, so nothing is started.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::deploy::sandbox::text as text_of;
use crate::deploy::tools;

const HERE: &str = "deploy/compose";

#[test]
fn every_compose_file_runs_this_version_as_nobody_special_and_mounts_what_is_there() {
    for entry in fs::read_dir(HERE).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
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
                // Another folder beside the file is the operator's own.
                if source.starts_with("../") || source.starts_with("./monitoring/") {
                    assert!(Path::new(HERE).join(source).exists(), "{}: {name} mounts {source}", path.display());
                } else if !source.starts_with("./") {
                    assert!(file["volumes"].as_object().unwrap().contains_key(source), "{}: {source}", path.display());
                }
            }
        }
    }
}

#[test]
fn prometheus_and_its_companions_accept_what_they_are_mounted() {
    for name in ["alertmanager.yml", "dashboards.yaml", "datasource.yaml", "prometheus.yml"] {
        let text = fs::read_to_string(Path::new(HERE).join("monitoring").join(name)).unwrap();
        serde_yaml::from_str::<Value>(&text).unwrap();
    }
    let Some(promtool) = tools::find("bin/promtool") else { return };
    // With the files where the container has them.
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("prometheus.yml");
    fs::write(folder.path().join("token"), "hush").unwrap();
    let text = fs::read_to_string(Path::new(HERE).join("monitoring/prometheus.yml")).unwrap();
    fs::write(&config, text.replace("/run/secrets/admin_token", "token")).unwrap();
    fs::copy("deploy/monitoring/alerts.yaml", folder.path().join("alerts.yaml")).unwrap();
    let ran = Command::new(promtool).args(["check", "config"]).arg(config).output().unwrap();
    assert!(ran.status.success(), "{}", text_of(&ran));
}
