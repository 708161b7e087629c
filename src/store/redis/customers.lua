--[[ customers: the keys of some records.
  KEYS[1] numbers   callgate:{p07}:numbers: says which master
  KEYS[2] never     see keys.rs
  ARGV[1] from      "", or where the page before ended
  ARGV[2] pattern   of the keys
  ARGV[3] count     so many keys of any kind are looked at
  Reply   { where to go on, or "" at the end; key, … }
  A cursor means nothing to another server, nor to this one after a restart: then from the start. ]]
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local of, cursor = string.match(ARGV[1], '^(%x+):(%d+)$')
if of ~= server then cursor = '0' end
local page = redis.call('SCAN', cursor, 'MATCH', ARGV[2], 'COUNT', ARGV[3])
table.insert(page[2], 1, page[1] == '0' and '' or server .. ':' .. page[1])
return page[2]
