--[[ erase: what the change log says of forgotten customers goes, a piece at a time.
  KEYS[1] changes, KEYS[2] erased: the change log
  KEYS[3] erasing   LIST of { number, ids, from, to }, see `forget`
  ARGV[1] count     so many entries are looked at
  ARGV[2] forgotten the cause that says that a customer was forgotten: those entries stay
  Reply   1: there is more to do. ]]
local packed = redis.call('LINDEX', KEYS[3], 0)
if not packed then return 0 end
local job, count = cmsgpack.unpack(packed), tonumber(ARGV[1])

local function names_one(bytes)
  if not string.find(bytes, job.number, 1, true) then return false end
  for _, id in ipairs(job.ids) do
    if string.find(bytes, id, 1, true) then return true end
  end
  return false
end

-- The fields are those of `Change` in src/engine/change.rs.
local function is_theirs(bytes)
  if not names_one(bytes) then return false end
  local change, is_one = cmsgpack.unpack(bytes), false
  for _, id in ipairs(job.ids) do
    is_one = is_one or id == change[3] or id == change[4]
  end
  return is_one and change[2] == job.number and change[5] ~= tonumber(ARGV[2])
end

local entries = redis.call('XRANGE', KEYS[1], job.from, job.to, 'COUNT', count)
for _, entry in ipairs(entries) do
  local id = entry[1]
  if is_theirs(entry[2][2]) then
    redis.call('ZADD', KEYS[2], string.match(id, '^%d+'), id)
    redis.call('XDEL', KEYS[1], id)
  end
end
if #entries < count then
  redis.call('LPOP', KEYS[3])
else
  job.from = '(' .. entries[#entries][1]
  redis.call('LSET', KEYS[3], 0, cmsgpack.pack(job))
end
return redis.call('EXISTS', KEYS[3])
