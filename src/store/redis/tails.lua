--[[ tails: where the logs of some partitions end.
  KEYS  changes and log of each
  Reply an id for each. ]]
local tails = {}
for i = 1, #KEYS, 2 do
  tails[#tails + 1] = log_end({ changes = KEYS[i], marks = KEYS[i + 1] })
end
return tails
