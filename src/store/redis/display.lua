--[[ display: what is known of a number as people dial it.
  KEYS[1] display   callgate:display:<digits>   HASH: whose it is (id) and when it was last (id_at), when
                    another id had it last (others_at), and the facts that were told of it by its digits
                    alone (waiting)
  ARGV[1] verb      "report": joins a report to those facts
                    "learn":  tells whose it is; the newest telling wins
                    "look":   tells what is known
  ARGV[2] now_ms    "0": this server's time
  ARGV[3] keep_ms   the key lives this long after the last word about it
  ARGV[4] report: MessagePack of it; learn: the id
  ARGV[5] learn: since when, ms
  Reply   { whose it is or "", when or "0", when another one's or "0", MessagePack of the facts or "",
          report: MessagePack of the rulebook's reply, else "" } ]]
local verb, now = ARGV[1], instant(ARGV[2])
local id, id_at, others_at, waiting =
  unpack(redis.call('HMGET', KEYS[1], 'id', 'id_at', 'others_at', 'waiting'))
id, id_at, others_at = id or '', tonumber(id_at or 0), tonumber(others_at or 0)
local facts, reply = waiting and codec.decode_number(waiting) or nil, ''

if verb == 'report' then
  local step = rulebook.number_step(cmsgpack.unpack(ARGV[4]), now, facts)
  facts, reply = step.number, cmsgpack.pack(step)
  if step.changed == 1 then
    redis.call('HSET', KEYS[1], 'waiting', codec.encode_number(facts))
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
elseif verb == 'learn' then
  local told, at = ARGV[4], tonumber(ARGV[5])
  -- Of two at one instant the larger id, so that their order does not matter.
  local is_newest = id_at < at or (id_at == at and id < told)
  if id ~= '' and id ~= told then
    others_at = math.max(others_at, is_newest and id_at or at)
  end
  if is_newest then id, id_at = told, at end
  redis.call('HSET', KEYS[1], 'id', id, 'id_at', whole(id_at), 'others_at', whole(others_at))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return { id, whole(id_at), whole(others_at), facts and cmsgpack.pack(facts) or '', reply }
