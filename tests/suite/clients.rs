//! Users are mostly Python, some Node: their own gRPC stacks play the story against the real
//! program, over TCP and over a Unix socket. And the README's own story, as `make run` plays it.

mod slow {
    use std::{
        io::{BufRead as _, BufReader},
        path::{Path, PathBuf},
        process::{Child, Command, Stdio},
    };

    use callgate::proto::call_permission_service_client::CallPermissionServiceClient;
    use serde_json::Value;
    use tempfile::TempDir;

    use crate::{
        servers::Server,
        service::ask,
        stream::now,
        support::process::{Process, SECRET},
    };

    /// A gate of its own, in a directory of its own.
    struct Gate {
        process: Process,
        _dir: TempDir,
    }

    impl Gate {
        fn serve(socket: bool) -> Self {
            let dir = TempDir::new().unwrap();
            let store = format!("embedded:{}", dir.path().join("data").display());
            Self::serve_on(&store, socket, dir)
        }

        fn serve_on(store: &str, socket: bool, dir: TempDir) -> Self {
            let grpc = if socket {
                format!("unix:{}", dir.path().join("gate.sock").display())
            } else {
                "127.0.0.1:0".to_owned()
            };
            Self { process: Process::serve(store, &grpc, &[]), _dir: dir }
        }

        /// Runs a client to its end, which must be "ok".
        fn is_used_by(&self, client: &mut Command) {
            let output = client
                .arg(&self.process.grpc)
                .arg(format!("http://{}/webhooks/meta", self.process.http))
                .env("CALLGATE_META_APP_SECRET", SECRET)
                .output()
                .unwrap_or_else(|error| panic!("{client:?}: {error}; run scripts/setup"));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{client:?}\n{said}\n{complaint}");
            assert!(said.trim_end().ends_with("ok"), "{said}");
        }
    }

    fn in_repository(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    fn python() -> Command {
        let mut python = Command::new(in_repository(".venv/bin/python"));
        python.arg(in_repository("tests/clients/python/story.py"));
        python
    }

    fn node() -> Command {
        let mut node = Command::new("node");
        node.arg(in_repository("tests/clients/node/story.js"));
        node
    }

    #[test]
    fn python_plays_the_story_over_tcp() {
        Gate::serve(false).is_used_by(&mut python());
    }

    #[test]
    fn python_plays_the_story_over_a_unix_socket() {
        Gate::serve(true).is_used_by(&mut python());
    }

    #[test]
    fn python_plays_the_story_on_redis() {
        let redis = Server::redis7();
        let dir = TempDir::new().unwrap();
        Gate::serve_on(redis.url(), false, dir).is_used_by(&mut python());
    }

    /// The example of docs/watching.md.
    #[tokio::test]
    async fn a_dialer_in_python_parks_leads_and_is_woken() {
        let gate = Gate::serve(false);
        // Of the second, WhatsApp leaves out the ninth digit.
        let leads = ["15550199012", "+5511987654321"];
        let spelled = ["15550199012", "551187654321"];
        let mut dialer = Command::new(in_repository(".venv/bin/python"))
            .arg(in_repository("examples/park_and_wake.py"))
            .args(["--target", &gate.process.grpc, "436666719526789"])
            .args(leads)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(dialer.stdout.take().unwrap()).lines().map(Result::unwrap);
        for lead in leads {
            let parked = format!("parked {lead}: the customer was never asked");
            assert!(said.next().unwrap().starts_with(&parked));
        }
        let address = format!("http://{}", gate.process.grpc);
        let mut client = CallPermissionServiceClient::connect(address).await.unwrap();
        for (lead, spelled) in std::iter::zip(leads, spelled) {
            let mut accepted = ask::event(&format!("accepted-{lead}"), 1, ask::accept());
            accepted.occurred_at = Some(now());
            accepted.pair = ask::pair_of("436666719526789", spelled);
            client.record_events(ask::events(vec![accepted])).await.unwrap();
            let heard = said.next().unwrap();
            // It may have begun to watch a moment too late to hear of it, and then sees that it is so.
            let called = if heard.starts_with("heard") { said.next().unwrap() } else { heard };
            assert!(called.starts_with(&format!("call   {lead}: permission until")), "{called}");
        }
        assert_eq!(said.next().unwrap(), "nobody is parked any more");
        assert!(dialer.wait().unwrap().success());
    }

    /// `callgate watch` in a pipe, on the gate of a story.
    fn watch(gate: &Gate, arguments: &[&str]) -> Child {
        let address = format!("http://{}", gate.process.grpc);
        Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(["watch", "--addr", &address, "-o", "json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// The messages that it prints.
    fn messages(watch: &mut Child) -> impl Iterator<Item = Value> + use<> {
        let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        lines.map_while(Result::ok).map(|line| serde_json::from_str(&line).unwrap())
    }

    /// Business number and cause of a change.
    fn cause(message: &Value) -> Option<(String, String)> {
        let cause = message["change"]["cause"].as_str()?.trim_start_matches("CHANGE_CAUSE_");
        let number = message["change"]["permission"]["pair"]["phone_number_id"].as_str()?;
        Some((number.to_owned(), cause.to_owned()))
    }

    /// The causes, number by number: changes of two numbers may overtake each other.
    fn by_number(mut told: Vec<(String, String)>) -> Vec<String> {
        told.sort_by(|a, b| a.0.cmp(&b.0));
        told.into_iter().map(|(_, cause)| cause).collect()
    }

    /// Every change of the story of `make run`, what time does included.
    const STORY: [&str; 14] = [
        "REQUEST_SENT",
        "ACCEPTED",
        "LIMIT_REACHED",
        "ACCEPTED",
        "CUSTOMER_WARNED",
        "AUTO_REVOKED",
        "REJECTED",
        "REQUEST_SENT",
        "REQUEST_LAPSED",
        "ACCEPTED",
        "LIMIT_REACHED",
        "LIMIT_FREED",
        "EXPIRING_SOON",
        "EXPIRED",
    ];

    #[test]
    fn watching_the_story_of_make_run_prints_every_change_and_goes_on_where_it_was_killed() {
        let dir = TempDir::new().unwrap();
        let store = format!("embedded:{}", dir.path().join("data").display());
        let config = in_repository("examples/story.toml");
        let arguments = ["--config", config.to_str().unwrap()];
        let process = Process::serve(&store, "127.0.0.1:0", &arguments);
        let gate = Gate { process, _dir: dir };
        let mut whole = watch(&gate, &[]);
        let mut broken = watch(&gate, &[]);
        let (mut heard, mut heard_in_pieces) = (messages(&mut whole), messages(&mut broken));
        assert!(heard.next().unwrap().get("progress").is_some(), "it is watching");
        assert!(heard_in_pieces.next().unwrap().get("progress").is_some(), "it is watching");

        let story = Path::new(env!("CARGO_BIN_EXE_callgate")).with_file_name("examples/story");
        let mut story = Command::new(story)
            .args([&gate.process.grpc, &gate.process.http].map(|at| format!("http://{at}")))
            .env("CALLGATE_META_APP_SECRET", SECRET)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut pieces = Vec::new();
        while pieces.len() < STORY.len() {
            let message = heard_in_pieces.next().unwrap();
            pieces.extend(cause(&message));
            if pieces.len() % 4 == 1 && cause(&message).is_some() {
                broken.kill().unwrap();
                broken.wait().unwrap();
                broken = watch(&gate, &["--resume", message["resume_token"].as_str().unwrap()]);
                heard_in_pieces = messages(&mut broken);
            }
        }
        let all = heard.filter_map(|m| cause(&m)).take(STORY.len()).collect();
        assert_eq!(by_number(all), STORY);
        assert_eq!(by_number(pieces), STORY);
        assert!(story.wait().unwrap().success(), "the story went as it should");
        for watch in [&mut whole, &mut broken] {
            watch.kill().unwrap();
            watch.wait().unwrap();
        }
    }

    #[test]
    fn node_plays_the_story_over_tcp() {
        Gate::serve(false).is_used_by(&mut node());
    }

    #[test]
    fn node_plays_the_story_over_a_unix_socket() {
        Gate::serve(true).is_used_by(&mut node());
    }
}
