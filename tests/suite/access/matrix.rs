//! Every method of the contract × role × business number.

use std::sync::Arc;

use callgate::{
    engine::{
        pair::PhoneNumberId,
        profile::Profile,
        scope::Scope,
        store::{Quarantined, Store},
        time::{ManualClock, Millis},
    },
    proto::{self as pb, DESCRIPTOR_SET},
    service::{
        Options,
        access::{Access, Client, Doorkeeper, Role, TokenHash},
    },
    store::embedded::Embedded,
};
use prost::Message as _;
use prost_reflect::DescriptorPool;
use tonic::Code;

use super::raw;
use crate::{
    service::ask,
    support::server::{Server, never_understood},
};

pub const A: &str = "800000000000001";
pub const B: &str = "800000000000002";

/// Which roles may call which method: written down here a second time, on purpose.
#[rustfmt::skip]
const RIGHTS: [(&str, [bool; 3]); 14] = [
    // caller, recorder, admin
    ("CallPermissionService/AuthorizeCall",              [true,  false, true]),
    ("CallPermissionService/ReportCall",                 [true,  true,  true]),
    ("CallPermissionService/AuthorizePermissionRequest", [true,  false, true]),
    ("CallPermissionService/RecordEvents",               [false, true,  true]),
    ("CallPermissionService/CheckCalls",                 [true,  false, true]),
    ("CallPermissionService/GetPermission",              [true,  false, true]),
    ("CallPermissionService/WatchPermissions",           [true,  false, true]),
    ("CallPermissionService/ForgetCustomer",             [false, false, true]),
    ("CallPermissionService/GetBusinessNumber",          [true,  true,  true]),
    ("CallPermissionService/UpdateBusinessNumber",       [false, false, true]),
    ("QuarantineService/ListQuarantined",                [false, false, true]),
    ("QuarantineService/GetQuarantined",                 [false, false, true]),
    ("QuarantineService/RetryQuarantined",               [false, false, true]),
    ("ConfigService/GetConfig",                          [false, false, true]),
];

/// How a method names a business number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// The request does.
    Number,
    /// It is about none in particular, and those who may see some of them get their part.
    Part,
    /// It is about none in particular, and is for those who may see all.
    All,
    /// By an id: for whoever may not see it there is none.
    Id,
}

/// A well-formed request about this number.
#[rustfmt::skip]
fn request(method: &str, number: &str) -> (Names, Vec<u8>) {
    let pair = ask::pair_of(number, ask::CUSTOMER);
    let customer = pair.clone().unwrap().customer;
    let id = quarantined(number).id;
    let number = number.to_owned();
    let bytes = match method {
        "CallPermissionService/AuthorizeCall" => pb::AuthorizeCallRequest { pair, ..ask::authorize("c") }.encode_to_vec(),
        "CallPermissionService/ReportCall" => pb::ReportCallRequest { pair, ..ask::report("c", pb::CallOutcome::Ringing) }.encode_to_vec(),
        "CallPermissionService/AuthorizePermissionRequest" => pb::AuthorizePermissionRequestRequest { pair, ..ask::authorize_request("r") }.encode_to_vec(),
        "CallPermissionService/RecordEvents" => ask::events(vec![pb::Event { pair, ..ask::event("e", ask::T, ask::accept()) }]).encode_to_vec(),
        "CallPermissionService/CheckCalls" => pb::CheckCallsRequest { checks: vec![pb::CheckCall { pair, ..Default::default() }] }.encode_to_vec(),
        "CallPermissionService/GetPermission" => pb::GetPermissionRequest { pair, as_of: None }.encode_to_vec(),
        "CallPermissionService/WatchPermissions" => pb::WatchPermissionsRequest { phone_number_ids: vec![number], ..Default::default() }.encode_to_vec(),
        "CallPermissionService/ForgetCustomer" => pb::ForgetCustomerRequest { customer, phone_number_id: number }.encode_to_vec(),
        "CallPermissionService/GetBusinessNumber" => pb::GetBusinessNumberRequest { phone_number_id: number }.encode_to_vec(),
        "CallPermissionService/UpdateBusinessNumber" => pb::UpdateBusinessNumberRequest { phone_number_id: number, calling_enabled: Some(true), ..Default::default() }.encode_to_vec(),
        "QuarantineService/GetQuarantined" => return (Names::Id, pb::GetQuarantinedRequest { id }.encode_to_vec()),
        "QuarantineService/RetryQuarantined" => return (Names::Id, pb::RetryQuarantinedRequest { id }.encode_to_vec()),
        "QuarantineService/ListQuarantined" => return (Names::Part, Vec::new()),
        "ConfigService/GetConfig" => return (Names::All, Vec::new()),
        other => panic!("{other} is new: write down who may call it, and how it names a number"),
    };
    (Names::Number, bytes)
}

pub fn quarantined(number: &str) -> Quarantined {
    Quarantined {
        id: format!("kept-{number}"),
        reason: "no \"from\"".to_owned(),
        received_at: Millis(ask::T),
        field: "messages".to_owned(),
        phone_number_id: number.to_owned(),
        change: "{}".to_owned(),
    }
}

pub fn number(digits: &str) -> PhoneNumberId {
    PhoneNumberId::parse(digits, "number").unwrap()
}

pub fn client(name: &str, roles: &[Role], scope: Scope) -> Client {
    let tokens = vec![TokenHash::of(name)];
    let roles = roles.to_vec();
    Client { name: name.to_owned(), roles, tokens, certificate_names: Vec::new(), scope }
}

/// A gate that knows these clients; each one's name is its token.
pub async fn gate(clients: Vec<Client>) -> (Server, Doorkeeper) {
    let clock = Arc::new(ManualClock::at(Millis(ask::T)));
    let store = Arc::new(Embedded::memory(clock).unwrap());
    for number in [A, B, ""] {
        store.quarantine(quarantined(number)).await.unwrap();
    }
    let doorkeeper = Doorkeeper::new(Access::new(clients));
    let options = Options { doorkeeper: doorkeeper.clone(), ..Options::new(never_understood()) };
    (Server::open(store, Profile::atom(), options).await, doorkeeper)
}

/// Whether a method may be called with this credential.
async fn code(server: &Server, path: &str, token: Option<&str>, bytes: &[u8]) -> Code {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let asked = raw::ask(server.channel.clone(), path, bearer.as_deref(), bytes);
    asked.await.map_or_else(|status| status.code(), |_| Code::Ok)
}

fn methods() -> Vec<String> {
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).unwrap();
    let ours = pool.services().filter(|service| service.package_name() == "callgate.v1");
    let names = ours.flat_map(|service| {
        let name = service.name().to_owned();
        let methods: Vec<_> = service.methods().map(|m| format!("{name}/{}", m.name())).collect();
        methods
    });
    names.collect()
}

#[tokio::test]
async fn each_role_may_call_its_methods_on_its_numbers() {
    let mut clients = Vec::new();
    for role in Role::ALL {
        let limited = Scope::numbers([number(A)]);
        clients.push(client(&format!("{}-on-a", role.name()), &[role], limited));
        clients.push(client(&format!("{}-on-all", role.name()), &[role], Scope::All));
    }
    let (server, _) = gate(clients).await;
    let mut seen = 0;
    for method in methods() {
        let rights = RIGHTS.iter().find(|(name, _)| *name == method);
        let (_, rights) = rights.unwrap_or_else(|| panic!("{method} is not in the table"));
        let path = format!("/callgate.v1.{method}");
        for (role, may_call) in std::iter::zip(Role::ALL, rights) {
            for is_limited in [false, true] {
                for asked in [A, B] {
                    let (names, bytes) = request(&method, asked);
                    let suffix = if is_limited { "a" } else { "all" };
                    let token = format!("{}-on-{suffix}", role.name());
                    let got = code(&server, &path, Some(&token), &bytes).await;
                    let is_denied = !may_call
                        || is_limited
                            && match names {
                                Names::Number => asked == B,
                                Names::Part | Names::Id => false,
                                Names::All => true,
                            };
                    let told = format!("{method} as {token} on {asked}: {got:?}");
                    assert_eq!(got == Code::PermissionDenied, is_denied, "{told}");
                    assert_ne!(got, Code::Unauthenticated, "{told}");
                    let is_hidden = matches!(names, Names::Id) && is_limited && asked == B;
                    assert_eq!(got == Code::NotFound, is_hidden && *may_call, "{told}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, RIGHTS.len() * 3 * 2 * 2);
}

#[tokio::test]
async fn strangers_may_call_nothing() {
    let (server, _) = gate(vec![client("bot", &Role::ALL, Scope::All)]).await;
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    for method in methods() {
        let path = format!("/callgate.v1.{method}");
        let (_, bytes) = request(&method, A);
        for bad in [None, Some("Bearer bo"), Some("Bearer "), Some("Basic bot"), Some("bot")] {
            let got = raw::ask(server.channel.clone(), &path, bad, &bytes).await.unwrap_err();
            assert_eq!(got.code(), Code::Unauthenticated, "{method} with {bad:?}");
        }
        for good in ["Bearer bot", "bearer bot", "BEARER  bot "] {
            let got = raw::ask(server.channel.clone(), &path, Some(good), &bytes).await;
            let code = got.map_or_else(|status| status.code(), |_| Code::Ok);
            let shut = [Code::Unauthenticated, Code::PermissionDenied];
            assert!(!shut.contains(&code), "{method} with {good:?}: {code:?}");
        }
    }
    assert_eq!(code(&server, reflection, None, &[]).await, Code::Unauthenticated);
    // It wants to know what is asked for.
    assert_eq!(code(&server, reflection, Some("bot"), &[]).await, Code::InvalidArgument);
    assert_eq!(code(&server, "/grpc.health.v1.Health/Check", None, &[]).await, Code::Ok);
    let invented = "/callgate.v1.CallPermissionService/Nothing";
    assert_eq!(code(&server, invented, None, &[]).await, Code::Unauthenticated);
    assert_eq!(code(&server, invented, Some("bot"), &[]).await, Code::PermissionDenied);
}

#[tokio::test]
async fn without_clients_the_door_is_open() {
    let (server, doorkeeper) = gate(Vec::new()).await;
    let path = "/callgate.v1.ConfigService/GetConfig";
    assert_eq!(code(&server, path, None, &[]).await, Code::Ok);
    doorkeeper.replace(Access::new(vec![client("bot", &[Role::Caller], Scope::All)]));
    assert_eq!(code(&server, path, None, &[]).await, Code::Unauthenticated);
    assert_eq!(code(&server, path, Some("bot"), &[]).await, Code::PermissionDenied);
}
