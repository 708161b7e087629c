--[[ fold: calls and requests older than the horizon leave the record, what they meant stays.

  An auto-revocation among them joins `taken`, the streak at that point becomes the base from which
  the walk starts, the newest sent request stays in place. ]]

local CALL, REQUEST = codes.CALL, codes.REQUEST

local fold = {}

-- How old an attempt is: by its outcome, so that calls fold in the order in which they are walked; by
-- what keeps its slot while it has none, however long ago it was dialled.
local function age_of(set, i)
  if set.kind == "requests" then
    return set.outcome[i] == REQUEST.HELD and math.max(set.at[i], set.held_until[i]) or set.at[i]
  elseif set.outcome[i] <= CALL.RINGING then
    return math.max(set.at[i], set.held_until[i], set.sign_at[i])
  end
  return set.at[i]
end

local function is_any_old(set, edge)
  for i = 1, #set.own do
    if age_of(set, i) < edge then
      return true
    end
  end
  return false
end

-- Of old requests the newest sent and the newest undelivered one stay, by outcome.
local function registers_of(attempts, edge)
  local newest = {}
  for i = 1, attempts.kind == "requests" and #attempts.own or 0 do
    local outcome = attempts.outcome[i]
    local j = newest[outcome]
    if age_of(attempts, i) < edge and outcome >= REQUEST.SENT
      and (not j or rows.is_newer(attempts, i, j)) then
      newest[outcome] = i
    end
  end
  return newest
end

-- The attempts of a set that go; and of all attempts the ids, as { own, provider }: true if it goes.
-- What was told by our own id alone goes with the attempt to which it belongs.
local function sort_out(set, edge)
  local attempts, firsts = rows.attempts(set), rows.first_attempts(set) or {}
  local newest = registers_of(attempts, edge)
  local old, is_old = rows.empty(set.kind), { own = {}, provider = {} }
  for i = 1, #attempts.own do
    local own, provider = attempts.own[i], attempts.provider[i]
    local goes = age_of(attempts, i) < edge and newest[attempts.outcome[i]] ~= i
    if goes then
      rows.add(old, rows.get(attempts, i))
    end
    if provider ~= "" then
      is_old.provider[provider] = goes
    end
    if provider == "" or (firsts[own] and set.provider[firsts[own]] == provider) then
      is_old.own[own] = goes
    end
  end
  return old, is_old
end

-- The rows of a set that stay. One that is not among the attempts was the owner's before.
local function rest_of(set, is_old, edge)
  return rows.filter(set, function(all, i)
    local goes
    if all.provider[i] ~= "" then
      goes = is_old.provider[all.provider[i]]
    else
      goes = is_old.own[all.own[i]]
    end
    if goes == nil then
      goes = age_of(all, i) < edge
    end
    return not goes
  end)
end

local function fold_calls(records, whole, profile, edge)
  local old, is_old = sort_out(whole.calls, edge)
  local reject_at = facts.reject_at(whole, rows.attempts(whole.requests))
  -- A later ending is walked after the calls that stay: they may take a permission before it, and it
  -- may turn out to be another customer's.
  local count, revocations = streak.walk(whole, old, profile, reject_at, edge)
  local last, base_at = revocations[#revocations], whole.base_at
  for i = 1, #old.own do
    base_at = math.max(base_at, old.at[i])
  end
  for _, record in ipairs(records) do
    if last then
      facts.join_taken(record, last, codes.TAKEN.STREAK)
    end
    record.base_streak, record.base_at = count, base_at
    record.calls, record.is_changed = rest_of(record.calls, is_old, edge), true
  end
end

local function fold_requests(who, records, whole, edge)
  local old, is_old = sort_out(whole.requests, edge)
  for _, record in ipairs(records) do
    -- A REJECT that a request lifted must not sink when that request goes. A former owner's was not.
    local lifted_to = facts.reject_at(identity.counting(who, record), old)
    record.reject_at = math.max(record.reject_at, lifted_to)
    record.requests = rest_of(record.requests, is_old, edge)
  end
end

-- Folds what is older than the horizon. Only a step that writes does; the view stays as it is. So
-- the records of a customer fold together: the streak runs through all. It goes by whole seconds, as
-- the walk does: of one second all or nothing goes, or what is told late would be walked out of order.
function fold.apply(who, profile, now)
  local edge = codes.second(now - codes.horizon(profile)) * 1000
  local records = identity.records(who)
  local has_old_calls, has_old_requests = false, false
  for _, record in ipairs(records) do
    has_old_calls = has_old_calls or is_any_old(record.calls, edge)
    has_old_requests = has_old_requests or is_any_old(record.requests, edge)
  end
  if not has_old_calls and not has_old_requests then
    return
  end
  local whole = identity.facts(who)
  if has_old_calls then
    fold_calls(records, whole, profile, edge)
  end
  if has_old_requests then
    fold_requests(who, records, whole, edge)
  end
end

return fold
