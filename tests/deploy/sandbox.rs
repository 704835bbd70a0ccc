//! A mount namespace as root: this machine's root with a layer above it, or a root file system of its own. What happens
//! there is real, and gone afterwards.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// `/mnt/root` becomes this machine's root, to write to. In memory, since an overlay can't stand on an overlay.
const LAYER: &str = "mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work /mnt/root \
    && mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root";
/// The root file system `$0` with the configuration `$1`, as an engine would run it: not root, nothing to write to but the
/// volume and `/tmp`.
const IMAGE: &str = "mount --bind \"$0\" \"$0\" && mount --bind \"$1\" \"$0/etc/fanfare\" \
    && mount -t tmpfs -o uid=10001,gid=10001,mode=700 none \"$0/var/lib/fanfare\" && mount -t tmpfs none \"$0/tmp\" \
    && mount -o remount,bind,ro \"$0/etc/fanfare\" && mount -o remount,bind,ro \"$0\" \
    && ! touch \"$0/written\" 2>/dev/null \
    && root=$0 && shift && export FANFARE_CONFIG=/etc/fanfare/fanfare.yaml \
    && exec chroot --userspec=10001:10001 \"$root\" /usr/bin/fanfare \"$@\"";

/// A shell in a mount namespace, as root, which runs this.
fn shell(script: &str) -> Command {
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if is_root { "unshare" } else { "sudo" });
    if !is_root {
        command.args(["-n", "unshare"]);
    }
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    command
}

/// Whether the kernel allows namespaces with mounts; a printed reason if not.
pub fn is_allowed(what: &str) -> bool {
    match shell(LAYER).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("skipped {what}: no mount namespace here: {}", String::from_utf8_lossy(&output.stderr));
            false
        }
        Err(error) => {
            eprintln!("skipped {what}: unshare can't be run: {error}");
            false
        }
    }
}

/// Runs a script of `tests/deploy/` with these arguments. `$ROOT` is this machine's root, to write to. None, and a printed
/// reason, where the kernel doesn't allow that.
pub fn run(script: &str, arguments: &[&Path]) -> Option<Output> {
    let path = std::fs::canonicalize(Path::new("tests/deploy").join(script)).unwrap();
    let mut command = shell(&format!("{LAYER} && ROOT=/mnt/root exec sh \"$0\" \"$@\""));
    command.arg(path).args(arguments).stdin(Stdio::null());
    is_allowed(script).then(|| command.output().unwrap())
}

/// The program of a root file system, with this folder at `/etc/fanfare`; its arguments are to be added.
pub fn image(root: &Path, configuration: &Path) -> Command {
    let mut command = shell(IMAGE);
    command.arg(root).arg(configuration);
    command
}

/// What a command printed, with its errors.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
