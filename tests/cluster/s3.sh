#!/usr/bin/env bash
# Starts or stops the S3 server inside the cluster's namespaces; its data stays. Runs inside.
# usage: s3.sh start|stop
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
PID_FILE=$STATE/parts/s3.pid

alive() { [ -f "$PID_FILE" ] && grep -q scripts/s3 "/proc/$(cat "$PID_FILE")/cmdline" 2>/dev/null; }

# It prints the variables that reach it once it answers, and closes its standard output; so cat ends.
start() {
  if alive; then return; fi
  local announced
  coproc SERVER { exec setsid "$ROOT/.venv/bin/python" "$ROOT/scripts/s3" --host "$NODE_ADDRESS" --port "$S3_PORT" \
    --dir "$STATE/s3" --log "$LOG/s3.log" 2>>"$LOG/s3-start.log" </dev/null; }
  echo "$SERVER_PID" >"$PID_FILE"
  announced=$(cat <&"${SERVER[0]}")
  [ -n "$announced" ] || fail "the S3 server did not start: $(tail -n 1 "$LOG/s3-start.log")"
  echo "$announced" >"$S3_ENVIRONMENT"
}

stop() {
  local pid
  alive || return 0
  pid=$(cat "$PID_FILE")
  kill -TERM "$pid"
  while alive; do sleep 0.1; done
  rm "$PID_FILE"
}

"$1"
