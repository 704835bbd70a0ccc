# Installs the package $1 in $ROOT and boots systemd there, which starts the service and sends it an event.
set -e
package=$1
cp "$package" "$ROOT/fanfare.deb"
chroot "$ROOT" dpkg --install /fanfare.deb

# Secrets as an operator adds them; the destination is in the sandbox too.
printf 's3cret-0123456789abcdef0123456789' >"$ROOT/etc/fanfare/secrets/jewelmusic"
printf 'http://127.0.0.1:9/slack' >"$ROOT/etc/fanfare/secrets/slack_releases"
printf 'smtp://127.0.0.1:9?tls=none' >"$ROOT/etc/fanfare/secrets/smtp_url"
chmod 600 "$ROOT"/etc/fanfare/secrets/*

cat >"$ROOT/usr/local/bin/fanfare-walk" <<'WALK'
#!/bin/sh
# Runs within systemd: what an operator does, and what they see.
exec >/walk 2>&1
set -ex
trap 'systemctl status --no-pager --full fanfare; journalctl --no-pager -u fanfare' EXIT
timeout 100 systemctl enable --now fanfare
systemctl is-active fanfare
test "$(systemctl show -p StatusText --value fanfare)" = "receives at 127.0.0.1:8080"
test "$(systemctl show -p User --value fanfare)" = fanfare
pid=$(systemctl show -p MainPID --value fanfare)
test "$(stat -c %U /proc/$pid)" = fanfare
grep -q '^NoNewPrivs:.1' /proc/$pid/status
grep -q '^Seccomp:.2' /proc/$pid/status
grep -q '^CapBnd:.0000000000000000' /proc/$pid/status
FANFARE_ADMIN_URL=http://127.0.0.1:8081 fanfare health
SECRET=$(cat /etc/fanfare/secrets/jewelmusic) fanfare send release.live --source jewelmusic \
    --config /etc/fanfare/fanfare.yaml --secret-env SECRET --url http://127.0.0.1:8080/webhooks/jewelmusic
FANFARE_ADMIN_URL=http://127.0.0.1:8081 fanfare events list | grep release.live
test "$(stat -c %a:%U /var/lib/fanfare/fanfare.db)" = 600:fanfare
echo "# touched" >>/etc/fanfare/rules/releases.yaml
systemctl reload fanfare
systemctl is-active fanfare
# A killed process comes back; one that is stopped ends in order.
kill -KILL "$pid"
for _ in $(seq 100); do
    again=$(systemctl show -p MainPID --value fanfare)
    if [ "$again" != 0 ] && [ "$again" != "$pid" ] && systemctl is-active fanfare; then break; fi
    sleep 0.2
done
FANFARE_ADMIN_URL=http://127.0.0.1:8081 fanfare events list | grep release.live
timeout 60 systemctl stop fanfare
test "$(systemctl show -p Result --value fanfare)" = success
dpkg --remove fanfare
trap - EXIT
echo WALKED
WALK
chmod 755 "$ROOT/usr/local/bin/fanfare-walk"
cat >"$ROOT/etc/systemd/system/walk.service" <<'UNIT'
[Unit]
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/usr/local/bin/fanfare-walk
TimeoutStartSec=240
UNIT
cat >"$ROOT/etc/systemd/system/walk.target" <<'UNIT'
[Unit]
Requires=walk.service basic.target
After=basic.target
AllowIsolate=yes
UNIT
rm -f "$ROOT/walk"
timeout 300 systemd-nspawn --quiet --directory "$ROOT" --register=no --keep-unit --machine=fanfare-walk \
    --private-network --console=pipe --boot systemd.unit=walk.target >/mnt/boot 2>&1 || true
[ -e "$ROOT/walk" ] || { echo "no systemd here"; tail -n 20 /mnt/boot; exit 1; }
cat "$ROOT/walk"
grep -qx WALKED "$ROOT/walk"
