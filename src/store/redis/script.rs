//! The scripts: thin shells, some of them over the rulebook and the codec.
//!
//! A script that is called by its SHA-1 is run from its first line each time, and a rulebook is some
//! hundred functions to be made before the first of them is called. So where a server has functions
//! (Redis 7, Valkey), the scripts with the rulebook are one library there, which makes them once; it
//! keeps nothing else from call to call. Its name has the SHA-1 of its text, so that gates of several
//! versions have each their own. Where there are no functions, or the user may not load them, the same
//! texts are sent once as scripts and called by their SHA-1.

use std::{fmt::Write as _, sync::LazyLock};

use sha1::{Digest as _, Sha1};

use crate::rulebook;

/// One script.
#[derive(Debug)]
pub(super) struct Script {
    /// For metrics and messages.
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) sha: String,
    /// Whether the library has it as well.
    pub(super) is_in_library: bool,
}

/// The scripts with the rulebook, as functions.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) text: String,
    name: String,
}

/// One command on one pair.
pub(super) static SHELL: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("shell", include_str!("shell.lua")));
/// What questions are judged by.
pub(super) static RECORDS: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("records", include_str!("records.lua")));
/// One command on a business number.
pub(super) static NUMBER: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("number", include_str!("number.lua")));
/// What is known of a display number.
pub(super) static DISPLAY: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("display", include_str!("display.lua")));
/// A customer is erased.
pub(super) static FORGET: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("forget", include_str!("forget.lua")));
/// Records from elsewhere are joined.
pub(super) static JOIN: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("join", include_str!("join.lua")));
/// The records of a customer and of all who are linked with them.
pub(super) static LINKED: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("linked", include_str!("linked.lua")));
/// A tombstone from elsewhere.
pub(super) static FORGOTTEN: LazyLock<Script> =
    LazyLock::new(|| Script::new("forgotten", include_str!("forgotten.lua").to_owned()));
/// A webhook is kept aside.
pub(super) static QUARANTINE: LazyLock<Script> =
    LazyLock::new(|| Script::new("quarantine", include_str!("quarantine.lua").to_owned()));
/// What is fixed for the life of a store.
pub(super) static META: LazyLock<Script> =
    LazyLock::new(|| Script::new("meta", include_str!("meta.lua").to_owned()));

/// Whether the user may run what the others run.
pub(super) static PROBE: LazyLock<Script> = LazyLock::new(|| Script {
    is_in_library: true,
    ..Script::new("probe", include_str!("probe.lua").to_owned())
});
/// What the change log says of the forgotten goes.
pub(super) static ERASE: LazyLock<Script> =
    LazyLock::new(|| Script::new("erase", include_str!("erase.lua").to_owned()));
/// The change log from a position on.
pub(super) static ENTRIES: LazyLock<Script> =
    LazyLock::new(|| Script::new("entries", include_str!("entries.lua").to_owned()));
/// Where logs end.
pub(super) static TAILS: LazyLock<Script> =
    LazyLock::new(|| Script::with_log("tails", include_str!("tails.lua")));
/// Who looks for what is due.
pub(super) static LEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new("lease", include_str!("lease.lua").to_owned()));
/// What is due.
pub(super) static SWEEP: LazyLock<Script> =
    LazyLock::new(|| Script::with_log("sweep", include_str!("sweep.lua")));
/// A deadline has done its work.
pub(super) static SETTLED: LazyLock<Script> =
    LazyLock::new(|| Script::new("settled", include_str!("settled.lua").to_owned()));
/// Keys of records.
pub(super) static CUSTOMERS: LazyLock<Script> =
    LazyLock::new(|| Script::new("customers", include_str!("customers.lua").to_owned()));

/// What a server with functions is given.
pub(super) static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    Library::new(&[
        ("shell", include_str!("shell.lua"), ""),
        ("records", include_str!("records.lua"), "'no-writes'"),
        ("number", include_str!("number.lua"), ""),
        ("display", include_str!("display.lua"), ""),
        ("forget", include_str!("forget.lua"), ""),
        ("join", include_str!("join.lua"), ""),
        ("linked", include_str!("linked.lua"), "'no-writes'"),
        ("probe", include_str!("probe.lua"), ""),
    ])
});

/// All that a gate calls, to be loaded at start. (Others are sent when they are needed first.)
pub(super) fn all() -> [&'static Script; 14] {
    [
        &SHELL,
        &RECORDS,
        &NUMBER,
        &DISPLAY,
        &FORGET,
        &QUARANTINE,
        &META,
        &ERASE,
        &ENTRIES,
        &TAILS,
        &LEASE,
        &SWEEP,
        &SETTLED,
        &CUSTOMERS,
    ]
}

/// What stands before the shells that run the rulebook.
fn rules() -> String {
    format!(
        "local rulebook = (function() {}\nreturn rulebook end)()\n\
         local codec = (function() {}\nend)()\n{}\n{}\n",
        rulebook::DEFINITIONS,
        include_str!("../codec.lua"),
        include_str!("log.lua"),
        include_str!("host.lua"),
    )
}

fn sha_of(text: &str) -> String {
    hex::encode(Sha1::digest(text.as_bytes()))
}

impl Script {
    /// Each file is wrapped, so that it has its own 200 locals.
    fn with_rules(name: &'static str, shell: &str) -> Self {
        Self { is_in_library: true, ..Self::new(name, rules() + shell) }
    }

    fn with_log(name: &'static str, rest: &str) -> Self {
        Self::new(name, format!("{}\n{rest}", include_str!("log.lua")))
    }

    fn new(name: &'static str, text: String) -> Self {
        let sha = sha_of(&text);
        Self { name, text, sha, is_in_library: false }
    }
}

impl Library {
    /// Of shells, by name, text and flags.
    fn new(shells: &[(&str, &str, &str)]) -> Self {
        // While a library is loaded nothing is there but what registers functions: it is made by the
        // first call.
        let mut made = format!("local made\nlocal function make()\n{}return {{\n", rules());
        for (name, shell, _) in shells {
            let _ = write!(made, "{name} = function(KEYS, ARGV)\n{shell}\nend,\n");
        }
        made.push_str("}\nend\n");
        // 12 hex digits are enough to tell versions apart.
        let name = format!("callgate_{}", &sha_of(&made)[..12]);
        let mut text = format!("#!lua name={name}\n{made}");
        for (shell, _, flags) in shells {
            let _ = write!(
                text,
                "redis.register_function{{ function_name = '{name}_{shell}', flags = {{ {flags} }},\n\
                 callback = function(keys, args)\n\
                 made = made or make()\nreturn made.{shell}(keys, args)\nend }}\n"
            );
        }
        Self { text, name }
    }

    /// What a script is called as a function.
    pub(super) fn function(&self, script: &Script) -> String {
        format!("{}_{}", self.name, script.name)
    }
}
