--[[ host: what the rulebook may ask of Redis. In front of every script that runs the rulebook.
  Keys that follow from what is stored (the record under a customer's other id) are computed here;
  by the hash tag they are in the slot of the keys that the caller declared. ]]

-- ARGV's now in ms; "0" means this server's own time.
local function instant(given)
  local now = tonumber(given)
  if now > 0 then return now end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A host for one pair. `tombstones`: id -> key.
local function host_of(pair_key, number_key, numbers_key, number, tombstones)
  local is_new = false
  return {
    load = function(id)
      local bytes = redis.call('GET', pair_key .. id)
      if not bytes then
        is_new = true
        return nil
      end
      return codec.decode(bytes)
    end,
    save = function(id, record, expire_at)
      local bytes = codec.encode(record)
      if expire_at > 0 then
        redis.call('SET', pair_key .. id, bytes, 'PXAT', string.format('%.0f', expire_at))
      else
        redis.call('SET', pair_key .. id, bytes)
      end
      if is_new then
        redis.call('SADD', numbers_key, number)
        is_new = false
      end
    end,
    number = function()
      local bytes = redis.call('GET', number_key)
      return bytes and codec.decode_number(bytes) or nil
    end,
    erased = function(id)
      local at = tombstones[id] and redis.call('GET', tombstones[id])
      return at and tonumber(at) or 0
    end,
  }
end
