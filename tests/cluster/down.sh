#!/usr/bin/env bash
# Ends the cluster and removes its state; keeps its logs where --wipe does not ask for them too.
# usage: down.sh [--wipe]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
. "$HERE/cgroups.sh"

# The S3 server is asked first: it removes what it has put into /tmp, the one folder that is shared.
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
  --unlocked) ;; # up holds the lock
  "" | --wipe)
    mkdir -p "$CACHE"
    exec 9>"$CACHE/$CGROUP.lock"
    flock 9
    ;;
  *) fail "down: unknown argument $1; --wipe is the only one" ;;
esac
end
forget "${1:-}"
