--[[ fold: calls and requests older than the horizon leave the record, what they meant stays.

  An auto-revocation among them joins `taken`, the streak at that point becomes the base from which
  the walk starts, the newest sent request stays in place. ]]

local CALL, REQUEST = codes.CALL, codes.REQUEST
local CALL_WIDTH, REQUEST_WIDTH = rows.CALL_WIDTH, rows.REQUEST_WIDTH
local OWN, PROVIDER, OUTCOME, AT = rows.OWN, rows.PROVIDER, rows.OUTCOME, rows.AT
local HELD_UNTIL, SIGN_AT = rows.HELD_UNTIL, rows.SIGN_AT

local fold = {}

-- How old an attempt is: by its outcome, so that calls fold in the order in which they are walked; by
-- what keeps its slot while it has none, however long ago it was dialled.
local function age_of(set, width, i)
  if width == REQUEST_WIDTH then
    return set[i + OUTCOME] == REQUEST.HELD and math.max(set[i + AT], set[i + HELD_UNTIL])
      or set[i + AT]
  elseif set[i + OUTCOME] <= CALL.RINGING then
    return math.max(set[i + AT], set[i + HELD_UNTIL], set[i + SIGN_AT])
  end
  return set[i + AT]
end

local function is_any_old(set, width, edge)
  for i = 0, #set - 1, width do
    if age_of(set, width, i) < edge then
      return true
    end
  end
  return false
end

-- Of old requests the newest sent and the newest undelivered one stay, by outcome.
local function registers_of(attempts, width, edge)
  local newest = {}
  for i = 0, width == REQUEST_WIDTH and #attempts - 1 or -1, width do
    local outcome = attempts[i + OUTCOME]
    local j = newest[outcome]
    if age_of(attempts, width, i) < edge and outcome >= REQUEST.SENT
      and (not j or rows.is_newer(attempts, i, j)) then
      newest[outcome] = i
    end
  end
  return newest
end

-- The attempts of a set that go; and of all attempts the ids, as { own, provider }: true if it goes.
-- What was told by our own id alone goes with the attempt to which it belongs.
local function sort_out(set, width, edge)
  local attempts, firsts = rows.attempts(set, width), rows.first_attempts(set, width)
  local newest = registers_of(attempts, width, edge)
  local is_old = { own = {}, provider = {} }
  local function goes(_, i)
    return age_of(attempts, width, i) < edge and newest[attempts[i + OUTCOME]] ~= i
  end
  for i = 0, #attempts - 1, width do
    local own, provider = attempts[i + OWN], attempts[i + PROVIDER]
    if provider ~= "" then
      is_old.provider[provider] = goes(attempts, i)
    end
    if provider == "" or (firsts[own] and set[firsts[own] + PROVIDER] == provider) then
      is_old.own[own] = goes(attempts, i)
    end
  end
  return rows.filter(attempts, width, goes), is_old
end

-- The rows of a set that stay. One that is not among the attempts was the owner's before.
local function rest_of(set, width, is_old, edge)
  return rows.filter(set, width, function(all, i)
    local goes
    if all[i + PROVIDER] ~= "" then
      goes = is_old.provider[all[i + PROVIDER]]
    else
      goes = is_old.own[all[i + OWN]]
    end
    if goes == nil then
      goes = age_of(all, width, i) < edge
    end
    return not goes
  end)
end

local function fold_calls(records, whole, profile, edge)
  local old, is_old = sort_out(whole.calls, CALL_WIDTH, edge)
  local reject_at = facts.reject_at(whole, rows.attempts(whole.requests, REQUEST_WIDTH))
  -- A later ending is walked after the calls that stay: they may take a permission before it, and it
  -- may turn out to be another customer's.
  local count, revocations = streak.walk(whole, old, profile, reject_at, edge)
  local last, base_at = revocations[#revocations], whole.base_at
  for i = 0, #old - 1, CALL_WIDTH do
    if streak.class_of(old[i + OUTCOME], profile) then
      base_at = math.max(base_at, old[i + AT])
    end
  end
  for _, record in ipairs(records) do
    if last then
      facts.join_taken(record, last, codes.TAKEN.STREAK)
    end
    record.base_streak, record.base_at = count, base_at
    record.calls, record.is_changed = rest_of(record.calls, CALL_WIDTH, is_old, edge), true
  end
end

local function fold_requests(who, records, whole, edge)
  local old, is_old = sort_out(whole.requests, REQUEST_WIDTH, edge)
  for _, record in ipairs(records) do
    -- A REJECT that a request lifted must not sink when that request goes. A former owner's was not.
    local lifted_to = facts.reject_at(identity.counting(who, record, codes.NEVER), old)
    record.reject_at = math.max(record.reject_at, lifted_to)
    record.requests = rest_of(record.requests, REQUEST_WIDTH, is_old, edge)
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
    has_old_calls = has_old_calls or is_any_old(record.calls, CALL_WIDTH, edge)
    has_old_requests = has_old_requests or is_any_old(record.requests, REQUEST_WIDTH, edge)
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
