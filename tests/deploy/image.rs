//! The image: its archive is one that engines load, and its root file system runs in a namespace, where no engine does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::deploy::program;
use crate::deploy::sandbox::{self, text};
use crate::support::app::{event, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::process::{Process, command};

/// Builds the image of the program under test; gives its root file system and its archive.
fn build(folder: &Path) -> (PathBuf, PathBuf) {
    let built =
        Command::new("deploy/image/build").arg(program()).arg(folder).env("COMPRESSION", "none").output().unwrap();
    assert!(built.status.success(), "{}", text(&built));
    let archive = PathBuf::from(String::from_utf8(built.stdout).unwrap().trim_end());
    (folder.join("root"), archive)
}

/// What a program that isn't static needs beside it: a release is static, and needs nothing.
fn add_libraries(root: &Path) {
    let listed = Command::new("ldd").arg(program()).output().unwrap();
    for path in text(&listed).split_whitespace().filter(|word| word.starts_with("/lib")) {
        let target = root.join(&path[1..]);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}

/// A root file system that runs. Others may read it: the program in it is not root.
fn root(folder: &TempDir) -> PathBuf {
    readable(folder.path());
    let (root, _) = build(folder.path());
    add_libraries(&root);
    root
}

fn readable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[test]
fn an_archive_holds_what_its_index_says_and_runs_as_nobody_special() {
    let folder = TempDir::new().unwrap();
    let (_, archive) = build(folder.path());
    let layout = folder.path().join("layout");
    fs::create_dir(&layout).unwrap();
    let done = Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&layout).status().unwrap();
    assert!(done.success());
    let blob = |descriptor: &Value| {
        let named = descriptor["digest"].as_str().unwrap();
        let bytes = fs::read(layout.join("blobs/sha256").join(named.strip_prefix("sha256:").unwrap())).unwrap();
        assert_eq!((digest(&bytes).as_str(), bytes.len() as u64), (named, descriptor["size"].as_u64().unwrap()));
        bytes
    };
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let index = json(&fs::read(layout.join("index.json")).unwrap());
    let manifest = json(&blob(&index["manifests"][0]));
    let config = json(&blob(&manifest["config"]));
    let layer = blob(&manifest["layers"][0]);
    fs::write(folder.path().join("layer.tar.gz"), layer).unwrap();
    let unpacked = Command::new("gzip").arg("-dc").arg(folder.path().join("layer.tar.gz")).output().unwrap().stdout;
    assert_eq!(config["rootfs"]["diff_ids"][0], digest(&unpacked));
    let of_docker = json(&fs::read(layout.join("manifest.json")).unwrap());
    for path in [&of_docker[0]["Config"], &of_docker[0]["Layers"][0]] {
        assert!(layout.join(path.as_str().unwrap()).exists(), "{of_docker}");
    }
    let run = &config["config"];
    assert_eq!(
        (&run["User"], &run["Entrypoint"][0], &run["Cmd"][0]),
        (&"10001:10001".into(), &"/usr/bin/fanfare".into(), &"serve".into())
    );
    assert_eq!(run["Labels"]["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    // Both ways to build it agree.
    let dockerfile = fs::read_to_string("deploy/image/Dockerfile").unwrap();
    for line in ["USER 10001:10001", "WORKDIR /var/lib/fanfare", "VOLUME /var/lib/fanfare"] {
        assert!(dockerfile.contains(line), "the Dockerfile lacks `{line}`");
    }
    for variable in run["Env"].as_array().unwrap() {
        let line = format!("ENV {}", variable.as_str().unwrap());
        assert!(dockerfile.contains(&line), "the Dockerfile lacks `{line}`");
    }
    let health: Vec<&str> =
        run["Healthcheck"]["Test"].as_array().unwrap()[1..].iter().flat_map(Value::as_str).collect();
    assert!(dockerfile.contains(&format!("CMD {}", serde_json::to_string(&health).unwrap().replace("\",", "\", "))));
}

#[tokio::test]
async fn the_image_delivers_an_event_as_nobody_special_on_a_root_that_cannot_be_written_to() {
    if !sandbox::is_allowed("the image") {
        return;
    }
    let peer = HttpPeer::start().await;
    let config = CONFIG.replace("sqlite:data/fanfare.db", "sqlite:/var/lib/fanfare/fanfare.db");
    let folder = Folder::new(&config, &peer.url("/ledger"), EVERYTHING);
    readable(folder.path());
    let home = TempDir::new().unwrap();
    let root = root(&home);

    let process = Process::try_start_by(sandbox::image(&root, folder.path()), folder.path(), "info", &[]).await;
    let process = process.unwrap_or_else(|log| panic!("it did not start:\n{log}"));
    let url = format!("http://{}/webhooks/jewelmusic", process.webhooks);
    let body = folder.file("body.json");
    fs::write(&body, event("evt_1", "release.live")).unwrap();
    let sent = sandbox::image(&root, folder.path()).args(["send", "/etc/fanfare/body.json", "--url", &url]).output();
    let sent = sent.unwrap();
    assert!(sent.status.success(), "{}", text(&sent));
    let requests = soon("the message", peer.received(1)).await;
    assert_eq!(requests[0].json()["message"]["title"], "evt_1");

    let mut health = sandbox::image(&root, folder.path());
    health.args(["health", "--admin", &format!("http://{}", process.admin)]);
    let health = health.stdin(Stdio::null()).output().unwrap();
    assert!(health.status.success(), "{}", text(&health));
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{log}");
}

#[tokio::test]
async fn the_folder_of_init_listens_where_the_image_says_and_its_first_event_is_in_slack() {
    let slack = HttpPeer::start().await;
    slack.always(Answer::status(200).body("ok"));
    let folder = TempDir::new().unwrap();
    let (code, _, said) = command(folder.path(), &["init"]);
    assert_eq!(code, 0, "{said}");
    // Ports of the test's own.
    let config = folder.path().join("fanfare.yaml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "admin: {listen: \"127.0.0.1:0\"}\n").unwrap();
    let variables = [("FANFARE_LISTEN", "127.0.0.1:0"), ("SLACK_WEBHOOK", &slack.url("/services/T/B/x"))];
    let process = Process::start_with(folder.path(), "info", &variables).await;
    let url = format!("http://{}/webhooks/jewelmusic", process.webhooks);
    let (code, _, said) = command(folder.path(), &["send", "release.live", "--url", &url]);
    assert_eq!(code, 0, "{said}");
    let requests = soon("the message", slack.received(1)).await;
    assert!(requests[0].text().contains("is live"), "{}", requests[0].text());
}

#[test]
fn the_demo_runs_in_the_image() {
    if !sandbox::is_allowed("the demo in the image") {
        return;
    }
    let (home, nothing) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let root = root(&home);
    let mut demo = sandbox::image(&root, nothing.path());
    let demo =
        demo.args(["demo", "--once", "--dir", "/tmp/demo", "--port", "0"]).stdin(Stdio::null()).output().unwrap();
    assert!(demo.status.success(), "{}", text(&demo));
}
