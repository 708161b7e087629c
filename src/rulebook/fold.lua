--[[ fold: calls and requests older than the horizon leave the record, what they meant stays.

  An auto-revocation among them joins `taken`, the streak at that point becomes the base from which
  the walk starts, the newest sent request stays in place. ]]

local CALL, REQUEST = codes.CALL, codes.REQUEST

local fold = {}

-- How old an attempt is: by its outcome, so that calls fold in the order in which they are walked; by
-- its lease while it has none.
local function age_of(set, i)
  local is_open = set.outcome[i] <= (set.kind == "calls" and CALL.RINGING or REQUEST.HELD)
  return is_open and math.max(set.at[i], set.held_until[i]) or set.at[i]
end

local function is_any_old(set, edge)
  for i = 1, #set.own do
    if age_of(set, i) < edge then
      return true
    end
  end
  return false
end

-- A set's old attempts, and the rows of the others. What was told by our own id alone goes with the
-- attempt to which it belongs.
local function split(set, edge)
  local attempts, firsts = rows.attempts(set), rows.first_attempts(set) or {}
  local old, own_kept, provider_kept = rows.empty(set.kind), {}, {}
  for i = 1, #attempts.own do
    if age_of(attempts, i) < edge then
      rows.add(old, rows.get(attempts, i))
    elseif attempts.provider[i] ~= "" then
      provider_kept[attempts.provider[i]] = true
    else
      own_kept[attempts.own[i]] = true
    end
  end
  local kept = rows.filter(set, function(all, i)
    if all.provider[i] ~= "" then
      return provider_kept[all.provider[i]] == true
    end
    local first = firsts[all.own[i]]
    return own_kept[all.own[i]] == true
      or (first ~= nil and provider_kept[all.provider[first]] == true)
  end)
  return old, kept
end

local function fold_calls(records, whole, profile, edge)
  local old = split(whole.calls, edge)
  local reject_at = facts.reject_at(whole, rows.attempts(whole.requests))
  local count, revocations = streak.walk(whole, old, profile, reject_at)
  local last, base_at = revocations[#revocations], whole.base_at
  for i = 1, #old.own do
    base_at = math.max(base_at, old.at[i])
  end
  for _, record in ipairs(records) do
    -- One from before the newest reject ended nothing that the reject did not end.
    if last and codes.second(reject_at) <= codes.second(last) then
      facts.join_taken(record, last, codes.TAKEN.STREAK)
    end
    record.base_streak, record.base_at = count, base_at
    local _, kept = split(record.calls, edge)
    record.calls, record.is_changed = kept, true
  end
end

local function fold_requests(record, all_old, edge)
  local old, kept = split(record.requests, edge)
  -- A REJECT that a request lifted must not sink when that request goes.
  record.reject_at = facts.reject_at(record, all_old)
  local newest = {} -- by outcome
  for i = 1, #old.own do
    local outcome = old.outcome[i]
    local j = newest[outcome]
    if outcome >= REQUEST.SENT and (not j or old.at[j] < old.at[i]
      or (old.at[j] == old.at[i] and rows.name(old, j) < rows.name(old, i))) then
      newest[outcome] = i
    end
  end
  for _, outcome in ipairs({ REQUEST.SENT, REQUEST.UNDELIVERED }) do
    if newest[outcome] then
      rows.add(kept, rows.get(old, newest[outcome]))
    end
  end
  record.requests = kept
end

-- Folds what is older than the horizon. Only a step that writes does; the view stays as it is. So
-- the records of a customer fold together: the streak runs through all.
function fold.apply(who, profile, now)
  local edge = now - codes.horizon(profile)
  local records = who.is_bound and { who.number, who.owner } or { who.wa or who.user }
  for _, record in ipairs(who.others or {}) do
    records[#records + 1] = record
  end
  local has_old_calls, has_old_requests = false, false
  for _, record in ipairs(records) do
    has_old_calls = has_old_calls or is_any_old(record.calls, edge)
    has_old_requests = has_old_requests or is_any_old(record.requests, edge)
  end
  if not has_old_calls and not has_old_requests then
    return
  end
  local whole = identity.facts(who)
  local old_requests = split(whole.requests, edge)
  if has_old_calls then
    fold_calls(records, whole, profile, edge)
  end
  if has_old_requests then
    for _, record in ipairs(records) do
      fold_requests(record, old_requests, edge)
    end
  end
end

return fold
