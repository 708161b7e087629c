--[[ lease: a gate takes, or keeps, the right to look for what is due in some groups of partitions.
  KEYS  callgate:{p08}:sweeper of each group   STRING: which gate
  ARGV[1] gate     a random id of this process
  ARGV[2] ttl_ms
  Reply  a number for each: 0 it is ours now; else for how long it is another's, ms. ]]
local left = {}
for i, key in ipairs(KEYS) do
  local holder = redis.call('GET', key)
  if holder and holder ~= ARGV[1] then
    left[i] = math.max(1, redis.call('PTTL', key))
  else
    redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
    left[i] = 0
  end
end
return left
