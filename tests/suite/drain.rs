//! The end of the real program: nobody who was let in goes without an answer, nothing new is let in, and
//! nothing that does no work holds it up.

mod slow {
    use std::{
        process::ExitStatus,
        time::{Duration, Instant},
    };

    use callgate::proto::{
        self as pb, call_permission_service_client::CallPermissionServiceClient,
        watch_permissions_response::Message,
    };
    use tempfile::TempDir;
    use tokio::{io::AsyncWriteExt as _, net::TcpStream};
    use tonic::{Code, Status, transport::Channel};
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::v1;
    use tonic_types::StatusExt as _;

    use crate::{
        servers::Server,
        service::ask,
        stream::now,
        support::process::{Process, signal},
    };

    type Client = CallPermissionServiceClient<Channel>;

    const NOT_SERVING: i32 = 2;
    /// Longer than anything here takes that is not meant to last.
    const PATIENCE: Duration = Duration::from_secs(30);
    /// What an end may take beside the times that are configured, on a machine that does much else.
    const A_LITTLE: Duration = Duration::from_secs(5);

    /// A gate in a process, with its log.
    struct Gate {
        process: Process,
        dir: TempDir,
    }

    impl Gate {
        fn serve(store: &str, arguments: &[&str]) -> Self {
            let dir = TempDir::new().unwrap();
            let log = std::fs::File::create(dir.path().join("log")).unwrap();
            let process = Process::serve_with(store, "127.0.0.1:0", arguments, |command| {
                command.stderr(log);
            });
            Self { process, dir }
        }

        async fn channel(&self) -> Result<Channel, tonic::transport::Error> {
            Channel::from_shared(format!("http://{}", self.process.grpc)).unwrap().connect().await
        }

        async fn client(&self) -> Client {
            Client::new(self.channel().await.unwrap())
        }

        /// Status and text of a page for operators.
        async fn page(&self, path: &str) -> (u16, String) {
            let answer =
                reqwest::get(format!("http://{}{path}", self.process.admin)).await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }

        async fn until_ready(&self) {
            until(async || self.page("/readyz").await.0 == 200).await;
        }

        /// A call that the store does not answer: it is under way when this returns.
        async fn hangs(&self) -> tokio::task::JoinHandle<Result<(), Status>> {
            let mut client = self.client().await;
            let call = tokio::spawn(async move {
                client.authorize_call(ask::authorize("hangs")).await.map(drop)
            });
            let name = "callgate_in_flight{class=\"call\"}";
            until(async || self.process.metric(name).await > 0.5).await;
            call
        }

        async fn is_draining(&self) {
            until(async || self.page("/readyz").await == (503, "draining\n".to_owned())).await;
        }

        async fn takes_no_connections(&self) {
            until(async || TcpStream::connect(&self.process.grpc).await.is_err()).await;
        }

        async fn ended(mut self) -> (ExitStatus, String) {
            let ended = tokio::task::spawn_blocking(move || {
                let status = self.process.ended();
                (status, std::fs::read_to_string(self.dir.path().join("log")).unwrap())
            });
            tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap()
        }

        /// Waits for an end with 0.
        async fn ended_well(self) -> String {
            let (status, log) = self.ended().await;
            assert_eq!(status.code(), Some(0), "{log}");
            assert!(!log.contains("panicked"), "{log}");
            log
        }
    }

    /// Waits for a state that nothing announces.
    async fn until(is_so: impl AsyncFn() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        waited.await.expect("it becomes so");
    }

    fn reason(status: &Status) -> String {
        status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
    }

    #[tokio::test]
    async fn a_call_that_hangs_in_the_store_still_gets_its_answer() {
        let redis = Server::redis7();
        let gate = Gate::serve(redis.url(), &["--store-timeout", "10s", "--drain-timeout", "20s"]);
        gate.until_ready().await;
        signal(redis.pid(), "STOP");
        let call = gate.hangs().await;
        let mut same = gate.client().await;
        gate.process.signal("TERM");
        gate.is_draining().await;
        gate.takes_no_connections().await;
        // Over a connection that was open, neither.
        until(async || {
            let mut calls = same.clone();
            let asked = pb::GetBusinessNumberRequest { phone_number_id: ask::NUMBER.to_owned() };
            let mut asked = tonic::Request::new(asked);
            asked.set_timeout(Duration::from_millis(100));
            calls.get_business_number(asked).await.is_err_and(|e| e.code() == Code::Unavailable)
        })
        .await;
        assert!(!call.is_finished(), "it hangs");
        let released = Instant::now();
        signal(redis.pid(), "CONT");
        call.await.unwrap().unwrap();
        let log = gate.ended_well().await;
        assert!(
            released.elapsed() < A_LITTLE,
            "it ends when the call has: {:?}",
            released.elapsed()
        );
        assert!(!log.contains("leaving them"), "{log}");
        assert!(same.authorize_call(ask::authorize("after")).await.is_err());
    }

    #[tokio::test]
    async fn everything_is_taken_during_the_delay_and_nothing_after_it() {
        const DELAY: Duration = Duration::from_secs(3);
        let gate = Gate::serve("memory:", &["--drain-delay", "3s"]);
        gate.until_ready().await;
        let before = gate.client().await;
        gate.process.signal("TERM");
        let asked = Instant::now();
        gate.is_draining().await;
        assert_eq!(gate.page("/livez").await.0, 200);
        let new = gate.client().await;
        for mut client in [before.clone(), new.clone()] {
            client.authorize_call(ask::authorize("during")).await.unwrap();
        }
        for channel in [gate.channel().await.unwrap(), gate.channel().await.unwrap()] {
            let asked = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
            assert_eq!(asked.unwrap().into_inner().status, NOT_SERVING);
        }
        let watched = new.clone().watch_permissions(pb::WatchPermissionsRequest::default()).await;
        let mut stream = watched.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        assert!(gate.process.webhook(&serde_json::json!({"entry": []})).await);
        assert!(asked.elapsed() < DELAY, "this machine is too slow to tell");
        let end = loop {
            match stream.message().await {
                Ok(message) => drop(message.expect("it ends with a status")),
                Err(status) => break status,
            }
        };
        assert_eq!((end.code(), &*reason(&end)), (Code::Unavailable, "DRAINING"));
        assert!(asked.elapsed() >= DELAY);
        gate.takes_no_connections().await;
        let http = gate.process.http.clone();
        assert!(TcpStream::connect(http).await.is_err());
        // Calls that cross with the word to go are still taken.
        for client in [before, new] {
            until(async || {
                let refused = client.clone().authorize_call(ask::authorize("after")).await.err();
                refused.is_some_and(|refused| refused.code() == Code::Unavailable)
            })
            .await;
        }
        gate.ended_well().await;
        assert!(asked.elapsed() < DELAY + A_LITTLE, "{:?}", asked.elapsed());
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_token_and_goes_on_at_another_gate() {
        let redis = Server::redis7();
        let (leaving, staying) = (Gate::serve(redis.url(), &[]), Gate::serve(redis.url(), &[]));
        leaving.until_ready().await;
        staying.until_ready().await;
        let request = pb::WatchPermissionsRequest::default();
        let mut stream =
            leaving.client().await.watch_permissions(request.clone()).await.unwrap().into_inner();
        let mut token = stream.message().await.unwrap().unwrap().resume_token;
        leaving.process.signal("TERM");
        let end = loop {
            match stream.message().await {
                Ok(message) => token = message.unwrap().resume_token,
                Err(status) => break status,
            }
        };
        assert_eq!((end.code(), &*reason(&end)), (Code::Unavailable, "DRAINING"));
        assert!(end.get_error_details().retry_info().is_some());
        let mut other = staying.client().await;
        let mut accepted = ask::event("meanwhile", 1, ask::accept());
        accepted.occurred_at = Some(now());
        other.record_events(ask::events(vec![accepted])).await.unwrap();
        let request = pb::WatchPermissionsRequest { resume_token: token, ..request };
        let mut resumed = other.watch_permissions(request).await.unwrap().into_inner();
        let change = loop {
            if let Some(Message::Change(change)) = resumed.message().await.unwrap().unwrap().message
            {
                break change;
            }
        };
        assert_eq!(change.event_id, "meanwhile");
        leaving.ended_well().await;
    }

    #[tokio::test]
    async fn what_is_still_under_way_after_the_timeout_is_left() {
        let redis = Server::redis7();
        let gate = Gate::serve(redis.url(), &["--store-timeout", "10s", "--drain-timeout", "1s"]);
        gate.until_ready().await;
        signal(redis.pid(), "STOP");
        let call = gate.hangs().await;
        gate.process.signal("TERM");
        let asked = Instant::now();
        let log = gate.ended_well().await;
        let took = asked.elapsed();
        assert!(
            Duration::from_secs(1) <= took && took < Duration::from_secs(1) + A_LITTLE,
            "{took:?}"
        );
        assert!(log.contains("requests were still under way after 1s"), "{log}");
        assert!(call.await.unwrap().is_err());
        signal(redis.pid(), "CONT");
    }

    #[tokio::test]
    async fn a_second_signal_ends_it_at_once() {
        let redis = Server::redis7();
        for (first, second, code) in
            [("TERM", "TERM", 143), ("INT", "INT", 130), ("TERM", "INT", 130)]
        {
            let gate =
                Gate::serve(redis.url(), &["--store-timeout", "10s", "--drain-timeout", "60s"]);
            gate.until_ready().await;
            signal(redis.pid(), "STOP");
            let call = gate.hangs().await;
            gate.process.signal(first);
            gate.is_draining().await;
            assert!(!call.is_finished());
            let asked = Instant::now();
            gate.process.signal(second);
            let (status, log) = gate.ended().await;
            assert_eq!(status.code(), Some(code), "{first}, {second}: {log}");
            assert!(asked.elapsed() < A_LITTLE, "{:?}", asked.elapsed());
            assert!(log.contains("a second signal"), "{log}");
            signal(redis.pid(), "CONT");
            assert!(call.await.unwrap().is_err());
        }
    }

    #[tokio::test]
    async fn what_does_no_work_does_not_hold_the_end_up() {
        let dir = TempDir::new().unwrap();
        let store = format!("embedded:{}", dir.path().join("data").display());
        let gate = Gate::serve(&store, &["--drain-timeout", "60s"]);
        gate.until_ready().await;
        // Connections over which calls went, and one that never said a word, and one that said half.
        let mut idle = gate.client().await;
        idle.authorize_call(ask::authorize("c")).await.unwrap();
        let _silent = TcpStream::connect(&gate.process.grpc).await.unwrap();
        let mut half = TcpStream::connect(&gate.process.grpc).await.unwrap();
        half.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
        let http = reqwest::Client::new();
        for door in [&gate.process.http, &gate.process.admin] {
            http.get(format!("http://{door}/livez")).send().await.unwrap().text().await.unwrap();
        }
        let _silent_http = TcpStream::connect(&gate.process.http).await.unwrap();
        // Streams that only look at us.
        let mut health = HealthClient::new(gate.channel().await.unwrap());
        let mut watched = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        watched.message().await.unwrap().unwrap();
        let mut reflection = v1::server_reflection_client::ServerReflectionClient::new(
            gate.channel().await.unwrap(),
        );
        let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
        let list =
            v1::ServerReflectionRequest { message_request: Some(list), ..Default::default() };
        let (requests, asked) = tokio::sync::mpsc::channel(1);
        requests.send(list).await.unwrap();
        let asked = tokio_stream::wrappers::ReceiverStream::new(asked);
        let mut reflected = reflection.server_reflection_info(asked).await.unwrap().into_inner();
        reflected.message().await.unwrap().unwrap();
        gate.process.signal("TERM");
        let asked = Instant::now();
        assert_eq!(watched.message().await.unwrap().unwrap().status, NOT_SERVING);
        assert_eq!(watched.message().await.unwrap_err().code(), Code::Unavailable);
        // Its requests end as well, which may be seen first.
        let end = reflected.message().await;
        assert!(!matches!(end, Ok(Some(_))), "{end:?}");
        let log = gate.ended_well().await;
        assert!(asked.elapsed() < A_LITTLE, "{:?}", asked.elapsed());
        assert!(!log.contains("leaving them"), "{log}");
        // The store is closed: the next one has it.
        let next = Gate::serve(&store, &[]);
        next.until_ready().await;
        next.process.signal("INT");
        next.ended_well().await;
    }
}
