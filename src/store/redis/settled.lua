--[[ settled: a deadline has done its work, unless it was set anew meanwhile.
  KEYS[1] due
  ARGV[1] member   ARGV[2] at, ms ]]
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if at and tonumber(at) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return redis.status_reply('OK')
