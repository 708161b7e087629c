--[[ display: what is known of a number as people dial it.
  KEYS[1] display   callgate:display:<digits>   HASH: id and id_at once learnt, else `waiting`: the
                    facts of a business number whose id is not known yet
  ARGV[1] verb      "report": joins a report to what waits, unless the id is known
                    "learn":  the id is told; the newest telling wins
                    "settle": what waited has been handed over
                    "look":   what is known
  ARGV[2] now_ms    "0": this server's time
  ARGV[3] keep_ms   the key lives this long after the last word about it
  ARGV[4] report: MessagePack of it; learn: the id; settle: `waiting` as it was handed over
  ARGV[5] learn: since when, ms, "0": now
  Reply   report: { id or "", MessagePack of the rulebook's reply or "" }
          learn:  { whose it is, `waiting` or "", MessagePack of those facts or "" }
          settle: {}
          look:   { whose it is or "", since when or "", MessagePack of what waits or "" } ]]
local verb, now = ARGV[1], instant(ARGV[2])
local id, id_at, waiting = unpack(redis.call('HMGET', KEYS[1], 'id', 'id_at', 'waiting'))

if verb == 'report' then
  if id then return { id, '' } end
  local facts = waiting and codec.decode_number(waiting) or nil
  local reply = rulebook.number_step(cmsgpack.unpack(ARGV[4]), now, facts)
  if reply.changed == 1 then
    redis.call('HSET', KEYS[1], 'waiting', codec.encode_number(reply.number))
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
  return { '', cmsgpack.pack(reply) }
end

if verb == 'learn' then
  local at = tonumber(ARGV[5])
  if at == 0 then at = now end
  local known_at = id and tonumber(id_at)
  -- Of two at one instant the larger id, so that their order does not matter.
  if not id or known_at < at or (known_at == at and id <= ARGV[4]) then
    id = ARGV[4]
    redis.call('HSET', KEYS[1], 'id', id, 'id_at', string.format('%.0f', at))
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
  if not waiting then return { id, '', '' } end
  return { id, waiting, cmsgpack.pack(codec.decode_number(waiting)) }
end

if verb == 'look' then
  return { id or '', id_at or '', waiting and cmsgpack.pack(codec.decode_number(waiting)) or '' }
end

if waiting == ARGV[4] then redis.call('HDEL', KEYS[1], 'waiting') end
return {}
