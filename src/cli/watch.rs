//! `callgate watch`: changes as they happen, for people and for pipes.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, ValueEnum};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::{
    cli::{
        Done, Failure, Format,
        change::{self, Style},
        client::Gate,
        json,
    },
    proto as pb,
};

/// The exit code of a token that is older than the log.
const OUT_OF_RANGE: u8 = 4;
/// Waits between attempts to reconnect grow from the first to the last.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LAST: Duration = Duration::from_secs(5);
/// A gate that is silent for so much longer than it may be is gone. Seconds.
const SILENCE_GRACE: u64 = 5;

/// Prints every change of a permission as it happens
///
/// Without a filter it watches everything. On a terminal a line per change, in colour unless NO_COLOR
/// is set; in a pipe a line of JSON per message, each with the token (resume_token) after which
/// --resume goes on. When the gate goes away, it reconnects by itself and misses nothing. At the end
/// (Ctrl-C, or where the gate does not know it any more) it tells the last token on standard error.
///
/// Exits with 4 if the token is older than the gate's change log: changes were missed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate watch
  callgate watch --number 436666719526789
  callgate watch --pair 436666719526789:15550199001 --pair 436666719526789:US.1000 --snapshot
  callgate watch -o json | jq -c 'select(.change.cause == \"CHANGE_CAUSE_ACCEPTED\")'")]
pub(super) struct Watch {
    /// Only this business number; may be repeated
    #[arg(long = "number", value_name = "PHONE_NUMBER_ID")]
    numbers: Vec<String>,
    /// Only this pair: business number and customer (WhatsApp id, E.164 number or user id); may be
    /// repeated
    #[arg(long = "pair", value_name = "PHONE_NUMBER_ID:CUSTOMER", value_parser = pair)]
    pairs: Vec<pb::Pair>,
    /// The present state of every pair first; needs --pair
    #[arg(long, requires = "pairs")]
    snapshot: bool,
    /// Go on after the message with this token
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    resume: Option<Token>,
    /// If changes were missed, since the token is older than the log, go on from now (with
    /// --snapshot: from the present state) instead of exiting with 4
    #[arg(long)]
    skip_gap: bool,
    /// The longest silence of the gate, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=300))]
    progress_interval: u64,
    #[command(flatten)]
    gate: Gate,
    /// How to print messages; default: text on a terminal, else json
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    /// Whether lines of text are coloured
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

/// A resume token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Token(Vec<u8>);

fn token(text: &str) -> Result<Token, String> {
    let bytes = STANDARD.decode(text);
    bytes.map(Token).map_err(|_| "is no token: copy it as a message or this command told it".into())
}

fn pair(text: &str) -> Result<pb::Pair, String> {
    let (number, customer) = text
        .split_once(':')
        .ok_or("write PHONE_NUMBER_ID:CUSTOMER, e.g. 436666719526789:15550199001")?;
    Ok(crate::cli::client::pair(number, customer))
}

/// Why a stream is over.
enum Over {
    /// Whoever reads us went away.
    Unread,
    /// What comes cannot be printed.
    Unprinted(io::Error),
    /// It may be tried again.
    Broke(String),
    /// Changes were missed.
    Gap(String),
    /// It may not.
    Failed(Failure),
}

impl Watch {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        let cannot = |error: io::Error| Failure::Given(format!("cannot catch signals: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut printer = self.printer();
        let ended = tokio::select! {
            ended = self.watch(&mut printer) => ended,
            _ = terminate.recv() => Ok(Done::ok("")),
            _ = interrupt.recv() => Ok(Done::ok("")),
        };
        if ended.is_ok() {
            printer.farewell();
        }
        ended
    }

    fn printer(&self) -> Printer {
        let is_terminal = io::stdout().is_terminal();
        let default = if is_terminal { Format::Text } else { Format::Json };
        // Set to anything but "", as no-color.org says.
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_coloured = match self.color {
            Colour::Auto => is_terminal && !no_colour,
            Colour::Always => true,
            Colour::Never => false,
        };
        Printer {
            format: self.output.unwrap_or(default),
            style: Style { is_coloured },
            token: self.resume.clone().unwrap_or_default(),
            is_told: false,
        }
    }

    /// Follows one stream after the other.
    async fn watch(&self, printer: &mut Printer) -> Result<Done, Failure> {
        // A gate that is not there at first is likely not meant.
        let mut stream = Some(self.open(&printer.token).await);
        let (mut wait, mut was_told, mut has_begun) = (RETRY_FIRST, false, false);
        loop {
            let opened = match stream.take() {
                Some(opened) => opened,
                None => self.open(&printer.token).await,
            };
            let over = match opened {
                Ok(mut stream) => {
                    if was_told {
                        eprintln!("callgate: reconnected");
                    }
                    (has_begun, was_told) = (true, false);
                    let (over, has_moved) = self.follow(&mut stream, printer).await;
                    if has_moved {
                        wait = RETRY_FIRST;
                    }
                    over
                }
                Err(over) => over,
            };
            match over {
                Over::Unread => {
                    printer.is_told = true;
                    return Ok(Done::ok(""));
                }
                Over::Unprinted(error) => {
                    printer.farewell();
                    return Err(Failure::Given(format!("cannot write what comes: {error}")));
                }
                Over::Failed(failure) => {
                    printer.farewell();
                    return Err(failure);
                }
                Over::Broke(why) if !has_begun => return Err(Failure::NoAnswer(why)),
                Over::Broke(why) => {
                    if !was_told {
                        eprintln!("callgate: {why}; reconnecting");
                        was_told = true;
                    }
                    sleep(wait).await;
                    wait = (wait * 2).min(RETRY_LAST);
                }
                Over::Gap(why) if self.skip_gap => {
                    eprintln!("callgate: changes were missed: {why}");
                    printer.token = Token::default();
                    sleep(wait).await;
                }
                Over::Gap(why) => {
                    eprintln!("callgate: changes were missed: {why}");
                    printer.is_told = true;
                    return Ok(Done { text: String::new(), code: OUT_OF_RANGE });
                }
            }
        }
    }

    async fn open(&self, token: &Token) -> Result<Streaming<pb::WatchPermissionsResponse>, Over> {
        let mut calls = self.gate.calls().await.map_err(|failure| match failure {
            Failure::NoAnswer(why) => Over::Broke(why),
            given @ Failure::Given(_) => Over::Failed(given),
        })?;
        let interval = i64::try_from(self.progress_interval).unwrap_or(i64::MAX);
        let request = pb::WatchPermissionsRequest {
            phone_number_ids: self.numbers.clone(),
            pairs: self.pairs.clone(),
            resume_token: token.0.clone(),
            snapshot: self.snapshot,
            progress_interval: Some(prost_types::Duration { seconds: interval, nanos: 0 }),
        };
        // A stream has no deadline.
        let opened = calls.watch_permissions(self.gate.ask_without_end(request)).await;
        opened.map(tonic::Response::into_inner).map_err(|status| self.over(&status))
    }

    /// Prints what comes, and says whether anything did.
    async fn follow(
        &self,
        stream: &mut Streaming<pb::WatchPermissionsResponse>,
        printer: &mut Printer,
    ) -> (Over, bool) {
        let silence = Duration::from_secs(self.progress_interval + SILENCE_GRACE);
        let mut has_moved = false;
        loop {
            match timeout(silence, stream.message()).await {
                Ok(Ok(Some(message))) => {
                    if let Err(error) = printer.print(message) {
                        let is_unread = error.kind() == io::ErrorKind::BrokenPipe;
                        let over = if is_unread { Over::Unread } else { Over::Unprinted(error) };
                        return (over, has_moved);
                    }
                    has_moved = true;
                }
                Ok(Ok(None)) => return (Over::Broke("the stream ended".to_owned()), has_moved),
                Ok(Err(status)) => return (self.over(&status), has_moved),
                Err(_) => {
                    let why = format!("nothing was heard for {} s", silence.as_secs());
                    return (Over::Broke(why), has_moved);
                }
            }
        }
    }

    fn over(&self, status: &Status) -> Over {
        match status.code() {
            Code::OutOfRange if is_of_the_log(status) => Over::Gap(status.message().to_owned()),
            Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
                Over::Failed(Failure::Given(status.message().to_owned()))
            }
            // The gate goes away, has no room, is away from its store, or the connection broke.
            Code::Unavailable
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Unknown
            | Code::Cancelled
            | Code::Internal
            | Code::Aborted => Over::Broke(self.gate.says(status)),
            Code::Ok
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::DataLoss
            | Code::Unauthenticated => Over::Failed(self.gate.no_answer(status)),
        }
    }
}

/// A request may be out of range as well.
fn is_of_the_log(status: &Status) -> bool {
    let details = status.get_error_details();
    details.error_info().is_some_and(|info| info.reason == "LOG_OUT_OF_RANGE")
}

/// Prints messages and remembers where they end.
struct Printer {
    format: Format,
    style: Style,
    /// Of the last message that was printed.
    token: Token,
    /// Nobody wants the token any more.
    is_told: bool,
}

impl Printer {
    /// # Errors
    /// Nobody reads any more, or there is no room for it.
    fn print(&mut self, message: pb::WatchPermissionsResponse) -> io::Result<()> {
        let text = match self.format {
            Format::Json => Some(format!("{}\n", json::of("WatchPermissionsResponse", &message))),
            Format::Text => {
                message.message.as_ref().and_then(|message| change::line(message, self.style))
            }
        };
        if let Some(text) = text {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())?;
        }
        self.token = Token(message.resume_token);
        Ok(())
    }

    fn farewell(&self) {
        if !self.token.0.is_empty() && !self.is_told {
            eprintln!(
                "callgate: to go on from here: --resume '{}'",
                STANDARD.encode(&self.token.0)
            );
        }
    }
}
