//! What a failed command means: repeat it elsewhere, tell the caller, or a bug.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::engine::Error;

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection is of no use any more: gone, or the server is no master now.
    Broken(String),
    /// No answer in time. The command may have happened.
    Late(String),
    /// The server answers, and refuses for now: loading, out of memory, a slot without master, …
    Refused(String),
    /// The script, or the function, is not there, e.g. after SCRIPT FLUSH or a failover.
    NoScript,
    /// A bug, or a record that this version cannot read.
    Bug(String),
}

/// Codes of a server that is reached and does not serve for now.
const REFUSALS: [&str; 18] = [
    "LOADING",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "BUSY",
    "UNKILLABLE",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "CROSSSLOT",
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
    "NOGOODSLAVE",
    "NOGOODREPLICA",
    "INPROG",
];

/// How a replica answers WAIT.
const NO_WAIT: &str = "WAIT cannot be used with replica";
/// Only a script that has written nothing can be killed.
const KILLED: &str = "Script killed by user";

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => Self::Broken(plain(&error)),
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::read_only(),
            ErrorKind::Server(ServerErrorKind::NoScript) => Self::NoScript,
            ErrorKind::AuthenticationFailed
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::NoValidReplicasFoundBySentinel => Self::Refused(plain(&error)),
            _ => Self::of_server(&error),
        }
    }
}

impl Fault {
    fn of_server(error: &RedisError) -> Self {
        let detail = error.detail().unwrap_or_default();
        let code = error.code().unwrap_or_default();
        if detail == "Function not found" {
            return Self::NoScript;
        }
        // Redis 6.2 wraps what a command inside a script answered: "… @user_script: 7: -OOM …".
        let inner = detail.split(" -").skip(1).filter_map(|rest| rest.split(' ').next());
        for code in std::iter::once(code).chain(inner) {
            // The second is said to a WAIT under way, the replica's own refusal of one has no code.
            if code == "READONLY" || code == "UNBLOCKED" || detail.starts_with(NO_WAIT) {
                return Self::read_only();
            }
            if REFUSALS.contains(&code) {
                return Self::Refused(plain(error));
            }
        }
        if is_forbidden(detail) || has_moved(detail) || detail.contains(KILLED) {
            Self::Refused(plain(error))
        } else {
            Self::Bug(plain(error))
        }
    }

    /// In a trace.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Broken(_) | Self::Refused(_) => "unavailable",
            Self::Late(_) => "deadline_exceeded",
            Self::NoScript => "no_script",
            Self::Bug(_) => "internal",
        }
    }

    fn read_only() -> Self {
        Self::Broken("this server is a read-only replica now".to_owned())
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Broken(why) | Fault::Refused(why) => Self::Unavailable(why),
            Fault::Late(why) => Self::DeadlineExceeded(why),
            Fault::NoScript => Self::Unavailable("the server forgot the script".to_owned()),
            Fault::Bug(why) => Self::Internal(why),
        }
    }
}

/// Whether the user lacks a right that a script needs. Such an error has no code of its own.
pub(super) fn is_forbidden(text: &str) -> bool {
    ["The user executing the script can't", "ACL failure in script"]
        .iter()
        .any(|words| text.contains(words))
}

/// Whether a script looked for a record that has moved to another node, ahead of those that lead to
/// it: its slot is on the move.
pub(super) fn has_moved(text: &str) -> bool {
    text.contains("cript attempted to access a non local key")
}

/// The server's words, on one line.
fn plain(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("redis: {code} {detail}"),
        (Some(code), None) => format!("redis: {code}"),
        (None, _) => format!("redis: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> Fault {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        Fault::from(value.extract_error().unwrap_err())
    }

    #[test]
    fn what_the_server_says_is_understood_in_6_2_and_in_7() {
        let oom_6 = "ERR Error running script (call to f_00): @user_script:9: @user_script: 9: \
                     -OOM command not allowed when used memory > 'maxmemory'.";
        let read_only_6 = "ERR Error running script (call to f_00): @user_script:9: \
                           @user_script: 9: -READONLY You can't write against a read only replica.";
        let oom_7 = "OOM command not allowed when used memory > 'maxmemory'. script: 00, on \
                     @user_script:9.";
        assert!(matches!(fault(oom_6), Fault::Refused(_)));
        assert!(matches!(fault(oom_7), Fault::Refused(_)));
        assert!(matches!(fault(read_only_6), Fault::Broken(_)));
        assert!(matches!(fault("READONLY You can't write"), Fault::Broken(_)));
        let demoted = "UNBLOCKED force unblock from blocking operation, instance state changed \
                       (master -> replica?)";
        assert!(matches!(fault(demoted), Fault::Broken(_)));
        let no_wait = "ERR WAIT cannot be used with replica instances. Please also note that since \
                       Redis 4.0 if a replica is configured to be writable (which is not the default) \
                       writes to replicas are just local and are not propagated.";
        assert!(matches!(fault(no_wait), Fault::Broken(_)));
        for killed in [
            "ERR Error running script (call to f_00): @user_script:1: Script killed by user with \
             SCRIPT KILL...",
            "ERR Script killed by user with SCRIPT KILL... script: 00, on @user_script:1.",
        ] {
            assert!(matches!(fault(killed), Fault::Refused(_)), "{killed}");
        }
        assert!(matches!(fault("NOSCRIPT No matching script."), Fault::NoScript));
        assert!(matches!(fault("NOPERM this user has no permissions"), Fault::Refused(_)));
        let forbidden = "ERR The user executing the script can't run this command or subcommand \
                         script: 00, on @user_script:7.";
        assert!(matches!(fault(forbidden), Fault::Refused(_)));
        let moved_6 = "ERR Error running script (call to f_00): @user_script:9: @user_script: 9: \
                       Lua script attempted to access a non local key in a cluster node";
        let moved_7 = "ERR Script attempted to access a non local key in a cluster node script: 00, \
                       on @user_script:9.";
        assert!(matches!(fault(moved_6), Fault::Refused(_)));
        assert!(matches!(fault(moved_7), Fault::Refused(_)));
        assert!(matches!(fault("ERR user_script:3: boom script: 00"), Fault::Bug(_)));
    }
}
