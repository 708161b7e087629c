--[[ consent: which grant is in effect, and the status that people see.

  Wherever an ending is held against a grant, whole seconds are compared: at the same second the
  ending wins, but a new request does not. ]]

local REQUEST, STATUS, KIND, SOURCE = codes.REQUEST, codes.STATUS, codes.KIND, codes.SOURCE
local NEVER, second = codes.NEVER, codes.second
local WIDTH, OUTCOME, AT, DELIVERED_AT =
  rows.REQUEST_WIDTH, rows.OUTCOME, rows.AT, rows.DELIVERED_AT

local consent = {}

-- What may stand as a grant, in the order in which equals are preferred.
local function candidates(record, profile, number)
  local list = {}
  local function add(at, permanent, expires_at, source, request)
    if at > 0 then
      list[#list + 1] = {
        at = at, second = second(at), source = source, request = request,
        kind = permanent and KIND.PERMANENT or KIND.TEMPORARY,
        ends_at = permanent and NEVER
          or (expires_at > 0 and expires_at or at + profile.temporary_permission),
      }
    end
  end
  add(record.accept_at, record.accept_permanent == 1, record.accept_expires_at,
    record.accept_request ~= "" and SOURCE.REQUEST or SOURCE.BUSINESS_PROFILE,
    record.accept_request)
  add(record.callback_at, false, record.callback_expires_at, SOURCE.INBOUND_CALL, "")
  if profile.inbound_call_grants == 1 and number.inbound_call_grants ~= codes.TOLD.NO then
    add(record.inbound_at, false, 0, SOURCE.INBOUND_CALL, "")
  end
  return list
end

-- The newest request that was sent, delivered or not, in seconds before `cutoff`.
local function newest_request(requests, cutoff)
  local newest
  for i = 0, #requests - 1, WIDTH do
    if requests[i + OUTCOME] >= REQUEST.SENT and second(requests[i + AT]) < cutoff
      and (not newest or rows.is_newer(requests, i, newest)) then
      newest = i
    end
  end
  return newest
end

-- The second of the newest ending before `cutoff`.
local function newest_ending(ctx, cutoff, with_revocations)
  local newest = 0
  local function consider(at)
    local s = second(at)
    if s < cutoff and newest < s then
      newest = s
    end
  end
  consider(ctx.reject_at)
  if with_revocations or ctx.record.taken_why ~= codes.TAKEN.STREAK then
    consider(ctx.record.taken_at)
  end
  if with_revocations then
    for _, at in ipairs(ctx.revocations) do
      consider(at)
    end
  end
  return newest
end

-- The grant in effect at `at`, by the facts of seconds before `cutoff`, or nil.
local function in_effect(ctx, at, cutoff, with_revocations)
  local ending = newest_ending(ctx, cutoff, with_revocations)
  local request = ctx.profile.request_ends_permission == 1
    and newest_request(ctx.requests, cutoff) or nil
  local best
  for _, grant in ipairs(ctx.candidates) do
    local stands = grant.second < cutoff and at < grant.ends_at and ending < grant.second
    if stands and request then
      stands = second(ctx.requests[request + AT]) <= grant.second
        or facts.is_named(ctx.requests, request, grant.request)
    end
    -- A permanent one ends last of all.
    if stands and (not best or best.ends_at < grant.ends_at) then
      best = grant
    end
  end
  return best
end

-- Whether the customer replied to this request, or to anything since.
local function is_replied(record, requests, i)
  local sent = second(requests[i + AT])
  return sent <= second(record.accept_at) or facts.is_named(requests, i, record.accept_request)
    or sent <= second(record.reject_at) or facts.is_rejected(record, requests, i)
end

-- When the last unanswered request runs out, if one still waits; and when the last one ran out.
local function waits(ctx)
  local waits_until, lapsed_at = 0, 0
  local requests = ctx.requests
  for i = 0, #requests - 1, WIDTH do
    if requests[i + OUTCOME] == REQUEST.SENT and not is_replied(ctx.record, requests, i) then
      local delivered_at = requests[i + DELIVERED_AT]
      local from = delivered_at > 0 and delivered_at or requests[i + AT]
      local lapses_at = from + ctx.profile.request_lapses_after
      if ctx.now < lapses_at then
        waits_until = math.max(waits_until, lapses_at)
      else
        lapsed_at = math.max(lapsed_at, lapses_at)
      end
    end
  end
  return waits_until, lapsed_at
end

-- Whether a grant is one that runs out: in effect when it ends, by the facts of earlier seconds.
local function runs_out(ctx, grant)
  return in_effect(ctx, grant.ends_at - 1, second(grant.ends_at), true) == grant
end

-- When the last grant that was still in effect ran out, or 0.
local function ran_out_at(ctx)
  local newest = 0
  for _, grant in ipairs(ctx.candidates) do
    local ends_at = grant.ends_at
    if ends_at <= ctx.now and newest < ends_at and runs_out(ctx, grant) then
      newest = ends_at
    end
  end
  return newest
end

-- When the next grant will have run out that is not in effect now, since it was ended in its last
-- second or by a fact ahead of the clock; else NEVER.
function consent.runs_out_at(ctx)
  local next_at = NEVER
  for _, grant in ipairs(ctx.candidates) do
    if ctx.now < grant.ends_at and grant.ends_at < next_at and runs_out(ctx, grant) then
      next_at = grant.ends_at
    end
  end
  return next_at
end

-- The status while no grant is in effect, and when it changes by itself.
local function status_without_grant(ctx)
  local waits_until, lapsed_at = waits(ctx)
  if waits_until > 0 then
    return STATUS.PENDING, waits_until
  end
  local status, newest = STATUS.NONE, 0
  local function consider(other, at)
    if newest < second(at) then
      status, newest = other, second(at)
    end
  end
  local record, revocations = ctx.record, ctx.revocations
  local reject_at = ctx.reject_at
  if reject_at > 0 then
    local had = in_effect(ctx, reject_at - 1, second(reject_at), false)
    consider(had and STATUS.REVOKED or STATUS.REJECTED, reject_at)
  end
  consider(STATUS.AUTO_REVOKED, math.max(record.taken_at, revocations[#revocations] or 0))
  consider(STATUS.EXPIRED, ran_out_at(ctx))
  consider(STATUS.LAPSED, lapsed_at)
  return status, 0
end

-- Sets ctx.candidates, grant, status, valid_until.
function consent.derive(ctx)
  ctx.candidates = candidates(ctx.record, ctx.profile, ctx.number)
  ctx.grant = in_effect(ctx, ctx.now, NEVER, true)
  if ctx.grant then
    ctx.status = STATUS.GRANTED
    ctx.valid_until = ctx.grant.ends_at == NEVER and 0 or ctx.grant.ends_at
  else
    ctx.status, ctx.valid_until = status_without_grant(ctx)
  end
end

return consent
