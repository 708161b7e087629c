--[[ entries: the change log of one partition from a position on, in one instant.
  KEYS[1] changes, KEYS[2] log, KEYS[3] erased
  ARGV[1] after   the position, as an id
  ARGV[2] count   so many entries
  Reply   { how the position is known: "there", "erased" or "gone"; the newest entry that was trimmed,
          or ""; then id and bytes of each entry after the position }. Where it is "there", nothing
          after it was trimmed, and `trimmed` is not told. ]]
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2] + 1)
local first, known, trimmed = 1, 'gone', ''
if entries[1] and entries[1][1] == ARGV[1] then
  first, known = 2, 'there'
else
  if redis.call('ZSCORE', KEYS[3], ARGV[1]) then known = 'erased' end
  trimmed = redis.call('HGET', KEYS[2], 'trimmed') or ''
end
local reply = { known, trimmed }
for i = first, math.min(#entries, first + ARGV[2] - 1) do
  reply[#reply + 1] = entries[i][1]
  reply[#reply + 1] = entries[i][2][2]
end
return reply
