//! A rolling upgrade and back: gates of this version and of the one before (`scripts/previous`) on one
//! store. What a newer version wrote an older one refuses, and writes nothing.

mod slow {
    use std::{
        path::{Path, PathBuf},
        process::{Command, Stdio},
        sync::Arc,
        time::Duration,
    };

    use callgate::{
        engine::pair::Pair,
        engine::store::Store as _,
        proto::{
            CallOutcome, CallReport, Event, EventStatus, PermissionReply, PermissionResponse,
            event::Fact,
        },
        store::redis::{Options, RedisStore, Target},
    };
    use redis::cmd;

    use crate::{
        proof::{
            again, check,
            gates::{Gates, Teller},
            ledger::{Answer, Asked, Ledger, at, pair},
            load::Load,
            rules::Rules,
        },
        servers::Server,
        support::{process::Process, tally},
        twins::Dice,
    };

    const PAIR: &str = "4001 15550199001";

    /// No window ends while gates are started: on a busy machine that takes seconds.
    fn hours() -> Rules {
        Rules { call_window: 3_600_000, ..Rules::seconds() }
    }

    /// The program of the version before: the one that `scripts/previous` builds by now, and no other
    /// that may lie beside it.
    fn previous() -> String {
        let script = include_str!("../../scripts/previous");
        let revision = script.lines().find_map(|line| line.strip_prefix("revision=")).unwrap();
        let name = format!("callgate-{revision}");
        let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/previous").join(&name);
        let program = std::env::var_os("CALLGATE_TEST_PREVIOUS").map_or_else(built, PathBuf::from);
        let is_that = program.file_name().is_some_and(|file| file == name.as_str());
        assert!(is_that, "{} is not of commit {revision}", program.display());
        assert!(program.is_file(), "no {}: run scripts/previous", program.display());
        program.display().to_string()
    }

    fn serve(program: &str, store: &str, config: &str) -> Process {
        let arguments = ["--config", config, "--store-timeout", "2s"];
        Process::start(Process::command(program, store, "127.0.0.1:0", &arguments))
    }

    /// Somebody who asks one gate about one pair.
    struct One {
        teller: Teller,
        ledger: Arc<Ledger>,
        dice: Dice,
    }

    impl One {
        fn of(gate: &Process) -> Self {
            let gates = Gates::new(vec![gate.grpc.clone()]);
            let ledger = Ledger::new();
            let teller = Teller::new(&gates, &ledger, Duration::from_secs(10));
            Self { teller, ledger, dice: Dice(1) }
        }

        async fn ask(&mut self, asked: Asked) -> Answer {
            self.teller.ask(PAIR, asked, &mut self.dice).await
        }

        async fn call(&mut self, id: &str) -> Answer {
            self.ask(Asked::Call { call_id: id.to_owned(), lease: Some(600_000) }).await
        }

        /// Twice at once: what two events of one batch become may come in either order.
        async fn tell(&mut self, id: &str, fact: Fact) -> Vec<Answer> {
            let event = Event {
                event_id: id.to_owned(),
                pair: Some(pair(PAIR)),
                occurred_at: Some(at(self.ledger.now())),
                fact: Some(fact),
            };
            // Not by ReportCall, which takes no event id.
            self.teller.tell(vec![event.clone(), event], &mut self.dice).await
        }

        /// Tells what is recorded.
        async fn told(&mut self, id: &str, fact: Fact) {
            let answers = self.tell(id, fact).await;
            let is_recorded = |answer: &Answer| {
                matches!(answer, Answer::Told { status: EventStatus::Recorded, .. })
            };
            assert!(answers.iter().any(is_recorded), "{answers:?}");
        }

        /// Every question and every fact. No one is answered, or all are.
        async fn everything(&mut self, id: &str) -> Vec<Answer> {
            let mut answers = vec![
                self.call(id).await,
                self.ask(Asked::Request { request_id: id.to_owned(), replace: true }).await,
                self.ask(Asked::View { as_of: None }).await,
            ];
            answers
                .extend(self.tell(&format!("{id}-reply"), reply(PermissionResponse::Accept)).await);
            answers.extend(self.tell(&format!("{id}-call"), answered(id)).await);
            answers
        }
    }

    fn reply(response: PermissionResponse) -> Fact {
        let response = response.into();
        Fact::Reply(PermissionReply { response, permanent: true, ..PermissionReply::default() })
    }

    fn answered(id: &str) -> Fact {
        let outcome = CallOutcome::Answered.into();
        Fact::Call(CallReport { call_id: id.to_owned(), outcome, ..CallReport::default() })
    }

    /// Everything that a server keeps but what each start writes, as bytes.
    fn kept(server: &Server) -> Vec<(String, Vec<u8>)> {
        let mut client = server.client();
        let mut keys: Vec<String> = cmd("KEYS").arg("*").query(&mut client).unwrap();
        keys.retain(|key| !key.contains(":sweeper"));
        keys.sort();
        let dump = |key: String| {
            let bytes = cmd("DUMP").arg(&key).query(&mut server.client()).unwrap();
            (key, bytes)
        };
        keys.into_iter().map(dump).collect()
    }

    fn allowed(answer: &Answer) -> bool {
        matches!(answer, Answer::Verdict(verdict) if verdict.is_allowed)
    }

    async fn until_answered(ledger: &Ledger, more: usize) {
        let wanted = ledger.answered() + more;
        while ledger.answered() < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn gates_are_upgraded_and_put_back_one_by_one_under_load() {
        let (server, mut dice) = (Server::redis7(), Dice::throw());
        let (rules, directory) = (Rules::seconds(), tempfile::tempdir().unwrap());
        let (config, previous) = (rules.config(directory.path()), previous());
        let mut fleet: Vec<_> = (0..3).map(|_| serve(&previous, server.url(), &config)).collect();
        let gates = Gates::new(fleet.iter().map(|gate| gate.grpc.clone()).collect());
        let ledger = Ledger::new();
        let mut rolled = 0;
        let roll = async {
            for program in [Process::PROGRAM, &previous, Process::PROGRAM] {
                for (place, gate) in fleet.iter_mut().enumerate() {
                    until_answered(&ledger, 400).await;
                    gate.kill();
                    *gate = serve(program, server.url(), &config);
                    gates.moved(place, &gate.grpc);
                    rolled += 1;
                }
            }
            until_answered(&ledger, 1000).await;
        };
        let load = Load::new(Dice(dice.below(u64::MAX)));
        load.run(&gates, &ledger, roll).await;
        again::ask(&ledger, &gates, &rules, &mut dice).await;
        let sums = check::must_hold(&ledger, &rules);
        assert!(sums.allows > 50, "hardly anything happened");
        tally::count("gates upgraded or put back under load", rolled);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_the_version_before_wrote_is_read_and_what_this_one_wrote_it_refuses() {
        let (server, directory) = (Server::redis7(), tempfile::tempdir().unwrap());
        let config = hours().config(directory.path());
        let before = serve(&previous(), server.url(), &config);
        let mut old = One::of(&before);
        old.told("yes", reply(PermissionResponse::Accept)).await;
        assert!(allowed(&old.call("held").await));
        old.told("talked", answered("over")).await;
        let then = old.ask(Asked::View { as_of: None }).await;

        let this = serve(Process::PROGRAM, server.url(), &config);
        let mut new = One::of(&this);
        let now = new.ask(Asked::View { as_of: None }).await;
        assert_eq!(seen(&now), seen(&then));
        // Who only reads leaves the record to both.
        assert_eq!(seen(&old.ask(Asked::View { as_of: None }).await), seen(&then));
        let again = new.call("held").await;
        assert!(matches!(&again, Answer::Verdict(v) if v.is_allowed && v.is_replayed), "{again:?}");
        assert!(matches!(new.call("over").await, Answer::Exists));

        new.told("no", reply(PermissionResponse::Reject)).await;
        let kept_by_this = kept(&server);
        for answer in old.everything("other").await {
            assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
        }
        assert_eq!(kept(&server), kept_by_this, "the version before wrote something");
        assert!(!allowed(&new.call("after the no").await));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_of_the_version_to_come_is_refused_and_left_as_it_is() {
        let (server, directory) = (Server::redis7(), tempfile::tempdir().unwrap());
        let config = hours().config(directory.path());
        let gate = serve(Process::PROGRAM, server.url(), &config);
        let mut one = One::of(&gate);
        one.told("yes", reply(PermissionResponse::Accept)).await;
        assert!(allowed(&one.call("held").await));
        let target = Target::parse(server.url()).unwrap();
        let store = RedisStore::open(target, Options::default()).await.unwrap();
        let pair = Pair::parse("4001", "15550199001", "", "").unwrap();
        let raw = store.raw(&pair.number, &pair.customer).await.unwrap().0.unwrap();
        let (key, mut client) = ("callgate:*:pair:4001:15550199001", server.client());
        let keys: Vec<String> = cmd("KEYS").arg(key).query(&mut client).unwrap();
        let to_come: Vec<u8> = [&[raw[0] + 1], &raw[1..]].concat();
        cmd("SET").arg(&keys[0]).arg(&to_come).query::<()>(&mut client).unwrap();
        let before = kept(&server);
        for answer in one.everything("other").await {
            assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
        }
        // Not even erased: the tombstone has to be of the newest fact, which cannot be read.
        let forgotten = one.ask(Asked::Forget).await;
        assert!(matches!(forgotten, Answer::Unknown(_)), "{forgotten:?}");
        assert_eq!(kept(&server), before, "something was written");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_embedded_store_goes_to_this_version_and_back_and_here_again() {
        let (directory, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let config = hours().config(directory.path());
        let store = format!("embedded:{}", data.path().display());
        let mut gate = serve(&previous(), &store, &config);
        let mut old = One::of(&gate);
        old.told("yes", reply(PermissionResponse::Accept)).await;
        assert!(allowed(&old.call("held").await));
        let then = old.ask(Asked::View { as_of: None }).await;
        gate.kill();

        gate = serve(Process::PROGRAM, &store, &config);
        let mut new = One::of(&gate);
        assert_eq!(seen(&new.ask(Asked::View { as_of: None }).await), seen(&then));
        new.told("no", reply(PermissionResponse::Reject)).await;
        let then = new.ask(Asked::View { as_of: None }).await;
        gate.kill();

        gate = serve(&previous(), &store, &config);
        for answer in One::of(&gate).everything("other").await {
            assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
        }
        gate.kill();

        gate = serve(Process::PROGRAM, &store, &config);
        let mut new = One::of(&gate);
        assert_eq!(seen(&new.ask(Asked::View { as_of: None }).await), seen(&then));
        assert!(!allowed(&new.call("after the no").await));
    }

    /// Without the keys it would look for ids that are not there.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_version_before_does_not_start_on_a_store_of_pseudonyms() {
        let (server, directory) = (Server::redis7(), tempfile::tempdir().unwrap());
        let key_file = directory.path().join("keys");
        std::fs::write(&key_file, "0123456789abcdef0123456789abcdef").unwrap();
        let embedded = format!("embedded:{}", directory.path().join("data").display());
        for store in [server.url(), &embedded] {
            let gate = Process::serve_with(store, "127.0.0.1:0", &[], |command| {
                command.env("CALLGATE_PRIVACY_KEY_FILE", &key_file);
            });
            One::of(&gate).told("yes", reply(PermissionResponse::Accept)).await;
            gate.terminate().await;
            let mut before = Process::command(&previous(), store, "127.0.0.1:0", &[]);
            let refused = before.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
            let told = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(refused.status.code(), Some(1), "{store}: {told}");
            assert!(told.contains("privacy.key_file"), "it names the mend: {told}");
        }
    }

    /// What a view shows, whenever it was asked for.
    fn seen(answer: &Answer) -> String {
        let Answer::View(permission) = answer else { panic!("{answer:?}") };
        let mut permission = permission.clone();
        permission.judged_at = None;
        format!("{permission:?}")
    }

    #[test]
    fn the_version_before_is_another_one() {
        let version = |program: &str| {
            let output = Command::new(program).arg("version").output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert_ne!(version(&previous()), version(Process::PROGRAM));
    }
}
