//! The three sources joined: file < environment < flags.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::config::{
    Config, DoorName, Secret, clients, doors,
    file::{self, File},
    files::{Files, SecretFile},
    keys::KEYS,
    profiles,
    value::{Raw, did_you_mean, nearest},
};
use crate::{engine::pseudonym::Keys, service::access::Client};

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// `--config` or `CALLGATE_CONFIG`.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The flags that were given: name without dashes, value.
    pub flags: Vec<(String, String)>,
}

impl Inputs {
    /// The process's environment, and these flags.
    pub fn from_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        let env = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Self { file, env, flags }
    }

    /// Whether a configuration file is named.
    pub fn has_file(&self) -> bool {
        config_file(self).is_some()
    }
}

/// A configuration, and where each key's value came from.
#[derive(Debug)]
pub struct Loaded {
    /// All values.
    pub config: Config,
    /// Key path -> place, for keys that are not at their default.
    pub places: BTreeMap<&'static str, String>,
    /// What is not wrong, but probably not meant.
    pub warnings: Vec<String>,
    /// Every file that says something: a change in one of them changes the configuration.
    pub files: Files,
    /// The keys that go on as they were, since only a restart changes them. Empty at a start.
    pub restart_needed: Vec<&'static str>,
}

/// All that is wrong, in the order of the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(pub Vec<String>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Errors {}

/// Holds the app secrets, comma-separated; only ever a variable.
pub const APP_SECRET: &str = "CALLGATE_META_APP_SECRET";
/// Holds the token of the webhook subscription; only ever a variable.
pub const VERIFY_TOKEN: &str = "CALLGATE_META_VERIFY_TOKEN";
/// What is said of a file with a secret that has the mode for it.
pub const OPEN: &str = "every user of this host may read it";
/// Names the configuration file.
pub const CONFIG: &str = "CALLGATE_CONFIG";
/// Variables of the verbs that ask a running gate: where it is, and what they show to it.
pub const OF_THE_COMMAND_LINE: [&str; 5] = [
    "CALLGATE_ADDR",
    "CALLGATE_TOKEN_FILE",
    "CALLGATE_CA_FILE",
    "CALLGATE_CERT_FILE",
    "CALLGATE_KEY_FILE",
];

/// Reads and joins the sources and checks all of it.
///
/// # Errors
/// Every mistake there is, each with its place.
pub fn load(inputs: &Inputs) -> Result<Loaded, Errors> {
    load_beside(inputs, None)
}

/// The same for a gate that runs with `running`: what is read has to be good for a start, and then gives
/// way to what goes on ([`Config::keep_what_runs`]).
///
/// # Errors
/// Every mistake there is, each with its place.
pub fn load_again(inputs: &Inputs, running: &Config) -> Result<Loaded, Errors> {
    load_beside(inputs, Some(running))
}

fn load_beside(inputs: &Inputs, running: Option<&Config>) -> Result<Loaded, Errors> {
    let mut paths: Vec<PathBuf> = config_file(inputs).into_iter().collect();
    loop {
        // Looked at before they are read: what changes meanwhile is seen as changed later.
        let files = Files::now(paths);
        let loaded = read(inputs, files, running)?;
        let named = named_files(inputs, &loaded.config);
        if named == loaded.files.paths() {
            return Ok(loaded);
        }
        paths = named;
    }
}

fn read(inputs: &Inputs, files: Files, running: Option<&Config>) -> Result<Loaded, Errors> {
    let mut loading = Loading {
        config: Config::default(),
        places: BTreeMap::new(),
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    let mut file = loading.file(inputs);
    loading.values(&file, inputs);
    loading.clients(std::mem::take(&mut file.clients));
    loading.profiles(file);
    loading.secrets(&inputs.env);
    loading.pseudonyms();
    loading.store();
    loading.doors();
    loading.open_secrets();
    let restart_needed = running.map_or_else(Vec::new, |running| loading.go_on(running));
    let Loading { config, places, mut errors, warnings } = loading;
    errors.sort_by_key(|error| line(error));
    if errors.is_empty() {
        Ok(Loaded { config, places, warnings, files, restart_needed })
    } else {
        Err(Errors(errors))
    }
}

/// The file that is named by a flag, or else by the environment.
fn config_file(inputs: &Inputs) -> Option<PathBuf> {
    let named = inputs.env.get(CONFIG).filter(|name| !name.is_empty()).map(PathBuf::from);
    inputs.file.clone().or(named)
}

/// The configuration file, and those that it names.
fn named_files(inputs: &Inputs, config: &Config) -> Vec<PathBuf> {
    let named = [
        &config.store_file,
        &config.privacy.key_file,
        &config.app_secret_file,
        &config.verify_token_file,
    ];
    let tls = DoorName::ALL.into_iter().flat_map(|door| door.files(config).named());
    config_file(inputs)
        .into_iter()
        .chain(named.into_iter().flatten().cloned())
        .chain(tls.map(Path::to_owned))
        .collect()
}

/// Those of the file first, in its order; then the others as they were found.
fn line(error: &str) -> u64 {
    let number = error.split_once(": ").and_then(|(place, _)| place.rsplit_once(':'));
    number.and_then(|(_, line)| line.parse().ok()).unwrap_or(u64::MAX)
}

struct Loading {
    config: Config,
    places: BTreeMap<&'static str, String>,
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Loading {
    fn file(&mut self, inputs: &Inputs) -> File {
        let Some(path) = config_file(inputs) else { return File::default() };
        let name = path.display().to_string();
        match fs::read_to_string(&path) {
            Ok(text) => file::read(&name, &text, &mut self.errors),
            Err(error) => {
                self.errors.push(format!("cannot read config {name}: {error}"));
                File::default()
            }
        }
    }

    fn values(&mut self, file: &File, inputs: &Inputs) {
        for (key, raw, place) in &file.values {
            self.set(key.path, raw, place.clone());
        }
        for (name, value) in &inputs.env {
            let known = KEYS.iter().find(|key| key.variable().as_ref() == Some(name));
            match known {
                Some(key) => self.set(key.path, &Raw::Word(value.clone()), name.clone()),
                None => self.unknown_variable(name),
            }
        }
        for (flag, value) in &inputs.flags {
            if let Some(key) = KEYS.iter().find(|key| key.has_flag && key.name == flag) {
                self.set(key.path, &Raw::Word(value.clone()), format!("--{flag}"));
            }
        }
    }

    fn set(&mut self, path: &str, raw: &Raw, place: String) {
        let Some(key) = KEYS.iter().find(|key| key.path == path) else { return };
        match key.set(&mut self.config, raw) {
            Ok(()) => {
                self.places.insert(key.path, place);
            }
            Err(problem) => self.errors.push(format!("{place}: {problem}")),
        }
    }

    /// A name close to one of ours is a slip and an error, as in the file. Others are not ours:
    /// Kubernetes sets variables after the names of services.
    fn unknown_variable(&mut self, name: &str) {
        let others: Vec<&str> =
            [APP_SECRET, VERIFY_TOKEN, CONFIG].into_iter().chain(OF_THE_COMMAND_LINE).collect();
        if !name.starts_with("CALLGATE_") || others.contains(&name) {
            return;
        }
        let variables: Vec<String> = KEYS.iter().filter_map(|key| key.variable()).collect();
        let known = variables.iter().map(String::as_str).chain(others);
        // The common prefix must not make strangers look alike.
        let short = |name: &str| name.trim_start_matches("CALLGATE_").to_owned();
        let shorts: Vec<String> = known.map(short).collect();
        match nearest(&short(name), shorts.iter().map(String::as_str)) {
            Some(near) => self
                .errors
                .push(format!("{name}: unknown variable; did you mean `CALLGATE_{near}`?")),
            None if is_of_kubernetes(name) => {}
            None => self.warnings.push(format!("{name}: unknown variable, ignored")),
        }
    }

    fn profiles(&mut self, file: File) {
        self.config.profiles = profiles::resolve(&file.profiles, &mut self.errors);
        let default = self.config.default_profile.clone();
        let place = self.places.get("default_profile").cloned().unwrap_or_default();
        self.check_profile(&default, &format!("{place}: default_profile"));
        for (number, profile) in file.numbers {
            if let Some((name, place)) = &profile {
                self.check_profile(name, &format!("{place}: [numbers.\"{number}\"] profile"));
            }
            self.config.numbers.push((number, profile.map(|(name, _)| name)));
        }
    }

    fn clients(&mut self, clients: Vec<(Client, String, bool)>) {
        // Of one with a mistake that was told already, no more is told that follows from it.
        let places: BTreeMap<String, String> = clients
            .iter()
            .filter(|(.., is_good)| *is_good)
            .map(|(client, place, _)| (client.name.clone(), place.clone()))
            .collect();
        self.config.clients = clients.into_iter().map(|(client, ..)| client).collect();
        let has_client_ca = self.config.grpc_tls.client_ca.is_some();
        for (name, problem) in clients::check(&self.config.clients, has_client_ca) {
            if let Some(place) = places.get(&name) {
                self.errors.push(format!("{place}: [clients.{name}] {problem}"));
            }
        }
    }

    /// The URL of the store may stand in a file of its own.
    fn store(&mut self) {
        let Some(path) = self.config.store_file.clone() else { return };
        let place = self.places.get("store_file").cloned().unwrap_or_default();
        if let Some(other) = self.places.get("store") {
            self.errors.push(format!("{place}: store_file: store is set as well, by {other}"));
            return;
        }
        let shown = path.display();
        match fs::read_to_string(&path) {
            Ok(text) => self.set("store", &Raw::Word(text.trim().to_owned()), shown.to_string()),
            Err(error) => self.errors.push(format!("{place}: store_file = \"{shown}\": {error}")),
        }
    }

    fn pseudonyms(&mut self) {
        let Some(path) = &self.config.privacy.key_file else { return };
        let read = fs::read_to_string(path).map_err(|error| error.to_string());
        match read.and_then(|text| Keys::parse(&text)) {
            Ok(keys) => self.config.privacy.keys = Some(keys),
            Err(problem) => {
                let place = self.places.get("privacy.key_file").cloned().unwrap_or_default();
                let shown = path.display();
                self.errors.push(format!("{place}: privacy.key_file = \"{shown}\": {problem}"));
            }
        }
    }

    fn doors(&mut self) {
        let place = |key: &str| self.places.get(key).cloned();
        doors::read(&mut self.config, place, &mut self.errors);
        doors::check(&self.config, place, &mut self.errors);
    }

    /// Doors that go on with TLS do so by the files that they have, which may be renewed; those that go on
    /// without it have none to show.
    fn go_on(&mut self, running: &Config) -> Vec<&'static str> {
        let kept = self.config.keep_what_runs(running);
        self.config.identities.clear();
        let mut unread = Vec::new();
        doors::read(&mut self.config, |_| None, &mut unread);
        self.warnings.extend(
            unread.into_iter().map(|why| format!("{why}; the door goes on with what it shows")),
        );
        // Files that went with their section are no reason to refuse all else that is new.
        for (door, identity) in &running.identities {
            if door.files(&self.config).cert.is_some() {
                self.config.identities.entry(*door).or_insert_with(|| identity.clone());
            }
        }
        kept
    }

    fn open_secrets(&mut self) {
        let open = self.config.secret_files().into_iter().filter(SecretFile::is_open);
        self.warnings.extend(open.map(|file| format!("{file}: {OPEN}: {}", file.mend())));
    }

    fn check_profile(&mut self, name: &str, subject: &str) {
        if !self.config.profiles.contains_key(name) {
            let hint = did_you_mean(name, self.config.profiles.keys().map(String::as_str));
            self.errors.push(format!("{subject} = \"{name}\": there is no such profile{hint}"));
        }
    }

    fn secrets(&mut self, env: &BTreeMap<String, String>) {
        let path = self.config.app_secret_file.clone();
        let app = self.secret(env, APP_SECRET, "meta.app_secret_file", path);
        let split = |all: String| -> Vec<Secret> {
            all.split([',', '\n'])
                .map(str::trim)
                .filter(|s| !s.is_empty())
                .map(Secret::new)
                .collect()
        };
        self.config.app_secrets = app.map(split).unwrap_or_default();
        let path = self.config.verify_token_file.clone();
        let token = self.secret(env, VERIFY_TOKEN, "meta.verify_token_file", path);
        self.config.verify_token = token.map(|token| Secret::new(token.trim()));
        // Nobody comes whom they would let in.
        if self.config.http_addr.is_none() {
            return;
        }
        let missing = match (self.config.app_secrets.is_empty(), &self.config.verify_token) {
            (true, _) => APP_SECRET,
            (false, None) => VERIFY_TOKEN,
            (false, Some(_)) => return,
        };
        let refused =
            if missing == APP_SECRET { "every webhook" } else { "verification of the webhook" };
        self.warnings.push(format!("{missing} is not set: {refused} will be refused"));
    }

    fn secret(
        &mut self,
        env: &BTreeMap<String, String>,
        variable: &str,
        key: &'static str,
        path: Option<PathBuf>,
    ) -> Option<String> {
        if let Some(value) = env.get(variable).filter(|value| !value.trim().is_empty()) {
            return Some(value.clone());
        }
        let path = path?;
        let place = self.places.get(key).cloned().unwrap_or_default();
        let problem = match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => "the file is empty".to_owned(),
            Ok(text) => return Some(text),
            Err(error) => error.to_string(),
        };
        self.errors.push(format!("{place}: {key} = \"{}\": {problem}", path.display()));
        None
    }
}

/// `CALLGATE_SERVICE_HOST`, `CALLGATE_PORT_50051_TCP_ADDR` and the like.
fn is_of_kubernetes(name: &str) -> bool {
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_")
}
