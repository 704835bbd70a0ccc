//! The packages: built, installed, upgraded, removed; and the unit that they bring, under systemd itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::deploy::program;
use crate::deploy::sandbox::{self, text};

/// The package of the program under test, by this version, as one of `deploy/debian/build` and `deploy/rpm/build` makes it.
fn package(kind: &str, folder: &Path, version: &str) -> PathBuf {
    let mut build = Command::new(format!("deploy/{kind}/build"));
    let built = build.arg(program()).arg(folder).env("VERSION", version).env("COMPRESSION", "none").output().unwrap();
    assert!(built.status.success(), "{}", text(&built));
    let (begin, end) = match kind {
        "rpm" => (format!("fanfare-{version}-1."), ".rpm"),
        _ => (format!("fanfare_{version}_"), ".deb"),
    };
    let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    folder.join(files.find(|name| name.starts_with(&begin) && name.ends_with(end)).unwrap())
}

/// Whether `dpkg` is here; a printed reason if not.
fn has_dpkg() -> bool {
    let has = Command::new("dpkg-deb").arg("--version").output().is_ok();
    if !has {
        eprintln!("skipped: no dpkg-deb on this machine");
    }
    has
}

/// Whether `dpkg` and `rpmbuild` are here; a printed reason if not.
fn has_rpmbuild() -> bool {
    let has = Command::new("rpmbuild").arg("--version").output().is_ok();
    if !has {
        eprintln!("skipped: no rpmbuild on this machine (Debian's `rpm`)");
    }
    has && has_dpkg()
}

#[test]
fn the_package_installs_keeps_what_people_changed_at_an_upgrade_and_leaves_the_store_when_purged() {
    if !has_dpkg() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (old, new) = (package("debian", folder.path(), "0.0.9"), package("debian", folder.path(), "0.0.10"));
    let Some(ran) = sandbox::run("package.sh", &[&old, &new]) else { return };
    assert!(ran.status.success(), "{}", text(&ran));
}

#[test]
fn the_rpm_installs_keeps_what_people_changed_at_an_upgrade_and_leaves_secrets_and_store_when_removed() {
    if !has_rpmbuild() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (old, new) = (package("rpm", folder.path(), "0.0.9"), package("rpm", folder.path(), "0.0.10"));
    let Some(ran) = sandbox::run("rpm.sh", &[&old, &new]) else { return };
    assert!(ran.status.success(), "{}", text(&ran));
}

#[test]
fn the_same_files_make_the_same_package() {
    if !has_dpkg() {
        return;
    }
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (one, other) = (package("debian", one.path(), "0.0.9"), package("debian", other.path(), "0.0.9"));
    assert!(std::fs::read(one).unwrap() == std::fs::read(other).unwrap(), "the packages differ");
}

#[test]
fn an_rpm_holds_what_the_debian_package_does_and_keeps_what_people_changed() {
    if !has_rpmbuild() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let file = package("rpm", folder.path(), "0.0.9");
    let asks = |what: &[&str]| text(&Command::new("rpm").arg("-qp").args(what).arg(&file).output().unwrap());
    let lines = |listed: &str| -> BTreeSet<String> { listed.lines().map(str::to_owned).collect() };

    let debian = package("debian", folder.path(), "0.0.9");
    let listed = Command::new("dpkg-deb").arg("--contents").arg(&debian).output().unwrap();
    let is_file = |line: &&str| line.starts_with('-');
    let files =
        text(&listed).lines().filter(is_file).map(|line| line.rsplit(" .").next().unwrap().to_owned()).collect();
    let folders = ["/etc/fanfare", "/etc/fanfare/secrets"].map(str::to_owned).into();
    let rpm: BTreeSet<String> =
        lines(&asks(&["-l"])).iter().map(|path| path.replace("zsh/site-functions", "zsh/vendor-completions")).collect();
    assert_eq!(rpm.difference(&folders).cloned().collect::<BTreeSet<_>>(), files);
    let kept: BTreeSet<String> = rpm.iter().filter(|path| path.starts_with("/etc/")).cloned().collect();
    assert_eq!(lines(&asks(&["-c"])), kept.difference(&folders).cloned().collect());
    let flags = asks(&["--queryformat", "[%{FILENAMES} %{FILEFLAGS:fflags} %{FILEMODES:perms}\n]"]);
    assert!(flags.contains("/etc/fanfare/fanfare.yaml cn -rw-r--r--"), "{flags}");
    assert!(flags.contains("/etc/fanfare/secrets  drwx------"), "{flags}");
    let scripts = asks(&["--scripts"]);
    for (script, says) in
        [("preinstall", "useradd --system"), ("postinstall", "try-restart"), ("preuninstall", "disable --now")]
    {
        let from = scripts.find(&format!("{script} scriptlet")).unwrap_or_else(|| panic!("no {script}: {scripts}"));
        assert!(scripts[from..].contains(says), "{script}: {scripts}");
    }
}

#[test]
fn the_unit_starts_fanfare_under_systemd_with_secrets_that_only_root_reads() {
    let has_container = Command::new("systemd-nspawn").arg("--version").output().is_ok();
    if !has_dpkg() || !has_container {
        return eprintln!("skipped: no systemd-nspawn on this machine (Debian's `systemd-container`)");
    }
    let folder = TempDir::new().unwrap();
    let package = package("debian", folder.path(), "0.0.9");
    let Some(ran) = sandbox::run("systemd.sh", &[&package]) else { return };
    let said = text(&ran);
    if said.contains("no systemd here") {
        return eprintln!("skipped: systemd doesn't start in a container here:\n{said}");
    }
    assert!(ran.status.success(), "{said}");
}

#[test]
fn the_unit_is_exposed_as_little_as_its_work_allows() {
    let mut analyze = Command::new("systemd-analyze");
    let analyze = analyze.args(["security", "--offline=true", "--threshold=20", "--no-pager"]);
    let Ok(said) = analyze.arg("deploy/systemd/fanfare.service").output() else {
        return eprintln!("skipped: no systemd-analyze on this machine");
    };
    assert!(said.status.success(), "{}", text(&said));
}
