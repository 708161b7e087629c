--[[ host: what the rulebook may ask of Redis. In front of every script that runs the rulebook.
  Keys that follow from what is stored (the record under a customer's other id) are computed here;
  by the hash tag they are in the slot of the keys that the caller declared. ]]

--[[ A host for one pair. `of` has
    number                            the business number
    pair_key, number_key              the key of a record without the id, the number's own
    numbers_key, due_key, log         only where the step may write
    tombstones                        id -> key, only where a fact is recorded
  The rulebook tells before it saves, and a deadline is written before its record: should a command
  be refused (an ACL without it, no memory), the record is not changed yet, and a change is told
  twice rather than never. ]]
local host, of, is_new = {}, nil, false

function host.load(id)
  local bytes = redis.call('GET', of.pair_key .. id)
  if not bytes then
    is_new = true
    return nil
  end
  return codec.decode(bytes)
end

function host.tell(change)
  trim(of.log, 1)
  redis.call('XADD', of.log.changes, '*', 'c', codec.encode_change(of.number, change))
end

-- `due_at`: nil, the deadline is as it was; 0, there is none any more.
function host.save(id, record, expire_at, due_at)
  local bytes = codec.encode(record)
  host.has_saved = true
  if due_at then
    host.rearmed[id] = true
    local member = of.number .. ':' .. id
    if due_at > 0 then
      redis.call('ZADD', of.due_key, whole(due_at), member)
    else
      redis.call('ZREM', of.due_key, member)
    end
  end
  if expire_at > 0 then
    redis.call('SET', of.pair_key .. id, bytes, 'PXAT', whole(expire_at))
  else
    redis.call('SET', of.pair_key .. id, bytes)
  end
  if is_new then
    redis.call('SADD', of.numbers_key, of.number)
    is_new = false
  end
end

function host.number()
  local bytes = redis.call('GET', of.number_key)
  return bytes and codec.decode_number(bytes) or nil
end

function host.erased(id)
  local key = of.tombstones and of.tombstones[id]
  local at = key and redis.call('GET', key)
  return at and tonumber(at) or 0
end

-- There is one host, for one pair after the other: each call begins anew.
local function host_of(given)
  of, is_new = given, false
  host.rearmed, host.has_saved = {}, false
  return host
end

-- The fields of a profile, in the order of `Profile` in src/engine/profile.rs.
local PROFILE = {
  'name', 'temporary_permission', 'request_lapses_after', 'requests_per_day', 'requests_per_week',
  'connected_call_resets_requests', 'undelivered_request_counts', 'request_ends_permission',
  'calls_per_window', 'call_window', 'calls_per_permission', 'calls_at_once', 'longest_call',
  'unanswered_warns_at', 'unanswered_revokes_at', 'canceled_is_unanswered', 'inbound_call_grants',
  'lease', 'expiring_soon',
}

-- A profile crosses as a list of values, since it does with every step.
local function named_profile(values)
  local profile = {}
  for i, value in ipairs(values) do profile[PROFILE[i]] = value end
  return profile
end

-- A profile, to be read only. A library keeps some: it is the same from step to step.
local profiles, profiles_known = {}, 0
local function profile_of(bytes)
  local profile = profiles[bytes]
  if not profile then
    if profiles_known == 32 then profiles, profiles_known = {}, 0 end
    profile = named_profile(cmsgpack.unpack(bytes))
    profiles[bytes], profiles_known = profile, profiles_known + 1
  end
  return profile
end
