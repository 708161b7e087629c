//! `callgate serve`, and the flags that it shares with `callgate config check`.

use std::{path::PathBuf, time::Duration};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::{
    app,
    cli::{Done, Failure, print, runtime},
    config::{self, Address, Inputs, Loaded, keys::KEYS},
    telemetry,
};

/// How long the store may take to close after all else has ended.
const CLOSING_MAX: Duration = Duration::from_secs(2);

/// Runs the gate: gRPC, Meta's webhooks, metrics and probes
///
/// Settings come from a file, the environment and flags, the later one wins; docs/configuration.md
/// lists all keys. Meta's secrets come from CALLGATE_META_APP_SECRET and CALLGATE_META_VERIFY_TOKEN,
/// or from files named in the file. Once it listens it prints one line, "listening grpc=… http=… admin=…".
/// SIGHUP reads the configuration again. SIGTERM and SIGINT end it in order, with 0; a second one at once,
/// with 143 or 130.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate serve
  callgate serve --store redis://127.0.0.1:6379 --profile meta
  callgate serve --config callgate.toml --grpc-addr unix:/run/callgate/callgate.sock")]
pub(super) struct Serve {
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let (loaded, inputs) = self.settings.load_again()?;
        telemetry::log(&loaded.config);
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let threads = usize::try_from(loaded.config.worker_threads).unwrap_or(usize::MAX);
        let runtime = runtime(threads)?;
        let served = runtime.block_on(serve(loaded, inputs));
        // Work on a disk or a network that hangs is left.
        runtime.shutdown_timeout(CLOSING_MAX);
        served
    }
}

async fn serve(loaded: Loaded, inputs: Inputs) -> Result<Done, Failure> {
    let mut signals = Signals::catch()
        .map_err(|error| Failure::Given(format!("cannot catch signals: {error}")))?;
    let (stop, stopped) = oneshot::channel();
    let impatient = async {
        signals.next().await;
        let _ = stop.send(());
        signals.next().await
    };
    let listening = |bound: &app::Bound| {
        let or_off = |address: &Option<Address>| {
            address.as_ref().map_or_else(|| "off".to_owned(), ToString::to_string)
        };
        let (http, admin) = (or_off(&bound.http), or_off(&bound.admin));
        print(&format!("listening grpc={} http={http} admin={admin}\n", bound.grpc));
    };
    let stopped = async {
        // The signals outlive the server.
        let _ = stopped.await;
    };
    tokio::select! {
        served = app::serve(loaded, inputs, listening, stopped) => {
            served.map_err(|error| Failure::Given(error.to_string()))?;
            Ok(Done::ok(""))
        }
        code = impatient => {
            tracing::warn!("a second signal: ending at once, whatever is under way");
            Ok(Done { text: String::new(), code })
        }
    }
}

/// What asks for the end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one: the exit code of a process that it ends, as shells count.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => 128 + 15,
            _ = self.interrupt.recv() => 128 + 2,
        }
    }
}

/// `--config` and a flag for every key that may have one.
#[derive(Debug)]
pub(super) struct Settings {
    file: Option<PathBuf>,
    flags: Vec<(String, String)>,
}

impl Settings {
    /// Joins file, environment and flags.
    pub(super) fn load(self) -> Result<Loaded, Failure> {
        self.load_again().map(|(loaded, _)| loaded)
    }

    /// The same, for what goes by the rules that the gates have: refused where none are named, since the
    /// default may be others.
    pub(super) fn load_with_rules(self) -> Result<Loaded, Failure> {
        let (loaded, inputs) = self.load_again()?;
        if inputs.has_file() || loaded.places.contains_key("default_profile") {
            return Ok(loaded);
        }
        Err(Failure::Given(
            "no profile is named, and by other rules than the gates have, calls that still count would \
             be summed up: give it the configuration that the gates have: --config FILE, or \
             --profile atom if they have none"
                .to_owned(),
        ))
    }

    /// The same, with what it takes to join them once more.
    fn load_again(self) -> Result<(Loaded, Inputs), Failure> {
        let (inputs, loaded) = self.read();
        match loaded {
            Ok(loaded) => Ok((loaded, inputs)),
            Err(errors) => Err(Failure::Given(format!("bad configuration\n{errors}"))),
        }
    }

    /// The same, with each error by itself.
    pub(super) fn try_load(self) -> Result<Loaded, config::Errors> {
        self.read().1
    }

    fn read(self) -> (Inputs, Result<Loaded, config::Errors>) {
        let inputs = Inputs::from_process(self.file, self.flags);
        let loaded = config::load(&inputs);
        (inputs, loaded)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = KEYS.iter().filter(|key| key.has_flag).filter_map(|key| {
            let value = matches.get_one::<String>(key.name)?;
            Some((key.name.to_owned(), value.clone()))
        });
        Ok(Self { file: matches.get_one::<PathBuf>("config").cloned(), flags: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The configuration file (TOML) [env: CALLGATE_CONFIG]");
        let default = config::Config::default();
        KEYS.iter().filter(|key| key.has_flag).fold(command.arg(file), |command, key| {
            let default = key.show(&default).unwrap_or_default();
            let variable = key.variable().unwrap_or_default();
            let form = key.form().replace('`', "");
            let help = format!("{form} [default: {}] [env: {variable}]", default.trim_matches('"'));
            command.arg(
                Arg::new(key.name)
                    .long(key.name)
                    .value_name("VALUE")
                    .help(help)
                    .long_help(format!("{}{}", key.about.replace('`', ""), default_of(key))),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn default_of(key: &config::value::Key<config::Config>) -> String {
    let default = key.show(&config::Config::default()).unwrap_or_default();
    format!(
        "\n\n{} [default: {}] [env: {}]",
        key.form().replace('`', ""),
        default.trim_matches('"'),
        key.variable().unwrap_or_default()
    )
}
