--[[ rows: calls and permission requests, kept as parallel columns, one row per id.

  A row is keyed by the provider's id where one was told, else by our own. A report that has both
  links them: the provider's row carries our id in `own`. What was told by our id alone stays in a
  row of its own, since it may turn out to belong to another attempt; `attempts` puts both
  together for the view. So every join is by key, and order never matters.

  Columns of both:  own, provider, outcome, at, held_until, first
  of calls:         ended_at, sign_at, error
  of requests:      delivered_at
  `first` is the earliest time of any report, `sign_at` the newest sign of life. 0 is unset. ]]

local CALL, REQUEST = codes.CALL, codes.REQUEST

local rows = {}

rows.COLUMNS = {
  calls = {
    "own", "provider", "outcome", "at", "held_until", "first", "ended_at", "sign_at", "error",
  },
  requests = { "own", "provider", "outcome", "at", "held_until", "first", "delivered_at" },
}

function rows.empty(kind)
  local set = { kind = kind }
  for _, column in ipairs(rows.COLUMNS[kind]) do
    set[column] = {}
  end
  return set
end

function rows.get(set, i)
  local row = {}
  for _, column in ipairs(rows.COLUMNS[set.kind]) do
    row[column] = set[column][i]
  end
  return row
end

local function put(set, i, row)
  for _, column in ipairs(rows.COLUMNS[set.kind]) do
    set[column][i] = row[column]
  end
end

function rows.remove(set, i)
  for _, column in ipairs(rows.COLUMNS[set.kind]) do
    table.remove(set[column], i)
  end
end

-- The row of these ids, or nil.
local function find(set, own, provider)
  for i = 1, #set.own do
    if provider ~= "" then
      if set.provider[i] == provider then
        return i
      end
    elseif set.own[i] == own and set.provider[i] == "" then
      return i
    end
  end
end

-- Whether any row is known by this id, in either name space.
function rows.knows(set, own, provider)
  for i = 1, #set.own do
    if (own ~= "" and set.own[i] == own) or (provider ~= "" and set.provider[i] == provider) then
      return true
    end
  end
  return false
end

-- 0 is unset.
local function earliest(a, b)
  if a == 0 or (b ~= 0 and b < a) then
    return b
  end
  return a
end

local function later(a, b)
  return a < b and b or a
end

-- A stronger outcome brings its own time; the same outcome keeps the earliest.
local function call_time(a, b)
  if a.outcome == b.outcome then
    return earliest(a.at, b.at)
  end
  return a.outcome < b.outcome and b.at or a.at
end

-- All that say "it was sent" tell one time, the earliest of them.
local function request_time(a, b)
  if a.outcome >= REQUEST.SENT and b.outcome >= REQUEST.SENT then
    return earliest(a.at, b.at)
  end
  return call_time(a, b)
end

local function smaller_id(a, b)
  if a == "" or (b ~= "" and b < a) then
    return b
  end
  return a
end

-- The least upper bound of two rows of one thing.
function rows.join(kind, a, b)
  local row = {
    own = smaller_id(a.own, b.own),
    provider = smaller_id(a.provider, b.provider),
    outcome = later(a.outcome, b.outcome),
    held_until = later(a.held_until, b.held_until),
    first = earliest(a.first, b.first),
  }
  if kind == "calls" then
    row.at = call_time(a, b)
    row.ended_at = earliest(a.ended_at, b.ended_at)
    row.sign_at = later(a.sign_at, b.sign_at)
    row.error = later(a.error, b.error)
  else
    row.at = request_time(a, b)
    row.delivered_at = earliest(a.delivered_at, b.delivered_at)
  end
  return row
end

-- Joins one row to a set; returns whether that changed anything.
function rows.add(set, row)
  local i = find(set, row.own, row.provider)
  if not i then
    put(set, #set.own + 1, row)
    return true
  end
  local joined, changed = rows.join(set.kind, rows.get(set, i), row), false
  for _, column in ipairs(rows.COLUMNS[set.kind]) do
    changed = changed or joined[column] ~= set[column][i]
  end
  if changed then
    put(set, i, joined)
  end
  return changed
end

-- A new set of the rows that `keep(set, i)` keeps.
function rows.filter(set, keep)
  local kept = rows.empty(set.kind)
  for i = 1, #set.own do
    if keep(set, i) then
      put(kept, #kept.own + 1, rows.get(set, i))
    end
  end
  return kept
end

-- The union of two sets, as a new one.
function rows.union(a, b)
  local set = rows.filter(a, function() return true end)
  for i = 1, #b.own do
    rows.add(set, rows.get(b, i))
  end
  return set
end

-- For each own id, the row of the attempt to which belongs what was told by that id alone: the one
-- reported earliest, then the smaller provider id. nil if no row has both ids.
function rows.first_attempts(set)
  local firsts
  for i = 1, #set.own do
    local own = set.own[i]
    if own ~= "" and set.provider[i] ~= "" then
      firsts = firsts or {}
      local j = firsts[own]
      if not j or set.first[i] < set.first[j]
        or (set.first[i] == set.first[j] and set.provider[i] < set.provider[j]) then
        firsts[own] = i
      end
    end
  end
  return firsts
end

-- Whether anything was told by an own id alone of an attempt that has a provider's id as well.
local function is_any_told_apart(set)
  local own, provider = set.own, set.provider
  for i = 1, #own do
    if provider[i] == "" then
      for j = 1, #own do
        if own[j] == own[i] and provider[j] ~= "" then
          return true
        end
      end
    end
  end
  return false
end

-- The attempts: one row per call or request, with all that is told of it. May be `set` itself:
-- read only.
function rows.attempts(set)
  if not is_any_told_apart(set) then
    return set
  end
  local firsts = rows.first_attempts(set)
  local attempts = rows.empty(set.kind)
  local told = {} -- row of an attempt -> row of what was told by its own id alone
  for i = 1, #set.own do
    if set.provider[i] == "" and firsts[set.own[i]] then
      told[firsts[set.own[i]]] = i
    end
  end
  for i = 1, #set.own do
    if told[i] then
      local joined = rows.join(set.kind, rows.get(set, i), rows.get(set, told[i]))
      put(attempts, #attempts.own + 1, joined)
    elseif set.provider[i] ~= "" or not firsts[set.own[i]] then
      put(attempts, #attempts.own + 1, rows.get(set, i))
    end
  end
  return attempts
end

-- What a person knows it by.
function rows.name(set, i)
  return set.own[i] ~= "" and set.own[i] or set.provider[i]
end

-- Whether row `i` is newer than row `j`: at one time the one with the larger id is, of attempts under
-- one own id the one with the larger provider id.
function rows.is_newer(set, i, j)
  if set.at[i] ~= set.at[j] then
    return set.at[j] < set.at[i]
  end
  local name, other = rows.name(set, i), rows.name(set, j)
  if name ~= other then
    return other < name
  end
  return set.provider[j] < set.provider[i]
end

local function may_go(set, i, now)
  local outcome = set.outcome[i]
  if set.kind == "calls" then
    if outcome == CALL.NOT_PLACED or outcome == CALL.FAILED then
      return true
    end
    return outcome == CALL.HELD and set.held_until[i] + codes.LONG_LAPSED <= now
  end
  if outcome == REQUEST.REFUSED then
    return true
  end
  return outcome == REQUEST.HELD and set.held_until[i] + codes.LONG_LAPSED <= now
end

local function most(set)
  return set.kind == "calls" and codes.CALLS_MAX or codes.REQUESTS_MAX
end

-- Whether there may be no room for one more.
function rows.is_at_bound(set)
  return most(set) <= #set.own
end

-- Drops an attempt with all that was told of it.
local function evict(set, own, provider)
  local firsts = rows.first_attempts(set) or {}
  local first = firsts[own] and set.provider[firsts[own]] or ""
  for i = #set.own, 1, -1 do
    local is_of_attempt = provider ~= "" and set.provider[i] == provider
    local is_of_own = set.provider[i] == "" and set.own[i] == own and own ~= "" and first == provider
    if is_of_attempt or is_of_own then
      rows.remove(set, i)
    end
  end
end

-- Makes room for one more thing of these ids. Returns whether there is room.
function rows.make_room(set, own, provider, now)
  if #set.own < most(set) or find(set, own, provider) then
    return true
  end
  local attempts = rows.attempts(set)
  if #attempts.own < most(set) then
    return true
  end
  local oldest
  for i = 1, #attempts.own do
    if may_go(attempts, i, now) and (not oldest or attempts.at[i] < attempts.at[oldest]) then
      oldest = i
    end
  end
  if oldest then
    evict(set, attempts.own[oldest], attempts.provider[oldest])
  end
  return oldest ~= nil
end

return rows
