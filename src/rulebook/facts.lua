--[[ facts: a record, and how each fact is joined to it.

  Every join is commutative, associative and idempotent: registers keep the later time, rows join by
  id. No profile value is ever mixed into a fact. A join returns whether it changed anything.

  A record is what was told under one id of a customer (see identity). 0 and "" are unset:
    revision                     grows with every recorded change
    shown, shown_at              newest spelling of the wa_id that Meta used
    accept_at, accept_permanent, accept_expires_at, accept_request
    reject_at
    rejects {id, at}             the newest REJECTs that name a request, by it, and when each was given
    callback_at, callback_expires_at
    taken_at, taken_why
    inbound_at, talked_at, wrote_at
    base_streak, base_at         the streak where the folded calls end, and that time
    links {id, first, last}      ids seen together with this one, and from when to when
    calls, requests              see rows
    told_*, due_at               bookkeeping of the stream, see changes ]]

local CALL, REQUEST, TAKEN = codes.CALL, codes.REQUEST, codes.TAKEN

local facts = {}

local REGISTERS = {
  "accept_at", "reject_at", "callback_at", "taken_at", "inbound_at", "talked_at", "wrote_at",
}

-- Those that give consent.
facts.CONSENT = { "accept_at", "callback_at", "inbound_at" }

-- What each register says beside its time.
local SAYS = {
  accept_at = { "accept_permanent", "accept_expires_at", "accept_request" },
  callback_at = { "callback_expires_at" },
  taken_at = { "taken_why" },
}

function facts.empty()
  return {
    revision = 0,
    shown = "", shown_at = 0,
    accept_at = 0, accept_permanent = 0, accept_expires_at = 0, accept_request = "",
    reject_at = 0,
    rejects = { id = {}, at = {} },
    callback_at = 0, callback_expires_at = 0,
    taken_at = 0, taken_why = 0,
    inbound_at = 0, talked_at = 0, wrote_at = 0,
    base_streak = 0, base_at = 0,
    links = { id = {}, first = {}, last = {} },
    calls = rows.empty("calls"),
    requests = rows.empty("requests"),
    told_status = codes.STATUS.NONE, told_kind = 0, told_source = 0, told_granted_at = 0,
    told_valid_until = 0, told_soon = 0, told_warned = 0, told_full = 0,
    due_at = 0,
  }
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
  return b_request < a_request
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
  local oldest = 1
  for i = 2, #rejects.id do
    if rejects.at[i] < rejects.at[oldest]
      or (rejects.at[i] == rejects.at[oldest] and rejects.id[i] < rejects.id[oldest]) then
      oldest = i
    end
  end
  table.remove(rejects.at, oldest)
  return table.remove(rejects.id, oldest)
end

local function join_named(rejects, at, request)
  for i, known in ipairs(rejects.id) do
    if known == request and rejects.at[i] < at then
      rejects.at[i] = at
      return true
    elseif known == request then
      return false
    end
  end
  local n = #rejects.id + 1
  rejects.id[n], rejects.at[n] = request, at
  return n <= codes.REJECTS_MAX or drop_oldest(rejects) ~= request
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

-- reject_at, inbound_at, talked_at, wrote_at.
function facts.join_latest(record, register, at)
  if at <= record[register] then
    return false
  end
  record[register] = at
  return true
end

-- Not a fact: how the number is spelled on a screen.
function facts.join_shown(record, at, spelled)
  if spelled == "" or at < record.shown_at or (at == record.shown_at and spelled <= record.shown) then
    return false
  end
  record.shown, record.shown_at = spelled, at
  return true
end

-- The base of a streak: the later one; at one time the longer one.
local function join_base(record, streak, at)
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
    own = report.own_id, provider = report.provider_id,
    outcome = report.outcome, at = facts.call_time(report, at),
    held_until = 0, first = at,
    ended_at = report.ended_at, sign_at = is_alive and at or 0, error = report.error,
  }
end

local function request_row(report, at)
  local is_delivered = report.outcome == REQUEST.DELIVERED
  return {
    own = report.own_id, provider = report.provider_id,
    outcome = is_delivered and REQUEST.SENT or report.outcome, at = at,
    held_until = 0, first = at,
    delivered_at = is_delivered and at or 0,
  }
end

-- A row that authorize holds.
function facts.held_row(kind, own, now, held_until)
  local row = {
    own = own, provider = "", outcome = 1, at = now, held_until = held_until, first = now,
  }
  if kind == "calls" then
    row.ended_at, row.sign_at, row.error = 0, 0, 0
  else
    row.delivered_at = 0
  end
  return row
end

local join = {}

function join.call(record, command, at)
  local changed = rows.add(record.calls, call_row(command, at))
  -- The provider refused the call for want of a permission: there was none when it was placed.
  if command.error == codes.ERROR_NO_PERMISSION then
    local placed_at = or_else(command.placed_at, at)
    changed = facts.join_taken(record, placed_at, TAKEN.ERROR_138006) or changed
  end
  return changed
end

function join.request(record, command, at)
  return rows.add(record.requests, request_row(command, at))
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
  local is_ending = (command.fact == "reply" and command.accept == 0)
    or (command.fact == "call" and command.error == codes.ERROR_NO_PERMISSION)
  if not is_ending then
    return false
  end
  if command.fact == "reply" then
    return join.reply(record, command, at)
  end
  return facts.join_taken(record, or_else(command.placed_at, at), TAKEN.ERROR_138006)
end

-- ---- records as wholes -------------------------------------------------------------------------

-- Joins all facts of `b` to `a`; `b` is left as it is, links apart.
function facts.join_record(a, b)
  facts.join_accept(a, b.accept_at, b.accept_permanent, b.accept_expires_at, b.accept_request)
  facts.join_latest(a, "reject_at", b.reject_at)
  for i, request in ipairs(b.rejects.id) do
    join_named(a.rejects, b.rejects.at[i], request)
  end
  facts.join_callback(a, b.callback_at, b.callback_expires_at)
  facts.join_taken(a, b.taken_at, b.taken_why)
  facts.join_latest(a, "inbound_at", b.inbound_at)
  facts.join_latest(a, "talked_at", b.talked_at)
  facts.join_latest(a, "wrote_at", b.wrote_at)
  facts.join_shown(a, b.shown_at, b.shown)
  join_base(a, b.base_streak, b.base_at)
  a.calls = rows.union(a.calls, b.calls)
  a.requests = rows.union(a.requests, b.requests)
  a.revision = math.max(a.revision, b.revision)
end

local UNSET = facts.empty()

-- Unsets a register, and what it says.
function facts.unset(record, register)
  record[register] = UNSET[register]
  for _, name in ipairs(SAYS[register] or {}) do
    record[name] = UNSET[name]
  end
end

-- The facts of a record for which `counts(at)`, as a new record.
function facts.filter(record, counts)
  local kept = facts.empty()
  for name, value in pairs(record) do
    kept[name] = value
  end
  for _, register in ipairs(REGISTERS) do
    if not counts(record[register]) then
      facts.unset(kept, register)
    end
  end
  kept.rejects = { id = {}, at = {} }
  for i, request in ipairs(record.rejects.id) do
    if counts(record.rejects.at[i]) then
      facts.join_reject(kept, record.rejects.at[i], request)
    end
  end
  if not counts(record.base_at) then
    kept.base_streak, kept.base_at = 0, 0
  end
  local function row_counts(set, i)
    return counts(set.at[i])
  end
  kept.calls = rows.filter(record.calls, row_counts)
  kept.requests = rows.filter(record.requests, row_counts)
  return kept
end

-- The facts of a record that had happened by `t`, as a new record.
function facts.as_of(record, t)
  local kept = facts.filter(record, function(at) return at <= t end)
  local delivered_at = kept.requests.delivered_at
  for i = 1, #delivered_at do
    if t < delivered_at[i] then
      delivered_at[i] = 0
    end
  end
  return kept
end

-- Whether a reply's request id names this request.
function facts.is_named(requests, i, id)
  return id ~= "" and (requests.own[i] == id or requests.provider[i] == id)
end

-- Whether a REJECT names this request.
function facts.is_rejected(record, requests, i)
  for _, id in ipairs(record.rejects.id) do
    if facts.is_named(requests, i, id) then
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
  for i = 1, #requests.own do
    if requests.outcome[i] >= REQUEST.SENT and facts.is_rejected(record, requests, i) then
      at = later(at, requests.at[i])
    end
  end
  return at
end

-- The newest time in a record.
function facts.newest(record)
  local newest = 0
  for _, register in ipairs(REGISTERS) do
    newest = math.max(newest, record[register])
  end
  for _, set in ipairs({ record.calls, record.requests }) do
    for i = 1, #set.own do
      newest = math.max(newest, set.at[i], set.first[i])
    end
  end
  for i = 1, #record.links.id do
    newest = math.max(newest, record.links.last[i])
  end
  return newest
end

return facts
