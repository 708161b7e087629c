--[[ forget: a customer is erased on one business number.
  KEYS[1] number    callgate:{p07}:number:<number>
  KEYS[2..]         records and tombstones known beforehand
  ARGV[1] now_ms    "0": this server's time
  ARGV[2] keep_ms   a tombstone lives this long
  ARGV[3] pair_key  callgate:{p07}:pair:<number>:
  ARGV[4] wa, ARGV[5] user: the customer's ids as asked for, or ""
  ARGV[6] tombstones  MessagePack map id -> key; "": only list the ids
  Reply   { "linked", id, … }: all ids of this customer, nothing was done, since some of them had no
          tombstone key; or { "erased", how many records } ]]
local host = host_of(ARGV[3], KEYS[1], '', '', {})
local tombstones = ARGV[6] ~= '' and cmsgpack.unpack(ARGV[6]) or {}
local ids, is_known = rulebook.linked(host, ARGV[4], ARGV[5]), ARGV[6] ~= ''
for _, id in ipairs(ids) do is_known = is_known and tombstones[id] ~= nil end
if not is_known then return { 'linked', unpack(ids) } end

-- Facts up to five minutes ahead of the clock count at once; they are erased as well.
local at, erased = instant(ARGV[1]), 0
for id in pairs(tombstones) do
  local record = host.load(id)
  if record then at = math.max(at, rulebook.newest(record)) end
end
for id, tombstone in pairs(tombstones) do
  erased = erased + redis.call('DEL', ARGV[3] .. id)
  at = math.max(at, tonumber(redis.call('GET', tombstone) or 0))
end
for _, tombstone in pairs(tombstones) do
  redis.call('SET', tombstone, string.format('%.0f', at), 'PX', ARGV[2])
end
return { 'erased', erased }
