--[[ shell: one command happens to one pair, atomically.
  KEYS[1] number       callgate:{p07}:number:<number>   facts of the business number
  KEYS[2] numbers      callgate:{p07}:numbers           set of known numbers
  KEYS[3] changes, KEYS[4] log, KEYS[5] erased: the change log
  KEYS[6] due          callgate:{p07}:due               deadlines
  KEYS[7] never        callgate:{p07}:never             see keys.rs
  KEYS[8] wa record    callgate:{p07}:pair:<number>:<wa>     \  where the customer has only one id,
  KEYS[9] user record  callgate:{p07}:pair:<number>:<user>   /  the same key twice
  KEYS[10] wa tombstone, KEYS[11] user tombstone: only when a fact is recorded, as above
  ARGV[1] now_ms       "0": this server's time
  ARGV[2] command      MessagePack, with the customer's `wa` and `user`
  ARGV[3] profile      MessagePack of its values
  ARGV[4] pair_key     KEYS[8] without the id
  ARGV[5] number       the business number
  ARGV[6] log_age_ms, ARGV[7] log_length: what the log keeps
  Reply   MessagePack of each of the reply's values, see src/store/reply.rs; after a settle, and where
          the change log ended: ms, seq. Raises only on bugs and unreadable records. ]]
local command, now = cmsgpack.unpack(ARGV[2]), instant(ARGV[1])
local log = {
  changes = KEYS[3], marks = KEYS[4], erased = KEYS[5],
  age = tonumber(ARGV[6]), length = tonumber(ARGV[7]),
}
local host = host_of({
  number = ARGV[5], pair_key = ARGV[4], number_key = KEYS[1], numbers_key = KEYS[2],
  due_key = KEYS[6], log = log,
  tombstones = { [command.wa] = KEYS[10], [command.user] = KEYS[11] },
})
local reply = rulebook.step(command, profile_of(ARGV[3]), now, host)
if command.verb == 'settle' then
  -- A deadline that settling leaves behind has nothing to tell: its record is gone, or says no more
  -- than it did. Nobody is to be asked again for it.
  for _, id in ipairs({ command.wa, command.user }) do
    local member = ARGV[5] .. ':' .. id
    local at = id ~= '' and not host.rearmed[id] and redis.call('ZSCORE', KEYS[6], member)
    if at and tonumber(at) <= now then redis.call('ZREM', KEYS[6], member) end
  end
  local ms, seq = string.match(log_end(log), '^(%d+)-(%d+)$')
  return cmsgpack.pack(rulebook.reply_of(reply)) .. cmsgpack.pack(tonumber(ms), tonumber(seq))
end
-- What is answered from what was there before is answered as if it were written now: a server that may
-- not write, since another one is the master, may be told nothing more of what became of it there.
local is_relied_on = ((reply.verdict and reply.verdict.decision == 1) or (reply.result or 0) > 0)
if is_relied_on and not host.has_saved then redis.call('DEL', KEYS[7]) end
return cmsgpack.pack(rulebook.reply_of(reply))
