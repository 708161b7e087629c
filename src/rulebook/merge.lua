--[[ merge: records that were kept elsewhere are joined to those that are here.

  The facts of both join as facts do. What was folded on one side must not be counted on the other once
  more, so both are folded by themselves first, up to the same edge: what folding makes of calls and
  requests joins as well.

  Whoever was forgotten here stays forgotten, as where the same is told in events (is_stale in rulebook):
  each record is cut by the tombstone of its own id, each link by the later one of its ends. A record does
  not say which of its facts were told of both ids; where that makes a difference, what gives consent is
  left out and what says no stays. ]]

local ID, FIRST, LAST, WIDTH = facts.LINK_ID, facts.LINK_FIRST, facts.LINK_LAST, facts.LINK_WIDTH
local OWN, PROVIDER, OUTCOME, AT = rows.OWN, rows.PROVIDER, rows.OUTCOME, rows.AT
local CALL, CALL_WIDTH = codes.CALL, rows.CALL_WIDTH

-- What a customer gives.
local GIVES = { "accept_at", "callback_at", "inbound_at", "talked_at", "wrote_at" }

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

-- What either end of a link was forgotten, the later of both: what was seen of them by then is stale.
local function link_erased(links, i, id, erased)
  return math.max(erased[id], erased[links[i + ID]])
end

-- The links of a record that were seen since. One that was seen before as well counts from nobody knows
-- when: from as early as can be, so that next to another owner it is one that went back and forth (see
-- identity).
local function links_since(links, id, erased)
  local kept = rows.filter(links, WIDTH, function(all, i)
    return link_erased(all, i, id, erased) < all[i + LAST]
  end)
  for i = 0, #kept - 1, WIDTH do
    if kept[i + FIRST] <= link_erased(kept, i, id, erased) then
      kept[i + FIRST] = math.max(codes.EARLIEST, erased[id] + 1)
    end
  end
  return kept
end

-- Whether what was told of a number at `at` may have been told of a user id as well that was forgotten
-- since. Only the links say so, and a fact that names both is stale where either was forgotten.
local function may_be_stale(links, at, erased)
  for i = 0, #links - 1, WIDTH do
    if links[i + FIRST] <= at and at <= math.min(links[i + LAST], erased[links[i + ID]]) then
      return true
    end
  end
  return false
end

-- Takes from a number's record what the customer may not have given: what says no stays, and so do calls
-- and requests. An ACCEPT took the place of an older one, which may be known here or of the user id: it does
-- so here as well, and gives nothing. But where it is all that there is, nothing comes back of who was
-- forgotten.
local function drop_yes(kept, links, erased, here)
  local told = facts.copy(kept)
  for _, register in ipairs(GIVES) do
    if may_be_stale(links, kept[register], erased) then
      facts.unset(kept, register)
    end
  end
  if facts.newest(kept) == 0 and facts.newest(here) == 0 then
    return
  end
  for _, register in ipairs({ "accept_at", "callback_at" }) do
    if kept[register] ~= told[register] and facts.is_outranked(here, told, register) then
      kept[register] = told[register]
      facts.shut(kept, register)
    end
  end
end

-- A call that was answered speaks for the customer, against misses. One that the customer may not have taken
-- is one of which nobody knows whether it was.
local function doubt_calls(kept, links, erased)
  local calls = kept.calls
  for i = 0, #calls - 1, CALL_WIDTH do
    if calls[i + OUTCOME] == CALL.ANSWERED and may_be_stale(links, calls[i + AT], erased) then
      calls[i + OUTCOME] = CALL.UNCERTAIN
    end
  end
end

-- Takes from a user id's record that an ACCEPT was replaced by one that must have been told of a number
-- that was forgotten since. An earlier one may have replaced it before, told of another number: nobody knows
-- when, but not after the last sight of that one.
local function drop_stale(kept, links, erased)
  for _, register in ipairs({ "accept_superseded_at", "callback_superseded_at" }) do
    local at, is_stale, other_at = kept[register], false, 0
    for i = 0, #links - 1, WIDTH do
      local seen_at = math.min(links[i + LAST], at)
      if links[i + FIRST] <= at and erased[links[i + ID]] < seen_at then
        other_at = math.max(other_at, seen_at)
      elseif links[i + FIRST] <= at and at <= links[i + LAST] then
        is_stale = true
      end
    end
    if is_stale then
      kept[register] = other_at
    end
  end
end

-- What of a record was told since its id was forgotten here, as a new record; `erased` says when each id
-- was, `here` is the record that is here.
local function since_erased(record, id, erased, here)
  local kept = facts.filter(record, function(at) return erased[id] < at end)
  if kept.shown_at <= erased[id] then
    kept.shown, kept.shown_at = "", 0
  end
  kept.links = links_since(record.links, id, erased)
  if identity.named(id).wa ~= "" then
    drop_yes(kept, record.links, erased, here)
    doubt_calls(kept, record.links, erased)
  else
    drop_stale(kept, record.links, erased)
  end
  return kept
end

-- Folds the records of all customers under these ids. `host` keeps what it has loaded.
function merge.fold(host, ids, profile, now)
  for _, id in ipairs(ids) do
    fold.apply(identity.load(host, identity.named(id)), profile, now)
  end
end

-- A host of records that were kept elsewhere, by id; of an id without a record an empty one. `erased` says
-- when each id was forgotten here, 0 for never, `here` is the host of this side.
function merge.elsewhere(told, ids, erased, here)
  local by_id = {}
  for _, id in ipairs(ids) do
    by_id[id] = facts.empty()
  end
  for _, item in ipairs(told) do
    by_id[item.id] = since_erased(item.record, item.id, erased, here.load(item.id))
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
  if is_full(a.calls, CALL_WIDTH, b.calls, now)
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
