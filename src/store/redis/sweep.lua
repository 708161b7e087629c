--[[ sweep: what is due in some partitions; and their change logs are trimmed by age, a little, where
  nobody writes.
  KEYS  changes, log, erased, due and erasing of each
  ARGV[1] limit   so many of each partition
  ARGV[2] log_age_ms, ARGV[3] log_length
  Reply  for each: { "1" if `erase` has to go on, member, ms, … }, the longest due first. ]]
local now, reply = whole(server_now()), {}
for i = 1, #KEYS, 5 do
  trim({
    changes = KEYS[i], marks = KEYS[i + 1], erased = KEYS[i + 2],
    age = tonumber(ARGV[2]), length = tonumber(ARGV[3]),
  }, 0)
  local due =
    redis.call('ZRANGEBYSCORE', KEYS[i + 3], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
  table.insert(due, 1, tostring(redis.call('EXISTS', KEYS[i + 4])))
  reply[#reply + 1] = due
end
return reply
