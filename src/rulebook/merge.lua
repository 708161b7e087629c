--[[ merge: records that were kept elsewhere are joined to those that are here.

  The facts of both join as facts do. What was folded on one side must not be counted on the other once
  more, so both are folded by themselves first, up to the same edge: what folding makes of calls and
  requests joins as well. ]]

local ID, FIRST, LAST, WIDTH = facts.LINK_ID, facts.LINK_FIRST, facts.LINK_LAST, facts.LINK_WIDTH
local OWN, PROVIDER = rows.OWN, rows.PROVIDER

local merge = {}

-- What is wrong with the times of a record, by the store's clock; nil: nothing.
function merge.wrong_time(record, now)
  if now + codes.AHEAD_MAX < facts.newest(record) then
    return "is more than 5 min ahead of the clock"
  elseif record.accept_at + codes.EXPIRY_MAX < record.accept_expires_at
    or record.callback_at + codes.EXPIRY_MAX < record.callback_expires_at then
    return "expires more than 60 d after it was given"
  end
end

-- What of a record is from after `erased_at`, when its customer was forgotten here; as a new record.
local function since_erased(record, erased_at)
  local kept = facts.filter(record, function(at) return erased_at < at end)
  if kept.shown_at <= erased_at then
    kept.shown, kept.shown_at = "", 0
  end
  kept.links = rows.filter(record.links, WIDTH, function(links, i)
    return erased_at < links[i + LAST]
  end)
  for i = 0, #kept.links - 1, WIDTH do
    kept.links[i + FIRST] = math.max(kept.links[i + FIRST], erased_at + 1)
  end
  return kept
end

-- Folds the records of all customers under these ids. `host` keeps what it has loaded.
function merge.fold(host, ids, profile, now)
  for _, id in ipairs(ids) do
    fold.apply(identity.load(host, identity.named(id)), profile, now)
  end
end

-- A host of records that were kept elsewhere, by id; of an id without a record an empty one.
function merge.elsewhere(told, ids, erased_at)
  local by_id = {}
  for _, id in ipairs(ids) do
    by_id[id] = facts.empty()
  end
  for _, item in ipairs(told) do
    by_id[item.id] = erased_at > 0 and since_erased(item.record, erased_at) or item.record
  end
  return { load = function(id) return by_id[id] end }
end

-- Joins rows; returns whether there is no room for them all.
local function is_full(set, width, from, now)
  for j = 0, #from - 1, width do
    local row = { unpack(from, j + 1, j + width) }
    if not rows.make_room(set, width, row[OWN], row[PROVIDER], now) then
      return true
    end
    rows.add(set, width, row)
  end
  return false
end

-- Joins all that `b` says to `a`. Returns whether there is no room for it.
function merge.join(a, b, now)
  if is_full(a.calls, rows.CALL_WIDTH, b.calls, now)
    or is_full(a.requests, rows.REQUEST_WIDTH, b.requests, now) then
    return true
  end
  facts.join_record(a, b)
  facts.join_base(a, b.base_streak, b.base_at)
  for i = 0, #b.links - 1, WIDTH do
    -- The last sight first: it decides whether the link is one of the newest, which stay.
    identity.link(a, b.links[i + ID], b.links[i + LAST])
    identity.link(a, b.links[i + ID], b.links[i + FIRST])
  end
  return false
end

return merge
