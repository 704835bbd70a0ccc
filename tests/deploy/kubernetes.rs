//! The Helm chart and the kustomizations: rendered by Helm and kubectl, compared with goldens, checked against the schemas
//! of Kubernetes and of the operators that they use; and Fanfare accepts the configuration that they mount.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::deploy::sandbox::text;
use crate::deploy::tools;
use crate::support::process::BINARY;

const CHART: &str = "deploy/helm/fanfare";
/// The sets of values: examples for operators.
const EXAMPLES: &str = "deploy/helm/examples";
const GOLDEN: &str = "tests/deploy/kubernetes";
const OVERLAYS: [&str; 3] = ["postgres", "sidecar", "sqlite"];

/// The sets of values, by name.
fn values() -> Vec<String> {
    let files = fs::read_dir(EXAMPLES).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The chart with these arguments; what Helm says if it refuses them.
fn helm(arguments: &[&str]) -> Option<Result<String, String>> {
    let helm = tools::find("bin/helm")?;
    let template = ["template", "label", CHART, "--namespace", "label"];
    let ran = Command::new(helm).args(template).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    Some(if ran.status.success() { Ok(String::from_utf8(ran.stdout).unwrap()) } else { Err(said) })
}

fn kustomize(overlay: &str) -> Option<String> {
    let kubectl = tools::find("bin/kubectl")?;
    let ran = Command::new(kubectl).args(["kustomize", &format!("deploy/kustomize/{overlay}")]).output().unwrap();
    assert!(ran.status.success(), "{overlay}: {}", text(&ran));
    Some(String::from_utf8(ran.stdout).unwrap())
}

/// Everything there is to render, by name.
fn renderings() -> Option<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for name in values() {
        let file = format!("{EXAMPLES}/{name}.yaml");
        let rendered = helm(&["--values", &file])?.unwrap_or_else(|said| panic!("{name}: {said}"));
        all.insert(format!("helm-{name}"), rendered);
    }
    for overlay in OVERLAYS {
        all.insert(format!("kustomize-{overlay}"), kustomize(overlay)?);
    }
    Some(all)
}

fn documents(rendered: &str) -> Vec<Value> {
    let parts = rendered.split("\n---\n").map(|part| part.trim_start_matches("---\n"));
    let parts = parts.filter(|part| part.lines().any(|line| !line.is_empty() && !line.starts_with('#')));
    parts.map(|part| serde_yaml::from_str(part).unwrap_or_else(|error| panic!("{error}:\n{part}"))).collect()
}

fn named<'d>(documents: &'d [Value], kind: &str, name: &str) -> Option<&'d Value> {
    documents.iter().find(|document| document["kind"] == kind && document["metadata"]["name"] == name)
}

#[test]
fn renderings_are_what_was_read_and_accepted() {
    let Some(renderings) = renderings() else { return };
    assert!(values().len() >= 6, "{:?}", values());
    let mut wrong = Vec::new();
    for (name, rendered) in renderings {
        let path = format!("{GOLDEN}/{name}.yaml");
        if fs::read_to_string(&path).is_ok_and(|golden| golden == rendered) {
            continue;
        }
        if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
            fs::write(&path, rendered).unwrap();
        } else {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "these differ; `UPDATE=1 cargo test --test it deploy::` accepts it: {wrong:?}");
}

#[test]
fn every_manifest_validates_against_the_schema_of_its_kind() {
    let Some(renderings) = renderings() else { return };
    let Some(schemas) = tools::find("schemas/kubernetes.json") else { return };
    let schemas: Value = serde_json::from_str(&fs::read_to_string(schemas).unwrap()).unwrap();
    let definitions = schemas["$defs"].as_object().unwrap();
    let mut validators = BTreeMap::new();
    let mut custom = Vec::new();
    for (name, rendered) in &renderings {
        for document in documents(rendered) {
            let (version, kind) = (document["apiVersion"].as_str().unwrap(), document["kind"].as_str().unwrap());
            if version.starts_with("monitoring.coreos.com/") || version.starts_with("gateway.networking.k8s.io/") {
                custom.push(document);
                continue;
            }
            let (group, version) = version.split_once('/').unwrap_or(("core", version));
            let group = group.split('.').next().unwrap();
            let key = format!("io.k8s.api.{group}.{version}.{kind}");
            assert!(definitions.contains_key(&key), "{name}: Kubernetes has no {key}");
            let validator = validators.entry(key.clone()).or_insert_with(|| {
                let schema = json!({"$ref": format!("#/$defs/{key}"), "$defs": definitions});
                jsonschema::draft202012::new(&schema).unwrap()
            });
            let wrong: Vec<String> =
                validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(wrong.is_empty(), "{name}: {kind} {}: {wrong:#?}", document["metadata"]["name"]);
        }
    }
    let kinds: Vec<&str> = custom.iter().map(|document| document["kind"].as_str().unwrap()).collect();
    for kind in ["ServiceMonitor", "PrometheusRule", "HTTPRoute"] {
        assert!(kinds.contains(&kind), "no {kind} among {kinds:?}");
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("custom.json");
    fs::write(&file, serde_json::to_string(&custom).unwrap()).unwrap();
    tools::node(VALIDATE_CUSTOM, &file);
}

/// Validates custom resources by the models that are made from their definitions.
const VALIDATE_CUSTOM: &str = r#"
import { readFileSync } from "node:fs";
import * as monitoring from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";
import * as gateway from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";
for (const document of JSON.parse(readFileSync(process.argv[1]))) {
  const Model = { ...monitoring, ...gateway }[document.kind];
  new Model(document).validate();
}
"#;

#[test]
fn what_the_chart_cannot_run_is_refused_with_the_value_that_is_wrong() {
    for (set, says) in [
        ("replicas=2", "/replicas"),
        ("store.type=postgres", "/store/postgres/url"),
        ("store.type=postgres,store.postgres.url=postgres://a:password@db/c", "/store/postgres/url"),
        ("admin.expose=true", "/admin/token/secret"),
        ("serviceMonitor.enabled=true", "/admin/expose"),
        ("ingress.enabled=true", "/ingress/host"),
        ("httpRoute.enabled=true", "/httpRoute/parentRefs"),
        ("config.listen=:80", "/config"),
        ("imagee.tag=1", "imagee"),
        ("rules.existingConfigMap=a,rules.files.b=c", "/rules"),
    ] {
        let Some(ran) = helm(&["--set", set]) else { return };
        let said = ran.expect_err(set);
        assert!(said.contains(says), "{set}: {said}");
    }
}

#[test]
fn the_dashboard_is_mounted_as_it_is() {
    let Some(rendered) = helm(&["--set", "dashboard.enabled=true"]) else { return };
    let documents = documents(&rendered.unwrap());
    let map = named(&documents, "ConfigMap", "label-fanfare-dashboard").expect("no dashboard");
    let mounted: Value = serde_json::from_str(map["data"]["fanfare.json"].as_str().unwrap()).unwrap();
    let tested: Value = serde_json::from_str(&fs::read_to_string("deploy/monitoring/dashboard.json").unwrap()).unwrap();
    assert_eq!(mounted, tested);
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
}

#[test]
fn a_sqlite_store_has_one_pod_at_a_time_and_a_postgresql_is_never_without_one() {
    let Some(renderings) = renderings() else { return };
    for (name, rendered) in renderings {
        let documents = documents(&rendered);
        let deployment = documents.iter().find(|document| document["kind"] == "Deployment").unwrap();
        let spec = &deployment["spec"];
        let config = documents.iter().find_map(|document| document["data"]["fanfare.yaml"].as_str()).unwrap();
        if config.contains("store: sqlite:") {
            assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&1.into(), &"Recreate".into()), "{name}");
        } else {
            assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0, "{name}");
            assert!(documents.iter().any(|document| document["kind"] == "PodDisruptionBudget"), "{name}");
        }
        let pod = &spec["template"]["spec"];
        let is_sidecar = name.contains("sidecar");
        let container = if is_sidecar { &pod["initContainers"][0] } else { &pod["containers"][0] };
        assert_eq!(container["name"], "fanfare", "{name}");
        assert_eq!(container["restartPolicy"] == "Always", is_sidecar, "{name}");
        assert!(container["startupProbe"].is_object(), "{name}: the application waits for it");
        let security = &container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        // Rules by `subPath` would never change.
        assert!(!rendered.contains("subPath"), "{name}");
    }
}

#[test]
fn fanfare_accepts_every_configuration_that_is_mounted() {
    let Some(renderings) = renderings() else { return };
    for (name, rendered) in renderings {
        let documents = documents(&rendered);
        let folder = TempDir::new().unwrap();
        let at = |path: &str| folder.path().join(path);
        let deployment = documents.iter().find(|document| document["kind"] == "Deployment").unwrap();
        let pod = &deployment["spec"]["template"]["spec"];
        for volume in pod["volumes"].as_array().unwrap() {
            let Some(map) = volume["configMap"]["name"].as_str() else { continue };
            let target = at(volume["name"].as_str().unwrap());
            fs::create_dir(&target).unwrap();
            // A ConfigMap that isn't rendered is the operator's own.
            let data = named(&documents, "ConfigMap", map).map(|map| &map["data"]);
            for (file, content) in data.and_then(Value::as_object).into_iter().flatten() {
                let here = content.as_str().unwrap().replace("/etc/fanfare/", &format!("{}/", folder.path().display()));
                fs::write(target.join(file), here).unwrap();
            }
        }
        secrets(&at("secrets"));
        let checked = Command::new(BINARY)
            .args(["check", "--config"])
            .arg(at("config/fanfare.yaml"))
            .envs(
                ["JEWELMUSIC_SECRET", "SHOP_SECRET", "FANFARE_ADMIN_TOKEN", "FANFARE_DB_PASSWORD"]
                    .map(|name| (name, "whsec_bm90LWEtc2VjcmV0LWJ1dC1sb25nLWVub3VnaA==")),
            )
            .env("SLACK_RELEASES", "https://hooks.slack.com/services/T000/B000/token")
            .env("DISCORD", "https://discord.com/api/webhooks/1199887766554433221/token")
            .output()
            .unwrap();
        assert!(checked.status.success(), "{name}: {}", text(&checked));
    }
}

/// What a Secret mounts as files.
fn secrets(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for (name, secret) in [
        ("jewelmusic", "not-a-secret-but-long-enough-0123456789"),
        ("slack", "https://hooks.slack.com/services/T000/B000/token"),
        ("slack_releases", "https://hooks.slack.com/services/T000/B000/token"),
        ("smtp_url", "smtps://fanfare:password@smtp.label.example"),
        ("db_password", "not-a-secret"),
    ] {
        fs::write(folder.join(name), secret).unwrap();
    }
}

#[test]
fn the_chart_has_the_version_of_the_program_and_the_alerts_and_dashboard_that_are_tested() {
    let chart = fs::read_to_string(format!("{CHART}/Chart.yaml")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for line in [format!("version: {version}"), format!("appVersion: {version}")] {
        assert!(chart.lines().any(|own| own == line), "Chart.yaml lacks `{line}`");
    }
    for overlay in ["sqlite", "postgres"] {
        let text = fs::read_to_string(format!("deploy/kustomize/{overlay}/kustomization.yaml")).unwrap();
        assert!(text.contains(&format!("newTag: {version}")), "{overlay} has another version");
    }
    for file in ["alerts.yaml", "dashboard.json"] {
        let (own, tested) = (format!("{CHART}/files/{file}"), format!("deploy/monitoring/{file}"));
        let same = fs::read(&own).unwrap() == fs::read(&tested).unwrap();
        assert!(same, "{own} differs: cp {tested} {own}");
    }
}
