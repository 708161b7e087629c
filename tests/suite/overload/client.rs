//! A gRPC client without any timer or patience of its own: what it measures is the gate.

use std::{
    collections::BTreeMap,
    fmt,
    io::Write as _,
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes};
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::{net::TcpStream, task::JoinSet};
use tonic_health::pb::HealthCheckRequest;

use crate::service::ask;

type Response = axum::http::Response<hyper::body::Incoming>;

/// One connection.
#[derive(Clone)]
pub(crate) struct Caller(SendRequest<Body>);

impl Caller {
    pub(crate) async fn connect(address: &str) -> Self {
        Self::connect_by(address, &Builder::new(TokioExecutor::new())).await
    }

    /// One that takes so many bytes of an answer that it does not read.
    pub(crate) async fn narrow(address: &str, window: u32) -> Self {
        let mut http = Builder::new(TokioExecutor::new());
        Self::connect_by(address, http.initial_stream_window_size(window)).await
    }

    async fn connect_by(address: &str, http: &Builder<TokioExecutor>) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (send, connection) = http.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(send)
    }

    /// The answer to a request, as far as it has to be read to be there.
    pub(crate) async fn unread(&self, method: &str, request: &impl prost::Message) -> Response {
        self.unread_within(method, request, None).await
    }

    /// The same, within a deadline.
    pub(crate) async fn unread_within(
        &self,
        method: &str,
        request: &impl prost::Message,
        deadline: Option<Duration>,
    ) -> Response {
        let body = Body::from(framed(false, &request.encode_to_vec()));
        self.send(&format!("/callgate.v1.CallPermissionService/{method}"), body, deadline).await
    }

    /// The status of an AuthorizeCall.
    pub(crate) async fn authorize(&self, call_id: &str, deadline: Duration) -> i32 {
        let body = framed(false, &ask::authorize(call_id).encode_to_vec());
        let path = "/callgate.v1.CallPermissionService/AuthorizeCall";
        self.ask(path, Body::from(body), Some(deadline)).await
    }

    /// The status of a question that costs nothing.
    pub(crate) async fn health(&self, deadline: Duration) -> i32 {
        let body = framed(false, &HealthCheckRequest::default().encode_to_vec());
        self.ask("/grpc.health.v1.Health/Check", Body::from(body), Some(deadline)).await
    }

    /// The status of a question for health that never ends.
    pub(crate) async fn unfinished_health(&self) -> i32 {
        let body = Body::from_stream(stream::pending::<Result<Bytes, String>>());
        self.ask("/grpc.health.v1.Health/Check", body, None).await
    }

    /// The status of a request that begins like this, says that it is compressed, and never ends.
    pub(crate) async fn unfinished(&self, method: &str, begin: Vec<u8>) -> i32 {
        let begin = stream::iter([Ok::<_, String>(Bytes::from(begin))]);
        let body = Body::from_stream(begin.chain(stream::pending()));
        self.ask(&format!("/callgate.v1.CallPermissionService/{method}"), body, None).await
    }

    async fn send(&self, path: &str, body: Body, deadline: Option<Duration>) -> Response {
        let mut request = axum::http::Request::post(format!("http://gate{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if path.starts_with("/callgate.v1.") {
            request = request.header("grpc-encoding", "gzip");
        }
        if let Some(deadline) = deadline {
            request = request.header("grpc-timeout", format!("{}m", deadline.as_millis()));
        }
        let mut send = self.0.clone();
        send.ready().await.unwrap();
        send.send_request(request.body(body).unwrap()).await.unwrap()
    }

    async fn ask(&self, path: &str, body: Body, deadline: Option<Duration>) -> i32 {
        let response = self.send(path, body, deadline).await;
        let status = |headers: &axum::http::HeaderMap| {
            headers.get("grpc-status").map(|code| code.to_str().unwrap().parse().unwrap())
        };
        if let Some(code) = status(response.headers()) {
            return code;
        }
        let rest = response.into_body().collect().await.unwrap();
        rest.trailers().and_then(status).expect("every answer has a status")
    }
}

pub(crate) fn framed(is_compressed: bool, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![u8::from(is_compressed)];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

/// An AuthorizeCall of so many bytes, compressed.
pub(crate) fn bomb(len: usize) -> Vec<u8> {
    gzip(&ask::authorize(&"0".repeat(len - 200)).encode_to_vec())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// How often each status was answered, and how long the slowest answer took.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    codes: BTreeMap<i32, usize>,
    pub(crate) slowest: Duration,
}

impl Answers {
    /// Asks so many questions over each connection, all at once.
    pub(crate) async fn of<F>(
        callers: &[Caller],
        each: usize,
        ask: impl Fn(Caller, usize) -> F,
    ) -> Self
    where
        F: Future<Output = i32> + Send + 'static,
    {
        let mut asked = JoinSet::new();
        for n in 0..callers.len() * each {
            let answer = ask(callers[n / each].clone(), n);
            asked.spawn(async move {
                let begun = Instant::now();
                (answer.await, begun.elapsed())
            });
        }
        let mut answers = Self::default();
        while let Some(answer) = asked.join_next().await {
            let (code, took) = answer.unwrap();
            *answers.codes.entry(code).or_default() += 1;
            answers.slowest = answers.slowest.max(took);
        }
        answers
    }

    pub(crate) fn count(&self, code: i32) -> usize {
        self.codes.get(&code).copied().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.codes.values().sum()
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (code, count) in &self.codes {
            write!(f, "{count} {:?}, ", tonic::Code::from(*code))?;
        }
        write!(f, "the slowest after {:?}", self.slowest)
    }
}
