--[[ facts: a record, and how each fact is joined to it.

  Every join is commutative, associative and idempotent: registers keep the later time, rows join by
  id. No profile value is ever mixed into a fact. A join returns whether it changed anything.

  A record is what was told under one id of a customer (see identity). 0 and "" are unset:
    revision                     grows with every recorded change
    shown, shown_at              newest spelling of the wa_id that Meta used
    accept_at, accept_permanent, accept_expires_at, accept_request
    reject_at
    rejects                      the newest REJECTs that name a request: REJECT_ID and REJECT_AT, in
                                 rows as in `rows`
    callback_at, callback_expires_at
    accept_superseded_at         under a user id: the newest temporary ACCEPT of the customer's own that was
                                 told of a wa_id as well, and is kept there
    callback_superseded_at       the same of automatic ones
    taken_at, taken_why
    inbound_at, talked_at, wrote_at
    base_streak, base_at         the streak where the folded calls end, and that time
    links                        ids seen together with this one: LINK_ID, and from when to when,
                                 LINK_FIRST and LINK_LAST; in rows
    calls, requests              see rows
    told_*, due_at               bookkeeping of the stream, see changes
    lapsed_to                    up to when calls that lapsed were counted, see rulebook ]]

local CALL, REQUEST, TAKEN = codes.CALL, codes.REQUEST, codes.TAKEN
local CALL_WIDTH, REQUEST_WIDTH = rows.CALL_WIDTH, rows.REQUEST_WIDTH
local OWN, PROVIDER, OUTCOME, AT, FIRST = rows.OWN, rows.PROVIDER, rows.OUTCOME, rows.AT, rows.FIRST
local HELD_UNTIL, ENDED_AT, DELIVERED_AT = rows.HELD_UNTIL, rows.ENDED_AT, rows.DELIVERED_AT

local REJECT_ID, REJECT_AT, REJECT_WIDTH = 1, 2, 2
local LINK_ID, LINK_FIRST, LINK_LAST, LINK_WIDTH = 1, 2, 3, 3

local facts = {
  LINK_ID = LINK_ID, LINK_FIRST = LINK_FIRST, LINK_LAST = LINK_LAST, LINK_WIDTH = LINK_WIDTH,
}

local REGISTERS = {
  "accept_at", "reject_at", "callback_at", "taken_at", "inbound_at", "talked_at", "wrote_at",
  "accept_superseded_at", "callback_superseded_at",
}

-- Those that give consent.
facts.CONSENT = { "accept_at", "callback_at", "inbound_at" }

-- What each register says beside its time.
local SAYS = {
  accept_at = { "accept_permanent", "accept_expires_at", "accept_request" },
  callback_at = { "callback_expires_at" },
  taken_at = { "taken_why" },
}

-- A record of these values: how it comes from a store. `facts.values` is the reverse.
function facts.record(rejects, links, calls, requests,
  reject_at, taken_at, taken_why, base_streak, base_at,
  callback_at, callback_expires_at, accept_superseded_at, callback_superseded_at,
  inbound_at, talked_at, wrote_at, shown, shown_at, accept_expires_at, lapsed_to,
  revision, accept_at, accept_permanent, accept_request,
  told_status, told_kind, told_source, told_granted_at, told_valid_until,
  told_soon, told_warned, told_full, due_at)
  return {
    rejects = rejects, links = links, calls = calls, requests = requests,
    reject_at = reject_at, taken_at = taken_at, taken_why = taken_why,
    base_streak = base_streak, base_at = base_at,
    callback_at = callback_at, callback_expires_at = callback_expires_at,
    accept_superseded_at = accept_superseded_at, callback_superseded_at = callback_superseded_at,
    inbound_at = inbound_at, talked_at = talked_at, wrote_at = wrote_at,
    revision = revision, shown = shown, shown_at = shown_at,
    accept_at = accept_at, accept_permanent = accept_permanent,
    accept_expires_at = accept_expires_at, accept_request = accept_request,
    told_status = told_status, told_kind = told_kind, told_source = told_source,
    told_granted_at = told_granted_at, told_valid_until = told_valid_until,
    told_soon = told_soon, told_warned = told_warned, told_full = told_full,
    due_at = due_at, lapsed_to = lapsed_to,
  }
end

-- Without the lists.
function facts.values(r)
  return r.reject_at, r.taken_at, r.taken_why, r.base_streak, r.base_at,
    r.callback_at, r.callback_expires_at, r.accept_superseded_at, r.callback_superseded_at,
    r.inbound_at, r.talked_at, r.wrote_at, r.shown, r.shown_at, r.accept_expires_at, r.lapsed_to,
    r.revision, r.accept_at, r.accept_permanent, r.accept_request,
    r.told_status, r.told_kind, r.told_source, r.told_granted_at, r.told_valid_until,
    r.told_soon, r.told_warned, r.told_full, r.due_at
end

function facts.empty()
  return facts.record({}, {}, {}, {}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "", 0, 0, 0, 0, 0, 0, "",
    codes.STATUS.NONE, 0, 0, 0, 0, 0, 0, 0, 0)
end

-- ---- registers ---------------------------------------------------------------------------------

local function expiry_rank(expires_at)
  return expires_at == 0 and codes.NEVER or expires_at
end

-- Whether `b` comes before `a` where both have the same time.
local function accept_wins_tie(a_permanent, a_expires, a_request, b_permanent, b_expires, b_request)
  if a_permanent ~= b_permanent then
    return b_permanent < a_permanent
  end
  if a_expires ~= b_expires then
    return expiry_rank(b_expires) < expiry_rank(a_expires)
  end
  return codes.is_before(b_request, a_request)
end

function facts.join_accept(record, at, permanent, expires_at, request)
  if at < record.accept_at then
    return false
  end
  if at == record.accept_at and not accept_wins_tie(record.accept_permanent,
    record.accept_expires_at, record.accept_request, permanent, expires_at, request) then
    return false
  end
  record.accept_at, record.accept_permanent = at, permanent
  record.accept_expires_at, record.accept_request = expires_at, request
  return true
end

-- Drops the oldest REJECT that names a request; at one time the smaller id. Returns which.
local function drop_oldest(rejects)
  local oldest = 0
  for i = REJECT_WIDTH, #rejects - 1, REJECT_WIDTH do
    local at, oldest_at = rejects[i + REJECT_AT], rejects[oldest + REJECT_AT]
    if at < oldest_at
      or (at == oldest_at
        and codes.is_before(rejects[i + REJECT_ID], rejects[oldest + REJECT_ID])) then
      oldest = i
    end
  end
  local id = rejects[oldest + REJECT_ID]
  rows.remove(rejects, REJECT_WIDTH, oldest)
  return id
end

local function join_named(rejects, at, request)
  for i = 0, #rejects - 1, REJECT_WIDTH do
    if rejects[i + REJECT_ID] == request then
      local is_news = rejects[i + REJECT_AT] < at
      rejects[i + REJECT_AT] = is_news and at or rejects[i + REJECT_AT]
      return is_news
    end
  end
  local i = #rejects
  rejects[i + REJECT_ID], rejects[i + REJECT_AT] = request, at
  return i < codes.REJECTS_MAX * REJECT_WIDTH or drop_oldest(rejects) ~= request
end

-- A REJECT that names a request is kept beside a newer one: the request may turn out to be newer
-- still, and the no with it (see facts.reject_at).
function facts.join_reject(record, at, request)
  local changed = facts.join_latest(record, "reject_at", at)
  if request ~= "" then
    changed = join_named(record.rejects, at, request) or changed
  end
  return changed
end

function facts.join_callback(record, at, expires_at)
  if at < record.callback_at or (at == record.callback_at
    and expiry_rank(record.callback_expires_at) <= expiry_rank(expires_at)) then
    return false
  end
  record.callback_at, record.callback_expires_at = at, expires_at
  return true
end

function facts.join_taken(record, at, why)
  if at < record.taken_at or (at == record.taken_at and record.taken_why <= why) then
    return false
  end
  record.taken_at, record.taken_why = at, why
  return true
end

-- Those that say nothing beside their time.
function facts.join_latest(record, register, at)
  if at <= record[register] then
    return false
  end
  record[register] = at
  return true
end

-- Not a fact: how the number is spelled on a screen.
function facts.join_shown(record, at, spelled)
  if spelled == "" or at < record.shown_at
    or (at == record.shown_at and not codes.is_before(record.shown, spelled)) then
    return false
  end
  record.shown, record.shown_at = spelled, at
  return true
end

-- The base of a streak, of what was told under one id: the later one; at one time the longer one.
-- (Of several ids: see identity.facts.)
function facts.join_base(record, streak, at)
  if record.base_at < at or (record.base_at == at and record.base_streak < streak) then
    record.base_streak, record.base_at = streak, at
  end
end

-- ---- what an event says ------------------------------------------------------------------------

local function later(a, b)
  return a < b and b or a
end

local function or_else(at, default)
  return at == 0 and default or at
end

-- The time that a report of a call gives to its outcome.
function facts.call_time(report, at)
  if report.outcome == CALL.ANSWERED then
    return or_else(report.answered_at, at)
  elseif report.outcome == CALL.PLACED then
    return or_else(report.placed_at, at)
  end
  return at
end

local function call_row(report, at)
  local is_alive = report.outcome == CALL.PLACED or report.outcome == CALL.RINGING
  return {
    report.own_id, report.provider_id, report.outcome, facts.call_time(report, at), 0, at,
    report.ended_at, is_alive and at or 0, report.error,
  }
end

local function request_row(report, at)
  local is_delivered = report.outcome == REQUEST.DELIVERED
  return {
    report.own_id, report.provider_id, is_delivered and REQUEST.SENT or report.outcome, at, 0, at,
    is_delivered and at or 0,
  }
end

-- A row that authorize holds.
function facts.held_row(width, own, now, held_until)
  if width == CALL_WIDTH then
    return { own, "", CALL.HELD, now, held_until, now, 0, 0, 0 }
  end
  return { own, "", REQUEST.HELD, now, held_until, now, 0 }
end

local join = {}

function join.call(record, command, at)
  local changed = rows.add(record.calls, CALL_WIDTH, call_row(command, at))
  -- The provider refused the call for want of a permission: there was none when it was placed.
  if command.error == codes.ERROR_NO_PERMISSION then
    local placed_at = or_else(command.placed_at, at)
    changed = facts.join_taken(record, placed_at, TAKEN.ERROR_138006) or changed
  end
  return changed
end

function join.request(record, command, at)
  return rows.add(record.requests, REQUEST_WIDTH, request_row(command, at))
end

function join.reply(record, command, at)
  if command.accept == 1 then
    if command.automatic == 1 then
      return facts.join_callback(record, at, command.expires_at)
    end
    -- Permanent and with an expiry: the narrower reading.
    local permanent = command.expires_at == 0 and command.permanent or 0
    return facts.join_accept(record, at, permanent, command.expires_at, command.request_id)
  elseif command.automatic == 1 then
    return facts.join_taken(record, at, TAKEN.AUTOMATIC_REJECT)
  end
  return facts.join_reject(record, at, command.request_id)
end

function join.inbound_call(record, command, at)
  local changed = facts.join_latest(record, "inbound_at", at)
  if command.answered == 1 then
    changed = facts.join_latest(record, "talked_at", at) or changed
  end
  return changed
end

function join.inbound_message(record, _, at)
  return facts.join_latest(record, "wrote_at", at)
end

-- Two ids were seen together; the links say it.
function join.identity()
  return false
end

-- Joins what an event says.
function facts.join(record, command, at)
  return join[command.fact](record, command, at)
end

-- A no that was told under both ids of a customer is remembered under each: it must outlive the
-- bond between them.
function facts.join_ending(record, command, at)
  if command.fact == "reply" and command.accept == 0 then
    return join.reply(record, command, at)
  elseif command.fact == "call" and command.error == codes.ERROR_NO_PERMISSION then
    return facts.join_taken(record, or_else(command.placed_at, at), TAKEN.ERROR_138006)
  end
  return false
end

-- An ACCEPT that was told under both ids is kept under the wa_id; under the user id is remembered that it took
-- the place of older ones, which may give more, and that must outlive the bond as well.
function facts.join_superseded(record, command, at)
  if command.fact ~= "reply" or command.accept == 0 then
    return false
  elseif command.automatic == 1 then
    return facts.join_latest(record, "callback_superseded_at", at)
  elseif command.permanent == 0 or command.expires_at > 0 then
    return facts.join_latest(record, "accept_superseded_at", at)
  end
  return false
end

-- ---- records as wholes -------------------------------------------------------------------------

-- Joins all facts of `b` to `a`; `b` is left as it is. Links and the base of the streak apart.
function facts.join_record(a, b)
  facts.join_accept(a, b.accept_at, b.accept_permanent, b.accept_expires_at, b.accept_request)
  facts.join_latest(a, "reject_at", b.reject_at)
  for i = 0, #b.rejects - 1, REJECT_WIDTH do
    join_named(a.rejects, b.rejects[i + REJECT_AT], b.rejects[i + REJECT_ID])
  end
  facts.join_callback(a, b.callback_at, b.callback_expires_at)
  facts.join_taken(a, b.taken_at, b.taken_why)
  facts.join_latest(a, "inbound_at", b.inbound_at)
  facts.join_latest(a, "talked_at", b.talked_at)
  facts.join_latest(a, "wrote_at", b.wrote_at)
  facts.join_latest(a, "accept_superseded_at", b.accept_superseded_at)
  facts.join_latest(a, "callback_superseded_at", b.callback_superseded_at)
  facts.join_shown(a, b.shown_at, b.shown)
  a.calls = rows.union(a.calls, b.calls, CALL_WIDTH)
  a.requests = rows.union(a.requests, b.requests, REQUEST_WIDTH)
  a.revision = math.max(a.revision, b.revision)
  a.lapsed_to = math.max(a.lapsed_to, b.lapsed_to)
end

local function is_same_list(a, b)
  for n = 1, math.max(#a, #b) do
    if a[n] ~= b[n] then
      return false
    end
  end
  return true
end

-- Whether two records say the same.
function facts.is_same(a, b)
  return is_same_list({ facts.values(a) }, { facts.values(b) })
    and is_same_list(a.rejects, b.rejects) and is_same_list(a.links, b.links)
    and is_same_list(a.calls, b.calls) and is_same_list(a.requests, b.requests)
end

-- A copy to be changed.
function facts.copy(record)
  local copied = facts.filter(record, function() return true end)
  copied.links = { unpack(record.links) }
  return copied
end

local UNSET = facts.empty()

-- Unsets a register, and what it says.
function facts.unset(record, register)
  record[register] = UNSET[register]
  for _, name in ipairs(SAYS[register] or {}) do
    record[name] = UNSET[name]
  end
end

-- Whether the ACCEPT of `b` comes before that of `a`; `register` says which.
function facts.is_outranked(a, b, register)
  local copied = facts.copy(a)
  if register == "accept_at" then
    return facts.join_accept(copied, b.accept_at, b.accept_permanent, b.accept_expires_at,
      b.accept_request)
  end
  return facts.join_callback(copied, b.callback_at, b.callback_expires_at)
end

-- When each consent ends, where that was told.
local EXPIRY = { accept_at = "accept_expires_at", callback_at = "callback_expires_at" }

-- Takes from a consent what it gives. A reply goes on to answer its request, and to stand in the place of
-- older ones, which its customer has perhaps replaced by it.
function facts.shut(record, register)
  local at, request = record[register], record.accept_request
  facts.unset(record, register)
  if EXPIRY[register] then
    record[register], record[EXPIRY[register]] = at, at
    record.accept_request = request
  end
end

-- The facts of a record for which `counts(at)`, as a new record.
function facts.filter(record, counts)
  local kept = facts.record(record.rejects, record.links, record.calls, record.requests,
    facts.values(record))
  for _, register in ipairs(REGISTERS) do
    if not counts(record[register]) then
      facts.unset(kept, register)
    end
  end
  kept.rejects = {}
  for i = 0, #record.rejects - 1, REJECT_WIDTH do
    if counts(record.rejects[i + REJECT_AT]) then
      facts.join_reject(kept, record.rejects[i + REJECT_AT], record.rejects[i + REJECT_ID])
    end
  end
  if not counts(record.base_at) then
    kept.base_streak, kept.base_at = 0, 0
  end
  local function row_counts(set, i)
    return counts(set[i + AT])
  end
  kept.calls = rows.filter(record.calls, CALL_WIDTH, row_counts)
  kept.requests = rows.filter(record.requests, REQUEST_WIDTH, row_counts)
  return kept
end

-- Adds what authorize held at `t` and of which more was told later: its slot was held then, whatever
-- became of it.
local function add_held(kept, set, width, t)
  for i = 0, #set - 1, width do
    if set[i + FIRST] <= t and t < set[i + AT] and set[i + HELD_UNTIL] > 0 then
      rows.add(kept, width, facts.held_row(width, set[i + OWN], set[i + FIRST], set[i + HELD_UNTIL]))
    end
  end
end

-- The facts of a record that had happened by `t`, as a new record: a call that ended later had not ended,
-- a request that was delivered later was not.
function facts.as_of(record, t)
  local kept = facts.filter(record, function(at) return at <= t end)
  local calls, requests = kept.calls, kept.requests
  for i = 0, #calls - 1, CALL_WIDTH do
    if t < calls[i + ENDED_AT] then
      calls[i + ENDED_AT] = 0
    end
  end
  for i = 0, #requests - 1, REQUEST_WIDTH do
    if t < requests[i + DELIVERED_AT] then
      requests[i + DELIVERED_AT] = 0
    end
  end
  add_held(calls, record.calls, CALL_WIDTH, t)
  add_held(requests, record.requests, REQUEST_WIDTH, t)
  return kept
end

-- Whether a reply's request id names this request.
function facts.is_named(requests, i, id)
  return id ~= "" and (requests[i + OWN] == id or requests[i + PROVIDER] == id)
end

-- Whether a REJECT names this request.
function facts.is_rejected(record, requests, i)
  local rejects = record.rejects
  for j = 0, #rejects - 1, REJECT_WIDTH do
    if facts.is_named(requests, i, rejects[j + REJECT_ID]) then
      return true
    end
  end
  return false
end

-- When the customer's last no counts from. A reply that names a request is never before it. (An
-- ACCEPT is not lifted in this way: it is never ended by the request that it answers, but a no that
-- Meta stamped later than the yes still ends it, however the sender's clock stamped the request.)
function facts.reject_at(record, requests)
  local at = record.reject_at
  for i = 0, #requests - 1, REQUEST_WIDTH do
    if requests[i + OUTCOME] >= REQUEST.SENT and facts.is_rejected(record, requests, i) then
      at = later(at, requests[i + AT])
    end
  end
  return at
end

-- The newest time in a record, that of what was folded among them.
function facts.newest(record)
  local newest = math.max(record.accept_at, record.reject_at, record.callback_at, record.taken_at,
    record.inbound_at, record.talked_at, record.wrote_at,
    record.accept_superseded_at, record.callback_superseded_at, record.base_at)
  local calls, requests, links = record.calls, record.requests, record.links
  for i = 0, #calls - 1, CALL_WIDTH do
    newest = math.max(newest, calls[i + AT], calls[i + FIRST])
  end
  for i = 0, #requests - 1, REQUEST_WIDTH do
    newest = math.max(newest, requests[i + AT], requests[i + FIRST])
  end
  for i = 0, #links - 1, LINK_WIDTH do
    newest = math.max(newest, links[i + LINK_LAST])
  end
  return newest
end

return facts
