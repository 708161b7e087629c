--[[ judge: from facts to a view, and from a view to a verdict. ]]

local DECISION, REASON, NEXT_STEP, KIND = codes.DECISION, codes.REASON, codes.NEXT_STEP, codes.KIND
local QUOTA = codes.QUOTA
local STATUS, WARNING, NEVER = codes.STATUS, codes.WARNING, codes.NEVER
local CALL_WIDTH, REQUEST_WIDTH = rows.CALL_WIDTH, rows.REQUEST_WIDTH

local NOBODY = {}

local judge = {}

-- Everything that is derived from the facts of a pair at an instant. `asked` names the call or the
-- request that is being judged, { calls = id } or { requests = id }: it does not count itself.
-- `entries` is a list that takes what fills the quotas, or nil.
function judge.derive(record, profile, number_facts, now, asked, entries)
  local ctx = {
    record = record, profile = profile, number = number_facts, now = now,
    asked = asked or NOBODY, entries = entries,
    calls = rows.attempts(record.calls, CALL_WIDTH),
    requests = rows.attempts(record.requests, REQUEST_WIDTH),
    reject_at = nil, streak = nil, revocations = nil, candidates = nil, grant = nil,
    status = nil, valid_until = nil, quotas = nil,
  }
  ctx.reject_at = facts.reject_at(record, ctx.requests)
  ctx.streak, ctx.revocations = streak.walk(
    record, ctx.calls, profile, ctx.reject_at, NEVER)
  consent.derive(ctx)
  quotas.derive(ctx)
  return ctx
end

-- Brings a state up to date after a hold of a call or a request, which changes its quotas and nothing
-- else. From here on what was asked about counts as well.
function judge.recount(ctx, record, width)
  ctx.record, ctx.asked = record, NOBODY
  if width == CALL_WIDTH then
    ctx.calls = rows.attempts(record.calls, CALL_WIDTH)
    quotas.derive_calls(ctx)
  else
    ctx.requests = rows.attempts(record.requests, REQUEST_WIDTH)
    quotas.derive_requests(ctx)
  end
end

-- ---- verdicts ----------------------------------------------------------------------------------

-- What stands in the way: parallel columns of reasons and of the instants at which each passes by itself
-- (NEVER: it does not). nil while nothing does.
local function with(obstacles, reason, free_at)
  if not free_at then
    return obstacles
  end
  local all = obstacles or { reason = {}, free_at = {} }
  all.reason[#all.reason + 1], all.free_at[#all.free_at + 1] = reason, free_at
  return all
end

local function with_all(obstacles, others)
  for i = 1, others and #others.reason or 0 do
    obstacles = with(obstacles, others.reason[i], others.free_at[i])
  end
  return obstacles
end

-- The reason that passes last; of equals the first, which has the lower number.
local function last_to_free(obstacles)
  local last = 1
  for i = 2, #obstacles.reason do
    if obstacles.free_at[last] < obstacles.free_at[i] then
      last = i
    end
  end
  return obstacles.reason[last]
end

-- When all obstacles have passed, or 0 if time alone does not bring it.
local function all_free_at(obstacles)
  local free_at = math.max(unpack(obstacles.free_at))
  return free_at == NEVER and 0 or free_at
end

local function allows(reason, next_step)
  return {
    decision = DECISION.ALLOW, reason = reason, blocked_by = nil, free_at = 0, next_step = next_step,
  }
end

local function denies(reason, blocked)
  return {
    decision = DECISION.DENY, reason = reason, blocked_by = blocked.reason,
    free_at = 0, next_step = 0,
  }
end

local function kind_reason(grant)
  return grant.kind == KIND.PERMANENT and REASON.PERMANENT or REASON.TEMPORARY
end

-- May a call be placed? `only_standing` asks for consent and pause alone, as a repeated call_id does.
function judge.call(ctx, only_standing)
  local grant, no_grant = ctx.grant, not ctx.grant and NEVER or nil
  local limits = with(nil, REASON.CALL_WINDOW, ctx.quotas[QUOTA.WINDOW].free_at)
  limits = with(limits, REASON.CALL_PERMISSION, ctx.quotas[QUOTA.PERMISSION].free_at)
  limits = with(limits, REASON.CALL_IN_PROGRESS, quotas.at_once_free_at(ctx))
  local resume_at = number.calls_resume_at(ctx.number, ctx.now)

  local consent_reason = codes.CONSENT_REASON[ctx.status]
  local function all_with(some_limits)
    local all = with_all(with(nil, consent_reason, no_grant), some_limits)
    return with(all, REASON.NUMBER_PAUSED, resume_at)
  end
  local blocked = all_with(not only_standing and limits or nil)
  if not blocked then
    return allows(kind_reason(grant), NEXT_STEP.PLACE_CALL)
  end
  local verdict = denies(consent_reason, blocked)
  if resume_at then
    verdict.reason = REASON.NUMBER_PAUSED
  elseif grant then
    verdict.reason = last_to_free(limits)
  end
  local free_at = all_free_at(all_with(limits))
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
  local grant = ctx.grant
  local resume_at = number.requests_resume_at(ctx.number, ctx.now)
  local is_in_effect = grant and not (replace == 1 and may_replace(grant, ctx.profile))
  local ends_at = is_in_effect and grant.ends_at or nil
  local limits = with(nil, REASON.REQUEST_DAY, ctx.quotas[QUOTA.DAY].free_at)
  limits = with(limits, REASON.REQUEST_WEEK, ctx.quotas[QUOTA.WEEK].free_at)

  local function all_with(some_limits)
    local all = with_all(with(nil, REASON.NUMBER_PAUSED, resume_at), some_limits)
    return with(all, REASON.PERMISSION_IN_EFFECT, ends_at)
  end
  local blocked = all_with(not only_standing and limits or nil)
  if not blocked then
    return allows(grant and kind_reason(grant) or codes.CONSENT_REASON[ctx.status], 0)
  end
  local verdict = denies(REASON.NUMBER_PAUSED, blocked)
  if not resume_at then
    verdict.reason = is_in_effect and REASON.PERMISSION_IN_EFFECT or last_to_free(limits)
  end
  verdict.free_at = all_free_at(all_with(limits))
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
  local window, grant = ctx.quotas[QUOTA.WINDOW], ctx.grant
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
    return codes.is_before(a.id, b.id)
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
