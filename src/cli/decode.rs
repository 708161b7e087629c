//! `callgate decode`: the bytes of a record, readable.

use std::io::Read as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::{Args, ValueEnum};

use crate::{
    cli::{Done, Failure, json},
    store::codec,
};

/// Shows a raw record, as it is stored, as JSON
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate decode --kind number 01ab313535353031303030303102000000000000000000
  redis-cli --raw GET 'callgate:{p48}:pair:436666719526789:15550199001' |
    head -c -1 | base64 -w0 | callgate decode -")]
pub(super) struct Decode {
    /// The bytes as hex or base64; - reads them from standard input
    bytes: String,
    /// What they are
    #[arg(long, value_enum, default_value_t = Kind::Pair)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Facts of a pair.
    Pair,
    /// Facts of a business number.
    Number,
}

impl Decode {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let mut text = self.bytes;
        if text == "-" {
            text.clear();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Failure::Given(format!("standard input: {error}")))?;
        }
        let text = text.trim();
        let bytes = hex::decode(text).ok().or_else(|| BASE64_STANDARD.decode(text).ok());
        let bytes = bytes.ok_or_else(|| Failure::Given("neither hex nor base64".to_owned()))?;
        let json = match self.kind {
            Kind::Pair => codec::record_to_json(&bytes),
            Kind::Number => codec::number_to_json(&bytes),
        };
        let json = json.map_err(|error| Failure::Given(error.to_string()))?;
        Ok(Done::ok(json::pretty(&json)))
    }
}
