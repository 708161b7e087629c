//! With the real program: what it refuses to open, and what it takes over while it runs.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use callgate::service::access::TokenHash;
use serde_json::Value;

use super::certificates::{Authority, dns};
use crate::{
    service::ask::CUSTOMER,
    support::process::{Process, webhook_signed},
};

const A: &str = super::matrix::A;
const B: &str = super::matrix::B;

/// Long enough on a busy machine; it is waited for as long as is needed.
const PATIENCE: Duration = Duration::from_secs(60);

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(Process::PROGRAM);
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_other_hosts_could_reach_is_not_opened_unless_it_is_named() {
    let refused = |more: &[&str]| {
        let output = run(&[&["serve", "--store", "memory:"], more].concat());
        assert_eq!(output.status.code(), Some(1), "{more:?}");
        assert_eq!(out(&output), "", "{more:?}: it listened");
        err(&output)
    };
    let told = refused(&["--grpc-addr", "0.0.0.0:0"]);
    for part in [
        "--grpc-addr: grpc_addr = \"0.0.0.0:0\"",
        "without TLS and clients",
        "grpc_tls.cert_file",
        "[clients.…]",
        "127.0.0.1 or unix:/path",
        "allow_insecure = \"grpc\"",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    let told = refused(&["--http-addr", "[::]:0", "--allow-insecure", "grpc,admin"]);
    assert!(told.contains("allow_insecure = \"http\""), "{told}");
    let told = refused(&["--admin-addr", "0.0.0.0:0", "--allow-insecure", "grpc,http"]);
    assert!(told.contains("allow_insecure = \"admin\""), "{told}");
    let told = refused(&["--allow-insecure", "grcp"]);
    assert!(told.contains("names no door `grcp`; write grpc, http or admin"), "{told}");

    // TLS alone lets anybody ask who can speak it.
    let authority = Authority::new();
    let (cert, key) = authority.server();
    let file = authority.ca.with_file_name("callgate.toml");
    let tls = format!(
        "[grpc_tls]\ncert_file = {:?}\nkey_file = {:?}\n",
        cert.display().to_string(),
        key.display().to_string()
    );
    fs::write(&file, &tls).unwrap();
    let file = file.to_str().unwrap();
    let told = refused(&["--config", file, "--grpc-addr", "0.0.0.0:0"]);
    assert!(told.contains("without clients; name who may ask in [clients.…], or listen"), "{told}");

    // Not opened here either, since it would be open to other hosts.
    fs::write(file, format!("{tls}{}", client("bot", "caller", "secret", &[]))).unwrap();
    let everywhere = ["config", "check", "--grpc-addr", "0.0.0.0:0"];
    let good = run(&[&everywhere[..], &["--config", file]].concat());
    assert_eq!(good.status.code(), Some(0), "{}", err(&good));
    let named = [
        "--allow-insecure",
        "grpc,http,admin",
        "--http-addr",
        "[::]:0",
        "--admin-addr",
        "0.0.0.0:0",
    ];
    let good = run(&[&everywhere[..], &named].concat());
    assert_eq!(good.status.code(), Some(0), "{}", err(&good));
}

/// A client as the file has it; its token is told as a hash.
fn client(name: &str, role: &str, token: &str, numbers: &[&str]) -> String {
    let numbers = match numbers {
        [] => String::new(),
        some => format!("numbers = {some:?}\n"),
    };
    let hash = TokenHash::of(token);
    format!("[clients.{name}]\nroles = [\"{role}\"]\ntoken_sha256 = [\"{hash}\"]\n{numbers}")
}

/// A gate with a configuration that is changed while it runs.
struct Changing {
    gate: Process,
    directory: tempfile::TempDir,
    addr: String,
}

impl Changing {
    fn serve(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("callgate.toml");
        fs::write(&file, text).unwrap();
        for token in ["admin", "bot", "new", "nobody"] {
            fs::write(directory.path().join(token), token).unwrap();
        }
        let gate = Process::serve("memory:", "127.0.0.1:0", &["--config", file.to_str().unwrap()]);
        let addr = format!("http://{}", gate.grpc);
        Self { gate, directory, addr }
    }

    fn write(&self, text: &str) {
        // As an editor does: whole or not at all.
        let new = self.directory.path().join("new.toml");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.directory.path().join("callgate.toml")).unwrap();
    }

    fn ask(&self, token: &str, args: &[&str]) -> Output {
        let token = self.directory.path().join(token);
        let shown = ["--addr", &self.addr, "--token-file", token.to_str().unwrap()];
        run(&[args, &shown].concat())
    }

    /// What `callgate config show` says.
    fn shown(&self) -> Value {
        let output = self.ask("admin", &["config", "show", "-o", "json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", err(&output)))
    }

    fn version(&self) -> u64 {
        self.shown()["version"].as_str().unwrap().parse().unwrap()
    }

    fn code(&self, token: &str, args: &[&str]) -> Option<i32> {
        self.ask(token, args).status.code()
    }
}

fn admin() -> String {
    client("admin", "admin", "admin", &[])
}

#[tokio::test]
async fn a_changed_file_is_taken_over_and_a_wrong_one_is_not() {
    let gate = Changing::serve(&(admin() + &client("bot", "caller", "bot", &[A])));
    let first = gate.shown();
    assert_eq!(first["version"], "1");
    assert_eq!(gate.code("bot", &["check", A, CUSTOMER]), Some(10));
    let denied = gate.ask("bot", &["check", B, CUSTOMER]);
    assert_eq!(denied.status.code(), Some(3));
    assert!(err(&denied).contains("PermissionDenied"), "{}", err(&denied));
    let denials = "callgate_auth_failures_total{reason=\"numbers\"}";
    assert_eq!(gate.gate.metric(denials).await, 1.0);
    assert_eq!(gate.code("new", &["check", A, CUSTOMER]), Some(3));

    // Other rules, another number, another token.
    let other = "default_profile = \"meta\"\n".to_owned()
        + &admin()
        + &client("bot", "caller", "new", &[B]);
    gate.write(&other);
    until("the new configuration", || gate.version() == 2);
    let second = gate.shown();
    assert_ne!(second["hash"], first["hash"]);
    assert!(second["toml"].as_str().unwrap().contains("default_profile = \"meta\""), "{second}");
    assert_eq!(gate.code("bot", &["check", B, CUSTOMER]), Some(3), "its token is gone");
    let judged = gate.ask("new", &["check", B, CUSTOMER]);
    assert!(out(&judged).contains("profile     meta"), "{}", out(&judged));
    assert_eq!(gate.gate.metric("callgate_config_version").await, 2.0);
    let is_refused = "callgate_config_refused";
    assert_eq!(gate.gate.metric(is_refused).await, 0.0, "it is there from the start");

    // Not a word of a wrong file is taken over.
    gate.write(&(other.replace("meta", "atom") + "roles_ = 1\n"));
    until("the refusal", || !gate.shown()["refused"].as_str().unwrap().is_empty());
    let refused = gate.shown();
    let why = refused["refused"].as_str().unwrap();
    assert!(why.contains("[clients.bot] unknown key `roles_`; did you mean `roles`?"), "{why}");
    assert_eq!((&refused["version"], &refused["hash"]), (&second["version"], &second["hash"]));
    assert_eq!(gate.code("admin", &["config", "show"]), Some(1));
    assert!(out(&gate.ask("new", &["check", B, CUSTOMER])).contains("profile     meta"));
    assert_eq!(gate.code("nobody", &["check", B, CUSTOMER]), Some(3), "it is as shut as it was");
    let failed = "callgate_config_reloads_total{result=\"failed\"}";
    assert_eq!(gate.gate.metric(failed).await, 1.0);
    assert_eq!(gate.gate.metric(is_refused).await, 1.0);
    // Other mistakes are no mend.
    gate.write(&(other.clone() + "role = 1\n"));
    until("the second refusal", || !gate.shown()["refused"].as_str().unwrap().contains("roles_"));
    assert_eq!(gate.gate.metric(is_refused).await, 1.0);

    // What only a restart changes goes on, and is told.
    gate.write(&("store_timeout = \"70ms\"\n".to_owned() + &other));
    until("the mended one", || gate.version() == 3);
    let third = gate.shown();
    assert_eq!(third["restart_needed"], serde_json::json!(["store_timeout"]));
    assert_eq!(third["refused"], "");
    assert_eq!(third["hash"], second["hash"]);
    assert_eq!(gate.gate.metric(is_refused).await, 0.0);
    assert_eq!(gate.gate.metric("callgate_config_restart_needed").await, 1.0);

    // Back as it was at the start.
    gate.write(&other);
    until("the first again", || gate.version() == 4);
    assert_eq!(gate.shown()["restart_needed"], serde_json::json!([]));
    // A mistake that is taken back is none any more, though then there is nothing new.
    gate.write(&(other.clone() + "roles_ = 1\n"));
    until("the refusal", || gate.shown()["refused"] != "");
    assert_eq!(gate.gate.metric(is_refused).await, 1.0);
    gate.write(&other);
    until("the file as it was", || gate.shown()["refused"] == "");
    assert_eq!(gate.gate.metric(is_refused).await, 0.0);
}

/// It goes on with another credential from where it was.
#[test]
fn who_is_not_known_any_more_is_told_where_the_stream_was() {
    let gate = Changing::serve(&(admin() + &client("bot", "caller", "bot", &[A])));
    let token = gate.directory.path().join("bot");
    let mut watching = Command::new(Process::PROGRAM)
        .env_clear()
        .args(["watch", "-o", "json", "--addr", &gate.addr, "--token-file"])
        .arg(token)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(watching.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let first: Value = serde_json::from_str(&first).unwrap();
    gate.write(&admin());
    let ended = watching.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(3), "{}", err(&ended));
    let resume = format!("--resume '{}'", first["resume_token"].as_str().unwrap());
    assert!(err(&ended).contains(&resume), "{resume}: {}", err(&ended));
}

/// A new file is looked at together with what goes on as it was: what is good by itself may not be.
#[tokio::test]
async fn nothing_is_opened_that_a_start_would_have_refused() {
    let gate = Changing::serve(&(admin() + &client("bot", "caller", "bot", &[A])));
    let refused = || gate.shown()["refused"].as_str().unwrap().to_owned();
    // A restart would take it, on loopback, and everybody of this host might ask.
    gate.write("default_profile = \"meta\"\n");
    until("the refusal", || refused().contains("would open gRPC to everybody"));
    assert_eq!(gate.code("nobody", &["check", A, CUSTOMER]), Some(3));
    assert_eq!(gate.version(), 1);
    // Clients may go, but for the last.
    gate.write(&admin());
    until("the next one", || gate.version() == 2);
    assert_eq!(gate.code("bot", &["check", A, CUSTOMER]), Some(3));
    assert_eq!(refused(), "");
}

#[test]
fn sighup_reads_the_files_again() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let gate = Process::serve_with("memory:", "127.0.0.1:0", &[], |command| {
        command.stderr(fs::File::create(&log).unwrap());
    });
    let pid = gate.pid().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    // Without the signal it would not be said, since nothing changes.
    let said = "the configuration was read again; nothing has changed";
    until("the word of it", || fs::read_to_string(&log).unwrap().contains(said));
}

/// At `warn` nothing is said of a configuration that is taken over.
#[test]
fn what_is_logged_changes_with_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let [file, log] = ["callgate.toml", "log"].map(|name| directory.path().join(name));
    let write = |level: &str| fs::write(&file, format!("[log]\nfilter = \"{level}\"\n")).unwrap();
    write("warn");
    let arguments = ["--config", file.to_str().unwrap()];
    let _gate = Process::serve_with("memory:", "127.0.0.1:0", &arguments, |command| {
        command.stderr(fs::File::create(&log).unwrap());
    });
    write("info");
    let said = "a new configuration is in effect";
    until("the word of it", || fs::read_to_string(&log).unwrap().contains(said));
}

/// Kubernetes puts a new directory beside the old one, and turns one link.
#[tokio::test]
async fn files_behind_a_link_that_is_turned_are_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let generation = |name: &str, secret: &str| {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join("secret"), secret).unwrap();
    };
    let turn = |to: &str| {
        symlink(to, path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
    };
    generation("..1", "first-secret");
    turn("..1");
    symlink("..data/secret", path("secret")).unwrap();
    let config = path("callgate.toml");
    let secret = path("secret");
    let text = format!("[meta]\napp_secret_file = {:?}\n", secret.display().to_string());
    fs::write(&config, text).unwrap();
    let gate = Process::serve_with(
        "memory:",
        "127.0.0.1:0",
        &["--config", config.to_str().unwrap()],
        |command| {
            command.env_remove("CALLGATE_META_APP_SECRET");
        },
    );
    let body = serde_json::json!({"object": "whatsapp_business_account", "entry": []});
    assert!(webhook_signed(&gate.http, &body, "first-secret").await);
    assert!(!webhook_signed(&gate.http, &body, "second-secret").await);
    generation("..2", "second-secret,first-secret");
    turn("..2");
    let begun = Instant::now();
    while !webhook_signed(&gate.http, &body, "second-secret").await {
        assert!(begun.elapsed() < PATIENCE, "the secret was not taken over");
    }
    assert!(webhook_signed(&gate.http, &body, "first-secret").await, "both hold in a rotation");
}

#[test]
fn a_certificate_that_is_renewed_is_shown_and_one_that_is_broken_is_not() {
    let authority = Authority::new();
    let (cert, key) = authority.server();
    let bot = authority.sign("bot", vec![dns("bot.example")], "x");
    let text = format!(
        "[grpc_tls]\ncert_file = {:?}\nkey_file = {:?}\nclient_ca_file = {:?}\n\
         [clients.bot]\nroles = [\"caller\", \"admin\"]\ncertificate_names = [\"bot.example\"]\n",
        cert.display().to_string(),
        key.display().to_string(),
        authority.ca.display().to_string()
    );
    let file = authority.ca.with_file_name("callgate.toml");
    fs::write(&file, text).unwrap();
    let gate = Process::serve("memory:", "127.0.0.1:0", &["--config", file.to_str().unwrap()]);
    let (_, port) = gate.grpc.rsplit_once(':').unwrap();
    let addr = format!("https://localhost:{port}");
    let ask = |args: &[&str], ca: &Path| {
        let of = |path: &Path| path.display().to_string();
        let (cert, key, ca) = (of(&bot.0), of(&bot.1), of(ca));
        let shown = ["--addr", &addr, "--ca-file", &ca, "--cert-file", &cert, "--key-file", &key];
        run(&[args, &shown].concat())
    };
    let checked = ask(&["check", A, CUSTOMER], &authority.ca);
    assert_eq!(checked.status.code(), Some(10), "{}", err(&checked));
    let watched = Authority::new();
    assert_eq!(ask(&["check", A, CUSTOMER], &watched.ca).status.code(), Some(3));

    // Who shows none is told what is missing, whatever is asked.
    let ca = authority.ca.display().to_string();
    for asked in [&["health"][..], &["check", A, CUSTOMER]] {
        let bare = run(&[asked, &["--addr", &addr, "--ca-file", &ca]].concat());
        assert_eq!(bare.status.code(), Some(3));
        assert!(
            err(&bare).contains("Show one: --cert-file FILE --key-file FILE"),
            "{}",
            err(&bare)
        );
    }

    // The key is written before its certificate: for a moment they do not fit.
    let (new_cert, new_key) = authority.sign("renewed", vec![dns("localhost")], "server");
    fs::copy(new_key, &key).unwrap();
    let refused = || {
        let shown = ask(&["config", "show", "-o", "json"], &authority.ca);
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        shown["refused"].as_str().unwrap().to_owned()
    };
    until("the refusal", || refused().contains("does not belong to"));
    assert_eq!(ask(&["check", A, CUSTOMER], &authority.ca).status.code(), Some(10));
    fs::copy(new_cert, &cert).unwrap();
    until("the renewed one", || refused().is_empty());
    assert_eq!(ask(&["check", A, CUSTOMER], &authority.ca).status.code(), Some(10));
}

/// The door goes on with TLS until a restart, by files that are renewed meanwhile.
#[test]
fn a_certificate_is_renewed_though_its_section_was_taken_out() {
    let (authority, next) = (Authority::new(), Authority::new());
    let (cert, key) = authority.server();
    let [file, token] = ["callgate.toml", "token"].map(|name| authority.ca.with_file_name(name));
    fs::write(&token, "bot").unwrap();
    let hash = TokenHash::of("bot");
    let bot =
        format!("[clients.bot]\nroles = [\"caller\", \"admin\"]\ntoken_sha256 = [\"{hash}\"]\n");
    let (shown, private) = (cert.display().to_string(), key.display().to_string());
    let tls = format!("[grpc_tls]\ncert_file = {shown:?}\nkey_file = {private:?}\n");
    fs::write(&file, tls + &bot).unwrap();
    let gate = Process::serve("memory:", "127.0.0.1:0", &["--config", file.to_str().unwrap()]);
    let (_, port) = gate.grpc.rsplit_once(':').unwrap();
    let addr = format!("https://localhost:{port}");
    let ask = |args: &[&str], ca: &Path| {
        let (ca, token) = (ca.display().to_string(), token.display().to_string());
        let shown = ["--addr", &addr, "--ca-file", &ca, "--token-file", &token];
        run(&[args, &shown].concat())
    };
    assert_eq!(ask(&["check", A, CUSTOMER], &authority.ca).status.code(), Some(10));
    fs::write(&file, &bot).unwrap();
    until("the file without it", || {
        let shown = ask(&["config", "show", "-o", "json"], &authority.ca);
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        shown["restart_needed"] == serde_json::json!(["grpc_tls.cert_file"])
    });
    let (new_cert, new_key) = next.server();
    fs::copy(new_key, &key).unwrap();
    fs::copy(new_cert, &cert).unwrap();
    until("the renewed one", || ask(&["check", A, CUSTOMER], &next.ca).status.code() == Some(10));
    // Nor do files that went with their section keep all else out.
    fs::remove_file(&cert).unwrap();
    fs::remove_file(&key).unwrap();
    fs::write(&file, "default_profile = \"meta\"\n".to_owned() + &bot).unwrap();
    until("the other profile", || {
        out(&ask(&["check", A, CUSTOMER], &next.ca)).contains("profile     meta")
    });
}

#[test]
fn a_token_fits_its_hash() {
    let made = out(&run(&["token"]));
    let word = |name: &str| {
        let line = made.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().to_owned()
    };
    let (token, hash) = (word("token "), word("token_sha256 "));
    assert!(token.starts_with("cg_") && token.len() >= 43, "{token}");
    assert_eq!(TokenHash::of(&token).to_string(), hash);
    assert_ne!(out(&run(&["token"])), made);
}

#[test]
fn the_command_line_says_what_it_cannot_show() {
    let told = err(&run(&["check", A, CUSTOMER, "--token-file", "/nowhere"]));
    assert!(told.contains("--token-file") && told.contains("cannot be read"), "{told}");
    let told = err(&run(&["check", A, CUSTOMER, "--addr", "http://127.0.0.1:1", "--ca-file", "x"]));
    assert!(told.contains("--ca-file and --cert-file are for https"), "{told}");
    let told =
        err(&run(&["check", A, CUSTOMER, "--addr", "https://127.0.0.1:1", "--ca-file", "/x"]));
    assert!(told.contains("cannot read /x"), "{told}");
}
