#!/usr/bin/env bash
# Stops the cluster and removes its state. Keeps its logs, unless --wipe is given.
# usage: down.sh [--wipe]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
. "$HERE/cgroups.sh"

# Stops the S3 server first, so that it removes its files in /tmp, which the cluster shares with the machine.
end() {
  local try
  if running; then
    timeout 10 nsenter --target "$(cat "$STATE/init.pid")" --net --mount --pid -- "$HERE/s3.sh" stop || true
    kill -KILL "$(cat "$STATE/init.pid")"
    for try in $(seq 100); do running || break; sleep 0.1; done
  fi
  remove_cgroups
}

forget() {
  local entry
  for entry in "$STATE"/*; do
    if [ "$entry" != "$LOG" ] || [ "$1" = --wipe ]; then rm -rf "$entry"; fi
  done
  rmdir "$STATE" 2>/dev/null || true
}

case ${1:-} in
  --unlocked) ;; # up.sh holds the lock
  "" | --wipe)
    mkdir -p "$CACHE"
    exec 9>"$CACHE/$CGROUP.lock"
    flock 9
    ;;
  *) fail "down: unknown argument $1; expected --wipe or none" ;;
esac
end
forget "${1:-}"
