--[[ shell: one command happens to one pair, atomically.
  KEYS[1] number       callgate:{p07}:number:<number>   facts of the business number
  KEYS[2] numbers      callgate:{p07}:numbers           set of known numbers
  KEYS[3] wa record    callgate:{p07}:pair:<number>:<wa>     \  where the customer has only one id,
  KEYS[4] user record  callgate:{p07}:pair:<number>:<user>   /  the same key twice
  KEYS[5] wa tombstone, KEYS[6] user tombstone: only when a fact is recorded, as above
  ARGV[1] now_ms       "0": this server's time
  ARGV[2] command      MessagePack, with the customer's `wa` and `user`
  ARGV[3] profile      MessagePack
  ARGV[4] pair_key     KEYS[3] without the id
  ARGV[5] number       the business number
  Reply   MessagePack of the rulebook's reply. Raises only on bugs and unreadable records. ]]
local command = cmsgpack.unpack(ARGV[2])
local tombstones = { [command.wa] = KEYS[5], [command.user] = KEYS[6] }
local host = host_of(ARGV[4], KEYS[1], KEYS[2], ARGV[5], tombstones)
return cmsgpack.pack(rulebook.step(command, cmsgpack.unpack(ARGV[3]), instant(ARGV[1]), host))
