//! `callgate token`: a token for a client, and what the configuration keeps of it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;

use crate::{
    cli::{Done, Failure},
    service::access::TokenHash,
};

/// Random bytes of a token: as many as of its hash.
const RANDOM_BYTES: usize = 32;

/// Makes a token for a client
///
/// Prints the token, which goes to the client alone, and its hash, which goes into the gate's
/// configuration. Nothing is kept.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  $ callgate token
  token         cg_3q2-7w...
  token_sha256  5feceb66ffc86f38...

  [clients.reminder-bot]
  roles = [\"caller\"]
  token_sha256 = [\"5feceb66ffc86f38...\"]")]
pub(super) struct Token {}

impl Token {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let mut random = [0; RANDOM_BYTES];
        let provider = rustls::crypto::ring::default_provider();
        let filled = provider.secure_random.fill(&mut random);
        filled.map_err(|_| Failure::Given("this system gives no random bytes".to_owned()))?;
        // The beginning lets scanners for leaked secrets know it.
        let token = format!("cg_{}", URL_SAFE_NO_PAD.encode(random));
        Ok(Done::ok(format!("token         {token}\ntoken_sha256  {}\n", TokenHash::of(&token))))
    }
}
