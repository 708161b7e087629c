--[[ join: records that were kept elsewhere are joined to those that are here, atomically.
  KEYS[1..7]       as for `shell`
  KEYS[8..]        for each id its record, then its tombstone
  ARGV[1] now_ms   "0": this server's time
  ARGV[2] profile  MessagePack of its values
  ARGV[3] pair_key, ARGV[4] number, ARGV[5] log_age_ms, ARGV[6] log_length: as for `shell`
  ARGV[7..]        for each id what was kept of it elsewhere; "" is nothing
  Reply   as of `shell`. ]]
local log = {
  changes = KEYS[3], marks = KEYS[4], erased = KEYS[5],
  age = tonumber(ARGV[5]), length = tonumber(ARGV[6]),
}
local ids, told, tombstones = {}, {}, {}
for i = 7, #ARGV do
  local record = KEYS[2 * i - 6]
  local id = string.sub(record, #ARGV[3] + 1)
  ids[#ids + 1], tombstones[id] = id, KEYS[2 * i - 5]
  if ARGV[i] ~= '' then told[#told + 1] = { id = id, record = codec.decode(ARGV[i]) } end
end
local host = host_of({
  number = ARGV[4], pair_key = ARGV[3], number_key = KEYS[1], numbers_key = KEYS[2],
  due_key = KEYS[6], log = log, tombstones = tombstones,
})
local reply = rulebook.join(told, ids, profile_of(ARGV[2]), instant(ARGV[1]), host)
-- As in `shell`.
if (reply.result or 0) > 0 and not host.has_saved then redis.call('DEL', KEYS[7]) end
return cmsgpack.pack(rulebook.reply_of(reply))
