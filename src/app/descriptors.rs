//! How many files the process may have open: each connection is one, and what cannot be opened is a store that
//! is not reached again, or cannot write.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a gate may need beside the connections of its doors: those to the store, the store's own files,
/// configuration and secrets.
const OTHERS: u64 = 256;
/// So few connections a door has at least.
const LEAST: u32 = 16;

/// Raises the limit as far as the process may; what it is then, `None` for none. The usual one, 1024, is made
/// for programs that wait in a way that cannot do with more.
pub(super) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// How many connections each door may have, if `wanted` are configured and so many files may be open.
pub(super) fn connections(wanted: u32, doors: u32, limit: Option<u64>) -> u32 {
    let Some(limit) = limit else { return wanted };
    let room = limit.saturating_sub(OTHERS) / u64::from(doors.max(1));
    let room = u32::try_from(room).unwrap_or(u32::MAX).max(LEAST);
    if room < wanted {
        tracing::warn!(
            "limits.connections is {wanted} for each of {doors} doors, and the process may have {limit} files \
             open: each door takes {room}. Raise the limit of open files (ulimit -Hn, LimitNOFILE=), or \
             lower limits.connections"
        );
    }
    room.min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_leave_files_for_all_else() {
        for (wanted, doors, limit, room) in [
            (4096, 3, None, 4096),
            (4096, 3, Some(1_048_576), 4096),
            (4096, 3, Some(3 * 4096 + 256), 4096),
            (4096, 3, Some(3 * 4096 + 255), 4095),
            (4096, 3, Some(1024), 256),
            (100, 3, Some(1024), 100),
            (4096, 1, Some(1024), 768),
            (4096, 3, Some(64), 16),
        ] {
            assert_eq!(connections(wanted, doors, limit), room, "{wanted} {doors} {limit:?}");
        }
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        let raised = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!((limit.current, raised), (limit.maximum, limit.maximum));
    }
}
