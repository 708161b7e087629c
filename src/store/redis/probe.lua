--[[ probe: whether this user may run what the scripts run. A user who may not would be found out by a
  step, and only when it has something to tell. Leaves nothing.
  KEYS[1] probe   callgate:{p00}:probe ]]
local key = KEYS[1]
redis.call('DEL', key)
redis.call('XADD', key, '*', 'c', '')
redis.call('XINFO', 'STREAM', key)
redis.call('XRANGE', key, '-', '+', 'COUNT', 1)
redis.call('XLEN', key)
redis.call('XDEL', key, '0-1')
redis.call('XTRIM', key, 'MINID', '=', '0-1')
redis.call('DEL', key)
redis.call('ZADD', key, 1, '')
redis.call('ZSCORE', key, '')
redis.call('ZRANGEBYSCORE', key, '-inf', 0)
redis.call('ZREMRANGEBYSCORE', key, '-inf', 0)
redis.call('ZREM', key, '')
redis.call('RPUSH', key, '')
redis.call('LINDEX', key, 0)
redis.call('LSET', key, 0, '')
redis.call('LPOP', key)
redis.call('PTTL', key)
redis.call('SCAN', 0, 'MATCH', key, 'COUNT', 1)
return redis.status_reply('OK')
