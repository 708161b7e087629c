--[[ host: what the rulebook may ask of the process that runs it.

  The interpreter cannot reach the records by itself. A coroutine answers question after question, and
  yields what it needs for that; it is resumed with what it asked for. Both are lists of values as one
  text (see src/store/cells.rs):
    "load", id                             the parts of the record (see rulebook.record_of), or nil
    "number"                               the business number's facts, or nil
    "erased", id                           when the id was forgotten, or 0
    "tell", change...                      nil
    "save", id, expire_at, due_at, parts...   nil; due_at -1: as before
    "done", answer...                      the next question: its name and its arguments ]]
local encode, decode, yield = buffer.encode, buffer.decode, coroutine.yield

local function ask(...)
  return decode(yield(encode({ ... })))
end

-- As a list that is one in memory, too. Not by `unpack`, which hands over at most 8000 values.
local function whole(list)
  local n = #list
  local copied = new_table(n, 0)
  for i = 1, n do
    copied[i] = list[i]
  end
  return copied
end

local host = {}

function host.load(id)
  local parts = ask("load", id)
  return parts and rulebook.record_of(unpack(parts))
end

function host.number()
  return ask("number")
end

function host.erased(id)
  return ask("erased", id)
end

function host.tell(change)
  ask("tell", rulebook.change_of(change))
end

function host.save(id, record, expire_at, due_at)
  ask("save", id, expire_at, due_at or -1, whole(record.rejects), whole(record.links),
    whole(record.calls), whole(record.requests), rulebook.values_of(record))
end

local questions = {}

function questions.step(profile, now, command)
  return rulebook.reply_of(rulebook.step(command, profile, now, host))
end

-- `told`: of each record its id and its parts.
function questions.join(profile, now, ids, told)
  for i, item in ipairs(told) do
    told[i] = { id = item[1], record = rulebook.record_of(unpack(item[2])) }
  end
  return rulebook.reply_of(rulebook.join(told, ids, profile, now, host))
end

function questions.linked(_, wa, user)
  return rulebook.linked(host, wa, user)
end

function questions.forgotten(profile, now, ids)
  local changes = rulebook.forgotten(host, ids, profile, now)
  for i, change in ipairs(changes) do
    changes[i] = { rulebook.change_of(change) }
  end
  return changes
end

function questions.number(_, now, report, known)
  local reply = rulebook.number_step(report, now, known)
  return reply.changed, reply.resettle, reply.field, reply.problem,
    rulebook.number_values(reply.number)
end

-- The newest time in a record, of which the parts are given.
function questions.newest(_, parts)
  return rulebook.newest(rulebook.record_of(unpack(parts)))
end

local function serve(question, profile)
  local asked = decode(question)
  return serve(yield(encode({ "done", questions[asked[1]](profile, unpack(asked, 2)) })))
end

return serve
