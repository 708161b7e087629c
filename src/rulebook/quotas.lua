--[[ quotas: what is used and held of each limit, and when a slot frees.

  A quota is { limit, used, held, frees }: `frees` lists when each slot that is taken frees, a slot
  that never does by time alone is left out. Limit 0 is no limit. Where ctx.entries is a list, what
  fills each quota is added to it. ]]

local CALL, REQUEST, QUOTA = codes.CALL, codes.REQUEST, codes.QUOTA
local DAY = codes.DAY

local quotas = {}

local function counts(outcome)
  return outcome == CALL.ANSWERED or outcome == CALL.UNCERTAIN
end

-- When the lease of a call ends: by what authorize held, and by each sign of life.
function quotas.call_lease(calls, i, profile)
  local by_report = calls.sign_at[i] > 0 and calls.sign_at[i] + profile.lease or 0
  return math.max(calls.held_until[i], by_report)
end

-- Whether a call holds a slot: its outcome is not known yet and its lease runs.
function quotas.call_holds(calls, i, profile, now)
  local outcome = calls.outcome[i]
  return (outcome == CALL.HELD or outcome == CALL.PLACED or outcome == CALL.RINGING)
    and now < quotas.call_lease(calls, i, profile)
end

function quotas.request_holds(requests, i, now)
  return requests.outcome[i] == REQUEST.HELD and now < requests.held_until[i]
end

local function new(kind, limit)
  return { kind = kind, limit = limit, used = 0, held = 0, frees = {} }
end

-- A slot is taken by a row. `at` is when it counts from; frees_at 0: not by time.
local function take(ctx, quota, set, i, frees_at, held)
  if held == 1 then
    quota.held = quota.held + 1
  else
    quota.used = quota.used + 1
  end
  if frees_at > 0 then
    quota.frees[#quota.frees + 1] = frees_at
  end
  local entries = ctx.entries
  if entries then
    entries[#entries + 1] = {
      quota = quota.kind, id = rows.name(set, i), at = set.at[i],
      frees_at = frees_at, held = held,
    }
  end
end

local function calls_in_window(ctx)
  local calls, profile, now = ctx.calls, ctx.profile, ctx.now
  local window = new(QUOTA.WINDOW, profile.calls_per_window)
  for i = 1, #calls.own do
    local at = calls.at[i]
    if counts(calls.outcome[i]) and now - profile.call_window < at then
      take(ctx, window, calls, i, at + profile.call_window, 0)
    elseif calls.own[i] ~= ctx.asked_call and quotas.call_holds(calls, i, profile, now) then
      take(ctx, window, calls, i, quotas.call_lease(calls, i, profile), 1)
    end
  end
  return window
end

-- Of the temporary grant in effect only.
local function calls_in_permission(ctx)
  local calls, profile, now = ctx.calls, ctx.profile, ctx.now
  local grant = ctx.grant
  if not grant or grant.kind == codes.KIND.PERMANENT then
    return new(QUOTA.PERMISSION, grant and 0 or profile.calls_per_permission)
  end
  local permission = new(QUOTA.PERMISSION, profile.calls_per_permission)
  local since = math.max(grant.at, now - codes.horizon(profile))
  for i = 1, #calls.own do
    if counts(calls.outcome[i]) then
      if since <= calls.at[i] then
        take(ctx, permission, calls, i, 0, 0)
      end
    elseif calls.own[i] ~= ctx.asked_call and quotas.call_holds(calls, i, profile, now) then
      take(ctx, permission, calls, i, quotas.call_lease(calls, i, profile), 1)
    end
  end
  return permission
end

-- The last answered call in either direction.
local function talked_at(ctx)
  local newest, calls = ctx.record.talked_at, ctx.calls
  for i = 1, #calls.own do
    if calls.outcome[i] == CALL.ANSWERED then
      newest = math.max(newest, calls.at[i])
    end
  end
  return newest
end

local function requests_in(ctx, kind, limit, span)
  local requests, profile, now = ctx.requests, ctx.profile, ctx.now
  local quota = new(kind, limit)
  local since = profile.connected_call_resets_requests == 1 and talked_at(ctx) or 0
  for i = 1, #requests.own do
    local outcome, at = requests.outcome[i], requests.at[i]
    local is_sent = outcome == REQUEST.SENT
      or (outcome == REQUEST.UNDELIVERED and profile.undelivered_request_counts == 1)
    if is_sent and now - span < at and since < at then
      take(ctx, quota, requests, i, at + span, 0)
    elseif requests.own[i] ~= ctx.asked_request and quotas.request_holds(requests, i, now) then
      take(ctx, quota, requests, i, requests.held_until[i], 1)
    end
  end
  return quota
end

-- Calls that are under way: those that hold, and answered ones that have not ended.
function quotas.calls_at_once(ctx)
  local calls, profile, now = ctx.calls, ctx.profile, ctx.now
  local frees = {}
  for i = 1, #calls.own do
    if calls.outcome[i] == CALL.ANSWERED then
      local over_at = calls.at[i] + profile.longest_call
      if calls.ended_at[i] == 0 and now < over_at then
        frees[#frees + 1] = over_at
      end
    elseif calls.own[i] ~= ctx.asked_call and quotas.call_holds(calls, i, profile, now) then
      frees[#frees + 1] = quotas.call_lease(calls, i, profile)
    end
  end
  return frees
end

-- When fewer than `limit` of `taken` slots are taken, given when they free: nil if that is so now,
-- NEVER if time alone does not bring it.
function quotas.frees_at(taken, limit, frees)
  if limit == 0 or taken < limit then
    return nil
  end
  table.sort(frees)
  return frees[taken - limit + 1] or codes.NEVER
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
    for i = 1, #calls.own do
      local leaves_at = calls.at[i] + horizon + 1
      if counts(calls.outcome[i]) and ctx.grant.at <= calls.at[i] and ctx.now < leaves_at then
        frees[#frees + 1] = leaves_at
      end
    end
    at = math.max(at, quotas.frees_at(permission.used + permission.held, permission.limit, frees))
  end
  return at
end

-- When the next slot of a quota frees, as people are told: 0 where one is free, or none ever frees.
function quotas.shown_free_at(quota)
  local free_at = quota.free_at or 0
  return free_at == codes.NEVER and 0 or free_at
end

-- Sets ctx.quotas, by kind.
function quotas.derive(ctx)
  ctx.quotas = {
    calls_in_window(ctx),
    calls_in_permission(ctx),
    requests_in(ctx, QUOTA.DAY, ctx.profile.requests_per_day, DAY),
    requests_in(ctx, QUOTA.WEEK, ctx.profile.requests_per_week, 7 * DAY),
  }
  for _, quota in ipairs(ctx.quotas) do
    quota.free_at = quotas.frees_at(quota.used + quota.held, quota.limit, quota.frees)
  end
end

return quotas
