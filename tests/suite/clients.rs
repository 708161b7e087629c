//! Users are mostly Python, some Node: their own gRPC stacks play the story against the real
//! program, over TCP and over a Unix socket. And the README's own story, as `make run` plays it.

mod slow {
    use std::{
        io::{BufRead as _, BufReader},
        path::{Path, PathBuf},
        process::{Command, Stdio},
    };

    use callgate::proto::call_permission_service_client::CallPermissionServiceClient;
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
    async fn a_dialer_in_python_parks_a_lead_and_is_woken() {
        let gate = Gate::serve(false);
        let mut dialer = Command::new(in_repository(".venv/bin/python"))
            .arg(in_repository("examples/park_and_wake.py"))
            .args(["--target", &gate.process.grpc, "436666719526789", "15550199012"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(dialer.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(
            said.next().unwrap().starts_with("parked 15550199012: the customer was never asked")
        );
        let address = format!("http://{}", gate.process.grpc);
        let mut client = CallPermissionServiceClient::connect(address).await.unwrap();
        let mut accepted = ask::event("accepted", 1, ask::accept());
        accepted.occurred_at = Some(now());
        accepted.pair = ask::pair_of("436666719526789", "15550199012");
        client.record_events(ask::events(vec![accepted])).await.unwrap();
        let heard = said.next().unwrap();
        // It may have begun to watch a moment too late to hear of it, and then sees that it is so.
        let called = if heard.starts_with("heard") { said.next().unwrap() } else { heard };
        assert!(called.starts_with("call   15550199012: permission until"), "{called}");
        assert_eq!(said.next().unwrap(), "nobody is parked any more");
        assert!(dialer.wait().unwrap().success());
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
