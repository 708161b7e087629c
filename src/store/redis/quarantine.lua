--[[ quarantine: a piece of a webhook is kept aside. Bounded by count and age: the oldest go.
  KEYS[1] by id     callgate:{p07}:quarantine         HASH
  KEYS[2] by time   callgate:{p07}:quarantine:times   ZSET
  KEYS[3] numbers   callgate:{p07}:numbers            SET; only where a number is named
  ARGV[1] id   ARGV[2] entry   ARGV[3] received_ms   ARGV[4] count_max   ARGV[5] age_max_ms
  ARGV[6] number    the business number
  A redelivery is kept once, as it first came. ]]
local age_max = tonumber(ARGV[5])
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 1 then
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
end
local function drop(ids)
  for _, id in ipairs(ids) do
    redis.call('HDEL', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
  end
end
drop(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', ARGV[3] - age_max)))
drop(redis.call('ZRANGE', KEYS[2], 0, -1 - ARGV[4]))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
-- So that forgetting a customer on all numbers looks at this one, too.
if KEYS[3] then redis.call('SADD', KEYS[3], ARGV[6]) end
return redis.status_reply('OK')
