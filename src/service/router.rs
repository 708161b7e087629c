//! All services behind one door, with what each request meets on its way in: who asks and whether it
//! may, how much is under way already, the caller's deadline, and an answer even if a handler panics.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::HeaderMap,
    middleware::{self, Next},
    response::Response,
};
use futures_util::FutureExt as _;
use tonic::{Status, codec::CompressionEncoding, server::NamedService as _, service::Routes};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_reflection::server::Builder;

use crate::{
    engine::gate::Gate,
    proto::{
        DESCRIPTOR_SET, call_permission_service_server::CallPermissionServiceServer,
        config_service_server::ConfigServiceServer,
        quarantine_service_server::QuarantineServiceServer,
    },
    service::{
        access::{Caller, Doorkeeper},
        admission::{self, Admission, Lasts, Limits, Place, StreamPlace},
        body::{Ending, Held},
        configuration::{Configuration, InEffect},
        observe::observe,
        quarantine::{Quarantine, Retry},
        rpc::CallPermission,
        status,
    },
    watch::{Draining, End, Watch},
};

/// How the door is built.
#[derive(Debug, Clone)]
pub struct Options {
    /// The largest request. A batch of 1000 events with long ids takes about 1.5 MB. Bytes.
    pub request_bytes_max: usize,
    /// How long a request may take on its way, from its head on.
    pub request_time_max: Duration,
    /// How a webhook that was kept aside is tried once more.
    pub retry: Retry,
    /// When streams of changes end.
    pub draining: Draining,
    /// Who may ask what.
    pub doorkeeper: Doorkeeper,
    /// How much may be under way at once.
    pub limits: Limits,
    /// The configuration in effect, to be shown.
    pub in_effect: InEffect,
}

/// When the caller stops waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(pub(crate) Instant);

impl Options {
    /// gRPC's usual limit.
    pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;

    /// With the usual limits; open to everybody, never draining.
    pub fn new(retry: Retry) -> Self {
        Self {
            request_bytes_max: Self::REQUEST_BYTES_MAX,
            request_time_max: Duration::from_secs(10),
            retry,
            draining: None,
            doorkeeper: Doorkeeper::default(),
            limits: Limits::default(),
            in_effect: InEffect::default(),
        }
    }
}

/// What is served, and the handle to say how it is.
pub struct Router {
    /// For [`serve`](crate::service::serve).
    pub routes: Routes,
    /// Says over `grpc.health.v1` whether we serve; all services do from the start.
    pub health: Health,
}

/// Tells `grpc.health.v1` how the gate is: the server as a whole ("") and each service by name.
#[derive(Debug, Clone)]
pub struct Health(HealthReporter);

impl Health {
    /// The services of our contract, and the server as a whole.
    const SERVICES: [&str; 4] = [
        "",
        CallPermissionServiceServer::<CallPermission>::NAME,
        QuarantineServiceServer::<Quarantine>::NAME,
        ConfigServiceServer::<Configuration>::NAME,
    ];

    /// Says SERVING or NOT_SERVING, e.g. while the store is away or the server drains.
    pub async fn set(&self, is_serving: bool) {
        let status = if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in Self::SERVICES {
            self.0.set_service_status(service, status).await;
        }
    }
}

/// Joins the services of the contract, health and reflection (v1 and v1alpha).
pub async fn router(gate: Gate, options: Options) -> Router {
    let Options { request_bytes_max, request_time_max, .. } = options;
    let Options { retry, draining, doorkeeper, limits, in_effect, .. } = options;
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let health = Health(reporter);
    health.set(true).await;
    // Requests may come compressed; answers are small and leave as they are.
    let watch = Watch::new(gate.clone(), draining.clone());
    let calls = CallPermission { gate: gate.clone(), watch, doorkeeper: doorkeeper.clone() };
    let calls = Arc::new(calls);
    let calls = |bytes_max| {
        CallPermissionServiceServer::from_arc(Arc::clone(&calls))
            .max_decoding_message_size(bytes_max)
            .accept_compressed(CompressionEncoding::Gzip)
    };
    let quarantine = QuarantineServiceServer::new(Quarantine { gate, retry })
        .max_decoding_message_size(request_bytes_max)
        .accept_compressed(CompressionEncoding::Gzip);
    let reflection = "our own descriptors are well-formed";
    let routes = Routes::new(calls(request_bytes_max))
        .add_service(quarantine)
        .add_service(ConfigServiceServer::new(Configuration { in_effect }))
        .add_service(health_service)
        .add_service(described().build_v1().expect(reflection))
        .add_service(described().build_v1alpha().expect(reflection));
    let admission = Admission::new(limits, request_bytes_max, request_time_max);
    let entrance =
        Entrance { doorkeeper: doorkeeper.clone(), admission, answer_time_max: request_time_max };
    let routes = admission::small(request_bytes_max)
        .fold(routes.into_axum_router(), |routes, (path, bytes_max)| {
            routes.route_service(path, calls(bytes_max))
        })
        .layer(middleware::from_fn_with_state(draining, end_with_us))
        .layer(middleware::from_fn(answer_in_time))
        .layer(middleware::from_fn_with_state(Arc::new(entrance), enter))
        .layer(middleware::from_fn_with_state(doorkeeper, observe));
    Router { routes: Routes::from(routes).prepare(), health }
}

/// How long a stream that has ended may take to say so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What stands before all handlers.
struct Entrance {
    doorkeeper: Doorkeeper,
    admission: Admission,
    /// How long the answer to a batch may take to be read.
    answer_time_max: Duration,
}

/// Lets a request in, if it may and if there is room. Who asks is looked at first: strangers take
/// nobody's place.
async fn enter(
    State(entrance): State<Arc<Entrance>>,
    mut request: Request,
    next: Next,
) -> Response {
    let place = match entrance.admit(&mut request) {
        Ok(place) => place,
        Err(status) => return status.into_http(),
    };
    let deadline = deadline(request.headers());
    let caller = request.extensions().get::<Caller>().cloned();
    let response = next.run(request).await;
    let end = match place.lasts() {
        Lasts::No => return response,
        Lasts::AsItDoes => None,
        Lasts::WhileItMay => Some(entrance.end_of_stream(deadline, caller).boxed()),
        Lasts::UntilRead => {
            let at_most = Instant::now() + entrance.answer_time_max;
            let until = deadline.map_or(at_most, |deadline| deadline.min(at_most));
            let end = async move {
                tokio::time::sleep_until(until.into()).await;
                status::unread()
            };
            Some(end.boxed())
        }
    };
    response.map(|body| Body::new(Held::new(body, place, end)))
}

impl Entrance {
    /// A stream ends by itself when its time is over or its client may not hear it any more, and says so; this
    /// comes a little later, for one whose client does not read.
    fn end_of_stream(
        &self,
        deadline: Option<Instant>,
        caller: Option<Caller>,
    ) -> impl Future<Output = Status> + Send + 'static {
        let lost = caller.map(|caller| self.doorkeeper.no_longer(caller));
        async move {
            let too_late = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            let lost = async {
                match lost {
                    Some(lost) => lost.await,
                    None => std::future::pending().await,
                }
            };
            let status = tokio::select! {
                () = too_late => status::stream_too_late(),
                () = lost => status::no_longer_permitted(),
            };
            tokio::time::sleep(LAST_WORDS).await;
            status
        }
    }

    fn admit(&self, request: &mut Request) -> Result<Arc<Place>, Status> {
        let path = request.uri().path();
        let caller = self.doorkeeper.admit(path, request.headers(), request.extensions())?;
        let place = Arc::new(self.admission.admit(request)?);
        let extensions = request.extensions_mut();
        extensions.insert(caller);
        extensions.insert(StreamPlace::new(&place));
        Ok(place)
    }
}

/// Ends what is not ours and has no end, a watch on our health or a reflection, when the server drains:
/// such a client need not be waited for.
async fn end_with_us(State(draining): State<Draining>, request: Request, next: Next) -> Response {
    let is_ours = request.uri().path().starts_with("/callgate.v1.");
    let Some(draining) = draining.filter(|_| !is_ours) else { return next.run(request).await };
    let end = |status| {
        let mut draining = draining.clone();
        let end = async move {
            // A sender that is gone drains as well.
            let _ = draining.wait_for(|is_draining| *is_draining).await;
            status
        };
        end.boxed()
    };
    // A reflection listens to its client for as long as that may speak.
    let request = request.map(|body| Body::new(Ending::new(body, end(None))));
    let response = next.run(request).await;
    response.map(|body| Body::new(Ending::new(body, end(Some(status::of_end(End::Draining))))))
}

/// The error details are described as well, so that tools can show them.
fn described() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

/// Honours `grpc-timeout`: work that nobody waits for any more is dropped, and DEADLINE_EXCEEDED is
/// answered. A panic costs the one call and not the connection with all others on it. Of a stream this
/// is the beginning alone: what it sends later is watched by whoever makes the stream, who finds its
/// [`Deadline`] here.
async fn answer_in_time(mut request: Request, next: Next) -> Response {
    let budget = budget(request.headers()).unwrap_or(Duration::MAX);
    if budget.is_zero() {
        return status::too_late().into_http();
    }
    if let Some(at) = deadline(request.headers()) {
        request.extensions_mut().insert(Deadline(at));
    }
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(budget, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!("a handler panicked");
            status::panicked().into_http()
        }
        Err(_) => status::too_late().into_http(),
    }
}

/// When the caller stops waiting; `None`: never.
fn deadline(headers: &HeaderMap) -> Option<Instant> {
    budget(headers).and_then(|budget| Instant::now().checked_add(budget))
}

/// How long the caller waits: up to 8 digits and a unit. A header that is malformed is ignored, as
/// other servers do.
fn budget(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}
