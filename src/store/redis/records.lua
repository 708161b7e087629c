--[[ records: what questions on some pairs of one partition are judged by, at one instant.
  KEYS    n numbers; the records of the ids that each question names, one after the other; and `never`,
          see keys.rs
  ARGV[1] now_ms     "0": this server's time
  ARGV[2] n          how many numbers
  ARGV[3..]          n pair_keys as for `shell`, in the order of the numbers; then for each question the
                     index of its number, and of how many ids it names the records, 1 or 2
  Reply   the instant, and a list for each question: the number's facts, then id and record, id and
          record, ...; "" is none. Where reading fails, what went wrong instead of the list: a question
          that fails fails alone. ]]
local function read(key)
  return redis.call('GET', key) or ''
end

-- The records of these ids, of those linked with them, and of those linked with these: a customer is
-- put together from no others.
local function records_of(found, pair_key, ids)
  local is_found = {}
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

local n_numbers = tonumber(ARGV[2])
local key, replies = n_numbers, { whole(instant(ARGV[1])) }
for i = 3 + n_numbers, #ARGV, 2 do
  local number, ids = tonumber(ARGV[i]), {}
  local pair_key = ARGV[2 + number]
  for n = 1, tonumber(ARGV[i + 1]) do
    key = key + 1
    ids[n] = string.sub(KEYS[key], #pair_key + 1)
  end
  local is_done, reply = pcall(function()
    return records_of({ read(KEYS[number]) }, pair_key, ids)
  end)
  replies[#replies + 1] = is_done and reply or (type(reply) == 'table' and reply.err or tostring(reply))
end
return replies
