--[[ forget: a customer is erased on one business number.
  KEYS[1] number    callgate:{p07}:number:<number>
  KEYS[2] changes, KEYS[3] log, KEYS[4] erased: the change log
  KEYS[5] due       callgate:{p07}:due
  KEYS[6] erasing   callgate:{p07}:erasing   LIST: parts of the log that `erase` has to go through
  KEYS[7] never     see keys.rs
  KEYS[8] numbers   callgate:{p07}:numbers
  KEYS[9..]         records and tombstones known beforehand
  ARGV[1] now_ms    "0": this server's time
  ARGV[2] keep_ms   a tombstone lives this long
  ARGV[3] pair_key  callgate:{p07}:pair:<number>:
  ARGV[4] wa, ARGV[5] user: the customer's ids as asked for, or ""
  ARGV[6] tombstones  MessagePack map id -> key; "": only list the ids
  ARGV[7] number    the business number
  ARGV[8] profile   MessagePack of its values
  ARGV[9] log_age_ms, ARGV[10] log_length
  ARGV[11] as_of_ms "0": all is erased; else as if it were done then: what happened later stays
  Reply   { "linked", id, … }: all ids of this customer, nothing was done, since some of them had no
          tombstone key; or { "erased", how many records, of how many customers that is told } ]]
local log = {
  changes = KEYS[2], marks = KEYS[3], erased = KEYS[4],
  age = tonumber(ARGV[9]), length = tonumber(ARGV[10]),
}
local host = host_of({ number = ARGV[7], pair_key = ARGV[3], number_key = KEYS[1], log = log })
local tombstones = ARGV[6] ~= '' and cmsgpack.unpack(ARGV[6]) or {}
local linked, is_known = rulebook.linked(host, ARGV[4], ARGV[5]), ARGV[6] ~= ''
for _, id in ipairs(linked) do is_known = is_known and tombstones[id] ~= nil end
if not is_known then return { 'linked', unpack(linked) } end

-- Facts up to five minutes ahead of the clock count at once; they are erased as well.
local now, as_of, ids, records, told = instant(ARGV[1]), tonumber(ARGV[11]), {}, 0, 0
local at, stays = as_of > 0 and as_of or now, {}
for id, tombstone in pairs(tombstones) do
  ids[#ids + 1] = id
  local record = host.load(id)
  if record then
    if as_of > 0 then
      stays[#stays + 1] = { id = id, record = record }
    else
      at = math.max(at, rulebook.newest(record))
    end
    records = records + 1
  end
  at = math.max(at, tonumber(redis.call('GET', tombstone) or 0))
end
table.sort(ids, rulebook.is_before)
if records > 0 then
  for _, change in ipairs(rulebook.forgotten(host, ids, profile_of(ARGV[8]), now)) do
    host.tell(change)
    told = told + 1
  end
  -- The log is long: what it says of them goes piece by piece, and that survives us.
  local until_here = log_end(log)
  redis.call('RPUSH', KEYS[6],
    cmsgpack.pack({ number = ARGV[7], ids = ids, from = '-', to = until_here }))
end
for _, id in ipairs(ids) do
  redis.call('ZREM', KEYS[5], ARGV[7] .. ':' .. id)
  redis.call('DEL', ARGV[3] .. id)
  redis.call('SET', tombstones[id], whole(at), 'PX', ARGV[2])
end
if #stays > 0 then
  -- The tombstones leave out what is not later.
  host = host_of({
    number = ARGV[7], pair_key = ARGV[3], number_key = KEYS[1], numbers_key = KEYS[8],
    due_key = KEYS[5], log = log, tombstones = tombstones,
  })
  rulebook.join(stays, ids, profile_of(ARGV[8]), now, host)
end
return { 'erased', records, told }
