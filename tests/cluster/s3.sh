#!/usr/bin/env bash
# Starts or stops the S3 server in the cluster's namespaces, and keeps its data. Runs inside the namespaces.
# usage: s3.sh start|stop
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
PID_FILE=$STATE/parts/s3.pid

alive() { [ -f "$PID_FILE" ] && grep -q scripts/s3 "/proc/$(cat "$PID_FILE")/cmdline" 2>/dev/null; }

# Once the server answers, scripts/s3 prints the AWS_* variables and closes its standard output, so cat returns.
start() {
  if alive; then return; fi
  local announced
  local -x WEED_NOTIFICATION_WEBHOOK_ENABLED=true WEED_NOTIFICATION_WEBHOOK_PATH_PREFIXES=/buckets/$EVENTS_BUCKET/
  local -x WEED_NOTIFICATION_WEBHOOK_ENDPOINT=http://$NODE_ADDRESS:$EVENTS_PORT/
  local -x WEED_NOTIFICATION_WEBHOOK_TIMEOUT_SECONDS=120 # a Broker answers after the function, which may start from zero
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
