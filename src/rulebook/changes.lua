--[[ changes: what the stream tells of a customer, and when time alone will have more to tell.

  A change is the difference between what was told last and the state now. So each record keeps what
  was told of its customer and when it is due again; no view reads either:
    told_status
    told_kind, told_source, told_granted_at, told_valid_until     of the grant, or of the request
    told_soon, told_warned, told_full                             1: that was told, and is so
    due_at                         when time alone changes the state next; 0: never
  All records of one customer say the same, so that it does not matter under which id somebody looks.

  `by` says what made the difference: { at, now, event_id, fact, cause }, `fact` being the kind of the
  event's fact, nil where time did it; `cause` overrides what follows from both. ]]

local CAUSE, STATUS, NEVER = codes.CAUSE, codes.STATUS, codes.NEVER

-- A bound on the deadlines that are settled in one step: it takes a handful to end a grant, and to let
-- a request lapse after that.
local WALK_MAX = 100

local changes = {}

local CONSENT = { "told_status", "told_kind", "told_source", "told_granted_at", "told_valid_until" }
local NOTES = { "told_soon", "told_warned", "told_full" }

local function flag(is_so)
  return is_so and 1 or 0
end

-- The state as the stream tells it.
local function state_of(ctx)
  local grant = ctx.grant
  local is_full = ctx.quotas[1].free_at or ctx.quotas[2].free_at
  return {
    told_status = ctx.status,
    told_kind = grant and grant.kind or 0,
    told_source = grant and grant.source or 0,
    told_granted_at = grant and grant.at or 0,
    told_valid_until = ctx.valid_until,
    told_soon = flag(grant and grant.ends_at - ctx.profile.expiring_soon <= ctx.now),
    told_warned = flag(ctx.streak >= ctx.profile.unanswered_warns_at),
    told_full = flag(grant and is_full),
  }
end

-- When time alone changes the state next, or 0. May be too early, never too late.
local function deadline(ctx, state)
  local due = NEVER
  if ctx.grant then
    local ends_at = ctx.grant.ends_at
    due = state.told_soon == 1 and ends_at or ends_at - ctx.profile.expiring_soon
    if state.told_full == 1 then
      due = math.min(due, quotas.calls_free_at(ctx))
    end
  elseif ctx.status == STATUS.PENDING then
    due = ctx.valid_until
  else
    due = consent.runs_out_at(ctx)
  end
  return due == NEVER and 0 or due
end

local function differs(told, state, fields)
  for _, field in ipairs(fields) do
    if told[field] ~= state[field] then
      return true
    end
  end
  return false
end

-- By STATUS: the cause that the state itself names.
local BY_STATUS = {
  [STATUS.NONE] = CAUSE.CORRECTED, [STATUS.REJECTED] = CAUSE.REJECTED,
  [STATUS.REVOKED] = CAUSE.REVOKED, [STATUS.AUTO_REVOKED] = CAUSE.AUTO_REVOKED,
  [STATUS.EXPIRED] = CAUSE.EXPIRED, [STATUS.LAPSED] = CAUSE.REQUEST_LAPSED,
}

-- Time ends a grant, and the wait for a reply, when that was told to end. What else is not as it was
-- told, a rule has changed.
local function cause_by_time(told, state, at)
  local was, status = told.told_status, state.told_status
  local is_over = 0 < told.told_valid_until and told.told_valid_until <= at
  if is_over and status ~= was then
    return was == STATUS.PENDING and CAUSE.REQUEST_LAPSED or CAUSE.EXPIRED
  elseif status == STATUS.EXPIRED and was ~= STATUS.GRANTED then
    return CAUSE.EXPIRED
  end
  return CAUSE.RULES
end

-- By kind of fact: the cause where it gives the grant in effect.
local GIVES = {
  accept = CAUSE.ACCEPTED, callback = CAUSE.INBOUND_CALL, inbound_call = CAUSE.INBOUND_CALL,
}
-- And where it ends one, if the state does not name it.
local ENDS = {
  reject = CAUSE.REVOKED, taken = CAUSE.AUTO_REVOKED, call = CAUSE.AUTO_REVOKED,
  request = CAUSE.SUPERSEDED,
}

-- What changed the consent.
local function consent_cause(told, state, by)
  local was, status = told.told_status, state.told_status
  if by.cause then
    return by.cause
  elseif not by.fact then
    return cause_by_time(told, state, by.at)
  elseif status == STATUS.GRANTED then
    return GIVES[by.fact] or CAUSE.CORRECTED
  elseif was == STATUS.GRANTED and ENDS[by.fact] then
    local is_no = by.fact == "reject" and status == STATUS.REJECTED
    return is_no and CAUSE.REJECTED or ENDS[by.fact]
  elseif status == STATUS.PENDING then
    return by.fact == "request" and CAUSE.REQUEST_SENT or CAUSE.CORRECTED
  elseif by.fact == "request" and status ~= STATUS.LAPSED then
    return CAUSE.CORRECTED
  elseif by.fact == "call" and status ~= STATUS.AUTO_REVOKED then
    return CAUSE.CORRECTED
  end
  return BY_STATUS[status]
end

-- The kind of an event's fact.
function changes.kind_of(command)
  if command.fact ~= "reply" then
    return command.fact
  elseif command.accept == 1 then
    return command.automatic == 1 and "callback" or "accept"
  end
  return command.automatic == 1 and "taken" or "reject"
end

-- What is to be told where `told` was told last, as { consent, warned, limit, soon }: causes.
local function add_news(news, told, state, by)
  if not news.consent and differs(told, state, CONSENT) then
    news.consent, news.previous = consent_cause(told, state, by), told.told_status
  end
  if told.told_warned < state.told_warned then
    news.warned = CAUSE.CUSTOMER_WARNED
  end
  if state.told_status == STATUS.GRANTED and told.told_full ~= state.told_full then
    news.limit = state.told_full == 1 and CAUSE.LIMIT_REACHED or CAUSE.LIMIT_FREED
  end
  if state.told_soon == 1
    and (told.told_soon == 0 or told.told_valid_until ~= state.told_valid_until) then
    news.soon = CAUSE.EXPIRING_SOON
  end
end

local ORDER = { "consent", "warned", "limit", "soon" }

local function change_of(who, ctx, by, cause, previous)
  local change = judge.view(ctx, who)
  change.wa, change.user = identity.keys(who)
  change.cause, change.previous_status = cause, previous
  change.occurred_at, change.recorded_at = by.at, by.now
  change.event_id = by.event_id or ""
  change.profile, change.judged_at = ctx.profile.name, ctx.now
  change.warns_at = ctx.profile.unanswered_warns_at
  change.revokes_at = ctx.profile.unanswered_revokes_at
  change.call_window = ctx.profile.call_window
  change.quota_limit, change.quota_used = {}, {}
  change.quota_held, change.quota_free_at = {}, {}
  for kind, quota in ipairs(change.quotas) do
    change.quota_limit[kind], change.quota_used[kind] = quota.limit, quota.used
    change.quota_held[kind], change.quota_free_at[kind] = quota.held, quotas.shown_free_at(quota)
  end
  return change
end

local function keep(record, state, due)
  local is_changed = differs(record, state, CONSENT) or differs(record, state, NOTES)
  if is_changed then
    for name, value in pairs(state) do
      record[name] = value
    end
  end
  if record.due_at ~= due then
    record.due_at, record.is_due_changed = due, true
  end
  record.is_changed = record.is_changed or is_changed or record.is_due_changed
end

-- Whether the consent is not as it was told.
function changes.is_consent_news(who, ctx)
  local state = state_of(ctx)
  for _, record in ipairs(identity.own(who)) do
    if differs(record, state, CONSENT) then
      return true
    end
  end
  return false
end

-- Adds to who.news what was not told yet of a customer's state, and notes it in their records.
function changes.tell(who, ctx, by)
  local state = state_of(ctx)
  local due = deadline(ctx, state)
  local own, news = identity.own(who), {}
  for _, record in ipairs(own) do
    add_news(news, record, state, by)
    keep(record, state, due)
  end
  for _, kind in ipairs(ORDER) do
    if news[kind] then
      local previous = kind == "consent" and news.previous or ctx.status
      who.news[#who.news + 1] = change_of(who, ctx, by, news[kind], previous)
    end
  end
end

-- Whether time alone may have changed what was told of a record's customer.
function changes.is_due(record, now)
  return 0 < record.due_at and record.due_at <= now
end

local function next_due(records, now)
  local due = 0
  for _, record in ipairs(records) do
    if changes.is_due(record, now) and (due == 0 or record.due_at < due) then
      due = record.due_at
    end
  end
  return due
end

-- Tells what time alone has changed up to now, each at its own time.
function changes.catch_up(who, profile, now)
  local own = identity.own(who)
  for _ = 1, WALK_MAX do
    local due = next_due(own, now)
    if due == 0 then
      return
    end
    local ctx = judge.derive(identity.facts(who), profile, who.number_facts, due)
    changes.tell(who, ctx, { at = due, now = now })
  end
end

-- Tells that a customer was forgotten. `who` is as before.
function changes.forgotten(who, profile, now)
  local before = judge.derive(identity.facts(who), profile, who.number_facts, now)
  local previous = identity.own(who)[1].told_status
  local ctx = judge.derive(facts.empty(), profile, who.number_facts, now)
  ctx.record.revision = before.record.revision
  return change_of(who, ctx, { at = now, now = now }, CAUSE.FORGOTTEN, previous)
end

return changes
