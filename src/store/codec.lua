--[[ codec: records as bytes, for Redis. src/store/codec.rs is the same in Rust and documents the layout. ]]

local RECORD_FORMAT, NUMBER_FORMAT, CHANGE_FORMAT = 5, 1, 1

local codec = {}

-- ---- records -----------------------------------------------------------------------------------

-- The lists: how many of each there are, and what a row of each is made of; then the values.
local COUNTS = '<BBI2B'
local REJECT, LINK, CALL, REQUEST = 'sI6', 'sI6I6', 'ssBI6I6I6I6I6i4', 'ssBI6I6I6I6'
local VALUES = '<I6sI6I6BI6sI6I6I6I6BI6I6I6I2I6BBBI6I6BBBI6I6'
-- Of format 4, which had no lapsed_to.
local VALUES_4, COUNT_4 = string.sub(VALUES, 1, -3), 26

-- Formats of lists that were needed lately.
local formats = { [REJECT] = {}, [LINK] = {}, [CALL] = {}, [REQUEST] = {} }

local function format_of(row, count)
  local known = formats[row]
  if not known[count] then known[count] = '<' .. string.rep(row, count) end
  return known[count]
end

-- `count` rows from `at` on, and where they end.
local function read_rows(bytes, at, row, count)
  if count == 0 then return {}, at end
  local list = { struct.unpack(format_of(row, count), bytes, at) }
  local n = #list
  at, list[n] = list[n], nil
  return list, at
end

local function written(row, width, list)
  if #list == 0 then return '' end
  return struct.pack(format_of(row, #list / width), unpack(list))
end

function codec.decode(bytes)
  local format = string.byte(bytes)
  if format == 3 then return codec.decode_format_3(bytes) end
  if format ~= RECORD_FORMAT and format ~= 4 then
    error('record format ' .. tostring(format)
      .. ' is not one that this version of callgate reads')
  end
  local n_rejects, n_links, n_calls, n_requests, at = struct.unpack(COUNTS, bytes, 2)
  local rejects, links, calls, requests
  rejects, at = read_rows(bytes, at, REJECT, n_rejects)
  links, at = read_rows(bytes, at, LINK, n_links)
  calls, at = read_rows(bytes, at, CALL, n_calls)
  requests, at = read_rows(bytes, at, REQUEST, n_requests)
  if format == 4 then
    local values = { struct.unpack(VALUES_4, bytes, at) }
    values[COUNT_4 + 1] = 0
    return rulebook.record_of(rejects, links, calls, requests, unpack(values, 1, COUNT_4 + 1))
  end
  return rulebook.record_of(rejects, links, calls, requests, struct.unpack(VALUES, bytes, at))
end

function codec.encode(r)
  local rejects, links, calls, requests = r.rejects, r.links, r.calls, r.requests
  return struct.pack('<BBBI2B', RECORD_FORMAT, #rejects / 2, #links / 3, #calls / 9, #requests / 7)
    .. written(REJECT, 2, rejects) .. written(LINK, 3, links)
    .. written(CALL, 9, calls) .. written(REQUEST, 7, requests)
    .. struct.pack(VALUES, rulebook.values_of(r))
end

-- Adds the ids that are linked with a record, which may be none (""), to a list.
function codec.add_linked(list, bytes)
  local format, _, n_links = string.byte(bytes, 1, 3)
  if not format or (format >= 4 and n_links == 0) then return end
  local links = codec.decode(bytes).links
  for i = 1, #links, 3 do list[#list + 1] = links[i] end
end

-- Columns as rows.
local function in_rows(columns)
  local list = {}
  for i = 1, #columns[1] do
    for c = 1, #columns do list[#list + 1] = columns[c][i] end
  end
  return list
end

-- Format 3: MessagePack, with the lists as columns.
function codec.decode_format_3(bytes)
  local _, revision, shown, shown_at,
    accept_at, accept_permanent, accept_expires_at, accept_request,
    reject_at, reject_id, callback_at, callback_expires_at, taken_at, taken_why,
    inbound_at, talked_at, wrote_at, base_streak, base_at, link_id, link_first, link_last,
    call_own, call_provider, call_outcome, call_at, call_held, call_first,
    call_ended, call_sign, call_error,
    request_own, request_provider, request_outcome, request_at, request_held, request_first,
    request_delivered,
    told_status, told_kind, told_source, told_granted_at, told_valid_until, told_soon, told_warned,
    told_full, due_at, reject_times = cmsgpack.unpack(bytes)
  return rulebook.record_of(
    in_rows({ reject_id, reject_times }), in_rows({ link_id, link_first, link_last }),
    in_rows({ call_own, call_provider, call_outcome, call_at, call_held, call_first,
      call_ended, call_sign, call_error }),
    in_rows({ request_own, request_provider, request_outcome, request_at, request_held,
      request_first, request_delivered }),
    revision, shown, shown_at, accept_at, accept_permanent, accept_expires_at, accept_request,
    reject_at, callback_at, callback_expires_at, taken_at, taken_why,
    inbound_at, talked_at, wrote_at, base_streak, base_at,
    told_status, told_kind, told_source, told_granted_at, told_valid_until, told_soon, told_warned,
    told_full, due_at, 0)
end

-- ---- business numbers and changes ---------------------------------------------------------------

local function check(format)
  if format ~= NUMBER_FORMAT then
    error('record format ' .. tostring(format)
      .. ' is not one that this version of callgate reads')
  end
end

function codec.decode_number(bytes)
  local n, format = {}, nil
  format, n.display, n.calling, n.calling_at, n.pause, n.paused_until, n.pause_at,
    n.request_pause, n.requests_paused_until, n.request_pause_at,
    n.inbound_call_grants, n.inbound_call_grants_at = cmsgpack.unpack(bytes)
  check(format)
  return n
end

function codec.encode_number(n)
  return cmsgpack.pack(NUMBER_FORMAT, n.display, n.calling, n.calling_at, n.pause, n.paused_until,
    n.pause_at, n.request_pause, n.requests_paused_until, n.request_pause_at,
    n.inbound_call_grants, n.inbound_call_grants_at)
end

-- A change as one array, in the order of `Change` in src/engine/change.rs.
function codec.encode_change(number, change)
  return cmsgpack.pack({ CHANGE_FORMAT, number, rulebook.change_of(change) })
end

return codec
