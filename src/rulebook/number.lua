--[[ number: what is known about a business number. Later `at` wins, each fact by itself; at one time
  the narrower reading does. 0 is unset; see NumberFacts in src/engine/profile.rs. ]]

local TOLD = codes.TOLD

local number = {}

function number.empty()
  return {
    display = "",
    calling = 0, calling_at = 0,
    pause = 0, paused_until = 0, pause_at = 0,
    request_pause = 0, requests_paused_until = 0, request_pause_at = 0,
    inbound_call_grants = 0, inbound_call_grants_at = 0,
  }
end

-- What is known of a number of which nothing was told. To be read only.
number.NOTHING = number.empty()

-- A yes or no; "no" is narrower.
local function join_told(facts, name, told, at)
  local at_name = name .. "_at"
  if told == 0 or at < facts[at_name] or (at == facts[at_name] and facts[name] <= told) then
    return false
  end
  facts[name], facts[at_name] = told, at
  return true
end

-- How far a pause reaches: one without end furthest.
local function reach(pause, paused_until)
  if pause ~= TOLD.YES then
    return 0
  end
  return paused_until == 0 and codes.NEVER or paused_until
end

local function join_pause(facts, name, until_name, pause, paused_until, at)
  local at_name = name .. "_at"
  if pause == 0 or at < facts[at_name] or (at == facts[at_name]
    and reach(pause, paused_until) <= reach(facts[name], facts[until_name])) then
    return false
  end
  facts[name], facts[at_name] = pause, at
  facts[until_name] = pause == TOLD.YES and paused_until or 0
  return true
end

-- Joins a report; returns whether it changed anything.
function number.join(facts, report, at)
  local changed = join_told(facts, "calling", report.calling, at)
  changed = join_told(facts, "inbound_call_grants", report.inbound_call_grants, at) or changed
  changed = join_pause(facts, "pause", "paused_until", report.pause, report.paused_until, at)
    or changed
  changed = join_pause(facts, "request_pause", "requests_paused_until", report.request_pause,
    report.requests_paused_until, at) or changed
  if report.display ~= "" and report.display ~= facts.display then
    facts.display, changed = report.display, true
  end
  return changed
end

-- When a pause that runs now ends (NEVER: not by itself), or nil.
local function pause_end(pause, paused_until, now)
  if pause ~= TOLD.YES then
    return nil
  elseif paused_until == 0 then
    return codes.NEVER
  end
  return now < paused_until and paused_until or nil
end

-- When calls may be placed again from this number, NEVER if not by itself; nil if they may now.
function number.calls_resume_at(facts, now)
  if facts.calling == TOLD.NO then
    return codes.NEVER
  end
  return pause_end(facts.pause, facts.paused_until, now)
end

-- The same for permission requests.
function number.requests_resume_at(facts, now)
  local by_calls = number.calls_resume_at(facts, now)
  local by_requests = pause_end(facts.request_pause, facts.requests_paused_until, now)
  if by_calls and by_requests then
    return math.max(by_calls, by_requests)
  end
  return by_calls or by_requests
end

-- Of each fact its names: what was told, when, and what goes with it.
local FACTS = {
  { "calling", "calling_at" }, { "inbound_call_grants", "inbound_call_grants_at" },
  { "pause", "pause_at", "paused_until" },
  { "request_pause", "request_pause_at", "requests_paused_until" },
}

-- The facts of a number that had been told by `t`. What a later one replaced is not known any more.
function number.as_of(facts, t)
  local kept = number.empty()
  kept.display = facts.display
  for _, names in ipairs(FACTS) do
    if facts[names[2]] <= t then
      for _, name in ipairs(names) do
        kept[name] = facts[name]
      end
    end
  end
  return kept
end

-- Reads the facts of a number, or joins a report to them.
function number.step(report, now, known)
  local facts = known or number.empty()
  local reply = { changed = 0, resettle = 0, field = "", problem = "", number = facts, now = now }
  if report then
    local at = report.at == 0 and now or report.at
    if now + codes.AHEAD_MAX < at then
      reply.field, reply.problem = "occurred_at", "is more than 5 min ahead of the clock"
    else
      local did_grant = facts.inbound_call_grants ~= TOLD.NO
      if number.join(facts, report, at) then
        reply.changed = 1
        -- This one setting is read by the view of every customer of the number.
        reply.resettle = did_grant == (facts.inbound_call_grants ~= TOLD.NO) and 0 or 1
      end
    end
  end
  return reply
end

return number
