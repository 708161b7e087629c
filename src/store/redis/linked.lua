--[[ linked: the records of a customer and of all who are linked with them, as they are at one instant.
  KEYS[1] record   callgate:{p07}:pair:<number>:<id>
  KEYS[2] never    see keys.rs
  ARGV[1] pair_key KEYS[1] without the id
  Reply   { id, record, … }; "" is none. ]]
local host, reply = host_of({ pair_key = ARGV[1] }), {}
for _, id in ipairs(rulebook.linked(host, string.sub(KEYS[1], #ARGV[1] + 1), '')) do
  reply[#reply + 1] = id
  reply[#reply + 1] = redis.call('GET', ARGV[1] .. id) or ''
end
return reply
