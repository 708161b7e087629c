--[[ codec: records as bytes, for Redis. src/store/codec/ is the same in Rust; its record.rs documents
  the layout. ]]

local RECORD_FORMAT, NUMBER_FORMAT, CHANGE_FORMAT = 7, 1, 1

local codec = {}

local function refuse(format)
  error('record format ' .. tostring(format) .. ' is not one that this version of callgate reads')
end

local function refuse_groups()
  error('a record has values that this version of callgate does not know')
end

-- ---- parts of records --------------------------------------------------------------------------

-- How many of each list there are, and which groups of values; what a row of each list is made of; the
-- groups; the values that are always there.
local HEAD = '<BBI2BB'
local REJECT, LINK, CALL, REQUEST = 'sI6', 'sI6I6', 'ssBI6I6I6I6I6i4', 'ssBI6I6I6I6'
local NO, CONSENT, INBOUND = '<I6I6BI2I6', '<I6I6I6I6', '<I6I6I6'
local SHOWN, ONE_TIME = '<sI6', '<I6'
local ALWAYS = '<I6I6BsBBBI6I6BBBI6'
-- Of format 6.
local ALWAYS_6 = '<I6sI6I6BI6sBBBI6I6BBBI6I6'
-- Of format 5.
local HEAD_5, VALUES_5 = '<BBI2B', '<I6sI6I6BI6sI6I6I6I6BI6I6I6I2I6BBBI6I6BBBI6I6'

-- Formats of lists that were needed lately.
local formats = { [REJECT] = {}, [LINK] = {}, [CALL] = {}, [REQUEST] = {} }

local function format_of(row, count)
  local known = formats[row]
  if not known[count] then known[count] = '<' .. string.rep(row, count) end
  return known[count]
end

-- The values of a format from `at` on, as a list, and where they end.
local function read(format, bytes, at)
  local list = { struct.unpack(format, bytes, at) }
  local n = #list
  at, list[n] = list[n], nil
  return list, at
end

-- So many rows are read or written at once: Lua 5.1 hands over at most 8000 values.
local ROWS_AT_ONCE = 100

local function read_rows(bytes, at, row, count)
  if count == 0 then return {}, at end
  local list
  list, at = read(format_of(row, math.min(count, ROWS_AT_ONCE)), bytes, at)
  for first = ROWS_AT_ONCE + 1, count, ROWS_AT_ONCE do
    local more
    more, at = read(format_of(row, math.min(count - first + 1, ROWS_AT_ONCE)), bytes, at)
    local n = #list
    for i = 1, #more do list[n + i] = more[i] end
  end
  return list, at
end

local NOTHING, NOT_SHOWN = { 0, 0, 0, 0, 0 }, { '', 0 }

local function read_group(bytes, at, format, is_there, nothing)
  if not is_there then return nothing or NOTHING, at end
  return read(format, bytes, at)
end

local function written(row, width, list)
  local bytes, step = '', ROWS_AT_ONCE * width
  for first = 1, #list, step do
    local last = math.min(first + step - 1, #list)
    bytes = bytes
      .. struct.pack(format_of(row, (last - first + 1) / width), unpack(list, first, last))
  end
  return bytes
end

local function read_lists(bytes, at, n_rejects, n_links, n_calls, n_requests)
  local rejects, links, calls, requests
  rejects, at = read_rows(bytes, at, REJECT, n_rejects)
  links, at = read_rows(bytes, at, LINK, n_links)
  calls, at = read_rows(bytes, at, CALL, n_calls)
  requests, at = read_rows(bytes, at, REQUEST, n_requests)
  return rejects, links, calls, requests, at
end

-- ---- records of formats before ------------------------------------------------------------------

-- Ids of calls and requests as they are kept now: src/engine/attempt_id.rs says how. Those that come with a
-- command are so already.
local ALPHABETS = {
  '+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
  '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz',
}
local VALUES = { {}, {} }
for which, alphabet in ipairs(ALPHABETS) do
  for i = 1, 64 do VALUES[which][string.byte(alphabet, i)] = i - 1 end
end
local OUTSIDE = { '[^+/0-9A-Za-z]', '[^-_0-9A-Za-z]' }
local PREFIXES = { ['wamid.'] = 12, ['wacid.'] = 24 }
local ESCAPES = { ['\0'] = '\1\1', ['\1'] = '\1\2' }

local function escaped(first, rest)
  return string.char(first) .. string.gsub(rest, '[%z\1]', ESCAPES)
end

local function of_hex(digits)
  return (string.gsub(digits, '..', function(hex) return string.char(tonumber(hex, 16)) end))
end

local function sixbits(id)
  local prefix = PREFIXES[string.sub(id, 1, 6)] or 0
  local padded = prefix > 0 and string.sub(id, 7) or id
  local body = string.gsub(padded, '=+$', '')
  local pads = #padded - #body
  local which = not string.find(body, OUTSIDE[1]) and 1 or not string.find(body, OUTSIDE[2]) and 2
  if pads > 2 or not which then return id end
  local values, bytes = VALUES[which], {}
  for i = 1, #body, 4 do
    local a, b, c, d = string.byte(body, i, i + 3)
    local bits = values[a] * 262144 + (values[b] or 0) * 4096 + (values[c] or 0) * 64 + (values[d] or 0)
    bytes[#bytes + 1] = string.char(math.floor(bits / 65536), math.floor(bits / 256) % 256, bits % 256)
  end
  local rest = string.sub(table.concat(bytes), 1, math.ceil(#body * 6 / 8))
  local short = #body % 4 == 3 and 1 or 0
  return escaped(144 + prefix + pads * 4 + (which - 1) * 2 + short, rest)
end

local HEX_8, HEX_4 = string.rep('[0-9a-f]', 8), string.rep('[0-9a-f]', 4)
local UUID = '^(' .. HEX_8 .. ')' .. string.rep('%-(' .. HEX_4 .. ')', 3)
  .. '%-(' .. string.rep(HEX_4, 3) .. ')$'
local HASHED = '^hashed%.(' .. string.rep(HEX_8, 4) .. ')$'

local function packed(id)
  local a, b, c, d, e = string.match(id, UUID)
  local hashed = string.match(id, HASHED)
  local kept
  if a then
    kept = escaped(128, of_hex(a .. b .. c .. d .. e))
  elseif hashed then
    kept = escaped(129, of_hex(hashed))
  else
    kept = sixbits(id)
  end
  return #kept < #id and kept or id
end
codec.packed_id = packed

local function pack_ids(list, width, columns)
  for i = 0, #list - 1, width do
    for column = 1, columns do list[i + column] = packed(list[i + column]) end
  end
end

local function pack_rows(rejects, calls, requests)
  pack_ids(rejects, 2, 1)
  pack_ids(calls, 9, 2)
  pack_ids(requests, 7, 2)
end

-- Format 5: all values in one row.
local function decode_5(bytes)
  local n_rejects, n_links, n_calls, n_requests, at = struct.unpack(HEAD_5, bytes, 2)
  local rejects, links, calls, requests
  rejects, links, calls, requests, at =
    read_lists(bytes, at, n_rejects, n_links, n_calls, n_requests)
  local revision, shown, shown_at, accept_at, accept_permanent, accept_expires_at, accept_request,
    reject_at, callback_at, callback_expires_at, taken_at, taken_why, inbound_at, talked_at, wrote_at,
    base_streak, base_at, told_status, told_kind, told_source, told_granted_at, told_valid_until,
    told_soon, told_warned, told_full, due_at, lapsed_to = struct.unpack(VALUES_5, bytes, at)
  pack_rows(rejects, calls, requests)
  return rulebook.record_of(rejects, links, calls, requests,
    reject_at, taken_at, taken_why, base_streak, base_at, callback_at, callback_expires_at, 0, 0,
    inbound_at, talked_at, wrote_at, shown, shown_at, accept_expires_at, lapsed_to,
    revision, accept_at, accept_permanent, packed(accept_request),
    told_status, told_kind, told_source, told_granted_at, told_valid_until, told_soon, told_warned,
    told_full, due_at)
end

local function read_groups(bytes, at, groups)
  local no, consent, inbound
  no, at = read_group(bytes, at, NO, groups % 2 >= 1)
  consent, at = read_group(bytes, at, CONSENT, groups % 4 >= 2)
  inbound, at = read_group(bytes, at, INBOUND, groups % 8 >= 4)
  return no, consent, inbound, at
end

-- Format 6: three groups, and the ACCEPT's request as such.
local function decode_6(bytes)
  local n_rejects, n_links, n_calls, n_requests, groups, at = struct.unpack(HEAD, bytes, 2)
  if groups > 7 then refuse_groups() end
  local rejects, links, calls, requests, no, consent, inbound
  rejects, links, calls, requests, at =
    read_lists(bytes, at, n_rejects, n_links, n_calls, n_requests)
  no, consent, inbound, at = read_groups(bytes, at, groups)
  local revision, shown, shown_at, accept_at, accept_permanent, accept_expires_at, accept_request,
    told_status, told_kind, told_source, told_granted_at, told_valid_until, told_soon, told_warned,
    told_full, due_at, lapsed_to = struct.unpack(ALWAYS_6, bytes, at)
  pack_rows(rejects, calls, requests)
  return rulebook.record_of(rejects, links, calls, requests, no[1], no[2], no[3], no[4], no[5],
    consent[1], consent[2], consent[3], consent[4], inbound[1], inbound[2], inbound[3],
    shown, shown_at, accept_expires_at, lapsed_to,
    revision, accept_at, accept_permanent, packed(accept_request),
    told_status, told_kind, told_source, told_granted_at, told_valid_until, told_soon, told_warned,
    told_full, due_at)
end

-- ---- records of this format --------------------------------------------------------------------

-- An ACCEPT mostly answers a request of the same record: its id is told by its place. `REFERENCE` is no
-- first byte of an id. The place counts ids, two for each request, from 1.
local REFERENCE, PLACES = '\184', 2 * 64

local function place_of(id, requests)
  if id == '' then return id end
  for i = 0, #requests - 1, 7 do
    for column = 1, 2 do
      local place = i / 7 * 2 + column
      if requests[i + column] == id and place <= PLACES then return REFERENCE .. string.char(place) end
    end
  end
  return id
end

local function at_place(id, requests)
  if string.sub(id, 1, 1) ~= REFERENCE then return id end
  local place = #id == 2 and string.byte(id, 2) - 1 or PLACES
  return place < PLACES and requests[(place - place % 2) / 2 * 7 + place % 2 + 1]
    or error('a record names a request that it does not have')
end

function codec.decode(bytes)
  local format = string.byte(bytes)
  if format == 5 then return decode_5(bytes) end
  if format == 6 then return decode_6(bytes) end
  if format ~= RECORD_FORMAT then refuse(format) end
  local n_rejects, n_links, n_calls, n_requests, groups, at = struct.unpack(HEAD, bytes, 2)
  if groups > 63 then refuse_groups() end
  local rejects, links, calls, requests, no, consent, inbound, shown, ending, lapsed
  rejects, links, calls, requests, at =
    read_lists(bytes, at, n_rejects, n_links, n_calls, n_requests)
  no, consent, inbound, at = read_groups(bytes, at, groups)
  shown, at = read_group(bytes, at, SHOWN, groups % 16 >= 8, NOT_SHOWN)
  ending, at = read_group(bytes, at, ONE_TIME, groups % 32 >= 16)
  lapsed, at = read_group(bytes, at, ONE_TIME, groups >= 32)
  local revision, accept_at, accept_permanent, accept_request,
    told_status, told_kind, told_source, told_granted_at, told_valid_until, told_soon, told_warned,
    told_full, due_at, ends = struct.unpack(ALWAYS, bytes, at)
  if ends ~= #bytes + 1 then error('a record goes on after its end') end
  return rulebook.record_of(rejects, links, calls, requests,
    no[1], no[2], no[3], no[4], no[5], consent[1], consent[2], consent[3], consent[4],
    inbound[1], inbound[2], inbound[3], shown[1], shown[2], ending[1], lapsed[1],
    revision, accept_at, accept_permanent, at_place(accept_request, requests),
    told_status, told_kind, told_source, told_granted_at, told_valid_until, told_soon, told_warned,
    told_full, due_at)
end

-- Values `first` to `last`, or nothing if all are unset; and what says whether they are there.
local function written_group(format, values, first, last, flag)
  for i = first, last do
    if values[i] ~= 0 and values[i] ~= '' then return struct.pack(format, unpack(values, first, last)), flag end
  end
  return '', 0
end

function codec.encode(r)
  local rejects, links, calls, requests = r.rejects, r.links, r.calls, r.requests
  -- `struct` would cut off what does not fit, and what is read then is anything.
  if #rejects > 2 * 255 or #links > 3 * 255 or #calls > 9 * 65535 or #requests > 7 * 255 then
    error('a record has more rows than can be written')
  end
  local values = { rulebook.values_of(r) }
  local no, has_no = written_group(NO, values, 1, 5, 1)
  local consent, has_consent = written_group(CONSENT, values, 6, 9, 2)
  local inbound, has_inbound = written_group(INBOUND, values, 10, 12, 4)
  local shown, has_shown = written_group(SHOWN, values, 13, 14, 8)
  local ending, has_ending = written_group(ONE_TIME, values, 15, 15, 16)
  local lapsed, has_lapsed = written_group(ONE_TIME, values, 16, 16, 32)
  values[20] = place_of(values[20], requests)
  return struct.pack('<BBBI2BB', RECORD_FORMAT, #rejects / 2, #links / 3, #calls / 9,
    #requests / 7, has_no + has_consent + has_inbound + has_shown + has_ending + has_lapsed)
    .. written(REJECT, 2, rejects) .. written(LINK, 3, links)
    .. written(CALL, 9, calls) .. written(REQUEST, 7, requests)
    .. no .. consent .. inbound .. shown .. ending .. lapsed .. struct.pack(ALWAYS, unpack(values, 17))
end

-- Adds the ids that are linked with a record, which may be none (""), to a list. Of the formats that are read
-- the first lists are the same.
function codec.add_linked(list, bytes)
  local format, n_rejects, n_links = string.byte(bytes, 1, 3)
  if not format or n_links == 0 then return end
  if format < 5 or RECORD_FORMAT < format then refuse(format) end
  local _, at = read_rows(bytes, format == 5 and 7 or 8, REJECT, n_rejects)
  local links = read_rows(bytes, at, LINK, n_links)
  for i = 1, #links, 3 do list[#list + 1] = links[i] end
end

-- ---- business numbers and changes ---------------------------------------------------------------

local function check(format)
  if format ~= NUMBER_FORMAT then refuse(format) end
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
