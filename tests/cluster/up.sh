#!/usr/bin/env bash
# Brings the cluster up; where it is up already, says so.
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
    *) fail "up: unknown argument $argument; --eventing is the only one" ;;
  esac
done

lap() { say "$1 after $SECONDS s"; }

# A start that fails, or is told to end, leaves nothing running, and its logs. A signal that is not caught comes here at
# once, with 0, whatever is waited for.
gave_up() {
  local code=$? running
  [ -z "$FINISHED" ] || return 0
  trap : INT TERM HUP
  mapfile -t running < <(jobs -p)
  [ ${#running[@]} = 0 ] || kill "${running[@]}" 2>/dev/null || true
  [ -n "$BEGUN" ] || return 0
  case $code in 0 | 130) ;; *) tell_why ;; esac
  "$HERE/down.sh" --unlocked >/dev/null || true
}

tell_why() {
  local log ended=
  if running; then ended=$(ended_parts | paste -sd ' '); fi
  echo "scripts/cluster: could not bring the cluster up${ended:+ ($ended ended)}; the last words of its parts (all of them: $LOG):" >&2
  for log in "$LOG"/*.log; do [ ! -s "$log" ] || { echo "== ${log##*/}" && tail -n 3 "$log" | cut -c1-300; } >&2; done
}

begin() {
  rm -rf "$STATE"
  mkdir -p "$LOG" "$STATE/parts"
  ln -s "$BUILT" "$PROGRAMS"
  "$HERE/certificates.sh" || fail "openssl made no certificates: $(tail -n 1 "$PKI/certificates.log")"
  "$HERE/configuration.sh"
  make_cgroups
  (
    enter_cgroups
    exec setsid unshare --net --mount --pid --cgroup --uts --ipc --fork --kill-child=KILL \
      bash "$HERE/node.sh" >>"$LOG/node.log" 2>&1 </dev/null 8>&- 9>&-
  ) &
  disown # its end is told by down.sh
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
flock -n 9 || { say "waits for another start or stop of this cluster"; flock 9; }
if ready; then
  with_eventing
  say "is up (scripts/cluster status says more)"
  [ "$PROGRAMS" -ef "$BUILT" ] || say "with programs of another checkout; down and up renew it"
  exit
fi
trap gave_up EXIT
trap "exit 130" INT
# The lock is not theirs: a download that outlives them would keep who comes next from it.
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
say "is up: scripts/cluster shell has kubectl, kn and curl"
