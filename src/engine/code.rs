//! The contract's numbers and their names: the rulebook answers in these numbers, logs, metrics and
//! the command line show the names. A test holds every table in step with `proto/callgate/v1`.

macro_rules! codes {
    ($(#[$doc:meta])* $module:ident, $name_of:ident { $($code:ident = $number:literal $name:literal,)* }) => {
        $(#[$doc])*
        pub mod $module {
            $(#[doc = $name] pub const $code: u8 = $number;)*
            /// Every number with its name.
            pub const ALL: &[(u8, &str)] = &[$(($number, $name)),*];
        }

        /// The contract's name of it, without the prefix and in lower case; "unspecified" for 0 and
        /// for a number that this version does not know.
        pub const fn $name_of(code: u8) -> &'static str {
            match code {
                $($number => $name,)*
                _ => "unspecified",
            }
        }
    };
}

codes! {
    /// `Decision`.
    decision, decision_name {
        ALLOW = 1 "allow",
        DENY = 2 "deny",
    }
}

codes! {
    /// `Reason`.
    reason, reason_name {
        TEMPORARY_PERMISSION = 1 "temporary_permission",
        PERMANENT_PERMISSION = 2 "permanent_permission",
        RULES_NOT_APPLICABLE = 3 "rules_not_applicable",
        NEVER_ASKED = 10 "never_asked",
        AWAITING_REPLY = 11 "awaiting_reply",
        REJECTED = 12 "rejected",
        REVOKED = 13 "revoked",
        AUTO_REVOKED = 14 "auto_revoked",
        EXPIRED = 15 "expired",
        REQUEST_LAPSED = 16 "request_lapsed",
        CALL_WINDOW_LIMIT = 20 "call_window_limit",
        CALL_PERMISSION_LIMIT = 21 "call_permission_limit",
        CALL_IN_PROGRESS = 22 "call_in_progress",
        BUSINESS_NUMBER_PAUSED = 23 "business_number_paused",
        REQUEST_DAY_LIMIT = 30 "request_day_limit",
        REQUEST_WEEK_LIMIT = 31 "request_week_limit",
        PERMISSION_IN_EFFECT = 32 "permission_in_effect",
    }
}

codes! {
    /// `NextStep`.
    next_step, next_step_name {
        PLACE_CALL = 1 "place_call",
        SEND_PERMISSION_REQUEST = 2 "send_permission_request",
        WAIT_FOR_CUSTOMER = 3 "wait_for_customer",
        WAIT = 4 "wait",
        FIX_BUSINESS_NUMBER = 5 "fix_business_number",
    }
}

codes! {
    /// `WarningCode`.
    warning, warning_name {
        NEXT_MISS_WARNS_CUSTOMER = 1 "next_miss_warns_customer",
        CUSTOMER_WARNED = 2 "customer_warned",
        NEXT_MISS_REVOKES = 3 "next_miss_revokes",
        LAST_CALL_IN_WINDOW = 4 "last_call_in_window",
        PERMISSION_EXPIRES_SOON = 5 "permission_expires_soon",
    }
}

codes! {
    /// `PermissionStatus`.
    status, status_name {
        NONE = 1 "none",
        PENDING = 2 "pending",
        GRANTED = 3 "granted",
        REJECTED = 4 "rejected",
        REVOKED = 5 "revoked",
        AUTO_REVOKED = 6 "auto_revoked",
        EXPIRED = 7 "expired",
        LAPSED = 8 "lapsed",
    }
}

codes! {
    /// `GrantKind`.
    grant_kind, grant_kind_name {
        TEMPORARY = 1 "temporary",
        PERMANENT = 2 "permanent",
    }
}

codes! {
    /// `GrantSource`.
    grant_source, grant_source_name {
        REQUEST = 1 "request",
        INBOUND_CALL = 2 "inbound_call",
        BUSINESS_PROFILE = 3 "business_profile",
    }
}

codes! {
    /// `QuotaKind`. Columns of a view stand in this order, from 1.
    quota, quota_name {
        CALLS_IN_WINDOW = 1 "calls_in_window",
        CALLS_IN_PERMISSION = 2 "calls_in_permission",
        REQUESTS_PER_DAY = 3 "requests_per_day",
        REQUESTS_PER_WEEK = 4 "requests_per_week",
    }
}

codes! {
    /// `ChangeCause`.
    change_cause, change_cause_name {
        REQUEST_SENT = 1 "request_sent",
        REQUEST_LAPSED = 2 "request_lapsed",
        ACCEPTED = 3 "accepted",
        REJECTED = 4 "rejected",
        REVOKED = 5 "revoked",
        INBOUND_CALL = 6 "inbound_call",
        SUPERSEDED = 7 "superseded",
        EXPIRING_SOON = 8 "expiring_soon",
        EXPIRED = 9 "expired",
        CUSTOMER_WARNED = 10 "customer_warned",
        AUTO_REVOKED = 11 "auto_revoked",
        LIMIT_REACHED = 12 "limit_reached",
        LIMIT_FREED = 13 "limit_freed",
        FORGOTTEN = 14 "forgotten",
        IDENTITY = 15 "identity",
        RULES = 16 "rules",
        CORRECTED = 17 "corrected",
    }
}

codes! {
    /// `EventStatus`.
    event_status, event_status_name {
        RECORDED = 1 "recorded",
        DUPLICATE = 2 "duplicate",
        STALE = 3 "stale",
        INVALID = 4 "invalid",
    }
}
