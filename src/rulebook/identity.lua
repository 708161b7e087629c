--[[ identity: one customer under two ids.

  A customer may be told of by `wa_id`, by `user_id`, or by both. Facts told by the user id alone
  are kept under it; all others under the wa_id. Neither is ever moved: both records keep *links*,
  the ids seen together with theirs and from when to when, and the view puts together what belongs
  together. So binding is a join as well.

  A wa_id belongs to the user id seen with it last. Facts from before the owner was first seen no
  longer count: consent is never carried over to a new owner. ]]

local ID, FIRST, LAST, WIDTH = facts.LINK_ID, facts.LINK_FIRST, facts.LINK_LAST, facts.LINK_WIDTH

local identity = {}

local function newest_link(links)
  local newest
  for i = 0, #links - 1, WIDTH do
    if not newest or links[newest + LAST] < links[i + LAST]
      or (links[newest + LAST] == links[i + LAST]
        and codes.is_before(links[newest + ID], links[i + ID])) then
      newest = i
    end
  end
  return newest
end

-- The id seen together with this record's last, or "".
function identity.newest(record)
  local i = newest_link(record.links)
  return i and record.links[i + ID] or ""
end

-- At one time the smaller id. Returns which.
local function drop_oldest(links)
  local oldest = 0
  for i = WIDTH, #links - 1, WIDTH do
    if links[i + LAST] < links[oldest + LAST]
      or (links[i + LAST] == links[oldest + LAST]
        and codes.is_before(links[i + ID], links[oldest + ID])) then
      oldest = i
    end
  end
  local id = links[oldest + ID]
  rows.remove(links, WIDTH, oldest)
  return id
end

-- Joins "seen together with `id` at `at`" to a record; marks it changed if that is news. Returns
-- whether the id is new here, or now the newest.
function identity.link(record, id, at)
  local links, newest = record.links, identity.newest(record)
  for i = 0, #links - 1, WIDTH do
    if links[i + ID] == id then
      if at < links[i + FIRST] or links[i + LAST] < at then
        links[i + FIRST] = math.min(links[i + FIRST], at)
        links[i + LAST] = math.max(links[i + LAST], at)
        record.is_changed = true
      end
      return identity.newest(record) ~= newest
    end
  end
  local i = #links
  links[i + ID], links[i + FIRST], links[i + LAST] = id, at, at
  if codes.LINKS_MAX * WIDTH < #links and drop_oldest(links) == id then
    return false
  end
  record.is_changed = true
  return true
end

local function copy(record)
  return facts.filter(record, function() return true end)
end

-- The facts of a wa_id's record that are its present owner's.
local function of_owner(record)
  local links = record.links
  if #links <= WIDTH then
    return record
  end
  local owner, others_last = newest_link(links), 0
  for i = 0, #links - 1, WIDTH do
    if i ~= owner then
      others_last = math.max(others_last, links[i + LAST])
    end
  end
  local since = links[owner + FIRST]
  if others_last < since then
    return facts.filter(record, function(at) return since <= at end)
  end
  -- The number went back and forth. What says no counts from the last sight of another owner on; what
  -- gives consent only from the newest sight of this one. A reply in between may be this one's all the
  -- same, and then it has replaced what is known of the owner.
  local kept = facts.filter(record, function(at) return others_last < at end)
  for _, register in ipairs(facts.CONSENT) do
    if kept[register] < links[owner + LAST] then
      facts.shut(kept, register)
    end
  end
  return kept
end

-- More records of the customer: the other numbers that are still the owner's, and the owner where
-- it was last seen with one of those. nil if there are none, as there nearly always are.
local function others_of(who, record_of)
  local owner, others = who.owner, nil
  if not owner or (who.is_bound and #owner.links == WIDTH) then
    return nil
  end
  if not who.is_bound and who.wa then
    others = { owner }
  end
  for i = 0, #owner.links - 1, WIDTH do
    local id = owner.links[i + ID]
    local record = id ~= who.number_id and record_of(id)
    if record and identity.newest(record) == who.owner_id then
      others = others or {}
      others[#others + 1] = record
    end
  end
  return others
end

-- The record of an id, loaded once; where there is none, what `default` makes, or nil.
local function at_hand(host, who, id, default)
  if id == "" then
    return nil
  end
  for _, item in ipairs(who.records) do
    if item.id == id then
      return item.record
    end
  end
  local record = host.load(id) or (default and default())
  if record then
    who.records[#who.records + 1] = { id = id, record = record }
  end
  return record
end

-- More of what a step has at hand: the record of an id, or nil.
function identity.more(host, who, id)
  return at_hand(host, who, id, nil)
end

--[[ The customer whom a command names, as
    wa, user                 the records of the ids that it names, or nil
    number, owner            the records of the wa_id and of the user id that are this customer's,
    number_id, owner_id      and their ids; the wa_id that is named may belong to somebody else
                             than the user id that is named
    is_bound                 whether number and owner are one customer's
    others                   more records of this customer, or nil (see identity.facts)
    is_new_bond              whether linking told something new
    records                  all that were loaded, as { id, record }; new ones for new ids
    news                     changes to be told, in order; see changes
  `binds_at` links the two ids that a command names, in these copies; nil does not. ]]
function identity.load(host, command, binds_at)
  local who = {
    wa_id = command.wa, user_id = command.user, records = {}, news = {}, is_new_bond = false,
    wa = nil, user = nil, number = nil, owner = nil, number_id = nil, owner_id = nil,
    is_bound = nil, others = nil, number_facts = nil,
  }
  local function record_of(id)
    return at_hand(host, who, id, facts.empty)
  end
  who.wa, who.user = record_of(command.wa), record_of(command.user)
  if binds_at and who.wa and who.user then
    local new_owner = identity.link(who.wa, command.user, binds_at)
    local new_number = identity.link(who.user, command.wa, binds_at)
    who.is_new_bond = new_owner or new_number
  end
  if who.wa then
    who.number_id, who.number = command.wa, who.wa
    who.owner_id = identity.newest(who.wa)
    who.owner = record_of(who.owner_id)
  else
    who.owner_id, who.owner = command.user, who.user
    who.number_id = identity.newest(who.user)
    who.number = record_of(who.number_id)
  end
  who.is_bound = who.owner ~= nil and who.number ~= nil
    and identity.newest(who.number) == who.owner_id
    and identity.newest(who.owner) == who.number_id
  who.others = others_of(who, record_of)
  return who
end

-- The records that are this customer's alone: what is told of the customer is kept in each.
function identity.own(who)
  return who.is_bound and { who.number, who.owner } or { who.wa or who.user }
end

-- The ids of the customer, "" where one is not known.
function identity.keys(who)
  if who.is_bound then
    return who.number_id, who.owner_id
  end
  return who.wa and who.wa_id or "", who.wa and "" or who.user_id
end

-- An id as a command names it: user ids have a dot, keys of wa_ids are digits.
function identity.named(id)
  local is_user = string.find(id, ".", 1, true)
  return { wa = is_user and "" or id, user = is_user and id or "" }
end

-- All records of the customer: those whose facts the view puts together.
function identity.records(who)
  local list = identity.own(who)
  for _, record in ipairs(who.others or {}) do
    list[#list + 1] = record
  end
  return list
end

-- By when what was told of the user id alone has been replaced, up to `to`: by a temporary ACCEPT, and by an
-- automatic one, that were told of both ids, or of a number that is still this user's.
local function superseded_at(who, to)
  local accept_at, callback_at = 0, 0
  local function consider(accept, callback)
    accept_at = accept <= to and math.max(accept_at, accept) or accept_at
    callback_at = callback <= to and math.max(callback_at, callback) or callback_at
  end
  consider(who.owner.accept_superseded_at, who.owner.callback_superseded_at)
  for _, record in ipairs(who.others or {}) do
    if record ~= who.owner then
      local kept = of_owner(record)
      consider(kept.accept_permanent == 0 and kept.accept_at or 0, kept.callback_at)
    end
  end
  return accept_at, callback_at
end

-- The facts of the owner's record, as of `to`. What was replaced gives nothing: it must not come back when
-- the number under which the other was given passes to somebody else, or the user to another number.
local function of_user(who, to)
  local record = who.owner
  local accept_at, callback_at = superseded_at(who, to)
  local is_accept_over = 0 < record.accept_at and (record.accept_at < accept_at
    or (record.accept_at == accept_at and record.accept_permanent == 1))
  local is_callback_over = 0 < record.callback_at and record.callback_at < callback_at
  if not is_accept_over and not is_callback_over then
    return record
  end
  local kept = copy(record)
  if is_accept_over then
    facts.shut(kept, "accept_at")
  end
  if is_callback_over then
    facts.shut(kept, "callback_at")
  end
  return kept
end

-- Whether nothing is seen of it yet that an ACCEPT of both ids, of that time, replaced older ones of the user
-- id: where an ACCEPT that is not older counts of the number, it stands before them by itself.
function identity.is_covered(who, is_automatic, at)
  if not who.is_bound or who.owner ~= who.user then
    return false
  end
  local number = of_owner(who.number)
  return at <= (is_automatic and number.callback_at or number.accept_at)
end

-- What counts of one of a customer's records, as of `to`.
function identity.counting(who, record, to)
  return record == who.owner and of_user(who, to) or of_owner(record)
end

-- What was folded under several ids before these were seen together cannot be put in order again. The
-- misses are added up, so that none is lost; what was folded of all together is the same under each,
-- and counts once.
local function add_base(joined, bases, record)
  for _, base in ipairs(bases) do
    if base.streak == record.base_streak and base.at == record.base_at then
      return
    end
  end
  bases[#bases + 1] = { streak = record.base_streak, at = record.base_at }
  joined.base_streak = joined.base_streak + record.base_streak
  joined.base_at = math.max(joined.base_at, record.base_at)
end

-- Takes the consents from `kept`, a record of the customer that is neither that of the id by which somebody
-- looks nor bound to it. What was told of the user id alone, up to `to`, still stands in the place of what is
-- older, as it did while they were bound.
local function drop_consent(who, record, kept, joined, to)
  for _, register in ipairs(facts.CONSENT) do
    if record == who.owner and joined[register] < kept[register] and kept[register] <= to then
      facts.shut(kept, register)
    else
      facts.unset(kept, register)
    end
  end
end

-- All facts of a customer, as one record to be read only. Where a user id was seen with several
-- numbers that are still its own, a no under each of them counts, a yes only under the last.
-- `as_of`: what replaced an ACCEPT later than that is not looked at; nil looks at all.
function identity.facts(who, as_of)
  local to = as_of or codes.NEVER
  local home = identity.counting(who, who.wa or who.user, to)
  if not who.is_bound and not who.others then
    return home
  end
  local joined = copy(who.is_bound and of_owner(who.number) or home)
  local bases = { { streak = joined.base_streak, at = joined.base_at } }
  if who.is_bound then
    facts.join_record(joined, identity.counting(who, who.owner, to))
    add_base(joined, bases, who.owner)
  end
  for _, record in ipairs(who.others or {}) do
    local other = copy(identity.counting(who, record, to))
    drop_consent(who, record, other, joined, to)
    facts.join_record(joined, other)
    add_base(joined, bases, other)
  end
  return joined
end

-- The ids to show: of both where they are one customer's.
function identity.shown(who)
  local user_id = who.is_bound and who.owner_id or who.user_id
  local wa_id = who.is_bound and who.number_id or who.wa_id
  local record = who.is_bound and who.number or who.wa
  if record and record.shown ~= "" then
    wa_id = record.shown
  end
  return wa_id, user_id
end

-- The ids of all whose views may read the records of the named ones, themselves included: those that
-- are linked with them directly, or through one more.
function identity.near(host, wa, user)
  local ids, seen = {}, { [""] = true }
  local function add(id)
    if not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
  add(wa)
  add(user)
  local first = 1
  for _ = 1, 2 do
    local last = #ids
    for i = first, last do
      local record = host.load(ids[i])
      for j = 0, (record and #record.links or 0) - 1, WIDTH do
        add(record.links[j + ID])
      end
    end
    first = last + 1
  end
  return ids
end

-- Every id that is linked with the named ones, directly or through others, themselves included: what
-- forgetting erases. Each of their records names the next, so none may stay.
function identity.linked(host, wa, user)
  local ids, seen = {}, {}
  local function visit(id)
    if id == "" or seen[id] then
      return
    end
    seen[id] = true
    ids[#ids + 1] = id
    local record = host.load(id)
    if record then
      for i = 0, #record.links - 1, WIDTH do
        visit(record.links[i + ID])
      end
    end
  end
  visit(wa)
  visit(user)
  return ids
end

return identity
