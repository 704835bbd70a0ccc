# Installs the package $1, upgrades to $2, removes and purges it, in $ROOT.
set -e
old=$1 new=$2
fail() { echo "FAILED: $*" >&2; exit 1; }
cp "$old" "$ROOT/old.deb"
cp "$new" "$ROOT/new.deb"
in_root() { chroot "$ROOT" "$@"; }

in_root dpkg --install /old.deb
in_root getent passwd fanfare >/dev/null || fail "no user"
in_root fanfare --version | grep -q fanfare || fail "the program doesn't run"
in_root fanfare check --rules-only --config /etc/fanfare/fanfare.yaml || fail "the rules that it brings are wrong"
in_root fanfare test --config /etc/fanfare/fanfare.yaml || fail "the tests that it brings fail"
[ "$(stat -c %a:%U "$ROOT/etc/fanfare/secrets")" = 700:root ] || fail "others may look for secrets"
[ -s "$ROOT/usr/share/man/man1/fanfare-serve.1.gz" ] || fail "no manual"
[ -s "$ROOT/usr/share/bash-completion/completions/fanfare" ] || fail "no completions"

echo "# ours" >>"$ROOT/etc/fanfare/fanfare.yaml"
echo "rules: []" >"$ROOT/etc/fanfare/rules/releases.yaml"
echo "s3cret" >"$ROOT/etc/fanfare/secrets/jewelmusic"
in_root dpkg --install /new.deb
grep -q "# ours" "$ROOT/etc/fanfare/fanfare.yaml" || fail "the upgrade lost the configuration"
grep -q "rules: \[\]" "$ROOT/etc/fanfare/rules/releases.yaml" || fail "the upgrade lost the rules"
in_root dpkg-query -W -f '${Version}' fanfare | grep -qx 0.0.10 || fail "not upgraded"

mkdir "$ROOT/var/lib/fanfare"
touch "$ROOT/var/lib/fanfare/fanfare.db"
in_root dpkg --remove fanfare
[ ! -e "$ROOT/usr/bin/fanfare" ] || fail "the program is still there"
grep -q "# ours" "$ROOT/etc/fanfare/fanfare.yaml" || fail "removing lost the configuration"
in_root dpkg --purge fanfare
[ ! -e "$ROOT/etc/fanfare" ] || fail "the configuration is still there"
[ -e "$ROOT/var/lib/fanfare/fanfare.db" ] || fail "purging lost the store"
