--[[ fold: calls and requests older than the horizon leave the record, what they meant stays.

  An auto-revocation among them joins `taken`, the streak at that point becomes the base from which
  the walk starts, the newest sent request stays in place. ]]

local REQUEST = codes.REQUEST

local fold = {}

-- An attempt is as old as the newest thing that is known of it.
local function age_of(set, i)
  return math.max(set.at[i], set.held_until[i])
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

local function fold_calls(record, profile, edge)
  local old, kept = split(record.calls, edge)
  local reject_at = facts.reject_at(record, rows.attempts(record.requests))
  local count, revocations = streak.walk(record, old, profile, reject_at)
  local last = revocations[#revocations]
  -- One from before the newest reject ended nothing that the reject did not end.
  if last and codes.second(reject_at) <= codes.second(last) then
    facts.join_taken(record, last, codes.TAKEN.STREAK)
  end
  for i = 1, #old.own do
    record.base_at = math.max(record.base_at, old.at[i])
  end
  record.base_streak = count
  record.calls = kept
end

local function fold_requests(record, edge)
  local old, kept = split(record.requests, edge)
  -- A REJECT that a request lifted must not sink when that request goes.
  record.reject_at = facts.reject_at(record, old)
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

-- Folds what is older than the horizon. Only a step that writes does; the view stays as it is.
function fold.apply(record, profile, now)
  local edge = now - codes.horizon(profile)
  if is_any_old(record.calls, edge) then
    fold_calls(record, profile, edge)
  end
  if is_any_old(record.requests, edge) then
    fold_requests(record, edge)
  end
end

return fold
