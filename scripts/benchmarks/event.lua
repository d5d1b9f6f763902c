-- wrk: as load.lua, but makes each request. With a second argument, each request is an event in binary mode, with an id of
-- its own that begins with the argument. Without it, the requests are all the same; making them costs wrk as much as events do.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "load.lua")

local read_body = init
local count, id, before, after = 0, "", "", ""

function init(args)
  read_body(args)
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
