//! Moving a store to pseudonyms, and to further keys: export, import, and everybody is who they were.

use std::{sync::Arc, time::Instant};

use callgate::{
    archive::{
        export::export,
        import::{Joined, May, check},
    },
    engine::{
        Result,
        archive::Archive,
        code::status,
        fact::{Fact, RequestOutcome, RequestReport},
        gate::Profiles,
        pair::Pair,
        profile::Profile,
        pseudonym::Keys,
        step::{Command, Reply, Step},
        store::{Quarantined, Store},
        veil::Veiled,
    },
    store::embedded::Embedded,
};

use super::{
    KEYS, at, keys,
    keys::on_disk,
    meta_id,
    twins::{CUSTOMERS, orderly, with_meta_ids},
};
use crate::{
    conformance::reply,
    support::tally,
    twins::{Dice, fact},
};

const NUMBER: &str = "800000000000001";
const DAY: u64 = 24 * 3_600_000;

/// A store under some keys, and the gate's view of it.
struct World {
    _dir: Option<tempfile::TempDir>,
    archive: Arc<dyn Archive>,
    store: Arc<dyn Store>,
    keys: Option<Keys>,
}

impl World {
    fn under(lines: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let archive = Arc::new(on_disk(dir.path(), lines).unwrap());
        Self { _dir: Some(dir), ..Self::over(archive, lines) }
    }

    fn over(archive: Arc<dyn Archive>, lines: &[&str]) -> Self {
        let keys = (!lines.is_empty()).then(|| keys(lines));
        let store: Arc<dyn Store> = match keys.clone() {
            Some(keys) => Arc::new(Veiled::new(archive.clone(), keys)),
            None => archive.clone(),
        };
        Self { _dir: None, archive, store, keys }
    }

    async fn exported(&self) -> Vec<u8> {
        let mut file = Vec::new();
        export(&*self.archive, &mut file, &mut |_| {}).await.unwrap();
        file
    }

    async fn import(&self, file: &[u8], may: May) -> Result<Joined> {
        let checked = check(file)?.under(self.keys.as_ref())?;
        checked.refuse(&*self.archive, may).await?;
        let profiles = Profiles::new(Profile::atom());
        checked.join(file, &*self.archive, &profiles, &mut |_| {}).await
    }

    async fn ask(&self, pair: &Pair, now: u64, command: Command) -> Reply {
        let profile = Profile::atom();
        let step = Step { pair, command, profile: &profile, now: at(now) };
        self.store.apply(step).await.unwrap()
    }

    /// What is answered of everybody, without what no two stores need to share.
    async fn seen(&self, now: u64) -> Vec<Reply> {
        let mut all = Vec::new();
        for (wa, user) in CUSTOMERS {
            let pair = Pair::parse(NUMBER, wa, user, "").unwrap();
            for later in [0, 1, DAY, 8 * DAY] {
                for command in [Command::View { as_of: at(0) }, Command::Check {}] {
                    let mut reply = self.ask(&pair, now + later, command).await;
                    reply.view.revision = 0;
                    (reply.view.wa_id, reply.view.user_id) = (String::new(), String::new());
                    for id in &mut reply.view.entry_id {
                        if ["wacid.", "wamid.", "hashed."].iter().any(|kind| id.starts_with(kind)) {
                            "of Meta".clone_into(id);
                        }
                    }
                    all.push(reply);
                }
            }
        }
        all
    }
}

async fn now(world: &World) -> u64 {
    world.store.now().await.unwrap().0
}

/// A history of many facts, under every name, told to a world.
async fn told(world: &World, dice: &mut Dice, now: u64) {
    for _ in 0..120 {
        let (wa, user) = dice.pick(&CUSTOMERS);
        let pair = Pair::parse(NUMBER, wa, user, "").unwrap();
        let command = if dice.below(6) == 0 {
            Command::AuthorizeCall { own_id: format!("c{}", dice.below(30)), lease: 0 }
        } else {
            let when = now - dice.below(6 * DAY / 1000) * 1000 - dice.below(2);
            let spelled = if dice.below(3) == 0 { pair.customer.wa() } else { None };
            with_meta_ids(Command::Record {
                at: at(when),
                spelled: spelled.map_or("", |wa| wa.spelled()).to_owned(),
                event_id: String::new(),
                fact: fact(dice, now),
            })
        };
        let reply = world.ask(&pair, now, command).await;
        assert!(["", "exists", "full"].contains(&reply.refused.as_str()), "{reply:?}");
    }
}

#[tokio::test]
async fn everybody_is_who_they_were_under_further_keys() {
    let mut dice = Dice::throw();
    let lines = orderly(3);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut moved = 0;
    for (from, to) in [(0, 1), (0, 3), (1, 1), (1, 2), (1, 3), (2, 3)] {
        let old = World::under(&lines[..from]);
        let now = now(&old).await;
        told(&old, &mut dice, now).await;
        let file = old.exported().await;
        let new = World::under(&lines[..to]);
        let joined = new.import(&file, May::default()).await.unwrap();
        assert!(joined.changed > 3 && joined.forgotten == 0, "{joined:?}");
        assert_eq!(old.seen(now).await, new.seen(now).await, "from {from} keys to {to}");
        // Once more changes nothing.
        let again = new.import(&file, May::default()).await.unwrap();
        assert_eq!(again.changed, 0, "{again:?}");
        assert_eq!(old.seen(now).await, new.seen(now).await);
        moved += 1;
    }
    tally::count("stores moved to further keys with every view as it was", moved);
}

mod slow {
    use super::*;
    use crate::{pseudonyms::keys::on_redis, servers::Server};

    /// From a directory without keys to a Redis with one, to another with one more, to a directory with
    /// all three.
    #[tokio::test(flavor = "multi_thread")]
    async fn everybody_is_who_they_were_by_way_of_redis() {
        let (mut dice, server, lines) = (Dice::throw(), Server::redis7(), orderly(3));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let first = World::under(&[]);
        let now = now(&first).await;
        told(&first, &mut dice, now).await;
        let (expected, mut file) = (first.seen(now).await, first.exported().await);
        for count in [1, 2, 3] {
            let under = &lines[..count];
            let next = if count < 3 {
                let redis = on_redis(server.url(), &format!("s{count}"), under).await.unwrap();
                World::over(Arc::new(redis), under)
            } else {
                World::under(under)
            };
            let joined = next.import(&file, May::default()).await.unwrap();
            assert!(joined.changed > 3, "{joined:?}");
            assert_eq!(next.seen(now).await, expected, "under {count} keys");
            file = next.exported().await;
            let text = String::from_utf8_lossy(&file);
            for (wa, user) in CUSTOMERS {
                let ids = [wa.trim_start_matches('+'), user].map(|id| format!("\"{id}\""));
                assert!(ids.iter().all(|id| id == "\"\"" || !text.contains(id)), "{ids:?}");
            }
        }
        tally::count("stores moved to further keys by way of Redis", 3);
    }
}

#[tokio::test]
async fn a_no_stays_a_no_under_every_name() {
    let old = World::under(&[]);
    let now = now(&old).await;
    let of = |wa, user| Pair::parse(NUMBER, wa, user, "").unwrap();
    let bound = of("5511987654321", "BR.7");
    old.ask(&bound, now, reply(now - 2000, true)).await;
    old.ask(&of("", "BR.7"), now, reply(now - 1000, false)).await;
    let mut file = old.exported().await;
    let mut told = 0;
    for count in [1, 2, 3] {
        let new = World::under(&KEYS[..count]);
        new.import(&file, May::default()).await.unwrap();
        for pair in
            [of("551187654321", ""), of("+5511987654321", ""), of("", "BR.7"), bound.clone()]
        {
            let check = new.ask(&pair, now, Command::Check {}).await;
            let is_no = [status::REJECTED, status::REVOKED].contains(&check.view.status);
            assert!(check.decision == 2 && is_no, "{pair:?} {check:?}");
            told += 1;
            // A yes from before comes once more, and is still before the no.
            new.ask(&pair, now, reply(now - 2000, true)).await;
            assert_eq!(new.ask(&pair, now, Command::Check {}).await.decision, 2);
        }
        file = new.exported().await;
        for word in ["11987654321", "1187654321", "BR.7"] {
            assert!(!String::from_utf8_lossy(&file).contains(word), "{word} is in the export");
        }
    }
    assert_eq!(told, 12);
}

/// A reply stamped before its request counts from that request on, a no as well as a yes: whether it is
/// its reply, the id alone says, ours or Meta's.
#[tokio::test]
async fn replies_name_their_requests_under_further_keys() {
    let message = meta_id("wamid", "15550199001", 1);
    let sent = |now: u64| Command::Record {
        at: at(now - 5000),
        spelled: String::new(),
        event_id: String::new(),
        fact: Fact::Request(RequestReport {
            request_id: "ours".to_owned(),
            provider_message_id: message.clone(),
            outcome: RequestOutcome::Sent,
            known_only: false,
        }),
    };
    let replied = |when: u64, accept, request: &str| Command::Record {
        at: at(when),
        spelled: String::new(),
        event_id: String::new(),
        fact: Fact::Reply(callgate::engine::fact::Reply {
            accept,
            permanent: accept,
            expires_at: at(0),
            automatic: false,
            request_id: request.to_owned(),
        }),
    };
    for named in ["ours", &message] {
        for from in [0, 1] {
            let old = World::under(&KEYS[..from]);
            let now = now(&old).await;
            let yes = Pair::parse(NUMBER, "15550199001", "", "").unwrap();
            let no = Pair::parse(NUMBER, "15550199002", "US.2", "").unwrap();
            old.ask(&yes, now, sent(now)).await;
            old.ask(&yes, now, replied(now - 20_000, true, named)).await;
            old.ask(&no, now, sent(now)).await;
            old.ask(&no, now, replied(now - 20_000, false, named)).await;
            old.ask(&no, now, replied(now - 10_000, true, named)).await;
            let file = old.exported().await;
            let new = World::under(&KEYS[..3]);
            new.import(&file, May::default()).await.unwrap();
            for (n, world) in [&old, &new].into_iter().enumerate() {
                let granted = world.ask(&yes, now, Command::Check {}).await;
                assert_eq!(granted.decision, 1, "{n}, {named} from {from}: {granted:?}");
                let denied = world.ask(&no, now, Command::Check {}).await;
                assert_eq!(denied.decision, 2, "{n}, {named} from {from}: {denied:?}");
            }
        }
    }
}

fn aside(n: u64, number: &str, change: String, now: u64) -> Quarantined {
    Quarantined {
        id: format!("{n:064}"),
        reason: "unknown shape".to_owned(),
        received_at: at(now),
        field: "messages".to_owned(),
        phone_number_id: number.to_owned(),
        change,
    }
}

#[tokio::test]
async fn what_is_kept_aside_is_opened_and_found_under_further_keys() {
    let old = World::under(&[]);
    let now = now(&old).await;
    let id = meta_id("wamid", "15550199001", 1);
    let change = |id: &str| format!(r#"{{"id":"{id}","from":"15550199001","user_id":"US.1"}}"#);
    old.store.quarantine(aside(1, NUMBER, change(&id), now)).await.unwrap();
    old.store.quarantine(aside(2, "", change("none"), now)).await.unwrap();
    let mut file = old.exported().await;
    for count in [1, 2, 3] {
        let new = World::under(&KEYS[..count]);
        assert_eq!(new.import(&file, May::default()).await.unwrap().changed, 2);
        assert_eq!(new.import(&file, May::default()).await.unwrap().changed, 0);
        let kept = new.store.quarantined(9).await.unwrap();
        let changes: Vec<&str> = kept.iter().map(|entry| &*entry.change).collect();
        assert!(
            changes.contains(&&*change(&id)) && changes.contains(&&*change("none")),
            "{kept:?}"
        );
        file = new.exported().await;
        // A webhook that comes once more is the same.
        new.store.quarantine(aside(1, NUMBER, change(&id), now)).await.unwrap();
        assert_eq!(new.store.quarantined(9).await.unwrap().len(), 2);
        let whom = Pair::parse(NUMBER, "", "US.1", "").unwrap();
        assert!(new.store.forget(&whom.number, &whom.customer, &Profile::atom()).await.unwrap());
        assert_eq!(new.store.quarantined(9).await.unwrap(), []);
    }
}

/// When it came is not sealed.
#[tokio::test]
async fn what_is_kept_aside_later_than_a_forgetting_stays_under_keys() {
    for count in [0, 1, 2] {
        let world = World::under(&KEYS[..count]);
        let now = now(&world).await;
        let change = || r#"{"from":"15550199001"}"#.to_owned();
        for (n, number, at) in
            [(1, NUMBER, now - 9), (2, NUMBER, now), (3, "", now - 9), (4, "", now)]
        {
            world.store.quarantine(aside(n, number, change(), at)).await.unwrap();
        }
        let whom = Pair::parse(NUMBER, "15550199001", "", "").unwrap();
        let kept = world.store.kept(&whom.customer);
        let profile = Profile::atom();
        world.archive.forget_as_of(&whom.number, &kept, &profile, at(now - 1)).await.unwrap();
        let stay = world.store.quarantined(9).await.unwrap();
        assert_eq!(stay.iter().map(|entry| entry.received_at).collect::<Vec<_>>(), [at(now); 2]);
        assert!(stay.iter().all(|entry| entry.change == change()));
    }
}

#[tokio::test]
async fn a_file_goes_to_its_own_keys_and_further_ones_alone() {
    let old = World::under(&KEYS[..2]);
    let now = now(&old).await;
    let pair = Pair::parse(NUMBER, "15550199001", "", "").unwrap();
    old.ask(&pair, now, reply(now - 1000, false)).await;
    let file = old.exported().await;
    let swapped = [KEYS[1], KEYS[0]];
    for lines in [&[][..], &KEYS[..1], &KEYS[1..2], &KEYS[1..3], &swapped] {
        let new = World::under(lines);
        let refused = new.import(&file, May::default()).await.unwrap_err().to_string();
        let mend = if lines.is_empty() { "set privacy.key_file" } else { "does not begin with" };
        assert!(refused.contains(mend), "{refused}");
        // Nor is it taken where nobody asked for keys.
        if lines.len() < 2 {
            let refused = check(&file[..]).unwrap().refuse(&*new.archive, May::default()).await;
            assert!(refused.unwrap_err().to_string().contains("other keys"));
        }
        assert_eq!(new.archive.numbers(0).await.unwrap(), []);
    }
    // Ids of another kind than the header says.
    let text = String::from_utf8(file).unwrap();
    let plain = text.replacen(&format!(",\"pseudonyms\":{}", header(&text)), "", 1);
    assert_ne!(plain, text);
    assert!(check(plain.as_bytes()).unwrap_err().to_string().contains("of another kind"));
}

fn header(text: &str) -> String {
    let start = text.find("\"pseudonyms\":").unwrap() + "\"pseudonyms\":".len();
    let end = start + text[start..].find(']').unwrap() + 1;
    text[start..end].to_owned()
}

/// The hashes of the forgotten are of ids that nobody knows any more.
#[tokio::test]
async fn who_was_forgotten_lately_is_not_lost_in_silence() {
    let old = World::under(&KEYS[..1]);
    let now = now(&old).await;
    let pair = Pair::parse(NUMBER, "15550199001", "US.1", "").unwrap();
    old.ask(&pair, now, reply(now - 5000, true)).await;
    old.store.forget(&pair.number, &pair.customer, &Profile::atom()).await.unwrap();
    let file = old.exported().await;
    let new = World::under(&KEYS[..2]);
    let refused = new.import(&file, May::default()).await.unwrap_err().to_string();
    assert!(
        refused.contains("Wait until 8 d") && refused.contains("--drop-forgotten"),
        "{refused}"
    );
    let may = May { lose_forgotten: true, ..May::default() };
    new.import(&file, may).await.unwrap();
    new.store.forget(&pair.number, &pair.customer, &Profile::atom()).await.unwrap();
    let stale = new.ask(&pair, now, reply(now - 5000, true)).await;
    assert_eq!(stale.result, 3, "STALE: {stale:?}");
    // Under its own keys a file carries them over.
    let dir = tempfile::tempdir().unwrap();
    let checked = check(&file[..]).unwrap();
    let options = callgate::store::embedded::Options {
        pseudonyms: keys(&KEYS[..1]).fingerprints(),
        secret: Some(checked.forgotten_key().unwrap()),
        ..Default::default()
    };
    let clock = Arc::new(callgate::engine::time::WallClock::default());
    let same = Arc::new(Embedded::open(dir.path(), &options, clock).unwrap());
    let checked = checked.under(Some(&keys(&KEYS[..1]))).unwrap();
    checked.refuse(&*same, May::default()).await.unwrap();
    let profiles = Profiles::new(Profile::atom());
    checked.join(&file[..], &*same, &profiles, &mut |_| {}).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(Veiled::new(same, keys(&KEYS[..1])));
    let profile = Profile::atom();
    let step =
        Step { pair: &pair, command: reply(now - 5000, true), profile: &profile, now: at(now) };
    assert_eq!(store.apply(step).await.unwrap().result, 3);
}

/// `cargo nextest run --run-ignored all --no-capture moving_in_numbers`
#[tokio::test]
#[ignore = "a measurement"]
async fn moving_in_numbers() {
    let (old, new) = (World::under(&KEYS[..1]), World::under(&KEYS[..2]));
    let now = now(&old).await;
    let count = 3000;
    for n in 0..count {
        let pair = Pair::parse(NUMBER, &format!("1555{n:07}"), "", "").unwrap();
        old.ask(&pair, now, reply(now - 1000, n % 2 == 0)).await;
    }
    let begun = Instant::now();
    let file = old.exported().await;
    let exported = begun.elapsed();
    let begun = Instant::now();
    new.import(&file, May::default()).await.unwrap();
    let imported = begun.elapsed();
    println!("{count} pairs: exported in {exported:?}, imported in {imported:?}");
    let all = keys(&KEYS[..1]);
    for keys in [all, keys(&KEYS[..2])] {
        let pair = Pair::parse(NUMBER, "15550199001", "US.1", "").unwrap();
        let begun = Instant::now();
        for _ in 0..100_000 {
            std::hint::black_box(keys.pair(std::hint::black_box(&pair)));
        }
        println!("{keys:?}: both ids of a pair in {:?}", begun.elapsed() / 100_000);
    }
}
