-- What a decision in Redis is made of, each piece by itself: in front of a loop over one of them.
-- `kept` is the record of a customer who gave a permission in reply to a request and took two calls,
-- `command` the question whether there may be a third: an ALLOW that is written.
local HOUR, NOW, TIMES = 3600000, 1796000000000, tonumber(ARGV[1])
local DAY = 24 * HOUR
local profile = {
  name = 'atom', temporary_permission = 7 * DAY, request_lapses_after = DAY, requests_per_day = 1,
  requests_per_week = 2, connected_call_resets_requests = 0, undelivered_request_counts = 0,
  request_ends_permission = 1, calls_per_window = 5, call_window = DAY, calls_per_permission = 35,
  calls_at_once = 0, longest_call = HOUR, unanswered_warns_at = 2, unanswered_revokes_at = 4,
  canceled_is_unanswered = 1, inbound_call_grants = 1, lease = 90000, expiring_soon = HOUR,
}
local kept, saved
local host = {
  load = function() return kept and codec.decode(kept) end,
  save = function(_, record) saved = record end,
  tell = function() end, number = function() end, erased = function() return 0 end,
}

local function tell(ago, fact)
  fact.verb, fact.wa, fact.user, fact.at = 'record', '15550199001', '', NOW - ago
  fact.spelled, fact.event_id = '', 'event'
  local reply = rulebook.step(fact, profile, fact.at, host)
  assert(reply.result == 1, 'it was not recorded')
  kept = codec.encode(saved)
end

local request = 'req-' .. string.rep('0', 32)
tell(48 * HOUR, {
  fact = 'request', own_id = request, provider_id = 'wamid.' .. string.rep('1', 54), outcome = 3,
  known_only = 0,
})
tell(47 * HOUR, {
  fact = 'reply', accept = 1, automatic = 0, permanent = 0, expires_at = 0, request_id = request,
})
for n = 1, 2 do
  tell(n * HOUR, {
    fact = 'call', own_id = string.rep('a', 35) .. n, provider_id = 'wacid.' .. string.rep('2', 53) .. n,
    outcome = 10, placed_at = 0, answered_at = 0, ended_at = 0, error = 0, pstn = 0,
  })
end
local command = {
  verb = 'authorize_call', wa = '15550199001', user = '', own_id = string.rep('b', 36), lease = 0,
}
local packed, record = cmsgpack.pack(command), codec.decode(kept)
local reply = rulebook.step(command, profile, NOW, host)
assert(reply.verdict.decision == 1, 'it was not allowed')
