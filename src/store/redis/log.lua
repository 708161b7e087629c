--[[ log: the change log of one partition, in front of every script that writes or trims it. `log` has
  its keys `changes` (STREAM), `marks` (HASH) and `erased` (ZSET), and its bounds `age` (ms) and
  `length` (entries). A reader at the position of an entry that is gone must know whether others have
  gone after it: so `marks` keeps the newest entry that was trimmed, `erased` each that was erased. ]]

-- A step trims as many entries at most: its time stays short, also after a quiet week.
local TRIM_MAX = 32

-- This server's time, ms.
local function server_now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- ARGV's now in ms; "0" means this server's own time.
local function instant(given)
  local now = tonumber(given)
  return now > 0 and now or server_now()
end

local function whole(n)
  return string.format('%.0f', n)
end

-- Trims what is older than the log keeps, and what is too much once `adding` entries come. Nothing
-- but marks is written before the first entry goes: a script that ends here has recorded nothing.
local function trim(log, adding)
  local over = server_now() - log.age
  local gone = {}
  if over > 0 then
    gone = redis.call('XRANGE', log.changes, '-', whole(over), 'COUNT', TRIM_MAX)
  end
  local excess = math.min(redis.call('XLEN', log.changes) + adding - log.length, TRIM_MAX)
  if #gone < excess then
    gone = redis.call('XRANGE', log.changes, '-', '+', 'COUNT', excess)
  end
  if #gone == 0 then return end
  local last = gone[#gone][1]
  local ms, seq = string.match(last, '^(%d+)-(%d+)$')
  redis.call('HSET', log.marks, 'trimmed', last)
  redis.call('XTRIM', log.changes, 'MINID', '=', ms .. '-' .. whole(seq + 1))
  redis.call('ZREMRANGEBYSCORE', log.erased, '-inf', '(' .. ms)
end

-- Where the log ends: the position of the newest entry there ever was, also of one that is gone.
local function log_end(log)
  if redis.call('EXISTS', log.changes) == 0 then
    return redis.call('HGET', log.marks, 'trimmed') or '0-0'
  end
  local info = redis.call('XINFO', 'STREAM', log.changes)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end
