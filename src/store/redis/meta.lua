--[[ meta: what was fixed when the store was first used. Without end.
  KEYS[1] meta   callgate:meta   HASH
  ARGV[1] schema version   ARGV[2] partitions   ARGV[3] a fresh random key for the tombstones
  Reply   { schema, partitions, key }, the stored ones. ]]
redis.call('HSETNX', KEYS[1], 'schema', ARGV[1])
redis.call('HSETNX', KEYS[1], 'partitions', ARGV[2])
redis.call('HSETNX', KEYS[1], 'key', ARGV[3])
return redis.call('HMGET', KEYS[1], 'schema', 'partitions', 'key')
