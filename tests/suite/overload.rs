//! More than a gate can do, while its store does nothing: every caller gets an error in time, and the
//! memory that it takes is bounded.

pub(crate) mod client;

mod slow {
    use std::{
        fs,
        time::{Duration, Instant},
    };

    use callgate::proto as pb;
    use prost::Message as _;

    use super::client::{Answers, Caller, bomb, framed, gzip};
    use crate::{
        servers::Server,
        service::ask,
        support::{
            process::{Process, signal},
            tally,
        },
    };

    const CONNECTIONS: usize = 100;
    const STREAMS: usize = 100;
    /// Questions of health at once over each connection.
    const PROBES: usize = 5;
    const DEADLINE: Duration = Duration::from_secs(2);
    const MIB: u64 = 1024;

    /// A figure of `/proc/PID/status`; of memory in KiB.
    fn memory(pid: u32, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").trim().parse().unwrap()
    }

    /// A gate that has answered a question, and what it takes then.
    async fn gate(redis: &Server, arguments: &[&str]) -> (Process, u64) {
        let gate = Process::serve(redis.url(), "127.0.0.1:0", arguments);
        let caller = Caller::connect(&gate.grpc).await;
        let first = caller.health(DEADLINE).await;
        assert_eq!(first, 0);
        while caller.authorize("first", DEADLINE).await != 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(memory(gate.pid(), "THP_enabled"), 0, "huge pages, of which most is not used");
        let idle = memory(gate.pid(), "VmRSS");
        (gate, idle)
    }

    async fn connect(gate: &Process, count: usize) -> Vec<Caller> {
        let mut callers = Vec::new();
        for _ in 0..count {
            callers.push(Caller::connect(&gate.grpc).await);
        }
        callers
    }

    /// Waits until nothing is under way any more.
    async fn is_at_rest(gate: &Process) {
        for class in ["call", "batch", "stream"] {
            let name = format!("callgate_in_flight{{class=\"{class}\"}}");
            let begun = Instant::now();
            while gate.metric(&name).await > 0.5 {
                assert!(begun.elapsed() < Duration::from_secs(20), "{class} is still under way");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// 10,000 calls at once over 100 connections. What the machine needs to answer as many questions
    /// that cost nothing is what it may be late by, twice, and a second.
    async fn storm(gate: &Process, idle: u64, what: &str) -> Answers {
        let callers = connect(gate, CONNECTIONS).await;
        let begun = Instant::now();
        // Not all at once: strangers have 1024 places for questions of health.
        for _ in 0..STREAMS / PROBES {
            let easy = Answers::of(&callers, PROBES, |caller, _| async move {
                caller.health(Duration::from_secs(60)).await
            })
            .await;
            assert_eq!(easy.count(0), CONNECTIONS * PROBES, "{easy}");
        }
        let easy = begun.elapsed();
        let allowance = 2 * easy + Duration::from_secs(1);
        let answers = Answers::of(&callers, STREAMS, |caller, n| {
            let call_id = format!("{what}-{n}");
            async move { caller.authorize(&call_id, DEADLINE).await }
        })
        .await;
        let peak = memory(gate.pid(), "VmHWM");
        println!(
            "{what}: {answers}; as many that cost nothing took {easy:?}; memory {idle} KiB idle, \
             {peak} KiB at most"
        );
        assert_eq!(answers.len(), CONNECTIONS * STREAMS);
        assert_eq!(answers.count(0), 0, "{what}: somebody got an answer: {answers}");
        assert!(answers.slowest < DEADLINE + allowance, "{what}: {answers}");
        assert!(peak < 2 * idle + 50 * MIB, "{what}: {idle} KiB idle, {peak} KiB at most");
        tally::count("calls at once to a gate whose store is away", answers.len());
        answers
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ten_thousand_calls_at_once_while_redis_hangs() {
        let redis = Server::redis7();
        // So patient with its store that the callers' own deadlines have to end it.
        let (gate, idle) = gate(&redis, &["--store-timeout", "10s"]).await;
        signal(redis.pid(), "STOP");
        let mut shed = 0;
        for n in 0..3 {
            let answers = storm(&gate, idle, &format!("hangs {n}")).await;
            shed += answers.count(8);
            assert!(answers.count(4) > 0 && answers.count(8) > 0, "{answers}");
            is_at_rest(&gate).await;
        }
        let counted = gate.metric("callgate_shed_total{class=\"call\"}").await;
        assert!((counted - shed as f64).abs() < 0.5, "{counted} counted, {shed} told");
        signal(redis.pid(), "CONT");
        let caller = Caller::connect(&gate.grpc).await;
        while caller.authorize("after", DEADLINE).await != 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ten_thousand_calls_at_once_while_redis_is_dead() {
        let mut redis = Server::redis7();
        let (gate, idle) = gate(&redis, &[]).await;
        redis.kill();
        for n in 0..3 {
            let answers = storm(&gate, idle, &format!("dead {n}")).await;
            assert!(answers.count(14) + answers.count(4) > 0, "{answers}");
            is_at_rest(&gate).await;
        }
        redis.restart();
        let caller = Caller::connect(&gate.grpc).await;
        while caller.authorize("after", DEADLINE).await != 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Requests that unfold to all that a request may be, and never end, on every place that there is.
    #[tokio::test(flavor = "multi_thread")]
    async fn gzip_bombs_on_every_place() {
        let redis = Server::redis7();
        let (gate, idle) = gate(&redis, &[]).await;
        let callers = connect(&gate, 16).await;
        let bomb = framed(true, &bomb(4 << 20));
        let answers = Answers::of(&callers, 100, |caller, _| {
            let bomb = bomb.clone();
            async move { caller.unfinished("AuthorizeCall", bomb).await }
        })
        .await;
        let peak = memory(gate.pid(), "VmHWM");
        println!("bombs: {answers}; memory {idle} KiB idle, {peak} KiB at most");
        assert_eq!(answers.count(8), 1600, "{answers}");
        assert!(peak < 2 * idle + 50 * MIB, "{idle} KiB idle, {peak} KiB at most");
        is_at_rest(&gate).await;
    }

    /// Batches of a thousand items with megabytes of ids, as many as there are places: held there whole,
    /// since their requests do not end.
    #[tokio::test(flavor = "multi_thread")]
    async fn batches_as_large_as_they_may_be() {
        const PLACES: usize = 32;
        let redis = Server::redis7();
        let (gate, idle) = gate(&redis, &[]).await;
        let callers = connect(&gate, 4).await;
        let customer = pb::Customer { user_id: "x".repeat(4100), ..Default::default() };
        let pair = pb::Pair { customer: Some(customer), ..Default::default() };
        let check = pb::CheckCall { pair: Some(pair), ..Default::default() };
        let large = pb::CheckCallsRequest { checks: vec![check; 1000] }.encode_to_vec();
        assert!(large.len() > (4 << 20) - 100_000);
        for large in [framed(false, &large), framed(true, &gzip(&large))] {
            let answers = Answers::of(&callers, PLACES / 4, |caller, _| {
                let large = large.clone();
                async move { caller.unfinished("CheckCalls", large).await }
            })
            .await;
            let peak = memory(gate.pid(), "VmHWM");
            println!("batches: {answers}; memory {idle} KiB idle, {peak} KiB at most");
            assert_eq!(answers.count(4), PLACES, "{answers}");
            assert!(peak < idle + PLACES as u64 * 12 * MIB, "{idle} KiB idle, {peak} KiB at most");
            is_at_rest(&gate).await;
        }
    }

    /// What an open connection costs, and what a client costs that begins as many requests as it may.
    #[tokio::test(flavor = "multi_thread")]
    async fn connections_that_are_idle_and_requests_that_stop_halfway() {
        const IDLE: usize = 1000;
        let redis = Server::redis7();
        let (gate, idle) = gate(&redis, &[]).await;
        let callers = connect(&gate, IDLE).await;
        for caller in &callers {
            assert_eq!(caller.health(Duration::from_secs(60)).await, 0);
        }
        let open = memory(gate.pid(), "VmRSS");
        let each = open.saturating_sub(idle) / IDLE as u64;
        println!("{IDLE} idle connections: {each} KiB each");
        assert!(each < 64, "{each} KiB for an idle connection");
        // 60 KiB of a request of 64 KiB, 2000 times.
        let mut half = framed(false, &vec![0; 64 << 10]);
        half.truncate(60 << 10);
        let answers = Answers::of(&callers[..20], 100, |caller, n| {
            let (half, is_last) = (half.clone(), n % 100 == 99);
            async move {
                if is_last {
                    caller.health(Duration::from_secs(60)).await
                } else {
                    caller.unfinished("AuthorizeCall", half).await
                }
            }
        })
        .await;
        let peak = memory(gate.pid(), "VmHWM");
        println!("halves: {answers}; {open} KiB before, {peak} KiB at most");
        assert_eq!(answers.count(0), 20, "health is answered: {answers}");
        // Of those with a place, each may keep its 64 KiB; of those beyond, nothing.
        assert!(peak < open + 1024 * 2 * 64 + 50 * MIB, "{open} KiB before, {peak} KiB at most");
        is_at_rest(&gate).await;
        assert_eq!(Caller::connect(&gate.grpc).await.authorize(ask::NUMBER, DEADLINE).await, 0);
    }
}
