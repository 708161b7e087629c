--[[ rows: calls and permission requests, one row per id.

  A row is keyed by the provider's id where one was told, else by our own. A report that has both
  links them: the provider's row carries our id in OWN. What was told by our id alone stays in a row of
  its own, since it may turn out to belong to another attempt; `attempts` puts both together for the
  view. So every join is by key, and order never matters.

  A set is one list, row after row; row i is where its values come after place i:
    for i = 0, #calls - 1, rows.CALL_WIDTH do
      if calls[i + OUTCOME] == CALL.ANSWERED then ...

  Columns of both:  OWN, PROVIDER, OUTCOME, AT, HELD_UNTIL, FIRST
  of calls:         ENDED_AT, SIGN_AT, ERROR
  of requests:      DELIVERED_AT
  FIRST is the earliest time of any report, SIGN_AT the newest sign of life. 0 is unset. ]]

local CALL, REQUEST = codes.CALL, codes.REQUEST

local OWN, PROVIDER, OUTCOME, AT, HELD_UNTIL, FIRST = 1, 2, 3, 4, 5, 6
local ENDED_AT, SIGN_AT, ERROR = 7, 8, 9
local DELIVERED_AT = 7
local CALL_WIDTH, REQUEST_WIDTH = 9, 7

local rows = {
  OWN = OWN, PROVIDER = PROVIDER, OUTCOME = OUTCOME, AT = AT, HELD_UNTIL = HELD_UNTIL,
  FIRST = FIRST, ENDED_AT = ENDED_AT, SIGN_AT = SIGN_AT, ERROR = ERROR, DELIVERED_AT = DELIVERED_AT,
  CALL_WIDTH = CALL_WIDTH, REQUEST_WIDTH = REQUEST_WIDTH,
}

-- Whether any row is known by this id, in either name space.
function rows.knows(set, width, own, provider)
  for i = 0, #set - 1, width do
    if (own ~= "" and set[i + OWN] == own) or (provider ~= "" and set[i + PROVIDER] == provider) then
      return true
    end
  end
  return false
end

-- ---- joining -----------------------------------------------------------------------------------

-- The row of these ids, or nil.
local function find(set, width, own, provider)
  for i = 0, #set - 1, width do
    if provider ~= "" then
      if set[i + PROVIDER] == provider then
        return i
      end
    elseif set[i + OWN] == own and set[i + PROVIDER] == "" then
      return i
    end
  end
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

local function smaller_id(a, b)
  if a == "" or (b ~= "" and codes.is_before(b, a)) then
    return b
  end
  return a
end

-- A stronger outcome brings its own time; the same outcome keeps the earliest.
local function call_time(a, i, b, j)
  if a[i + OUTCOME] == b[j + OUTCOME] then
    return earliest(a[i + AT], b[j + AT])
  end
  return a[i + OUTCOME] < b[j + OUTCOME] and b[j + AT] or a[i + AT]
end

-- All that say "it was sent" tell one time, the earliest of them.
local function request_time(a, i, b, j)
  if a[i + OUTCOME] >= REQUEST.SENT and b[j + OUTCOME] >= REQUEST.SENT then
    return earliest(a[i + AT], b[j + AT])
  end
  return call_time(a, i, b, j)
end

-- The least upper bound of row `i` of `a` and row `j` of `b`, which tell of one thing; as a set.
local function joined(width, a, i, b, j)
  local row = {
    smaller_id(a[i + OWN], b[j + OWN]),
    smaller_id(a[i + PROVIDER], b[j + PROVIDER]),
    later(a[i + OUTCOME], b[j + OUTCOME]),
    0,
    later(a[i + HELD_UNTIL], b[j + HELD_UNTIL]),
    earliest(a[i + FIRST], b[j + FIRST]),
  }
  if width == CALL_WIDTH then
    row[AT] = call_time(a, i, b, j)
    row[ENDED_AT] = earliest(a[i + ENDED_AT], b[j + ENDED_AT])
    row[SIGN_AT] = later(a[i + SIGN_AT], b[j + SIGN_AT])
    row[ERROR] = later(a[i + ERROR], b[j + ERROR])
  else
    row[AT] = request_time(a, i, b, j)
    row[DELIVERED_AT] = earliest(a[i + DELIVERED_AT], b[j + DELIVERED_AT])
  end
  return row
end

-- Puts row `j` of `from` behind the last one.
local function append(set, width, from, j)
  local i = #set
  for column = 1, width do
    set[i + column] = from[j + column]
  end
end

-- Joins row `j` of `from` to a set; returns whether that changed anything.
local function add(set, width, from, j)
  local i = find(set, width, from[j + OWN], from[j + PROVIDER])
  if not i then
    append(set, width, from, j)
    return true
  end
  local row, changed = joined(width, set, i, from, j), false
  for column = 1, width do
    if row[column] ~= set[i + column] then
      set[i + column], changed = row[column], true
    end
  end
  return changed
end

-- Joins a row, a set of one; returns whether that changed anything.
function rows.add(set, width, row)
  return add(set, width, row, 0)
end

function rows.remove(set, width, i)
  for _ = 1, width do
    table.remove(set, i + 1)
  end
end

-- A new set of the rows that `keep(set, i)` keeps.
function rows.filter(set, width, keep)
  local kept = {}
  for i = 0, #set - 1, width do
    if keep(set, i) then
      append(kept, width, set, i)
    end
  end
  return kept
end

-- The union of two sets, as a new one.
function rows.union(a, b, width)
  local set = {}
  for n = 1, #a do
    set[n] = a[n]
  end
  for j = 0, #b - 1, width do
    add(set, width, b, j)
  end
  return set
end

-- ---- attempts ----------------------------------------------------------------------------------

-- For each own id, the row of the attempt to which belongs what was told by that id alone: the one
-- reported earliest, then the smaller provider id.
function rows.first_attempts(set, width)
  local firsts = {}
  for i = 0, #set - 1, width do
    local own = set[i + OWN]
    if own ~= "" and set[i + PROVIDER] ~= "" then
      local j = firsts[own]
      if not j or set[i + FIRST] < set[j + FIRST]
        or (set[i + FIRST] == set[j + FIRST]
          and codes.is_before(set[i + PROVIDER], set[j + PROVIDER])) then
        firsts[own] = i
      end
    end
  end
  return firsts
end

-- Whether anything was told by an own id alone of an attempt that has a provider's id as well.
local function is_any_told_apart(set, width)
  local alone -- own ids
  for i = 0, #set - 1, width do
    if set[i + PROVIDER] == "" then
      alone = alone or {}
      alone[set[i + OWN]] = true
    end
  end
  if not alone then
    return false
  end
  for i = 0, #set - 1, width do
    if set[i + PROVIDER] ~= "" and alone[set[i + OWN]] then
      return true
    end
  end
  return false
end

-- The attempts: one row per call or request, with all that is told of it. May be `set` itself:
-- read only.
function rows.attempts(set, width)
  if not is_any_told_apart(set, width) then
    return set
  end
  local firsts = rows.first_attempts(set, width)
  local told = {} -- row of an attempt -> row of what was told by its own id alone
  for i = 0, #set - 1, width do
    if set[i + PROVIDER] == "" and firsts[set[i + OWN]] then
      told[firsts[set[i + OWN]]] = i
    end
  end
  local attempts = {}
  for i = 0, #set - 1, width do
    if told[i] then
      append(attempts, width, joined(width, set, i, set, told[i]), 0)
    elseif set[i + PROVIDER] ~= "" or not firsts[set[i + OWN]] then
      append(attempts, width, set, i)
    end
  end
  return attempts
end

-- What a person knows it by.
function rows.name(set, i)
  return set[i + OWN] ~= "" and set[i + OWN] or set[i + PROVIDER]
end

-- Whether row `i` is newer than row `j`: at one time the one with the larger id is, of attempts under
-- one own id the one with the larger provider id.
function rows.is_newer(set, i, j)
  if set[i + AT] ~= set[j + AT] then
    return set[j + AT] < set[i + AT]
  end
  local name, other = rows.name(set, i), rows.name(set, j)
  if name ~= other then
    return codes.is_before(other, name)
  end
  return codes.is_before(set[j + PROVIDER], set[i + PROVIDER])
end

-- ---- bounds ------------------------------------------------------------------------------------

local function may_go(set, width, i, now)
  local outcome = set[i + OUTCOME]
  if outcome == CALL.HELD then -- REQUEST.HELD as well
    return set[i + HELD_UNTIL] + codes.LONG_LAPSED <= now
  elseif width == CALL_WIDTH then
    return outcome == CALL.NOT_PLACED or outcome == CALL.FAILED
  end
  return outcome == REQUEST.REFUSED
end

-- How many values the most rows have.
local function most(width)
  return width * (width == CALL_WIDTH and codes.CALLS_MAX or codes.REQUESTS_MAX)
end

-- Whether there may be no room for one more.
function rows.is_at_bound(set, width)
  return most(width) <= #set
end

-- Drops an attempt with all that was told of it.
local function evict(set, width, own, provider)
  local first = rows.first_attempts(set, width)[own]
  local first_provider = first and set[first + PROVIDER] or ""
  for i = #set - width, 0, -width do
    local is_of_attempt = provider ~= "" and set[i + PROVIDER] == provider
    local is_of_own = set[i + PROVIDER] == "" and set[i + OWN] == own and own ~= ""
      and first_provider == provider
    if is_of_attempt or is_of_own then
      rows.remove(set, width, i)
    end
  end
end

-- Whether what is told of these ids belongs to an attempt that is known by its own id.
local function is_of_known_attempt(set, width, own, provider)
  local is_apart, has_provider = false, false
  for i = 0, #set - 1, width do
    if own ~= "" and set[i + OWN] == own then
      is_apart = is_apart or set[i + PROVIDER] == ""
      has_provider = has_provider or set[i + PROVIDER] ~= ""
    end
  end
  if provider == "" then
    return is_apart or has_provider
  end
  return is_apart and not has_provider
end

-- Makes room for one more thing of these ids. Returns whether there is room. What only adds to a known
-- attempt has room, unless there are more than there may be: a provider's id that is told with one own id
-- and then with a smaller one leaves the first as an attempt of its own.
function rows.make_room(set, width, own, provider, now)
  if not rows.is_at_bound(set, width) or find(set, width, own, provider) then
    return true
  end
  local attempts = rows.attempts(set, width)
  if not rows.is_at_bound(attempts, width)
    or (#attempts == most(width) and is_of_known_attempt(set, width, own, provider)) then
    return true
  end
  local oldest
  for i = 0, #attempts - 1, width do
    if may_go(attempts, width, i, now)
      and (not oldest or attempts[i + AT] < attempts[oldest + AT]) then
      oldest = i
    end
  end
  if oldest then
    evict(set, width, attempts[oldest + OWN], attempts[oldest + PROVIDER])
  end
  return oldest ~= nil
end

return rows
