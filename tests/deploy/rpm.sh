# Installs the RPM package $1, upgrades to $2 and removes it, in $ROOT, by `rpm` alone: its dependencies are another system's.
set -e
old=$1 new=$2
fail() { echo "FAILED: $*" >&2; exit 1; }
cp "$old" "$ROOT/old.rpm"
cp "$new" "$ROOT/new.rpm"
in_root() { chroot "$ROOT" "$@"; }

in_root rpm --install --nodeps /old.rpm
in_root getent passwd fanfare | grep -q ':/sbin/nologin$' || fail "no user, or one that can log in"
in_root fanfare check --rules-only --config /etc/fanfare/fanfare.yaml || fail "the rules that it brings are wrong"
in_root fanfare test --config /etc/fanfare/fanfare.yaml || fail "the tests that it brings fail"
[ "$(stat -c %a:%U "$ROOT/etc/fanfare/secrets")" = 700:root ] || fail "others may look for secrets"
[ "$(stat -c %a:%U "$ROOT/usr/bin/fanfare")" = 755:root ] || fail "others may change the program"

echo "# ours" >>"$ROOT/etc/fanfare/fanfare.yaml"
echo "rules: []" >"$ROOT/etc/fanfare/rules/releases.yaml"
echo "s3cret" >"$ROOT/etc/fanfare/secrets/jewelmusic"
in_root rpm --upgrade --nodeps /new.rpm
grep -q "# ours" "$ROOT/etc/fanfare/fanfare.yaml" || fail "the upgrade lost the configuration"
grep -q "rules: \[\]" "$ROOT/etc/fanfare/rules/releases.yaml" || fail "the upgrade lost the rules"
[ "$(in_root rpm --query fanfare)" = fanfare-0.0.10-1."$(uname -m)" ] || fail "not upgraded"

mkdir "$ROOT/var/lib/fanfare"
touch "$ROOT/var/lib/fanfare/fanfare.db"
in_root rpm --erase fanfare
[ ! -e "$ROOT/usr/bin/fanfare" ] || fail "the program is still there"
grep -q "# ours" "$ROOT/etc/fanfare/fanfare.yaml.rpmsave" || fail "removing lost the configuration"
[ "$(cat "$ROOT/etc/fanfare/secrets/jewelmusic")" = s3cret ] || fail "removing lost a secret"
[ -e "$ROOT/var/lib/fanfare/fanfare.db" ] || fail "removing lost the store"
