--[[ codes: the numbers that the contract, the record and the rules share.
  Statuses, reasons, ... are those of proto/callgate/v1; outcomes are ordered by strength
  (src/engine/fact.rs has the same). Spans are milliseconds. ]]

local SECOND = 1000
local HOUR = 3600 * SECOND
local DAY = 24 * HOUR

local codes = {
  HOUR = HOUR,
  DAY = DAY,
  NEVER = math.huge, -- later than every instant

  EARLIEST = 1230768000000, -- 2009: nothing that is told is older
  AHEAD_MAX = 300 * SECOND, -- facts may be this much ahead of the clock
  EXPIRY_MAX = 60 * DAY, -- a told expiry lies at most this long after its ACCEPT
  RETENTION = 400 * DAY,
  CONVERSATION = 24 * HOUR,
  CALLS_MAX = 512,
  REQUESTS_MAX = 64,
  LINKS_MAX = 8,
  REJECTS_MAX = 16, -- that name a request, kept beside a newer one
  LONG_LAPSED = HOUR, -- a hold that lapsed so long ago may go when a record is full

  CALL = {
    HELD = 1, NOT_PLACED = 2, PLACED = 3, RINGING = 4, FAILED = 5,
    CANCELED = 6, UNANSWERED = 7, REJECTED = 8, UNCERTAIN = 9, ANSWERED = 10,
  },
  CALL_NAME = {
    "held", "not placed", "placed", "ringing", "failed",
    "canceled", "unanswered", "rejected", "uncertain", "answered",
  },
  REQUEST = { HELD = 1, REFUSED = 2, SENT = 3, UNDELIVERED = 4, DELIVERED = 5 },
  REQUEST_NAME = { "held", "refused", "sent", "undelivered" },

  TAKEN = { AUTOMATIC_REJECT = 1, ERROR_138006 = 2, STREAK = 3 },
  ERROR_NO_PERMISSION = 138006,
  TOLD = { NO = 1, YES = 2 },

  STATUS = {
    NONE = 1, PENDING = 2, GRANTED = 3, REJECTED = 4,
    REVOKED = 5, AUTO_REVOKED = 6, EXPIRED = 7, LAPSED = 8,
  },
  KIND = { TEMPORARY = 1, PERMANENT = 2 },
  SOURCE = { REQUEST = 1, INBOUND_CALL = 2, BUSINESS_PROFILE = 3 },
  QUOTA = { WINDOW = 1, PERMISSION = 2, DAY = 3, WEEK = 4 },
  DECISION = { ALLOW = 1, DENY = 2 },
  REASON = {
    TEMPORARY = 1, PERMANENT = 2,
    CALL_WINDOW = 20, CALL_PERMISSION = 21, CALL_IN_PROGRESS = 22, NUMBER_PAUSED = 23,
    REQUEST_DAY = 30, REQUEST_WEEK = 31, PERMISSION_IN_EFFECT = 32,
  },
  -- By STATUS: why there is no permission. GRANTED has no entry that is ever read.
  CONSENT_REASON = { 10, 11, 0, 12, 13, 14, 15, 16 },
  NEXT_STEP = {
    PLACE_CALL = 1, SEND_PERMISSION_REQUEST = 2, WAIT_FOR_CUSTOMER = 3, WAIT = 4,
    FIX_BUSINESS_NUMBER = 5,
  },
  WARNING = {
    NEXT_MISS_WARNS = 1, CUSTOMER_WARNED = 2, NEXT_MISS_REVOKES = 3, LAST_CALL = 4,
    EXPIRES_SOON = 5,
  },
  CAUSE = {
    REQUEST_SENT = 1, REQUEST_LAPSED = 2, ACCEPTED = 3, REJECTED = 4, REVOKED = 5,
    INBOUND_CALL = 6, SUPERSEDED = 7, EXPIRING_SOON = 8, EXPIRED = 9, CUSTOMER_WARNED = 10,
    AUTO_REVOKED = 11, LIMIT_REACHED = 12, LIMIT_FREED = 13, FORGOTTEN = 14, IDENTITY = 15,
    RULES = 16, CORRECTED = 17,
  },
  RESULT = { RECORDED = 1, DUPLICATE = 2, STALE = 3 },
}

-- Consent is ordered by whole seconds, since Meta stamps seconds.
function codes.second(at)
  return math.floor(at / 1000)
end

-- Whether text `a` comes before `b`, byte by byte. `<` asks the locale of the process, and that of a
-- Redis server is whatever its host has: the same facts would give another view there.
function codes.is_before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

-- Calls and requests older than this are folded, and reports of them are stale.
function codes.horizon(profile)
  return math.max(profile.call_window, profile.temporary_permission, 7 * DAY) + DAY
end

return codes
