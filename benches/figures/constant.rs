//! A server that answers AuthorizeCall with one constant, which a gate has given before: what gRPC alone
//! costs.

use std::time::Duration;

use std::io::Write as _;

use callgate::{
    door::{self, Incoming, Listener, serve_grpc},
    proto::{AuthorizeCallRequest, AuthorizeCallResponse},
};
use clap::Args;
use prost::Message as _;
use tonic::{
    Request, Response, Status,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, UnaryService},
    service::Routes,
};
use tonic_prost::ProstCodec;

#[derive(Debug, Args)]
pub(crate) struct Constant {
    /// "127.0.0.1:50051", or "unix:/path".
    #[arg(long)]
    addr: String,
    #[arg(long)]
    threads: usize,
    /// The answer, as hexadecimal digits of its bytes.
    #[arg(long)]
    answer: String,
}

impl Constant {
    /// Serves until it is killed.
    pub(crate) fn run(self) {
        let answer = hex::decode(self.answer).unwrap();
        let answer = AuthorizeCallResponse::decode(answer.as_slice()).unwrap();
        crate::runtime(self.threads).block_on(async {
            let listener = Listener::bind(&self.addr.parse().unwrap()).await.unwrap();
            println!("listening grpc={}", listener.address().unwrap());
            std::io::stdout().flush().unwrap();
            let routes = Routes::new(Door(answer)).prepare();
            serve_grpc(
                routes,
                Incoming::new(listener, door::Options::default()),
                Duration::ZERO,
                std::future::pending(),
            )
            .await;
        });
    }
}

/// Knows AuthorizeCall alone.
#[derive(Clone)]
struct Door(AuthorizeCallResponse);

impl NamedService for Door {
    const NAME: &'static str = "callgate.v1.CallPermissionService";
}

impl Service<http::Request<tonic::body::Body>> for Door {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        assert!(request.uri().path().ends_with("/AuthorizeCall"), "it knows nothing else");
        let method = Method(self.0.clone());
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(method, request).await) })
    }
}

struct Method(AuthorizeCallResponse);

impl UnaryService<AuthorizeCallRequest> for Method {
    type Response = AuthorizeCallResponse;
    type Future = BoxFuture<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<AuthorizeCallRequest>) -> Self::Future {
        let mut answer = self.0.clone();
        answer.call_id = request.into_inner().call_id;
        Box::pin(async move { Ok(Response::new(answer)) })
    }
}
