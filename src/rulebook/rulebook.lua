--[[ rulebook: the one door. A command happens to a pair, in one atomic step.

    rulebook.step(command, profile, now, host) -> reply

  `command` and `reply` are those of src/engine/step.rs, `profile` of src/engine/profile.rs, `now`
  is an argument like any other. The host keeps the records:
    host.load(id)                      the record under a wa_id or a user_id, or nil
    host.tell(change)                  see changes; the host adds the business number
    host.save(id, record, expire_at, due_at)
                                       expire_at 0: does not expire; due_at: when time alone changes
                                       the state next, 0: never, nil: as before
    host.number()                      the business number's facts, or nil
    host.erased(id)                    when this id was forgotten, or 0
  and carries through the step what it did beside its answer: host.told, the causes of the changes that
  were told, in order, nil for none; host.lapsed, how many calls it found to have lapsed, nil where it does
  not count them.
  A step tells only after all its loads, saves only after that, and does neither if it refuses; but
  what time has changed before is told and saved first. ]]

local CALL, REQUEST, RESULT, DECISION = codes.CALL, codes.REQUEST, codes.RESULT, codes.DECISION
local CAUSE, QUOTA = codes.CAUSE, codes.QUOTA
local OWN, PROVIDER, OUTCOME, HELD_UNTIL =
  rows.OWN, rows.PROVIDER, rows.OUTCOME, rows.HELD_UNTIL

-- What calls and permission requests are, where both are dealt with alike.
local CALLS = {
  set = "calls", width = rows.CALL_WIDTH, id = "call_id", outcomes = codes.CALL_NAME,
  is_over = function(outcome)
    return outcome ~= CALL.HELD and outcome ~= CALL.PLACED and outcome ~= CALL.RINGING
  end,
  holds_until = quotas.call_holds_until,
}
local REQUESTS = {
  set = "requests", width = rows.REQUEST_WIDTH, id = "request_id", outcomes = codes.REQUEST_NAME,
  is_over = function(outcome)
    return outcome ~= REQUEST.HELD
  end,
  holds_until = function(set, i, _, now)
    return quotas.request_holds_until(set, i, now)
  end,
}

local rulebook = {}

-- ---- saving ------------------------------------------------------------------------------------

-- Whether there is anything that a no would have to outlive.
local function has_consent(record)
  return record.accept_at > 0 or record.callback_at > 0 or record.inbound_at > 0
end

-- Whether anybody else's view may read a record at hand.
local function has_neighbours(who)
  for _, item in ipairs(who.records) do
    if #item.record.links > facts.LINK_WIDTH then
      return true
    end
  end
  return false
end

-- A host that loads into what a step has at hand.
local function at_hand(host, who)
  return { load = function(id) return identity.more(host, who, id) end }
end

-- The ids of all whose views may read the records that a step changes; loads theirs.
local function neighbourhood(host, who)
  local ids = identity.near(at_hand(host, who), who.wa_id, who.user_id)
  for _, id in ipairs(ids) do
    identity.more(host, who, id)
  end
  return ids
end

-- The customer under an id that is linked with this one's.
local function load_other(host, who, id)
  local other = identity.load(at_hand(host, who), identity.named(id))
  other.number_facts, other.news = who.number_facts, who.news
  return other
end

-- Tells what a step changed for others whose ids are linked with this customer's: a former owner of
-- the number, another number of the same user.
local function tell_neighbours(host, who, profile, now, by)
  local is_own = {}
  for _, record in ipairs(identity.own(who)) do
    is_own[record] = true
  end
  for _, id in ipairs(neighbourhood(host, who)) do
    local record = identity.more(host, who, id)
    if record and not is_own[record] then
      local other = load_other(host, who, id)
      changes.catch_up(other, profile, now)
      changes.tell(other, judge.derive(identity.facts(other), profile, who.number_facts, now), by)
      for _, own in ipairs(identity.own(other)) do
        is_own[own] = true
      end
    end
  end
end

local function tell(host, who, ctx, by)
  changes.tell(who, ctx, by)
  if has_neighbours(who) then
    tell_neighbours(host, who, ctx.profile, ctx.now, by)
  end
end

local function is_any_changed(who)
  for _, item in ipairs(who.records) do
    if item.record.is_changed then
      return true
    end
  end
  return false
end

local function flush(host, who)
  for _, change in ipairs(who.news) do
    host.tell(change)
    host.told = host.told or {}
    host.told[#host.told + 1] = change.cause
  end
  who.news = {}
end

-- Counts the calls that have lapsed since that was counted last, and notes in the customer's records that
-- they are. Where two customers turn out to be one, what lapsed before the later count of both stays
-- uncounted, so that none is counted twice.
local function count_lapsed(host, who, ctx)
  local count = quotas.lapsed_calls(ctx, ctx.record.lapsed_to)
  if count > 0 then
    host.lapsed = host.lapsed + count
    for _, record in ipairs(identity.records(who)) do
      record.lapsed_to, record.is_changed = ctx.now, true
    end
  end
end

local function is_permanent(ctx)
  return ctx.grant ~= nil and ctx.grant.kind == codes.KIND.PERMANENT
end

-- Whether a permanent grant is in effect of `one`, a customer, or of one under another number of the user.
local function has_permanent(host, who, one, ctx)
  if is_permanent(ctx) then
    return true
  end
  local is_other = {}
  for _, record in ipairs(one.others or {}) do
    is_other[record] = true
  end
  for _, item in ipairs(who.records) do
    if is_other[item.record] then
      local other = load_other(host, who, item.id)
      if is_permanent(judge.derive(identity.facts(other), ctx.profile, ctx.number, ctx.now)) then
        return true
      end
    end
  end
  return false
end

-- Saves what a step changed of the records of `one`, a customer. They expire together, long after the
-- newest fact, never while a permanent grant is in effect: an ending in one must not vanish before the
-- grant in another that it ended, nor the bond between them. `is_any`: also where nothing else is new.
local function save_records(host, who, one, ctx, revision, is_any)
  local is_its, newest, has_yes = {}, 0, false
  for _, record in ipairs(identity.records(one)) do
    is_its[record] = true
    newest = math.max(newest, facts.newest(record))
    has_yes = has_yes or has_consent(record)
  end
  local expire_at = has_permanent(host, who, one, ctx) and 0 or newest + codes.RETENTION
  for _, item in ipairs(who.records) do
    local record = item.record
    if is_its[record] and not item.is_saved and (record.is_changed or has_yes or is_any) then
      if record.is_changed or has_yes then
        record.revision = math.max(record.revision, revision)
      end
      local due_at = record.is_due_changed and record.due_at or nil
      host.save(item.id, record, expire_at, due_at)
      item.is_saved = true
    end
  end
end

-- Tells and saves what a step changed, if anything; returns whether. `by`: see changes.
local function save(host, who, ctx, revision, by)
  ctx.record.revision = revision
  tell(host, who, ctx, by)
  if not is_any_changed(who) then
    return false
  end
  flush(host, who)
  -- A join leaves it to the next step: what lapsed elsewhere may be counted there already.
  if host.lapsed then
    count_lapsed(host, who, ctx)
  end
  fold.apply(who, ctx.profile, ctx.now)
  save_records(host, who, who, ctx, revision)
  -- Another customer's. Who lost a number, or it a user, may expire otherwise than before.
  for _, item in ipairs(who.records) do
    if (item.record.is_changed or who.is_new_bond) and not item.is_saved then
      local other = load_other(host, who, item.id)
      local its_ctx = judge.derive(identity.facts(other), ctx.profile, ctx.number, ctx.now)
      save_records(host, who, other, its_ctx, revision, who.is_new_bond)
    end
  end
  return true
end

-- ---- reading -----------------------------------------------------------------------------------

local function derive(who, profile, now, asked)
  return judge.derive(identity.facts(who), profile, who.number_facts, now, asked)
end

local function load(host, command, binds_at)
  local who = identity.load(host, command, binds_at)
  who.number_facts = host.number() or number.NOTHING
  return who
end

-- `verdict`: nil where nothing was decided. Tables that every step makes name all their fields here,
-- also those that are set later: so they are made of their size.
local function reply_of(ctx, who, now, verdict)
  return {
    now = now, view = judge.view(ctx, who), number = who.number_facts, verdict = verdict,
    result = nil, lease_expires_at = nil, replayed = nil, warnings = nil, told = nil, lapsed = nil,
  }
end

local function refuse(why, field, problem)
  return { refused = why, field = field, problem = problem }
end

local verbs = {}

-- Judges as authorize_call would, changing nothing.
function verbs.check(command, profile, now, host)
  local who = load(host, command, now)
  local ctx = derive(who, profile, now)
  return reply_of(ctx, who, now, judge.call(ctx, false))
end

-- What is wrong with asking as of `at`, or nil.
local function too_early(at, profile, now)
  if at < now - codes.horizon(profile) then
    return refuse("invalid", "as_of",
      "is older than the horizon: calls and requests from before it are folded")
  end
end

-- Loads for a question as of `at`. Also returns the facts by which it is answered: ahead all that are
-- known; back those that had happened by then, whenever they were told, and so the business number's.
local function load_as_of(host, command, at, now)
  local who = load(host, command, now)
  if at < now then
    who.number_facts = number.as_of(who.number_facts, at)
    return who, facts.as_of(identity.facts(who, at), at)
  end
  return who, identity.facts(who)
end

-- Judges as `check` would have at another instant.
function verbs.check_at(command, profile, now, host)
  local at = command.as_of
  local refused = too_early(at, profile, now)
  if refused then
    return refused
  end
  local who, record = load_as_of(host, command, at, now)
  local ctx = judge.derive(record, profile, who.number_facts, at)
  return reply_of(ctx, who, at, judge.call(ctx, false))
end

-- The state with all that fills the quotas, now or at another instant.
function verbs.view(command, profile, now, host)
  local at = command.as_of == 0 and now or command.as_of
  local refused = too_early(at, profile, now)
  if refused then
    return refused
  end
  local who, record = load_as_of(host, command, at, now)
  local ctx = judge.derive(record, profile, who.number_facts, at, nil, {})
  return { now = now, view = judge.view(ctx, who), number = who.number_facts }
end

-- ---- what time has changed ----------------------------------------------------------------------

-- The ids that a command names, each as a command that names it alone.
local function each_named(command)
  local list = {}
  for _, id in ipairs({ command.wa, command.user }) do
    if id ~= "" then
      list[#list + 1] = identity.named(id)
    end
  end
  return list
end

-- Tells what time, or a changed setting, has changed of the customers under the ids that a command
-- names: they may be two. Returns whether anything has; and the last of them, with the state.
local function settle(host, command, profile, now)
  local is_news, who, ctx = false
  for _, named in ipairs(each_named(command)) do
    who = load(host, named)
    changes.catch_up(who, profile, now)
    ctx = derive(who, profile, now)
    local by = { at = now, now = now, cause = CAUSE.RULES }
    is_news = save(host, who, ctx, ctx.record.revision, by) or is_news
  end
  return is_news, who, ctx
end

function verbs.settle(command, profile, now, host)
  local _, who, ctx = settle(host, command, profile, now)
  if command.wa ~= "" and command.user ~= "" then -- Look under both, as every reading does.
    who = load(host, command, now)
    ctx = derive(who, profile, now)
  end
  return reply_of(ctx, who, now)
end

local function is_any_due(host, who, now)
  if has_neighbours(who) then
    neighbourhood(host, who)
  end
  for _, item in ipairs(who.records) do
    if changes.is_due(item.record, now) then
      return true
    end
  end
  return false
end

-- Loads for a step that may write. What time alone has changed is told first, in its own order, by
-- the facts and the bonds from before.
local function load_to_write(host, command, profile, binds_at, now)
  local who = load(host, command, binds_at)
  if not is_any_due(host, who, now) then
    return who
  end
  settle(host, command, profile, now)
  return load(host, command, binds_at)
end

-- ---- recording ---------------------------------------------------------------------------------

-- What is wrong with the times of an event, by the store's clock.
local function wrong_time(command, at, now)
  local latest = now + codes.AHEAD_MAX
  if latest < at then
    return "occurred_at"
  elseif command.fact == "call" then
    for _, field in ipairs({ "placed_at", "answered_at", "ended_at" }) do
      if latest < command[field] then
        return field
      end
    end
  end
end

-- The time by which an event is too old: that of the fact, for a call the pick-up.
local function fact_time(command, at)
  if command.fact == "call" then
    return facts.call_time(command, at)
  end
  return at
end

local function is_stale(command, at, profile, now, host)
  local age = codes.RETENTION
  if command.fact == "call" or command.fact == "request" then
    age = codes.horizon(profile)
  end
  local time = fact_time(command, at)
  if time < now - age then
    return true
  end
  return (command.wa ~= "" and time <= host.erased(command.wa))
    or (command.user ~= "" and time <= host.erased(command.user))
end

-- Makes room for one more call or request. Returns whether there is none.
local function is_full(who, kind, own, provider, profile, now)
  local record = who.wa or who.user
  if rows.is_at_bound(record[kind.set], kind.width) then
    fold.apply(who, profile, now)
  end
  return not rows.make_room(record[kind.set], kind.width, own, provider, now)
end

local KIND_OF = { call = CALLS, request = REQUESTS }

local FULL_PROBLEM = "this pair holds as many calls or permission requests as a record may; "
  .. "none of them is over long enough to go"

-- Joins what an event says to the records of the ids that it names. Returns whether facts changed.
local function join(who, command, at)
  local home = who.wa or who.user
  local is_news = facts.join(home, command, at)
  home.is_changed = home.is_changed or is_news
  if who.wa and who.user then
    if facts.join_ending(who.user, command, at) then
      who.user.is_changed, is_news = true, true
    end
    if facts.join_superseded(who.user, command, at) then
      who.user.is_changed = true
      is_news = is_news or not identity.is_covered(who, command.automatic == 1, at)
    end
  end
  if facts.join_shown(home, at, command.spelled) then
    home.is_changed = true
  end
  return is_news or who.is_new_bond
end

-- Tells what seeing both ids together by itself has changed, before anything else is joined.
local function tell_bond(host, who, profile, revision, by)
  if is_any_changed(who) and (who.is_new_bond or has_neighbours(who)) then
    local ctx = derive(who, profile, by.now)
    ctx.record.revision = revision
    tell(host, who, ctx,
      { at = by.at, now = by.now, event_id = by.event_id, cause = CAUSE.IDENTITY })
  end
end

local function recorded(result, who, profile, now)
  local reply = reply_of(derive(who, profile, now), who, now)
  reply.result = result
  return reply
end

-- Lets an event happen to the customer at hand. Returns the state after it, the revision, and whether
-- facts changed; nil if there is no room.
local function happen(host, who, command, profile, by)
  local kind = KIND_OF[command.fact]
  if kind and is_full(who, kind, command.own_id, command.provider_id, profile, by.now) then
    return nil
  end
  local before = identity.facts(who).revision
  tell_bond(host, who, profile, before + 1, by)
  local is_bond_news = #who.news > 0
  local changed = join(who, command, by.at) or is_bond_news
  return derive(who, profile, by.now), changed and before + 1 or before, changed
end

function verbs.record(command, profile, now, host)
  local at = command.at == 0 and now or command.at
  local wrong = wrong_time(command, at, now)
  if wrong then
    return refuse("invalid", wrong, "is more than 5 min ahead of the clock")
  elseif command.fact == "reply" and at + codes.EXPIRY_MAX < command.expires_at then
    return refuse("invalid", "expires_at", "is more than 60 d after occurred_at")
  end
  local is_moot = command.fact == "call" and command.pstn == 1
  if is_moot or is_stale(command, at, profile, now, host) then
    local who = load(host, command, now)
    local result = is_moot and RESULT.DUPLICATE or RESULT.STALE
    return recorded(result, who, profile, now)
  end
  local who = load_to_write(host, command, profile, at, now)
  if command.fact == "request" and command.known_only == 1
    and not rows.knows(identity.facts(who).requests, REQUESTS.width, command.own_id,
      command.provider_id) then
    return recorded(RESULT.DUPLICATE, who, profile, now)
  end
  local by = { at = at, now = now, fact = changes.kind_of(command), event_id = command.event_id }
  local ctx, revision, changed = happen(host, who, command, profile, by)
  if ctx and (#who.news > 0 or changes.is_consent_news(who, ctx))
    and settle(host, command, profile, now) then
    -- Rules had changed since it was told last. That is told now, and what happens comes after it.
    who = load(host, command, at)
    ctx, revision, changed = happen(host, who, command, profile, by)
  end
  if not ctx then
    return refuse("full", "", FULL_PROBLEM)
  end
  save(host, who, ctx, revision, by)
  local reply = reply_of(ctx, who, now)
  reply.result = changed and RESULT.RECORDED or RESULT.DUPLICATE
  return reply
end

-- ---- authorizing -------------------------------------------------------------------------------

-- What is known of the attempts under an own id: the name of the outcome if one is over; whether
-- authorize held it; and until when it holds, 0 if it does not any more.
local function attempts_of(set, kind, own, profile, now)
  local over, was_authorized, holds_until = nil, false, 0
  for i = 0, #set - 1, kind.width do
    if set[i + OWN] == own then
      local outcome = set[i + OUTCOME]
      over = kind.is_over(outcome) and kind.outcomes[outcome] or over
      was_authorized = was_authorized or set[i + HELD_UNTIL] > 0
      holds_until = math.max(holds_until, kind.holds_until(set, i, profile, now))
    end
  end
  return over, was_authorized, holds_until
end

-- Whether anything holds under an own id.
local function is_held(set, kind, own, profile, now)
  local _, _, holds_until = attempts_of(set, kind, own, profile, now)
  return holds_until > 0
end

-- Takes back what authorize held under this id; what reports hold stays.
local function release(record, kind, own)
  local set = record[kind.set]
  for i = #set - kind.width, 0, -kind.width do
    if set[i + OWN] == own and set[i + PROVIDER] == "" and set[i + HELD_UNTIL] > 0 then
      set[i + HELD_UNTIL], record.is_changed = 0, true
      if set[i + OUTCOME] == CALL.HELD then -- REQUEST.HELD as well
        rows.remove(set, kind.width, i)
      end
    end
  end
end

-- What a no leaves behind: nothing, not even a bond, but that the hold of an earlier yes to the same
-- id is released. Returns the pair's revision.
local function release_hold(command, profile, now, host, kind, revision)
  for _, named in ipairs(each_named(command)) do
    local who = load(host, named)
    for _, record in ipairs(identity.records(who)) do
      release(record, kind, command.own_id)
    end
    if is_any_changed(who) then
      save(host, who, derive(who, profile, now), revision + 1,
        { at = now, now = now, cause = CAUSE.RULES })
    end
  end
  return revision + 1
end

-- What calls and requests do alike. `judged(ctx, only_standing)` decides.
local function authorize(command, profile, now, host, kind, lease, judged)
  local who = load_to_write(host, command, profile, now, now)
  local own, by = command.own_id, { at = now, now = now, cause = CAUSE.RULES }
  local ctx = derive(who, profile, now, { [kind.set] = own })
  local over, was_authorized, holds_until = attempts_of(ctx[kind.set], kind, own, profile, now)
  if over then
    return refuse("exists", "", kind.id .. " names an attempt that is over (" .. over
      .. "); take a new id for a new attempt")
  end
  local is_replay = was_authorized and holds_until > 0
  local verdict = judged(ctx, is_replay)
  if verdict.decision == DECISION.DENY then
    local revision = ctx.record.revision
    if was_authorized then
      revision = release_hold(command, profile, now, host, kind, revision)
      for _, record in ipairs(identity.records(who)) do
        release(record, kind, own)
      end
    end
    if was_authorized or holds_until > 0 then
      ctx = derive(who, profile, now)
    end
    ctx.record.revision = revision
    return reply_of(ctx, who, now, verdict)
  end
  local revision = ctx.record.revision + 1
  tell_bond(host, who, profile, revision, by)
  if not is_replay then
    local home = who.wa or who.user
    if is_full(who, kind, own, "", profile, now) then
      return refuse("full", "", FULL_PROBLEM)
    end
    holds_until = now + lease
    rows.add(home[kind.set], kind.width, facts.held_row(kind.width, own, now, holds_until))
    home.is_changed = true
  end
  judge.recount(ctx, identity.facts(who), kind.width)
  -- No ALLOW without a hold that counts: this one joined facts that do not, those of an attempt from
  -- before the number had its present owner.
  if not is_replay and not is_held(ctx[kind.set], kind, own, profile, now) then
    return refuse("exists", "", kind.id
      .. " names an attempt from before this number had its present owner; take a new id")
  end
  if not is_replay or who.is_new_bond then
    save(host, who, ctx, revision, by)
  end
  local reply = reply_of(ctx, who, now, verdict)
  reply.lease_expires_at, reply.replayed = holds_until, is_replay and 1 or 0
  reply.warnings = kind == CALLS and judge.warnings(ctx) or nil
  return reply
end

function verbs.authorize_call(command, profile, now, host)
  local lease = command.lease > 0 and command.lease or profile.lease
  return authorize(command, profile, now, host, CALLS, lease, judge.call)
end

function verbs.authorize_request(command, profile, now, host)
  return authorize(command, profile, now, host, REQUESTS, profile.lease,
    function(ctx, only_standing)
      return judge.request(ctx, command.replace, only_standing)
    end)
end

-- ---- records from elsewhere --------------------------------------------------------------------

-- A host that keeps what it loads: what one customer of a step changes, the next one sees.
local function keeping(host)
  local kept = {}
  return {
    kept = kept, number = host.number, tell = host.tell, save = host.save, told = host.told,
    load = function(id)
      kept[id] = kept[id] or host.load(id)
      return kept[id]
    end,
  }
end

-- Joins what is told to the records at hand, both folded. Returns whether anything is new; nil if there
-- is no room.
local function join_records(here, there, ids, profile, now)
  merge.fold(there, ids, profile, now)
  merge.fold(here, ids, profile, now)
  local before, is_news = {}, false
  for _, id in ipairs(ids) do
    local record = here.load(id)
    before[id] = facts.copy(record)
    if merge.join(record, there.load(id), now) then
      return nil
    end
    record.revision = before[id].revision
  end
  merge.fold(here, ids, profile, now)
  for _, id in ipairs(ids) do
    local record = here.load(id)
    if not facts.is_same(record, before[id]) then
      record.revision = math.max(before[id].revision + 1, there.load(id).revision)
      record.is_changed, is_news = true, true
    end
  end
  return is_news
end

-- A reply with what its step did beside it.
local function done_by(host, reply)
  reply.told, reply.lapsed = host.told, host.lapsed or 0
  return reply
end

-- Joins records that were kept elsewhere, those of a customer and of all who are linked with them.
-- `told` is a list of { id, record }; `ids` are those that they name, their own and the linked ones.
function rulebook.join(told, ids, profile, now, host)
  host.told, host.lapsed = nil, nil
  local erased = {}
  for _, id in ipairs(ids) do
    erased[id] = host.erased(id)
  end
  for _, item in ipairs(told) do
    local problem = merge.wrong_time(item.record, now)
    if problem then
      return done_by(host, refuse("invalid", "records", problem))
    end
  end
  for _, id in ipairs(ids) do
    settle(host, identity.named(id), profile, now)
  end
  local here = keeping(host)
  for _, id in ipairs(ids) do
    here.kept[id] = here.load(id) or facts.empty()
  end
  local is_news =
    join_records(here, merge.elsewhere(told, ids, erased, here), ids, profile, now)
  if is_news == nil then
    return done_by(host, refuse("full", "", FULL_PROBLEM))
  end
  for _, id in ipairs(is_news and ids or {}) do
    local who = load(here, identity.named(id))
    local ctx = derive(who, profile, now)
    who.is_new_bond = true -- Perhaps: who lost a number by it may expire otherwise than before.
    save(here, who, ctx, ctx.record.revision, { at = now, now = now, cause = CAUSE.CORRECTED })
    for _, item in ipairs(who.records) do
      if item.is_saved then
        item.record.is_changed, item.record.is_due_changed = false, false
      end
    end
  end
  local who = load(here, identity.named(ids[1]))
  local reply = reply_of(derive(who, profile, now), who, now)
  reply.result = is_news and RESULT.RECORDED or RESULT.DUPLICATE
  host.told = here.told
  return done_by(host, reply)
end

-- ---- the door ----------------------------------------------------------------------------------

function rulebook.step(command, profile, now, host)
  host.told, host.lapsed = nil, 0
  return done_by(host, verbs[command.verb](command, profile, now, host))
end

-- What is told of the customers under these ids when they are forgotten. Asked before it is done.
function rulebook.forgotten(host, ids, profile, now)
  local list, is_told = {}, {}
  for _, id in ipairs(ids) do
    if host.load(id) then
      local who = load(host, identity.named(id))
      local wa, user = identity.keys(who)
      if not is_told[wa] and not is_told[user] then
        list[#list + 1] = changes.forgotten(who, profile, now)
      end
      is_told[wa], is_told[user] = wa ~= "", user ~= ""
    end
  end
  return list
end

local NONE, NO_VERDICT = {}, { decision = 0, reason = 0, next_step = 0, free_at = 0 }

-- The facts of a number in the order of `NumberFacts` in src/engine/profile.rs; of one of which nothing
-- was told, none.
function rulebook.number_values(told)
  if told == number.NOTHING then
    return NONE
  end
  return {
    told.display, told.calling, told.calling_at, told.pause, told.paused_until, told.pause_at,
    told.request_pause, told.requests_paused_until, told.request_pause_at,
    told.inbound_call_grants, told.inbound_call_grants_at,
  }
end

local function entry_values(view)
  if not view.entry_id then
    return NONE
  end
  return { view.entry_quota, view.entry_id, view.entry_at, view.entry_frees_at, view.entry_held }
end

-- A reply as it crosses to the host: its values in the order of src/store/reply.rs. It has many, and a
-- list of values costs a third of what names and values do.
function rulebook.reply_of(reply)
  if reply.refused then
    return reply.refused, reply.field, reply.problem, reply.told or NONE, reply.lapsed
  end
  local view, quota = reply.view, reply.view.quotas
  local verdict = reply.verdict or NO_VERDICT
  local window, permission = quota[QUOTA.WINDOW], quota[QUOTA.PERMISSION]
  local day, week = quota[QUOTA.DAY], quota[QUOTA.WEEK]
  return "", reply.result or 0, verdict.decision, verdict.reason, verdict.next_step,
    verdict.free_at, reply.lease_expires_at or 0, reply.replayed or 0, reply.now,
    verdict.blocked_by or NONE, reply.warnings or NONE,
    view.wa_id, view.user_id, view.status, view.grant_kind, view.grant_source, view.granted_at,
    view.expires_at, view.valid_until, view.streak, view.conversation_ends_at, view.revision,
    window.limit, window.used, window.held, quotas.shown_free_at(window),
    permission.limit, permission.used, permission.held, quotas.shown_free_at(permission),
    day.limit, day.used, day.held, quotas.shown_free_at(day),
    week.limit, week.used, week.held, quotas.shown_free_at(week),
    rulebook.number_values(reply.number), entry_values(view), reply.told or NONE,
    reply.lapsed
end

-- A change as it crosses to the host: its values in the order of `Change` in src/engine/change.rs, those
-- left out that the host sets.
function rulebook.change_of(c)
  return c.wa, c.user, c.cause, c.previous_status, c.occurred_at, c.recorded_at, c.event_id,
    c.profile, c.warns_at, c.revokes_at, c.call_window, c.judged_at,
    c.wa_id, c.status, c.grant_kind, c.grant_source, c.granted_at, c.expires_at, c.valid_until,
    c.streak, c.conversation_ends_at, c.revision,
    c.quota_limit, c.quota_used, c.quota_held, c.quota_free_at
end

-- Records as they come from a store and go there: their lists (`rejects`, `links`, `calls`, `requests`),
-- then their values. A host makes bytes of both.
rulebook.record_of = facts.record
rulebook.values_of = facts.values

rulebook.is_before = codes.is_before
rulebook.number_step = number.step
rulebook.linked = identity.linked
rulebook.newest = facts.newest

return rulebook
