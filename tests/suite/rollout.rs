//! A rolling restart: three gates on one Redis, each ended and started again in turn, under the load of a
//! client that is set up as docs/clients.md says. No call fails, and no call is held twice.

mod slow {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        path::{Path, PathBuf},
        process::{Child, ChildStdout, Command, Stdio},
        time::{Duration, Instant},
    };

    use serde_json::Value;
    use tempfile::TempDir;

    use crate::{
        servers::{Port, Server},
        support::{process::Process, tally},
    };

    /// Rounds of `make test`; `CALLGATE_ROLLOUT_ROUNDS` says another number.
    const ROUNDS: usize = 5;
    const PATIENCE: Duration = Duration::from_secs(60);

    fn in_repository(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    /// The service config as it is printed for users.
    fn service_config() -> String {
        let text = std::fs::read_to_string(in_repository("docs/clients.md")).unwrap();
        let (_, rest) = text.split_once("```json\n").expect("docs/clients.md prints it");
        let (json, _) = rest.split_once("```").unwrap();
        let json: Value = serde_json::from_str(json).expect("it is JSON");
        json.to_string()
    }

    /// Customers who may be called often, and calls that are held for as long as the test goes on.
    fn rules(directory: &Path) -> String {
        let path = directory.join("rollout.toml");
        let text = "default_profile = \"rollout\"\n[profiles.rollout]\nextends = \"atom\"\n\
                    calls_per_window = 480\ncalls_per_permission = 0\nlease = \"1d\"\n";
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Gates of a fleet, each always on its own port.
    struct Fleet {
        ports: Vec<Port>,
        gates: Vec<Process>,
        arguments: Vec<String>,
        store: String,
    }

    impl Fleet {
        async fn start(store: &str, rules: &str) -> Self {
            let ports: Vec<Port> = (0..3).map(|_| Port::take()).collect();
            // A store that is late on a busy machine is no matter of the rollout, and is not tried again.
            let arguments =
                ["--config", rules, "--store-timeout", "5s"].map(str::to_owned).to_vec();
            let mut fleet = Self { ports, gates: Vec::new(), arguments, store: store.to_owned() };
            for n in 0..3 {
                let gate = fleet.gate(n);
                fleet.gates.push(gate);
                fleet.is_ready(n).await;
            }
            fleet
        }

        fn address(&self, n: usize) -> String {
            format!("127.0.0.1:{}", self.ports[n].number)
        }

        fn gate(&self, n: usize) -> Process {
            let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
            Process::serve(&self.store, &self.address(n), &arguments)
        }

        async fn is_ready(&self, n: usize) {
            let url = format!("http://{}/readyz", self.gates[n].admin);
            until(async || reqwest::get(&url).await.is_ok_and(|page| page.status() == 200)).await;
        }

        /// As a rollout with `minReadySeconds` does: the clients have found the new one.
        async fn is_used(&self, n: usize) {
            until(async || decisions(&self.gates[n]).await > 0.0).await;
        }

        /// Ends one with SIGTERM, and starts it again.
        async fn restart(&mut self, n: usize) {
            self.gates[n].signal("TERM");
            let status = self.gates[n].ended();
            assert_eq!(status.code(), Some(0), "gate {n}");
            self.gates[n] = self.gate(n);
            self.is_ready(n).await;
            self.is_used(n).await;
        }
    }

    /// How many it has decided.
    async fn decisions(gate: &Process) -> f64 {
        let page = reqwest::get(format!("http://{}/metrics", gate.admin)).await.unwrap();
        let text = page.text().await.unwrap();
        let lines = text.lines().filter(|line| line.starts_with("callgate_decisions_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    async fn until(is_so: impl AsyncFn() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        waited.await.expect("it becomes so");
    }

    /// A client that calls until it is told to stop.
    struct Load {
        child: Child,
        said: BufReader<ChildStdout>,
    }

    impl Load {
        fn start(mut client: Command, fleet: &Fleet, directory: &Path) -> Self {
            std::fs::write(directory.join("service_config.json"), service_config()).unwrap();
            let addresses: Vec<String> = (0..3).map(|n| fleet.address(n)).collect();
            let mut child = client
                .arg(format!("ipv4:{}", addresses.join(",")))
                .current_dir(directory)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| panic!("{client:?}: {error}; run scripts/setup"));
            let mut said = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            assert_eq!(line, "calling\n");
            Self { child, said }
        }

        /// What it found.
        fn stop(mut self) -> Value {
            let mut stdin = self.child.stdin.take().unwrap();
            stdin.write_all(b"stop\n").unwrap();
            let mut line = String::new();
            self.said.read_line(&mut line).unwrap();
            assert!(self.child.wait().unwrap().success());
            serde_json::from_str(&line).unwrap()
        }
    }

    /// Restarts all gates in turn, so many times.
    async fn roll(client: Command, rounds: usize) {
        let redis = Server::redis7();
        let directory = TempDir::new().unwrap();
        let mut fleet = Fleet::start(redis.url(), &rules(directory.path())).await;
        let load = Load::start(client, &fleet, directory.path());
        for n in 0..3 {
            fleet.is_used(n).await;
        }
        let begun = Instant::now();
        for _ in 0..rounds {
            for n in 0..3 {
                fleet.restart(n).await;
            }
        }
        let took = begun.elapsed();
        let found = tokio::task::spawn_blocking(|| load.stop()).await.unwrap();
        println!("{rounds} rounds in {took:?}: {found}");
        let calls = usize::try_from(found["calls"].as_u64().unwrap()).unwrap();
        assert_eq!(found["failed"], 0, "{found}");
        assert_eq!(found["held_twice"], 0, "{found}");
        assert_eq!(found["not_held"], 0, "{found}");
        assert_eq!(found["held"], found["allowed"], "{found}");
        assert!(calls > 100 * rounds, "hardly anybody called: {found}");
        tally::count("restarts of a gate under load, without a failed call", 3 * rounds);
        tally::count("calls while gates were restarted in turn", calls);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_rolling_restart_fails_no_call_of_python_and_holds_none_twice() {
        let rounds = std::env::var("CALLGATE_ROLLOUT_ROUNDS").ok().and_then(|n| n.parse().ok());
        let mut python = Command::new(in_repository(".venv/bin/python"));
        python.arg(in_repository("tests/clients/python/rollout.py"));
        roll(python, rounds.unwrap_or(ROUNDS)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_rolling_restart_fails_no_call_of_node_and_holds_none_twice() {
        let mut node = Command::new("node");
        node.arg(in_repository("tests/clients/node/rollout.js"));
        roll(node, 2).await;
    }
}
