--[[ codec: records as bytes, for Redis. src/store/codec.rs is the same in Rust and documents the
  layout: a sequence of MessagePack values, the format's version first, then fields in a fixed
  order, then parallel columns as arrays. ]]

local FORMAT = 1

local codec = {}

local function check(format)
  if format ~= FORMAT then
    error("record format " .. tostring(format) .. " is not one that this version of callgate reads")
  end
end

function codec.decode(bytes)
  local r = { links = {}, calls = { kind = "calls" }, requests = { kind = "requests" } }
  local links, calls, requests, format = r.links, r.calls, r.requests, nil
  format, r.revision, r.shown, r.shown_at,
    r.accept_at, r.accept_permanent, r.accept_expires_at, r.accept_request,
    r.reject_at, r.reject_request, r.callback_at, r.callback_expires_at,
    r.taken_at, r.taken_why, r.inbound_at, r.talked_at, r.wrote_at,
    r.base_streak, r.base_at,
    links.id, links.first, links.last,
    calls.own, calls.provider, calls.outcome, calls.at, calls.held_until, calls.first,
    calls.ended_at, calls.sign_at, calls.error,
    requests.own, requests.provider, requests.outcome, requests.at, requests.held_until,
    requests.first, requests.delivered_at = cmsgpack.unpack(bytes)
  check(format)
  return r
end

function codec.encode(r)
  local links, calls, requests = r.links, r.calls, r.requests
  return cmsgpack.pack(FORMAT, r.revision, r.shown, r.shown_at,
    r.accept_at, r.accept_permanent, r.accept_expires_at, r.accept_request,
    r.reject_at, r.reject_request, r.callback_at, r.callback_expires_at,
    r.taken_at, r.taken_why, r.inbound_at, r.talked_at, r.wrote_at,
    r.base_streak, r.base_at,
    links.id, links.first, links.last,
    calls.own, calls.provider, calls.outcome, calls.at, calls.held_until, calls.first,
    calls.ended_at, calls.sign_at, calls.error,
    requests.own, requests.provider, requests.outcome, requests.at, requests.held_until,
    requests.first, requests.delivered_at)
end

function codec.decode_number(bytes)
  local n, format = {}, nil
  format, n.display, n.calling, n.calling_at, n.pause, n.paused_until, n.pause_at,
    n.request_pause, n.requests_paused_until, n.request_pause_at,
    n.inbound_call_grants, n.inbound_call_grants_at = cmsgpack.unpack(bytes)
  check(format)
  return n
end

function codec.encode_number(n)
  return cmsgpack.pack(FORMAT, n.display, n.calling, n.calling_at, n.pause, n.paused_until,
    n.pause_at, n.request_pause, n.requests_paused_until, n.request_pause_at,
    n.inbound_call_grants, n.inbound_call_grants_at)
end

return codec
