--[[ meta: what was fixed when the store was first used. Without end.
  KEYS[1] meta   callgate:meta   HASH
  ARGV[1] schema version   ARGV[2] partitions   ARGV[3] a fresh random key for the tombstones
  ARGV[4] fingerprints of the keys of pseudonyms, '' for none
  Reply   { schema, partitions, key, fingerprints }, the stored ones. ]]
if redis.call('HSETNX', KEYS[1], 'schema', ARGV[1]) == 1 and ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'pseudonyms', ARGV[4])
end
redis.call('HSETNX', KEYS[1], 'partitions', ARGV[2])
redis.call('HSETNX', KEYS[1], 'key', ARGV[3])
local stored = redis.call('HMGET', KEYS[1], 'schema', 'partitions', 'key', 'pseudonyms')
return { stored[1], stored[2], stored[3], stored[4] or '' }
