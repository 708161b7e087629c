//! What strangers may send, and what must hold whatever it is: one function per way in, each over
//! bytes. `make fuzz` calls them with what libFuzzer makes up; `make test` with the corpus in
//! `fuzz/corpus`.

use std::{cell::RefCell, fs, path::PathBuf, time::Duration};

use callgate::{
    config::{self, Inputs},
    engine::{
        Error,
        pair::{Customer, Pair, PhoneNumberId, UserId, WaId},
    },
    watch::{End, Filter, Request, Watch},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::runtime::{Builder, Runtime};

use super::door::Doors;

/// A gate is used so often before a new one is opened: what is kept is compared each time.
const USES: u32 = 200;

/// A gate, and a thread to run it on.
struct Host {
    runtime: Runtime,
    doors: Doors,
    uses: u32,
}

impl Host {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let doors = runtime.block_on(Doors::open());
        Self { runtime, doors, uses: 0 }
    }

    /// Runs `body` on a gate that was used before, but not for ever.
    fn run<T>(body: impl AsyncFnOnce(&Doors) -> T) -> T {
        thread_local!(static HOST: RefCell<Option<Host>> = const { RefCell::new(None) });
        HOST.with_borrow_mut(|host| {
            let fresh = host.take().filter(|host| host.uses < USES);
            let host = host.insert(fresh.unwrap_or_else(Host::new));
            host.uses += 1;
            host.runtime.block_on(body(&host.doors))
        })
    }
}

/// The body of a webhook that Meta signed: taken in or refused as no JSON, and nothing new when it
/// comes again.
pub fn webhook(body: &[u8]) {
    Host::run(async |doors| {
        let status = doors.post(body).await;
        assert!(matches!(status, 200 | 400), "answered with {status}");
        let kept = doors.kept().await;
        assert_eq!(doors.post(body).await, status, "the second time");
        assert_eq!(doors.kept().await, kept, "it was not the same the second time");
    });
}

/// Every method, in the order in which the first byte of an input chooses.
const METHODS: [&str; 13] = [
    "CallPermissionService/AuthorizeCall",
    "CallPermissionService/ReportCall",
    "CallPermissionService/AuthorizePermissionRequest",
    "CallPermissionService/RecordEvents",
    "CallPermissionService/CheckCalls",
    "CallPermissionService/GetPermission",
    "CallPermissionService/WatchPermissions",
    "CallPermissionService/ForgetCustomer",
    "CallPermissionService/GetBusinessNumber",
    "CallPermissionService/UpdateBusinessNumber",
    "QuarantineService/ListQuarantined",
    "QuarantineService/GetQuarantined",
    "QuarantineService/RetryQuarantined",
];
/// gRPC's own answers to what is no message of the method.
const NOT_A_MESSAGE: [&str; 2] = ["failed%20to%20decode", "Error%20decompressing"];

/// A message of any method: answered, or refused with an error that is not ours and then nothing of
/// it is kept.
pub fn grpc(data: &[u8]) {
    let Some((&first, message)) = data.split_first() else { return };
    let method = METHODS[usize::from(first & 0x7f) % METHODS.len()];
    let mut frame = vec![first >> 7];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    Host::run(async |doors| {
        let kept = doors.kept().await;
        let is_stream = method.ends_with("WatchPermissions");
        let status = doors.call(&format!("/callgate.v1.{method}"), frame, is_stream).await;
        if status.code == 0 {
            return;
        }
        let is_theirs = match status.code {
            // INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, RESOURCE_EXHAUSTED, OUT_OF_RANGE
            3 | 5 | 6 | 8 | 11 => true,
            // INTERNAL
            13 => NOT_A_MESSAGE.iter().any(|text| status.message.starts_with(text)),
            _ => false,
        };
        assert!(is_theirs, "{method}: {status:?}");
        assert!(doors.kept().await == kept, "{method}: {status:?}, and yet something was kept");
    });
}

/// A resume token, as it came, and with this store's own seal on it: a stream begins or says what is
/// wrong with the token.
pub fn token(bytes: &[u8]) {
    Host::run(async |doors| {
        let secret = doors.gate.store().secret().unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(b"callgate resume token\0");
        mac.update(bytes);
        let tag = mac.finalize().into_bytes();
        let sealed = [bytes, &tag[..16]].concat();
        let watch = Watch::new(doors.gate.clone(), None);
        let pair = || Pair::parse("800000000000001", "15550142001", "", "").unwrap();
        for (token, pairs) in [(bytes, vec![]), (&sealed, vec![]), (&sealed, vec![pair()])] {
            if token.is_empty() {
                continue; // From now on.
            }
            let is_ours = token.len() > bytes.len();
            let request = Request {
                filter: Filter::new(&[], pairs).unwrap(),
                resume_token: token.to_vec(),
                snapshot: false,
                progress_interval: Duration::from_secs(15),
            };
            match watch.open(request).await {
                Ok(_) => assert!(is_ours, "a token that nobody sealed was taken"),
                Err(End::Failed(Error::Invalid { field, .. })) => {
                    // One that broke off among the snapshots of pairs names those as missing.
                    assert!(field == "resume_token" || is_ours && field == "pairs", "{field}");
                }
                Err(End::Failed(Error::OutOfRange(_))) => assert!(is_ours),
                Err(end) => panic!("{end:?}"),
            }
        }
    });
}

/// A configuration: a file and, behind a NUL, a variable per line. Refused with the place of each
/// mistake, or what `config show` prints of it is read back as the same.
pub fn config(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    // A file of secrets is read, whatever it names: /dev/zero has no end.
    if text.contains("_file") || text.contains("_FILE") {
        return;
    }
    let (file, variables) = text.split_once('\0').unwrap_or((text, ""));
    let load = |text: &str, variables: &str| {
        let place = Scratch::with(text);
        let env = variables.lines().filter_map(|line| line.split_once('='));
        let env = env.filter(|(name, _)| *name != config::load::CONFIG);
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        config::load(&Inputs { file: Some(place.0.clone()), env, flags: Vec::new() })
    };
    match load(file, variables) {
        Err(errors) => {
            assert!(!errors.0.is_empty(), "refused for nothing");
            assert!(errors.0.iter().all(|error| error.contains(": ")), "no place: {errors}");
        }
        Ok(loaded) => {
            let shown = config::show::show(&loaded);
            let again = load(&shown, "").unwrap_or_else(|errors| panic!("{errors}\nin:\n{shown}"));
            let both = [&loaded, &again].map(|loaded| {
                let mut config = loaded.config.clone();
                // Secrets are not shown.
                config.app_secrets.clear();
                config.verify_token = None;
                format!("{config:#?}")
            });
            assert_eq!(both[0], both[1], "shown as:\n{shown}");
            // Every profile that is named is there.
            let _ = loaded.config.gate_profiles();
        }
    }
}

/// A file that goes with its value.
struct Scratch(PathBuf);

impl Scratch {
    fn with(text: &str) -> Self {
        let thread = std::thread::current().id();
        let name = format!("callgate-hostile-{}-{thread:?}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The three ids of a pair, a line each: refused by the name of the field, or a pair whose key is a
/// key of itself and whose `Debug` shows no customer.
pub fn identity(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (number, wa, user) = (line(), line(), line());
    match Pair::parse(number, wa, user, "pair") {
        Err(Error::Invalid { field, problem }) => {
            assert!(field.starts_with("pair."), "{field}");
            for value in [number, wa, user] {
                let is_repeated = value.len() > 3 && problem.contains(value);
                assert!(!is_repeated || "15550199001US.1000".contains(value), "{problem}");
            }
        }
        Err(other) => panic!("{other:?}"),
        Ok(pair) => {
            assert_eq!(PhoneNumberId::parse(pair.number.as_str(), "").unwrap(), pair.number);
            told_apart(&pair.customer);
            let shown = format!("{:?}", pair.customer);
            for (id, kept) in [(wa.trim_start_matches('+'), 4), (user, 5)] {
                assert!(id.len() <= kept || !shown.contains(id), "{shown}");
            }
        }
    }
}

fn told_apart(customer: &Customer) {
    if let Some(wa) = customer.wa() {
        let key = wa.key();
        assert!((6..=15).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(WaId::parse(key, "").unwrap().key(), key, "a key has a key of its own");
        assert!(customer.keys().contains(&key.to_owned()));
    }
    if let Some(user) = customer.user() {
        // Ids of both kinds are keys of records: none may be taken for one of the other kind.
        assert_eq!(UserId::parse(user.as_str(), "").unwrap(), *user);
        assert!(user.as_str().contains('.'));
    }
}
