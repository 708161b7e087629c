--[[ judge: from facts to a view, and from a view to a verdict. ]]

local DECISION, REASON, NEXT_STEP, KIND = codes.DECISION, codes.REASON, codes.NEXT_STEP, codes.KIND
local STATUS, WARNING, NEVER = codes.STATUS, codes.WARNING, codes.NEVER

local judge = {}

-- Everything that is derived from the facts of a pair at an instant. `asked` names the call or the
-- request that is being judged, { call = id } or { request = id }: it does not count itself.
-- `entries` is a list that takes what fills the quotas, or nil.
function judge.derive(record, profile, number_facts, now, asked, entries)
  local ctx = {
    record = record, profile = profile, number = number_facts, now = now,
    asked_call = asked and asked.call, asked_request = asked and asked.request,
    entries = entries,
    calls = rows.attempts(record.calls), requests = rows.attempts(record.requests),
  }
  ctx.reject_at = facts.reject_at(record, ctx.requests)
  ctx.streak, ctx.revocations = streak.walk(
    record, ctx.calls, profile, ctx.reject_at, NEVER)
  consent.derive(ctx)
  quotas.derive(ctx)
  return ctx
end

-- Brings a state up to date after a hold, which changes quotas and nothing else. From here on what was
-- asked about counts as well.
function judge.recount(ctx, record)
  ctx.asked_call, ctx.asked_request = nil, nil
  ctx.record = record
  ctx.calls, ctx.requests = rows.attempts(record.calls), rows.attempts(record.requests)
  quotas.derive(ctx)
end

-- ---- verdicts ----------------------------------------------------------------------------------

-- A list of what stands in the way: parallel columns of reasons and of the instants at which each
-- passes by itself (NEVER: it does not).
local function obstacles()
  return { reason = {}, free_at = {} }
end

local function stands(list, reason, free_at)
  if free_at then
    list.reason[#list.reason + 1] = reason
    list.free_at[#list.free_at + 1] = free_at
  end
end

-- The obstacle that passes last; of equals the first, which has the lower number.
local function last_to_free(list)
  local last
  for i = 1, #list.reason do
    if not last or list.free_at[last] < list.free_at[i] then
      last = i
    end
  end
  return last
end

-- When all obstacles have passed, or 0 if time alone does not bring it.
local function all_free_at(list)
  local free_at = 0
  for i = 1, #list.free_at do
    free_at = math.max(free_at, list.free_at[i])
  end
  return free_at == NEVER and 0 or free_at
end

local function verdict_of(ctx, blocked, allowed_reason)
  local is_allowed = #blocked.reason == 0
  return {
    decision = is_allowed and DECISION.ALLOW or DECISION.DENY,
    blocked_by = blocked.reason,
    reason = allowed_reason, -- A no gives another.
    free_at = 0,
    next_step = 0,
  }
end

local function kind_reason(grant)
  return grant.kind == KIND.PERMANENT and REASON.PERMANENT or REASON.TEMPORARY
end

-- May a call be placed? `only_standing` asks for consent and pause alone, as a repeated call_id does.
function judge.call(ctx, only_standing)
  local grant, limits = ctx.grant, obstacles()
  stands(limits, REASON.CALL_WINDOW, ctx.quotas[1].free_at)
  stands(limits, REASON.CALL_PERMISSION, ctx.quotas[2].free_at)
  local at_once = quotas.calls_at_once(ctx)
  stands(limits, REASON.CALL_IN_PROGRESS,
    quotas.frees_at(#at_once, ctx.profile.calls_at_once, at_once))
  local resume_at = number.calls_resume_at(ctx.number, ctx.now)

  local blocked, all = obstacles(), obstacles()
  local function both(reason, free_at)
    stands(all, reason, free_at)
    stands(blocked, reason, free_at)
  end
  both(codes.CONSENT_REASON[ctx.status], not grant and NEVER or nil)
  for i = 1, #limits.reason do
    stands(all, limits.reason[i], limits.free_at[i])
    if not only_standing then
      stands(blocked, limits.reason[i], limits.free_at[i])
    end
  end
  both(REASON.NUMBER_PAUSED, resume_at)

  local verdict = verdict_of(ctx, blocked, grant and kind_reason(grant))
  if verdict.decision == DECISION.ALLOW then
    verdict.next_step = NEXT_STEP.PLACE_CALL
    return verdict
  end
  if resume_at then
    verdict.reason = REASON.NUMBER_PAUSED
  elseif not grant then
    verdict.reason = codes.CONSENT_REASON[ctx.status]
  else
    verdict.reason = limits.reason[last_to_free(limits)]
  end
  local free_at = all_free_at(all)
  verdict.free_at = grant and free_at < grant.ends_at and free_at or 0
  verdict.next_step = judge.next_step(ctx, resume_at, verdict.free_at)
  return verdict
end

-- What would change a no.
function judge.next_step(ctx, resume_at, free_at)
  if resume_at == NEVER then
    return NEXT_STEP.FIX_BUSINESS_NUMBER
  elseif free_at > 0 then
    return NEXT_STEP.WAIT
  elseif ctx.status == STATUS.PENDING then
    return NEXT_STEP.WAIT_FOR_CUSTOMER
  end
  return NEXT_STEP.SEND_PERMISSION_REQUEST
end

-- Whether a request may be sent although this grant is in effect.
local function may_replace(grant, profile)
  return grant.kind == KIND.TEMPORARY or profile.request_ends_permission == 1
end

-- May a permission request be sent? `only_standing` as above.
function judge.request(ctx, replace, only_standing)
  local grant, blocked = ctx.grant, obstacles()
  local resume_at = number.requests_resume_at(ctx.number, ctx.now)
  stands(blocked, REASON.NUMBER_PAUSED, resume_at)
  local is_in_effect = grant and not (replace == 1 and may_replace(grant, ctx.profile))
  local limits, all = obstacles(), obstacles()
  stands(limits, REASON.REQUEST_DAY, ctx.quotas[3].free_at)
  stands(limits, REASON.REQUEST_WEEK, ctx.quotas[4].free_at)
  if not only_standing then
    for i = 1, #limits.reason do
      stands(blocked, limits.reason[i], limits.free_at[i])
    end
  end
  stands(blocked, REASON.PERMISSION_IN_EFFECT, is_in_effect and grant.ends_at or nil)

  local consent_reason = grant and kind_reason(grant) or codes.CONSENT_REASON[ctx.status]
  local verdict = verdict_of(ctx, blocked, consent_reason)
  if verdict.decision == DECISION.ALLOW then
    return verdict
  end
  if resume_at then
    verdict.reason = REASON.NUMBER_PAUSED
  elseif is_in_effect then
    verdict.reason = REASON.PERMISSION_IN_EFFECT
  else
    verdict.reason = limits.reason[last_to_free(limits)]
  end
  stands(all, REASON.NUMBER_PAUSED, resume_at)
  stands(all, REASON.PERMISSION_IN_EFFECT, is_in_effect and grant.ends_at or nil)
  for i = 1, #limits.reason do
    stands(all, limits.reason[i], limits.free_at[i])
  end
  verdict.free_at = all_free_at(all)
  return verdict
end

-- What the caller should know about an ALLOW. `ctx` is the state after the hold.
function judge.warnings(ctx)
  local profile, list = ctx.profile, {}
  local function warn(code, applies)
    if applies then
      list[#list + 1] = code
    end
  end
  local window, grant = ctx.quotas[1], ctx.grant
  warn(WARNING.NEXT_MISS_WARNS, ctx.streak == profile.unanswered_warns_at - 1)
  warn(WARNING.CUSTOMER_WARNED, ctx.streak >= profile.unanswered_warns_at)
  warn(WARNING.NEXT_MISS_REVOKES, ctx.streak >= profile.unanswered_revokes_at - 1)
  warn(WARNING.LAST_CALL, window.used + window.held >= window.limit)
  warn(WARNING.EXPIRES_SOON, grant.ends_at - profile.expiring_soon <= ctx.now)
  return list
end

-- ---- views -------------------------------------------------------------------------------------

local function conversation_ends_at(record, now)
  local ends_at = math.max(record.inbound_at, record.wrote_at) + codes.CONVERSATION
  return now < ends_at and ends_at or 0
end

local function in_order(a, b)
  if a.quota ~= b.quota then
    return a.quota < b.quota
  elseif a.at ~= b.at then
    return a.at < b.at
  elseif a.id ~= b.id then
    return a.id < b.id
  elseif a.held ~= b.held then -- Two attempts under one own id.
    return a.held < b.held
  end
  return a.frees_at < b.frees_at
end

local function add_entries(view, entries)
  view.entry_quota, view.entry_id, view.entry_at = {}, {}, {}
  view.entry_frees_at, view.entry_held = {}, {}
  table.sort(entries, in_order)
  for n, entry in ipairs(entries) do
    view.entry_quota[n], view.entry_id[n], view.entry_at[n] = entry.quota, entry.id, entry.at
    view.entry_frees_at[n], view.entry_held[n] = entry.frees_at, entry.held
  end
end

-- The state as people see it.
function judge.view(ctx, who)
  local wa_id, user_id = identity.shown(who)
  local grant = ctx.grant
  local view = {
    wa_id = wa_id, user_id = user_id,
    status = ctx.status, valid_until = ctx.valid_until,
    grant_kind = 0, grant_source = 0, granted_at = 0, expires_at = 0,
    streak = ctx.streak,
    conversation_ends_at = conversation_ends_at(ctx.record, ctx.now),
    revision = ctx.record.revision,
    quotas = ctx.quotas,
  }
  if grant then
    view.grant_kind, view.grant_source = grant.kind, grant.source
    view.granted_at = grant.at
    view.expires_at = grant.ends_at == NEVER and 0 or grant.ends_at
  end
  if ctx.entries then
    add_entries(view, ctx.entries)
  end
  return view
end

return judge
