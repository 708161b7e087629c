//! The configuration: every mistake is told with its place, and the later source wins.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use callgate::{
    config::{
        self, Address, Config, Errors, Inputs, Loaded, StoreUrl,
        keys::{KEYS, LIVE},
        profiles::PROFILE_KEYS,
        reference, show,
        value::{Access, Raw},
    },
    door::Files,
    engine::{pair::PhoneNumberId, profile::Profile},
    service::access::{Role, TokenHash},
};

struct Case {
    dir: tempfile::TempDir,
    inputs: Inputs,
}

/// A configuration file named callgate.toml.
fn file(text: &str) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("callgate.toml");
    fs::write(&path, text).unwrap();
    Case { dir, inputs: Inputs { file: Some(path), ..Inputs::default() } }
}

impl Case {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.inputs.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, name: &str, value: &str) -> Self {
        self.inputs.flags.push((name.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Result<Loaded, Errors> {
        config::load(&self.inputs)
    }

    fn ok(&self) -> Loaded {
        self.load().unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// All errors, the directory left out.
    fn errors(&self) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        let errors = self.load().expect_err("this configuration is wrong").0;
        errors.iter().map(|error| error.replace(&dir, "")).collect()
    }
}

fn number(digits: &str) -> PhoneNumberId {
    PhoneNumberId::parse(digits, "test").unwrap()
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let config = config::load(&Inputs::default()).unwrap().config;
    assert_eq!(config.grpc_addr, "127.0.0.1:50051".parse::<Address>().unwrap());
    assert_eq!(config.http_addr.clone().unwrap().to_string(), "127.0.0.1:8080");
    assert_eq!(config.store, StoreUrl::Embedded(PathBuf::from(".callgate")));
    assert_eq!(**config.gate_profiles().of(&number("8000")), Profile::atom());
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let toml = "grpc_addr = \"127.0.0.1:1\"\nhttp_addr = \"127.0.0.1:2\"\nstore = \"memory:\"\n";
    let case = file(toml)
        .env("CALLGATE_GRPC_ADDR", "127.0.0.1:11")
        .env("CALLGATE_HTTP_ADDR", "127.0.0.1:12")
        .flag("grpc-addr", "unix:/tmp/gate.sock");
    let loaded = case.ok();
    assert_eq!(loaded.config.grpc_addr, Address::Unix("/tmp/gate.sock".into()));
    assert_eq!(loaded.config.http_addr.unwrap().to_string(), "127.0.0.1:12");
    assert_eq!(loaded.config.store, StoreUrl::Memory);
    assert_eq!(loaded.places["grpc_addr"], "--grpc-addr");
    assert_eq!(loaded.places["http_addr"], "CALLGATE_HTTP_ADDR");
    assert!(loaded.places["store"].ends_with("callgate.toml:3"));
}

#[test]
fn an_unknown_key_is_told_with_its_line() {
    let case = file(
        "default_profile = \"mine\"\n\n[profiles.mine]\nextends = \"meta\"\n\
         callz_per_window = 7\n\n[log]\nformatt = \"json\"\n\n[stuff]\nx = 1\n",
    );
    assert_eq!(
        case.errors(),
        [
            "callgate.toml:5: unknown key `callz_per_window` in [profiles.mine]; did you mean \
             `calls_per_window`?",
            "callgate.toml:8: unknown key `log.formatt`; did you mean `log.format`?",
            "callgate.toml:10: unknown key `stuff`",
        ]
    );
}

#[test]
fn bad_values_are_told_with_their_lines_and_all_at_once() {
    let case = file(
        "grpc_addr = 50051\nhttp_addr = \"8080\"\nstore = \"mysql://root:hunter2@db/x\"\n\
         store_timeout = \"50\"\n[log]\nformat = \"xml\"\nfilter = \"a=b=c\"\n\
         [embedded]\ndurability = true\n[webhook]\nbody_limit = \"1GiB\"\n[redis]\nkey_prefix = \"{x}\"\n",
    )
    .env("CALLGATE_STORE_TIMEOUT", "never")
    .flag("store-timeout", "0ms");
    let errors = case.errors().join("\n");
    insta::assert_snapshot!(errors, @r#"
    callgate.toml:1: grpc_addr = 50051: must be a string
    callgate.toml:2: http_addr = "8080": must be an IP address with port, e.g. 127.0.0.1:50051, or unix:/path, or "off"
    callgate.toml:3: store = "mysql://root:****@db/x": is no store; write "embedded:DIR", "memory:" or a Redis URL such as "redis://127.0.0.1:6379"
    callgate.toml:4: store_timeout = "50": is no duration; write one whole number and its unit, ms, s, m, h or d, e.g. "90s"
    callgate.toml:6: log.format = "xml": must be "auto", "text" or "json"
    callgate.toml:7: log.filter = "a=b=c": is no filter (error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5); write a level, or e.g. "info,callgate::webhook=debug"
    callgate.toml:9: embedded.durability = true: must be a string
    callgate.toml:11: webhook.body_limit = "1GiB": is no size; write bytes, or KiB or MiB, e.g. "3MiB"
    callgate.toml:13: redis.key_prefix = "{x}": must be 1 to 64 letters, digits, "-", "_", "." or ":"
    CALLGATE_STORE_TIMEOUT: store_timeout = "never": is no duration; write one whole number and its unit, ms, s, m, h or d, e.g. "90s"
    --store-timeout: store_timeout = "0ms": must be from 1ms to 10s
    "#);
}

#[test]
fn where_traces_go_is_an_address_and_their_share_a_number() {
    let good = file("[otlp]\nendpoint = \"http://collector:4317\"\nsample_ratio = \"0.05\"\n").ok();
    assert_eq!(good.config.otlp_endpoint.as_deref(), Some("http://collector:4317"));
    assert!((good.config.otlp_sample_ratio - 0.05).abs() < f64::EPSILON);
    assert_eq!(Config::default().otlp_endpoint, None);
    for bad in [
        "collector:4317",
        "grpc://collector:4317",
        "http://",
        "http://me:secret@collector",
        "http://c/v1",
    ] {
        let told = file(&format!("[otlp]\nendpoint = \"{bad}\"\n")).errors().join("\n");
        assert!(told.contains("otlp.endpoint") && told.contains("http://127.0.0.1:4317"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
    for bad in ["\"1.01\"", "\"-0.1\"", "\"NaN\"", "\"some\"", "0.5"] {
        let told = file(&format!("[otlp]\nsample_ratio = {bad}\n")).errors().join("\n");
        assert!(told.contains("otlp.sample_ratio"), "{told}");
    }
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let errors = file("grpc_addr = \"127.0.0.1:1\"\nhttp_addr = \n").errors();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("callgate.toml:2: "), "{errors:?}");
    let errors = file("store = \"memory:\"\nstore = \"memory:\"\n").errors();
    assert!(errors[0].starts_with("callgate.toml:2: duplicate key"), "{errors:?}");
}

#[test]
fn a_file_that_is_missing_is_an_error() {
    let inputs = Inputs { file: Some(PathBuf::from("/nowhere/x.toml")), ..Inputs::default() };
    let errors = config::load(&inputs).unwrap_err().0;
    assert!(errors[0].starts_with("cannot read config /nowhere/x.toml: "), "{errors:?}");
}

#[test]
fn the_file_may_be_named_by_a_variable() {
    let case = file("store = \"memory:\"\n");
    let path = case.inputs.file.clone().unwrap().display().to_string();
    let env = BTreeMap::from([("CALLGATE_CONFIG".to_owned(), path)]);
    let config = config::load(&Inputs { env, ..Inputs::default() }).unwrap().config;
    assert_eq!(config.store, StoreUrl::Memory);
}

/// Another value than `atom`'s, as it is written in the file.
fn another(access: &Access<Profile>, index: usize) -> String {
    let index = index + 1;
    match access {
        Access::Span(..) => format!("\"{}s\"", 1000 + index),
        Access::Count(..) => (40 + index).to_string(),
        Access::Flag(field) => (!*field(&mut Profile::atom())).to_string(),
        Access::Size(..) | Access::Text(..) => unreachable!("no key of a profile is of this kind"),
    }
}

#[test]
fn every_key_of_a_profile_can_be_set() {
    let mut toml = "default_profile = \"mine\"\n[profiles.mine]\n".to_owned();
    for (index, key) in PROFILE_KEYS.iter().enumerate() {
        toml.push_str(&format!("{} = {}\n", key.path, another(&key.access, index)));
    }
    let mine = file(&toml).ok().config.profiles["mine"].clone();
    assert_eq!(mine.name, "mine");
    for (index, key) in PROFILE_KEYS.iter().enumerate() {
        assert_eq!(key.show(&mine).unwrap(), another(&key.access, index), "{}", key.path);
    }
    // The table is complete: it has as many rows as a profile has fields.
    let fields = serde_json::to_value(Profile::atom()).unwrap();
    let names: Vec<&String> =
        fields.as_object().unwrap().keys().filter(|key| *key != "name").collect();
    assert_eq!(names.len(), PROFILE_KEYS.len());
    for key in PROFILE_KEYS {
        assert!(names.iter().any(|name| *name == key.path), "{} is no field", key.path);
    }
}

#[test]
fn profiles_extend_built_in_ones_and_each_other() {
    let case = file(
        "[profiles.b]\nextends = \"a\"\ncalls_per_window = 9\n\
         [profiles.a]\nextends = \"meta-sandbox\"\nlease = \"3s\"\ncalls_per_window = 8\n\
         [profiles.c]\n",
    );
    let profiles = case.ok().config.profiles;
    let b = Profile {
        name: "b".to_owned(),
        lease: 3000,
        calls_per_window: 9,
        ..Profile::meta_sandbox()
    };
    assert_eq!(profiles["b"], b);
    assert_eq!(profiles["c"], Profile { name: "c".to_owned(), ..Profile::atom() });
    assert_eq!(profiles["meta"], Profile::meta());
}

#[test]
fn mistakes_in_profiles_are_told_with_their_lines() {
    let case = file(
        "[profiles.a]\nextends = \"b\"\n[profiles.b]\nextends = \"a\"\n\
         [profiles.c]\nextends = \"metta\"\n\
         [profiles.d]\nlease = \"500ms\"\ncall_window = \"401d\"\nlongest_call = 60\n\
         calls_per_window = 481\nrequests_per_day = -1\ncalls_at_once = \"1\"\n\
         inbound_call_grants = \"yes\"\nexpiring_soon = \"1h 30m\"\n\
         [profiles.e]\nunanswered_warns_at = 4\n\
         [profiles.meta]\nlease = \"10s\"\n\
         [profiles]\n\"no spaces\" = {}\nlease = \"1s\"\n",
    );
    insta::assert_snapshot!(case.errors().join("\n"), @r#"
    callgate.toml:4: [profiles.b] extends itself: a -> b -> a
    callgate.toml:6: [profiles.c] extends "metta", which is no profile; did you mean `meta`?
    callgate.toml:8: [profiles.d] lease = "500ms": must be from 1s to 400d
    callgate.toml:9: [profiles.d] call_window = "401d": must be from 1s to 400d
    callgate.toml:10: [profiles.d] longest_call = 60: must be a duration with its unit, e.g. "90s"
    callgate.toml:11: [profiles.d] calls_per_window = 481: must be from 1 to 480
    callgate.toml:12: [profiles.d] requests_per_day = -1: must be a whole number, not negative and without quotes
    callgate.toml:13: [profiles.d] calls_at_once = "1": must be a whole number, not negative and without quotes
    callgate.toml:14: [profiles.d] inbound_call_grants = "yes": must be true or false, without quotes
    callgate.toml:15: [profiles.d] expiring_soon = "1h 30m": is no duration; write one whole number and its unit, ms, s, m, h or d, e.g. "90s"
    callgate.toml:17: [profiles.e] unanswered_warns_at (4) must be less than unanswered_revokes_at (4)
    callgate.toml:18: [profiles.meta] is built in and stays as it is; choose another name and extends = "meta"
    callgate.toml:21: [profiles.no spaces] must be named by 1 to 64 letters, digits, "-", "_" or "."
    callgate.toml:22: unknown key `lease` in [profiles]; it holds tables: [profiles.NAME]
    "#);
}

#[test]
fn numbers_have_profiles_and_close_the_door_to_others() {
    let case = file(
        "default_profile = \"meta\"\n[numbers.\"8000\"]\nprofile = \"atom\"\n[numbers.\"8001\"]\n",
    );
    let profiles = case.ok().config.gate_profiles();
    assert_eq!(profiles.of(&number("8000")).name, "atom");
    assert_eq!(profiles.of(&number("8001")).name, "meta");
    assert!(profiles.serves(&number("8001")) && !profiles.serves(&number("8002")));

    let case = file(
        "default_profile = \"atm\"\n[numbers.\"8000\"]\nprofile = \"mine\"\nfoo = 1\n\
         [numbers.\"+1555\"]\n",
    );
    insta::assert_snapshot!(case.errors().join("\n"), @r#"
    callgate.toml:1: default_profile = "atm": there is no such profile; did you mean `atom`?
    callgate.toml:3: [numbers."8000"] profile = "mine": there is no such profile
    callgate.toml:4: unknown key `foo` in [numbers."8000"]
    callgate.toml:5: [numbers."+1555"]: must be 1 to 32 digits: Meta's id of the business number, not the number itself
    "#);
}

#[test]
fn a_profile_that_a_flag_or_variable_names_must_exist() {
    let case = file("").flag("profile", "mtea");
    let errors = case.errors();
    assert_eq!(
        errors,
        ["--profile: default_profile = \"mtea\": there is no such profile; did you mean `meta`?"]
    );
    let config = file("").env("CALLGATE_PROFILE", "meta-sandbox").ok().config;
    assert_eq!(config.default_profile, "meta-sandbox");
}

#[test]
fn a_variable_close_to_ours_is_a_slip_and_others_are_not_ours() {
    let case = file("").env("CALLGATE_STOER", "memory:");
    assert_eq!(case.errors(), ["CALLGATE_STOER: unknown variable; did you mean `CALLGATE_STORE`?"]);
    let loaded = file("")
        .env("CALLGATE_SERVICE_HOST", "10.0.0.1")
        .env("CALLGATE_PORT_50051_TCP", "tcp://10.0.0.1:50051")
        .env("CALLGATE_ADDR", "http://127.0.0.1:1")
        .env("CALLGATE_SOMETHING_ELSE", "1")
        .ok();
    assert_eq!(loaded.warnings[0], "CALLGATE_SOMETHING_ELSE: unknown variable, ignored");
    assert!(loaded.warnings[1].contains("every webhook will be refused"), "{:?}", loaded.warnings);
    assert_eq!(loaded.warnings.len(), 2);
}

#[test]
fn secrets_come_from_variables_or_files_and_are_never_shown() {
    let case = file("");
    let path = case.dir.path().join("secrets");
    fs::write(&path, "alpha\nbeta\n").unwrap();
    let token = case.dir.path().join("token");
    fs::write(&token, " hush \n").unwrap();
    [&path, &token].into_iter().for_each(|file| allow(file, 0o640));
    let toml = format!(
        "store = \"redis://gate:hunter2@10.0.0.1/0\"\n[meta]\napp_secret_file = {path:?}\n\
         verify_token_file = {token:?}\n"
    );
    let loaded = file(&toml).ok();
    let secrets: Vec<&str> = loaded.config.app_secrets.iter().map(|s| s.expose()).collect();
    assert_eq!(secrets, ["alpha", "beta"]);
    assert_eq!(loaded.config.verify_token.as_ref().unwrap().expose(), "hush");
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.config.store, StoreUrl::Redis("redis://gate:hunter2@10.0.0.1/0".into()));

    let case = file(&toml).env("CALLGATE_META_APP_SECRET", "gamma, delta");
    let loaded = case.ok();
    let secrets: Vec<&str> = loaded.config.app_secrets.iter().map(|s| s.expose()).collect();
    assert_eq!(secrets, ["gamma", "delta"]);
    for text in [show::show(&loaded), format!("{loaded:?}")] {
        for secret in ["alpha", "gamma", "delta", "hush", "hunter2"] {
            assert!(!text.contains(secret), "{secret} is shown in {text}");
        }
        assert!(text.contains("redis://gate:****@10.0.0.1/0"), "{text}");
    }
}

#[test]
fn secrets_of_webhooks_are_missed_only_where_webhooks_are_taken() {
    assert_eq!(file("http_addr = \"off\"\n").ok().warnings, Vec::<String>::new());
    let warnings = file("").ok().warnings;
    assert_eq!(warnings, ["CALLGATE_META_APP_SECRET is not set: every webhook will be refused"]);
    let warnings = file("").env("CALLGATE_META_APP_SECRET", "hush").ok().warnings;
    let token =
        "CALLGATE_META_VERIFY_TOKEN is not set: verification of the webhook will be refused";
    assert_eq!(warnings, [token]);
}

fn allow(file: &Path, mode: u32) {
    fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
}

/// Every key that names a file with a secret in it, beside others that do not.
#[test]
fn secrets_that_every_user_may_read_are_told_with_the_mend() {
    let case = file("");
    let path = |name: &str| case.dir.path().join(name);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    fs::write(path("crt"), certificate.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(path("tls"), key.serialize_pem()).unwrap();
    fs::write(path("store"), "memory:").unwrap();
    fs::write(path("keys"), format!("{}\n", "ab".repeat(32))).unwrap();
    fs::write(path("app"), "hush").unwrap();
    fs::write(path("token"), "hush").unwrap();
    let secrets = ["store", "keys", "app", "token", "tls"];
    let tls = format!("cert_file = {:?}\nkey_file = {:?}\n", path("crt"), path("tls"));
    let toml = format!(
        "store_file = {:?}\n[privacy]\nkey_file = {:?}\n[meta]\napp_secret_file = {:?}\n\
         verify_token_file = {:?}\n[grpc_tls]\n{tls}[http_tls]\n{tls}[admin_tls]\n{tls}",
        path("store"),
        path("keys"),
        path("app"),
        path("token"),
    );
    fs::write(path("callgate.toml"), toml).unwrap();
    for (mode, is_told) in
        [(0o600, false), (0o640, false), (0o440, false), (0o644, true), (0o604, true)]
    {
        secrets.iter().for_each(|name| allow(&path(name), mode));
        let told = case.ok().warnings;
        if !is_told {
            assert_eq!(told, [""; 0], "{mode:o}");
            continue;
        }
        let keys = [
            ("store_file", "store"),
            ("privacy.key_file", "keys"),
            ("meta.app_secret_file", "app"),
            ("meta.verify_token_file", "token"),
            ("grpc_tls.key_file", "tls"),
            ("http_tls.key_file", "tls"),
            ("admin_tls.key_file", "tls"),
        ];
        let wanted = keys.map(|(key, name)| {
            let path = path(name).display().to_string();
            format!("{key} = \"{path}\": every user of this host may read it: chmod 600 {path}")
        });
        assert_eq!(told, wanted, "{mode:o}");
    }
    // As Kubernetes mounts it.
    std::os::unix::fs::symlink(".", path("..data")).unwrap();
    assert_eq!(case.ok().warnings, [""; 0]);
}

#[test]
fn secrets_in_the_file_are_refused() {
    let case = file("[meta]\napp_secret = \"alpha\"\nverify_token_file = \"/nowhere/token\"\n");
    let errors = case.errors().join("\n");
    insta::assert_snapshot!(errors, @r#"
    callgate.toml:2: secrets do not belong in the file; set CALLGATE_META_APP_SECRET, or name a file in meta.app_secret_file
    callgate.toml:3: meta.verify_token_file = "/nowhere/token": No such file or directory (os error 2)
    "#);
}

#[test]
fn passwords_in_urls_are_masked() {
    let check = |url: &str, shown: &str| assert_eq!(config::secret::mask_url(url), shown);
    check("redis://h:1", "redis://h:1");
    // With a slip in it, too.
    check("rediss//u:p/w@h:1?password=x", "****@h:1?password=****");
    check("u:p@w@h", "****@h");
    check("redis://:pw@h", "redis://:****@h");
    check("rediss://u:p/w@d@h:1/2?a=b", "rediss://u:****@h:1/2?a=b");
    check(
        "redis+sentinel://h/m?sentinel_password=x&db=1",
        "redis+sentinel://h/m?sentinel_password=****&db=1",
    );
}

#[test]
fn what_is_shown_is_a_file_that_gives_the_same() {
    let toml = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/callgate.toml"));
    let loaded = file(&toml.unwrap()).ok();
    let again = file(&show::show(&loaded)).ok();
    let text = |config: &Config| format!("{config:?}");
    assert_eq!(text(&again.config), text(&loaded.config));
}

/// Another value than the default, as it is written.
fn changed(key: &config::value::Key<Config>) -> String {
    match (&key.access, key.path) {
        (Access::Span(_, max, _), _) => format!("{max}ms"),
        (Access::Size(min, ..), _) => min.to_string(),
        (Access::Count(_, max, _), _) => max.to_string(),
        (Access::Text(..), "grpc_addr" | "http_addr" | "admin_addr") => {
            "\"127.0.0.1:1\"".to_owned()
        }
        (Access::Text(..), "allow_insecure") => "\"http\"".to_owned(),
        (Access::Text(..), "store") => "\"memory:\"".to_owned(),
        (Access::Text(..), "default_profile") => "\"meta\"".to_owned(),
        (Access::Text(..), "embedded.durability") => "\"os\"".to_owned(),
        (Access::Text(..), "redis.key_prefix") => "\"other\"".to_owned(),
        (Access::Text(..), "otlp.endpoint") => "\"http://127.0.0.1:1\"".to_owned(),
        (Access::Text(..), "otlp.sample_ratio") => "\"0.5\"".to_owned(),
        (Access::Text(..), "log.format") => "\"json\"".to_owned(),
        (Access::Text(..), "log.filter") => "\"warn\"".to_owned(),
        (Access::Text(form, ..), path) => {
            assert_eq!(*form, "path", "{path} is new: write down another value");
            "\"elsewhere\"".to_owned()
        }
        (Access::Flag(_), path) => unreachable!("{path} is the first flag"),
    }
}

#[test]
fn a_running_gate_keeps_what_only_a_restart_changes() {
    let running = Config::default();
    for key in KEYS {
        let value = changed(key).trim_matches('"').to_owned();
        let mut next = running.clone();
        key.set(&mut next, &Raw::Word(value)).unwrap();
        let wanted = key.show(&next);
        assert_ne!(wanted, key.show(&running), "{}", key.path);
        let mut read = next.clone();
        let kept = read.keep_what_runs(&running);
        if LIVE.contains(&key.path) && !key.path.ends_with("_tls.cert_file") {
            assert_eq!((kept, key.show(&read)), (vec![], wanted), "{}", key.path);
        } else {
            // A door that speaks no TLS cannot begin to.
            assert_eq!(
                (kept, key.show(&read)),
                (vec![key.path], key.show(&running)),
                "{}",
                key.path
            );
        }
    }
    for path in LIVE {
        assert!(KEYS.iter().any(|key| key.path == path), "{path} is no key");
    }
}

#[test]
fn a_mix_of_what_runs_and_what_was_read_is_looked_at_as_well() {
    let named = "[clients.bot]\nroles = [\"caller\"]\ntoken_sha256 = \
                 [\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"]\n";
    let open = "grpc_addr = \"0.0.0.0:1\"\nallow_insecure = \"grpc\"\n".to_owned() + named;
    let running =
        Config { allow_insecure: std::collections::BTreeSet::new(), ..file(&open).ok().config };
    let running =
        Config { grpc_tls: Files { cert: Some("c".into()), ..Files::default() }, ..running };
    // Each is good at a start: the one on another address, the other with the door named.
    for read in ["", "grpc_addr = \"0.0.0.0:1\"\nallow_insecure = \"grpc\"\n"] {
        let mut next = file(read).ok().config;
        next.keep_what_runs(&running);
        let told = next.may_follow(&running).unwrap_err().to_string();
        assert!(told.contains("other hosts could reach it without clients"), "{told}");
        assert!(told.contains("would open gRPC to everybody"), "{told}");
    }
    let mut next = file(named).ok().config;
    next.keep_what_runs(&running);
    assert_eq!(next.may_follow(&running), Ok(()));
}

#[test]
fn clients_are_read_and_every_mistake_in_them_is_told() {
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let good = format!(
        "[clients.bot]\nroles = [\"recorder\", \"caller\", \"caller\"]\ntoken_sha256 = [\"{hash}\"]\n\
         numbers = [\"8000\"]\n"
    );
    let client = file(&good).ok().config.clients.remove(0);
    assert_eq!(client.roles, [Role::Caller, Role::Recorder]);
    assert_eq!(client.tokens, [TokenHash::of("abc")]);
    assert!(client.scope.holds(&number("8000")) && !client.scope.holds(&number("8001")));

    let bad = format!(
        "{good}[clients.two]\nroles = [\"boss\"]\ntoken_sha256 = [\"{hash}\"]\nnumbers = []\n\
         [clients.three]\ntoken_sha256 = [\"abc\"]\nroles = \"caller\"\nnumber = [\"1\"]\n\
         [clients.\"a b\"]\nroles = [\"caller\"]\n\
         [clients.four]\nroles = [\"caller\"]\ncertificate_names = [\"\"]\nnumbers = [\"x\"]\n\
         [clients.five]\nroles = [\"caller\"]\ncertificate_names = [\"x\", \"x\"]\n\
         [clients.six]\nroles = []\ntoken_sha256 = [\"{hash}\"]\n\
         [clients.seven]\nroles = [\"admin\"]\n"
    );
    insta::assert_snapshot!(file(&bad).errors().join("\n"), @r#"
    callgate.toml:6: [clients.two] roles: "boss" is no role; write caller, recorder or admin
    callgate.toml:8: [clients.two] numbers: must name a business number; leave it out for all of them
    callgate.toml:10: [clients.three] token_sha256: must be the SHA-256 of a token in 64 hexadecimal digits, not the token itself; `callgate token` makes both
    callgate.toml:11: [clients.three] roles: must be an array of strings, e.g. ["caller"]
    callgate.toml:12: [clients.three] unknown key `number`; did you mean `numbers`?
    callgate.toml:13: [clients.a b] must be named by 1 to 64 letters, digits, "-", "_" or "."
    callgate.toml:17: [clients.four] certificate_names: a name must not be empty
    callgate.toml:18: [clients.four] numbers: x: must be 1 to 32 digits: Meta's id of the business number, not the number itself
    callgate.toml:19: [clients.five] certificate_names needs grpc_tls.client_ca_file
    callgate.toml:19: [clients.five] has the certificate name "x" of five, or twice
    callgate.toml:22: [clients.six] has no roles: it could ask nothing; set e.g. roles = ["caller"]
    callgate.toml:22: [clients.six] has the same token_sha256 as bot, or twice
    callgate.toml:25: [clients.seven] cannot be known: set token_sha256 or certificate_names
    "#);
}

#[test]
fn the_default_of_every_key_may_be_written_down() {
    let default = Config::default();
    for key in KEYS {
        if let Some(shown) = key.show(&default) {
            let raw = Raw::Word(shown.trim_matches('"').to_owned());
            key.set(&mut default.clone(), &raw).unwrap();
        }
    }
    for profile in Profile::built_in() {
        for key in PROFILE_KEYS {
            let raw = Raw::Word(key.show(&profile).unwrap().trim_matches('"').to_owned());
            key.set(&mut profile.clone(), &raw).unwrap();
        }
    }
}

#[test]
fn the_configuration_reference_is_in_step_with_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let text = fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once("<!-- reference: begin").unwrap();
    let (mark, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- reference: end").unwrap();
    let wanted = format!(
        "{before}<!-- reference: begin{mark}-->\n{}<!-- reference: end{after}",
        reference::render()
    );
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, &wanted).unwrap();
    } else {
        assert!(text == wanted, "stale: UPDATE_DOCS=1 cargo nextest run configuration_reference");
    }
}
