--[[ forgotten: a tombstone from elsewhere. The later one stays.
  KEYS[1] tombstone
  ARGV[1] at, ms   ARGV[2] ttl_ms ]]
if tonumber(redis.call('GET', KEYS[1]) or 0) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return redis.status_reply('OK')
