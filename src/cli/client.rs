//! Finds a running gate and asks it.

use std::{error::Error as _, fmt, fs, path::PathBuf, time::Duration};

use clap::Args;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::{
    cli::Failure,
    proto::{self as pb, call_permission_service_client::CallPermissionServiceClient},
};

/// How often a gate is asked whether it is there, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Where the gate is, and what is shown to it.
#[derive(Debug, Args)]
pub(super) struct Gate {
    /// The running gate: http://HOST:PORT, HOST:PORT, unix:/path, or https://HOST:PORT with TLS
    #[arg(
        long,
        global = true,
        env = "CALLGATE_ADDR",
        hide_env_values = true,
        default_value = "http://127.0.0.1:50051"
    )]
    addr: String,
    /// How long to wait for an answer, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// A file with the token of a client that the gate knows
    #[arg(long, global = true, value_name = "FILE", env = "CALLGATE_TOKEN_FILE", hide_env_values = true, value_parser = bearer)]
    token_file: Option<Bearer>,
    /// Authorities of the gate's certificate, PEM; default: those of this system
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CALLGATE_CA_FILE",
        hide_env_values = true
    )]
    ca_file: Option<PathBuf>,
    /// The certificate of a client that the gate knows, PEM
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CALLGATE_CERT_FILE",
        hide_env_values = true,
        requires = "key_file"
    )]
    cert_file: Option<PathBuf>,
    /// The key of the certificate, PEM
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CALLGATE_KEY_FILE",
        hide_env_values = true,
        requires = "cert_file"
    )]
    key_file: Option<PathBuf>,
}

/// What a token is sent as. `Debug` shows none of it.
#[derive(Clone)]
struct Bearer(MetadataValue<Ascii>);

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}

fn bearer(path: &str) -> Result<Bearer, String> {
    let token = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
        .parse()
        .map_err(|_| "holds no token: it must be one line of plain characters".to_owned())?;
    value.set_sensitive(true);
    Ok(Bearer(value))
}

impl Gate {
    /// Connects.
    pub(super) async fn channel(&self) -> Result<Channel, Failure> {
        let no_answer = |error: tonic::transport::Error| {
            Failure::NoAnswer(format!("{}: {}", self.addr, with_causes(&error)))
        };
        let endpoint = self.endpoint()?;
        endpoint.connect().await.map_err(no_answer)
    }

    /// Connects to the service of the contract.
    pub(super) async fn calls(&self) -> Result<CallPermissionServiceClient<Channel>, Failure> {
        let client = CallPermissionServiceClient::new(self.channel().await?);
        // A page of a full record is larger than the usual limit of a small client.
        Ok(client.max_decoding_message_size(64 << 20))
    }

    /// A request with the caller's deadline.
    pub(super) fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = self.ask_without_end(message);
        request.set_timeout(Duration::from_secs(self.timeout));
        request
    }

    /// A request for a stream.
    pub(super) fn ask_without_end<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(Bearer(value)) = &self.token_file {
            request.metadata_mut().insert("authorization", value.clone());
        }
        request
    }

    /// What a status says to a person.
    pub(super) fn no_answer(&self, status: &Status) -> Failure {
        Failure::NoAnswer(self.says(status))
    }

    /// The same, as text.
    pub(super) fn says(&self, status: &Status) -> String {
        if status.source().is_none() {
            return format!("{} says {:?}: {}", self.addr, status.code(), status.message());
        }
        // The connection broke, and the gate said nothing. Under TLS 1.3 it breaks off only now with a
        // client that shows no certificate, for whom the handshake has ended well.
        let told = format!("{}: {}", self.addr, with_causes(status));
        if self.addr.starts_with("https:") && self.cert_file.is_none() {
            return format!(
                "{told}; does the gate want a certificate of its clients? Show one: --cert-file FILE \
                 --key-file FILE"
            );
        }
        told
    }

    fn endpoint(&self) -> Result<Endpoint, Failure> {
        let bad = |why: &str| {
            Failure::Given(format!(
                "--addr {}: {why}; write http://HOST:PORT, HOST:PORT, unix:/path or https://HOST:PORT",
                self.addr
            ))
        };
        let has_scheme = self.addr.contains("://") || self.addr.starts_with("unix:");
        let has_tls = self.addr.starts_with("https:");
        if !has_tls && (self.ca_file.is_some() || self.cert_file.is_some()) {
            return Err(bad("--ca-file and --cert-file are for https"));
        }
        let uri = if has_scheme { self.addr.clone() } else { format!("http://{}", self.addr) };
        let endpoint = Endpoint::from_shared(uri).map_err(|_| bad("is no address"))?;
        let wait = Duration::from_secs(self.timeout);
        // A stream on which nothing comes notices by the keepalive that its gate is gone.
        let endpoint = endpoint
            .connect_timeout(wait)
            .timeout(wait)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE);
        if has_tls {
            let set = endpoint.tls_config(self.tls()?);
            return set.map_err(|error| bad(&with_causes(&error)));
        }
        if self.addr.starts_with("unix:") {
            // The socket's path is no authority that HTTP/2 allows.
            return Ok(endpoint.origin(tonic::codegen::http::Uri::from_static("http://localhost")));
        }
        Ok(endpoint)
    }

    fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let read = |path: &PathBuf| {
            let shown = path.display();
            fs::read(path).map_err(|error| Failure::Given(format!("cannot read {shown}: {error}")))
        };
        let mut config = ClientTlsConfig::new();
        config = match &self.ca_file {
            Some(path) => config.ca_certificate(Certificate::from_pem(read(path)?)),
            None => config.with_native_roots(),
        };
        if let (Some(cert), Some(key)) = (&self.cert_file, &self.key_file) {
            config = config.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        Ok(config)
    }
}

/// The business number and the customer, as they are given.
#[derive(Debug, Args)]
pub(super) struct Pair {
    /// Meta's id of the business number, e.g. 436666719526789
    phone_number_id: String,
    /// The customer: a WhatsApp id or E.164 number (15550199001, +15550199001), or a user id
    /// (US.1000)
    customer: String,
}

impl Pair {
    pub(super) fn message(&self) -> pb::Pair {
        pair(&self.phone_number_id, &self.customer)
    }
}

/// A customer by either id: user ids have a dot.
pub(super) fn pair(phone_number_id: &str, customer: &str) -> pb::Pair {
    let customer = customer.to_owned();
    let customer = if customer.contains('.') {
        pb::Customer { wa_id: String::new(), user_id: customer }
    } else {
        pb::Customer { wa_id: customer, user_id: String::new() }
    };
    pb::Pair { phone_number_id: phone_number_id.to_owned(), customer: Some(customer) }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors repeat their cause.
        let told = error.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }
    text
}
