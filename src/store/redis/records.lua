--[[ records: what questions on some pairs of one partition are judged by, at one instant.
  KEYS    every number and record known beforehand; and `never`, see keys.rs
  ARGV[1] now_ms     "0": this server's time
  ARGV[2..]          four per question: index of its number in KEYS, pair_key as for `shell`, wa, user
  Reply   the instant, and a list for each question: the number's facts, then id and record, id and
          record, ...; "" is none. Where reading fails, what went wrong instead of the list: a question
          that fails fails alone. ]]
local function read(key)
  return redis.call('GET', key) or ''
end

-- The records of the ids that a question names, of those linked with them, and of those linked with
-- these: a customer is put together from no others.
local function records_of(found, pair_key, wa, user)
  local is_found, ids = { [''] = true }, { wa, user }
  for _ = 1, 3 do
    local others = {}
    for _, id in ipairs(ids) do
      if not is_found[id] then
        is_found[id] = true
        local bytes = read(pair_key .. id)
        found[#found + 1], found[#found + 2] = id, bytes
        codec.add_linked(others, bytes)
      end
    end
    ids = others
  end
  return found
end

local replies = { whole(instant(ARGV[1])) }
for i = 2, #ARGV, 4 do
  local is_done, reply = pcall(function()
    return records_of({ read(KEYS[tonumber(ARGV[i])]) }, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  end)
  replies[#replies + 1] = is_done and reply or (type(reply) == 'table' and reply.err or tostring(reply))
end
return replies
