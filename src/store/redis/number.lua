--[[ number: a business number is read, or a report joined to it.
  KEYS[1] number   callgate:{p07}:number:<number>   without end: facts of the business itself
  KEYS[2] numbers  callgate:{p07}:numbers
  KEYS[3] due      callgate:{p07}:due
  KEYS[4] never    callgate:{p07}:never   see keys.rs
  ARGV[1] now_ms   "0": this server's time
  ARGV[2] report   MessagePack, "": only read
  ARGV[3] number   the business number
  Reply   MessagePack of the rulebook's reply. ]]
local bytes, now = redis.call('GET', KEYS[1]), instant(ARGV[1])
local report = ARGV[2] ~= '' and cmsgpack.unpack(ARGV[2]) or nil
local facts = bytes and codec.decode_number(bytes) or nil
local reply = rulebook.number_step(report, now, facts)
if reply.changed == 1 then
  -- What calling in grants has changed: each customer's state may have.
  if reply.resettle == 1 then redis.call('ZADD', KEYS[3], whole(now), ARGV[3] .. ':') end
  redis.call('SET', KEYS[1], codec.encode_number(reply.number))
  if not bytes then redis.call('SADD', KEYS[2], ARGV[3]) end
end
-- As in `shell`.
if report and reply.changed ~= 1 then redis.call('DEL', KEYS[4]) end
return cmsgpack.pack(reply)
