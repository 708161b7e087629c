--[[ streak: how many calls in a row the customer did not take.

  A walk over calls and endings in order of time. At one second endings come first, then answered
  calls, then misses. ]]

local CALL = codes.CALL
local WIDTH, OUTCOME, AT = rows.CALL_WIDTH, rows.OUTCOME, rows.AT
local second = codes.second

local streak = {}

local ENDING, TALK, MISS = 1, 2, 3

-- What a call of this outcome is in the walk; nil: it changes nothing.
function streak.class_of(outcome, profile)
  if outcome == CALL.ANSWERED then
    return TALK
  elseif outcome == CALL.UNANSWERED or outcome == CALL.REJECTED
    or (outcome == CALL.CANCELED and profile.canceled_is_unanswered == 1) then
    return MISS
  end
end

local function in_order(a, b)
  if a.second ~= b.second then
    return a.second < b.second
  elseif a.class ~= b.class then
    return a.class < b.class
  end
  return a.at < b.at
end

-- The steps of the walk from the record's base on, in order.
local function steps_of(record, calls, profile, reject_at, before)
  local steps = {}
  for _, at in ipairs({ reject_at, record.taken_at }) do
    -- The base stands for all that was folded: an ending before it has done its work already.
    if second(at) > second(record.base_at) and at < before then
      steps[#steps + 1] = { second = second(at), class = ENDING, at = at }
    end
  end
  for i = 0, #calls - 1, WIDTH do
    local class = streak.class_of(calls[i + OUTCOME], profile)
    if class then
      local at = calls[i + AT]
      steps[#steps + 1] = { second = second(at), class = class, at = at }
    end
  end
  table.sort(steps, in_order)
  return steps
end

local NONE = {}

local function is_any_miss(calls, profile)
  for i = 0, #calls - 1, WIDTH do
    if streak.class_of(calls[i + OUTCOME], profile) == MISS then
      return true
    end
  end
  return false
end

-- The misses in a row, and the times of the auto-revocations, oldest first. `reject_at`: see
-- facts.reject_at. Endings count where they are earlier than `before`.
function streak.walk(record, calls, profile, reject_at, before)
  if record.base_streak == 0 and not is_any_miss(calls, profile) then
    return 0, NONE
  end
  -- Of what was folded under two ids there may be more: the next miss revokes.
  local count = math.min(record.base_streak, profile.unanswered_revokes_at - 1)
  local revocations = {}
  for _, step in ipairs(steps_of(record, calls, profile, reject_at, before)) do
    if step.class == MISS then
      count = count + 1
      if count >= profile.unanswered_revokes_at then
        revocations[#revocations + 1] = step.at
        count = 0
      end
    else
      count = 0
    end
  end
  return count, revocations
end

return streak
