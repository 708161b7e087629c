--[[ codec: records as bytes, for Redis. src/store/codec.rs is the same in Rust and documents the
  layout: a sequence of MessagePack values, the format's version first, then fields in a fixed
  order, then parallel columns as arrays, then what later formats added. ]]

local RECORD_FORMAT, NUMBER_FORMAT, CHANGE_FORMAT = 3, 1, 1

local codec = {}

local function check(format, oldest, newest)
  if type(format) ~= 'number' or format < oldest or newest < format then
    error("record format " .. tostring(format) .. " is not one that this version of callgate reads")
  end
end

function codec.decode(bytes)
  local r = { rejects = {}, links = {}, calls = { kind = "calls" }, requests = { kind = "requests" } }
  local rejects, links, calls, requests, format = r.rejects, r.links, r.calls, r.requests, nil
  format, r.revision, r.shown, r.shown_at,
    r.accept_at, r.accept_permanent, r.accept_expires_at, r.accept_request,
    r.reject_at, rejects.id, r.callback_at, r.callback_expires_at,
    r.taken_at, r.taken_why, r.inbound_at, r.talked_at, r.wrote_at,
    r.base_streak, r.base_at,
    links.id, links.first, links.last,
    calls.own, calls.provider, calls.outcome, calls.at, calls.held_until, calls.first,
    calls.ended_at, calls.sign_at, calls.error,
    requests.own, requests.provider, requests.outcome, requests.at, requests.held_until,
    requests.first, requests.delivered_at,
    r.told_status, r.told_kind, r.told_source, r.told_granted_at, r.told_valid_until,
    r.told_soon, r.told_warned, r.told_full, r.due_at, rejects.at = cmsgpack.unpack(bytes)
  check(format, RECORD_FORMAT - 1, RECORD_FORMAT)
  if format == 2 then -- it kept the request that the newest REJECT named, or ""
    local named = rejects.id
    rejects.id = named == "" and {} or { named }
    rejects.at = named == "" and {} or { r.reject_at }
  end
  return r
end

function codec.encode(r)
  local rejects, links, calls, requests = r.rejects, r.links, r.calls, r.requests
  return cmsgpack.pack(RECORD_FORMAT, r.revision, r.shown, r.shown_at,
    r.accept_at, r.accept_permanent, r.accept_expires_at, r.accept_request,
    r.reject_at, rejects.id, r.callback_at, r.callback_expires_at,
    r.taken_at, r.taken_why, r.inbound_at, r.talked_at, r.wrote_at,
    r.base_streak, r.base_at,
    links.id, links.first, links.last,
    calls.own, calls.provider, calls.outcome, calls.at, calls.held_until, calls.first,
    calls.ended_at, calls.sign_at, calls.error,
    requests.own, requests.provider, requests.outcome, requests.at, requests.held_until,
    requests.first, requests.delivered_at,
    r.told_status, r.told_kind, r.told_source, r.told_granted_at, r.told_valid_until,
    r.told_soon, r.told_warned, r.told_full, r.due_at, rejects.at)
end

function codec.decode_number(bytes)
  local n, format = {}, nil
  format, n.display, n.calling, n.calling_at, n.pause, n.paused_until, n.pause_at,
    n.request_pause, n.requests_paused_until, n.request_pause_at,
    n.inbound_call_grants, n.inbound_call_grants_at = cmsgpack.unpack(bytes)
  check(format, NUMBER_FORMAT, NUMBER_FORMAT)
  return n
end

function codec.encode_number(n)
  return cmsgpack.pack(NUMBER_FORMAT, n.display, n.calling, n.calling_at, n.pause, n.paused_until,
    n.pause_at, n.request_pause, n.requests_paused_until, n.request_pause_at,
    n.inbound_call_grants, n.inbound_call_grants_at)
end

-- A change as one array, in the order of `Change` in src/engine/change.rs.
function codec.encode_change(number, c)
  return cmsgpack.pack({ CHANGE_FORMAT, number, c.wa, c.user, c.cause, c.previous_status,
    c.occurred_at, c.recorded_at, c.event_id, c.profile, c.warns_at, c.revokes_at, c.call_window,
    c.judged_at, c.wa_id, c.status, c.grant_kind, c.grant_source, c.granted_at, c.expires_at,
    c.valid_until, c.streak, c.conversation_ends_at, c.revision,
    c.quota_limit, c.quota_used, c.quota_held, c.quota_free_at })
end

return codec
