--[[ quotas: what is used and held of each limit, and when a slot frees.

  A quota is { kind, limit, used, held, free_at }: `free_at` is when there is a free slot again, nil where
  there is one, NEVER where time alone does not bring it. One that is full also has `frees`: when each
  slot that is taken frees, those left out that never do by time alone. Limit 0 is no limit. Where
  ctx.entries is a list, what fills each quota is added to it. ]]

local CALL, REQUEST, QUOTA = codes.CALL, codes.REQUEST, codes.QUOTA
local DAY, NEVER = codes.DAY, codes.NEVER
local CALL_WIDTH, REQUEST_WIDTH = rows.CALL_WIDTH, rows.REQUEST_WIDTH
local OWN, OUTCOME, AT, HELD_UNTIL = rows.OWN, rows.OUTCOME, rows.AT, rows.HELD_UNTIL
local ENDED_AT, SIGN_AT = rows.ENDED_AT, rows.SIGN_AT

local quotas = {}

local function counts(outcome)
  return outcome == CALL.ANSWERED or outcome == CALL.UNCERTAIN
end

-- Until when a call holds a slot: its outcome is not known yet, and its lease runs, by what authorize
-- held or by a sign of life. 0 if it holds none.
function quotas.call_holds_until(calls, i, profile, now)
  local outcome, sign_at = calls[i + OUTCOME], calls[i + SIGN_AT]
  if outcome ~= CALL.HELD and outcome ~= CALL.PLACED and outcome ~= CALL.RINGING then
    return 0
  end
  local by_report = sign_at > 0 and sign_at + profile.lease or 0
  local lease_end = math.max(calls[i + HELD_UNTIL], by_report)
  return now < lease_end and lease_end or 0
end

-- How many calls held a slot after `from` and have lost it by now, since their leases ran out and nobody
-- told what became of them.
function quotas.lapsed_calls(ctx, from)
  local calls, profile, count = ctx.calls, ctx.profile, 0
  for i = 0, #calls - 1, CALL_WIDTH do
    if quotas.call_holds_until(calls, i, profile, from) > 0
      and quotas.call_holds_until(calls, i, profile, ctx.now) <= 0 then
      count = count + 1
    end
  end
  return count
end

-- Until when a permission request holds a slot: see call_holds_until.
function quotas.request_holds_until(requests, i, now)
  local lease_end = requests[i + HELD_UNTIL]
  return requests[i + OUTCOME] == REQUEST.HELD and now < lease_end and lease_end or 0
end

-- ---- slots -------------------------------------------------------------------------------------

-- Each of these says which slot row `i` takes: when it frees (0: not by time), and 1 if it is held, 0
-- if it is used; nil if it takes none.

local function held_call(ctx, calls, i)
  local holds_until = quotas.call_holds_until(calls, i, ctx.profile, ctx.now)
  if holds_until > 0 and calls[i + OWN] ~= ctx.asked.calls then
    return holds_until, 1
  end
end

local function slot_in_window(ctx, calls, i, span)
  local at = calls[i + AT]
  if counts(calls[i + OUTCOME]) and ctx.now - span < at then
    return at + span, 0
  end
  return held_call(ctx, calls, i)
end

-- Of the temporary grant in effect only.
local function slot_in_permission(ctx, calls, i, _, since)
  if not counts(calls[i + OUTCOME]) then
    return held_call(ctx, calls, i)
  elseif since <= calls[i + AT] then
    return 0, 0
  end
end

local function slot_of_request(ctx, requests, i, span, since)
  local outcome, at = requests[i + OUTCOME], requests[i + AT]
  local is_sent = outcome == REQUEST.SENT
    or (outcome == REQUEST.UNDELIVERED and ctx.profile.undelivered_request_counts == 1)
  if is_sent and ctx.now - span < at and since < at then
    return at + span, 0
  end
  local holds_until = quotas.request_holds_until(requests, i, ctx.now)
  if holds_until > 0 and requests[i + OWN] ~= ctx.asked.requests then
    return holds_until, 1
  end
end

-- ---- quotas ------------------------------------------------------------------------------------

-- When fewer than `limit` (not 0) of `taken` slots are taken, given when they free: nil if that is so
-- now, NEVER if time alone does not bring it.
local function frees_at(taken, limit, frees)
  if taken < limit then
    return nil
  end
  table.sort(frees)
  return frees[taken - limit + 1] or NEVER
end

local function frees_of(ctx, set, width, slot, span, since)
  local frees = {}
  for i = 0, #set - 1, width do
    local at = slot(ctx, set, i, span, since)
    if at and at > 0 then
      frees[#frees + 1] = at
    end
  end
  return frees
end

local function add_entry(ctx, kind, set, i, at, held)
  ctx.entries[#ctx.entries + 1] = {
    quota = kind, id = rows.name(set, i), at = set[i + AT], frees_at = at, held = held,
  }
end

-- Of rows within `span`, and those since then.
local function quota_of(ctx, kind, limit, set, width, slot, span, since)
  local used, held = 0, 0
  for i = 0, #set - 1, width do
    local at, is_held = slot(ctx, set, i, span, since)
    if at then
      used, held = used + 1 - is_held, held + is_held
      if ctx.entries then
        add_entry(ctx, kind, set, i, at, is_held)
      end
    end
  end
  local quota = { kind = kind, limit = limit, used = used, held = held, free_at = nil, frees = nil }
  if limit > 0 and limit <= used + held then
    quota.frees = frees_of(ctx, set, width, slot, span, since)
    quota.free_at = frees_at(used + held, limit, quota.frees)
  end
  return quota
end

local function calls_in_permission(ctx)
  local grant, limit = ctx.grant, ctx.profile.calls_per_permission
  if not grant or grant.kind == codes.KIND.PERMANENT then
    return { kind = QUOTA.PERMISSION, limit = grant and 0 or limit, used = 0, held = 0 }
  end
  local since = math.max(grant.at, ctx.now - codes.horizon(ctx.profile))
  return quota_of(ctx, QUOTA.PERMISSION, limit, ctx.calls, CALL_WIDTH, slot_in_permission,
    nil, since)
end

-- The last answered call in either direction.
local function talked_at(ctx)
  local newest, calls = ctx.record.talked_at, ctx.calls
  for i = 0, #calls - 1, CALL_WIDTH do
    if calls[i + OUTCOME] == CALL.ANSWERED then
      newest = math.max(newest, calls[i + AT])
    end
  end
  return newest
end

-- When one more call may be under way at once, if not now (see `frees_at`). Those are under way that
-- hold, and answered ones that have not ended.
function quotas.at_once_free_at(ctx)
  local calls, profile, now, frees = ctx.calls, ctx.profile, ctx.now, {}
  if profile.calls_at_once == 0 then
    return nil
  end
  for i = 0, #calls - 1, CALL_WIDTH do
    if calls[i + OUTCOME] == CALL.ANSWERED then
      local over_at = calls[i + AT] + profile.longest_call
      if calls[i + ENDED_AT] == 0 and now < over_at then
        frees[#frees + 1] = over_at
      end
    else
      frees[#frees + 1] = held_call(ctx, calls, i)
    end
  end
  return frees_at(#frees, profile.calls_at_once, frees)
end

-- While the call quotas leave no room: when there is some again, if the grant lasts so long. Calls
-- within a grant that outlasts the horizon stop counting there.
function quotas.calls_free_at(ctx)
  local window, permission = ctx.quotas[1], ctx.quotas[2]
  local at = window.free_at or 0
  if permission.free_at then
    local calls, horizon, frees = ctx.calls, codes.horizon(ctx.profile), {}
    for _, lease_end in ipairs(permission.frees) do
      frees[#frees + 1] = lease_end
    end
    for i = 0, #calls - 1, CALL_WIDTH do
      local leaves_at = calls[i + AT] + horizon + 1
      if counts(calls[i + OUTCOME]) and ctx.grant.at <= calls[i + AT] and ctx.now < leaves_at then
        frees[#frees + 1] = leaves_at
      end
    end
    at = math.max(at, frees_at(permission.used + permission.held, permission.limit, frees))
  end
  return at
end

-- When the next slot of a quota frees, as people are told: 0 where one is free, or none ever frees.
function quotas.shown_free_at(quota)
  local free_at = quota.free_at or 0
  return free_at == NEVER and 0 or free_at
end

function quotas.derive_calls(ctx)
  local profile = ctx.profile
  ctx.quotas[QUOTA.WINDOW] = quota_of(ctx, QUOTA.WINDOW, profile.calls_per_window,
    ctx.calls, CALL_WIDTH, slot_in_window, profile.call_window)
  ctx.quotas[QUOTA.PERMISSION] = calls_in_permission(ctx)
end

function quotas.derive_requests(ctx)
  local profile, requests = ctx.profile, ctx.requests
  local since = profile.connected_call_resets_requests == 1 and talked_at(ctx) or 0
  ctx.quotas[QUOTA.DAY] = quota_of(ctx, QUOTA.DAY, profile.requests_per_day,
    requests, REQUEST_WIDTH, slot_of_request, DAY, since)
  ctx.quotas[QUOTA.WEEK] = quota_of(ctx, QUOTA.WEEK, profile.requests_per_week,
    requests, REQUEST_WIDTH, slot_of_request, 7 * DAY, since)
end

-- Sets ctx.quotas, by kind.
function quotas.derive(ctx)
  ctx.quotas = { false, false, false, false }
  quotas.derive_calls(ctx)
  quotas.derive_requests(ctx)
end

return quotas
