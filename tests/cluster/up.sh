#!/usr/bin/env bash
# Starts the cluster. If it already runs, reports that and exits.
# usage: up.sh [--eventing]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
. "$HERE/cgroups.sh"
EVENTING=
BEGUN=
FINISHED=
for argument in "$@"; do
  case $argument in
    --eventing) EVENTING=1 ;;
    *) fail "up: unknown argument $argument; expected --eventing or none" ;;
  esac
done

lap() { say "$1 after $SECONDS s"; }

# If the start fails or is interrupted, stops all processes and keeps the logs. On a signal without its own trap, bash
# runs this EXIT trap immediately, with exit code 0.
clean_up() {
  local code=$? running
  [ -z "$FINISHED" ] || return 0
  trap : INT TERM HUP
  mapfile -t running < <(jobs -p)
  [ ${#running[@]} = 0 ] || kill "${running[@]}" 2>/dev/null || true
  [ -n "$BEGUN" ] || return 0
  case $code in 0 | 130) ;; *) print_logs ;; esac
  "$HERE/down.sh" --unlocked >/dev/null || true
}

print_logs() {
  local log ended=
  if running; then ended=$(ended_parts | paste -sd ' '); fi
  echo "scripts/cluster: the cluster did not start${ended:+ ($ended exited)}; the last log lines of its parts (full logs: $LOG):" >&2
  for log in "$LOG"/*.log; do [ ! -s "$log" ] || { echo "== ${log##*/}" && tail -n 3 "$log" | cut -c1-300; } >&2; done
}

begin() {
  rm -rf "$STATE"
  mkdir -p "$LOG" "$STATE/parts"
  ln -s "$BUILT" "$PROGRAMS"
  "$HERE/certificates.sh" || fail "openssl could not create the certificates: $(tail -n 1 "$PKI/certificates.log")"
  "$HERE/configuration.sh"
  make_cgroups
  (
    enter_cgroups
    exec setsid unshare --net --mount --pid --cgroup --uts --ipc --fork --kill-child=KILL \
      bash "$HERE/node.sh" >>"$LOG/node.log" 2>&1 </dev/null 8>&- 9>&-
  ) &
  disown # down.sh ends it
  for _ in $(seq 100); do
    if running; then return; fi
    sleep 0.1
  done
  fail "the node did not start: $(tail -n 1 "$LOG/node.log")"
}

with_eventing() {
  [ -n "$EVENTING" ] && [ ! -f "$STATE/eventing" ] || return 0
  "$HERE/build.sh" eventing
  "$HERE/install.sh" eventing
  touch "$STATE/eventing"
  lap "Knative Eventing is ready"
}

mkdir -p "$CACHE"
exec 9>"$CACHE/$CGROUP.lock"
flock -n 9 || { say "waiting for another start or stop of this cluster to finish"; flock 9; }
if ready; then
  with_eventing
  say "the cluster is already running; for details: scripts/cluster status"
  [ "$PROGRAMS" -ef "$BUILT" ] || say "it runs the programs of another checkout; to replace them: scripts/cluster down, then up"
  exit
fi
trap clean_up EXIT
trap "exit 130" INT
# Close the lock's descriptor for these steps: a download that outlives them would keep the lock.
"$HERE/requirements.sh" 9>&-
"$ROOT/scripts/venv" 9>&-
"$HERE/build.sh" core 9>&-
"$HERE/down.sh" --unlocked
SECONDS=0
BEGUN=1
begin
"$HERE/install.sh" images &
images=$!
"$HERE/install.sh" base
wait "$images"
lap "the node and the S3 server are ready"
"$HERE/install.sh" serving
lap "Knative Serving and Kourier are ready"
touch "$STATE/ready"
with_eventing
FINISHED=1
say "the cluster is running; scripts/cluster shell opens a shell with kubectl, kn and curl"
