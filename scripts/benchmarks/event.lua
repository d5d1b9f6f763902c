-- wrk: repeatedly POST the file named after `--`, then print the counters as load.lua does. With a second argument, each
-- request is an event in binary mode, with an id of its own that begins with the argument. Without it, the requests are
-- all the same; making them costs wrk as much as events do.
local count, id, before, after = 0, "", "", ""

function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method, wrk.body = "POST", file:read("*a")
  file:close()
  wrk.headers["content-type"] = "application/json"
  if not args[2] then
    before = wrk.format()
    return
  end
  id = args[2] .. "-"
  wrk.headers["ce-specversion"] = "1.0"
  wrk.headers["ce-source"] = "/benchmark"
  wrk.headers["ce-type"] = "com.example.payment.created"
  wrk.headers["ce-time"] = "2026-04-05T17:31:00Z"
  wrk.headers["ce-id"] = "ID"
  before, after = string.match(wrk.format(), "^(.-ce%-id: )ID(.*)$")
end

function request()
  count = count + 1
  if id == "" then
    return before
  end
  return before .. id .. count .. after
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "microseconds": %d, "bad_status": %d, "socket_errors": %d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
