--[[ read: some pairs of one partition are judged, changing nothing.
  KEYS    every number and record known beforehand; and `never`, see keys.rs
  ARGV[1] now_ms     "0": this server's time, one instant for all
  ARGV[2] profiles   MessagePack list of their values
  ARGV[3..]          four per step: command (MessagePack), index of its profile, index of its
                     number in KEYS, pair_key as for `shell`
  Reply   a list, one per step: "+" and its reply as of `shell`, or "-" and what went wrong: a step that
          fails fails alone. ]]
local now, profiles = instant(ARGV[1]), cmsgpack.unpack(ARGV[2])
for i, values in ipairs(profiles) do profiles[i] = named_profile(values) end
local replies = {}
for i = 3, #ARGV, 4 do
  local host = host_of({ pair_key = ARGV[i + 3], number_key = KEYS[tonumber(ARGV[i + 2])] })
  local profile = profiles[tonumber(ARGV[i + 1])]
  local is_done, reply = pcall(rulebook.step, cmsgpack.unpack(ARGV[i]), profile, now, host)
  if is_done then
    replies[#replies + 1] = '+' .. cmsgpack.pack(rulebook.reply_of(reply))
  else
    replies[#replies + 1] = '-' .. (type(reply) == 'table' and reply.err or tostring(reply))
  end
end
return replies
