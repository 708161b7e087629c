//! `[clients.NAME]`: who may ask what.

use std::collections::BTreeMap;

use toml_edit::Item;

use crate::{
    config::value::did_you_mean,
    engine::{pair::PhoneNumberId, scope::Scope},
    service::access::{Client, Role, TokenHash},
};

/// The keys of a client: name, form, what it does.
pub const CLIENT_KEYS: [(&str, &str, &str); 4] = [
    (
        "roles",
        "array of `caller`, `recorder`, `admin`",
        "What it may do. `caller`: AuthorizeCall, AuthorizePermissionRequest, CheckCalls, GetPermission, \
         WatchPermissions, ReportCall, GetBusinessNumber. `recorder`: RecordEvents, ReportCall, \
         GetBusinessNumber. `admin`: everything, ForgetCustomer, UpdateBusinessNumber, QuarantineService \
         and ConfigService included.",
    ),
    (
        "token_sha256",
        "array of 64 hexadecimal digits",
        "SHA-256 of its bearer tokens; two during a rotation. `callgate token` makes a token and its hash.",
    ),
    (
        "certificate_names",
        "array of names",
        "DNS names or URIs in its certificate's subject alternative name; the common name of a \
         certificate without any. Needs `grpc_tls.client_ca_file`.",
    ),
    (
        "numbers",
        "array of phone_number_ids",
        "The business numbers that it may see, judge and hear of; unset: all. For others it gets \
         PERMISSION_DENIED.",
    ),
];

/// A client's table, and what is wrong in it: messages without their place.
pub(super) fn read<'a>(
    name: &str,
    entries: impl IntoIterator<Item = (&'a str, &'a Item)>,
) -> (Client, Vec<(String, String)>) {
    let mut client = Client {
        name: name.to_owned(),
        roles: Vec::new(),
        tokens: Vec::new(),
        certificate_names: Vec::new(),
        scope: Scope::All,
    };
    let mut problems = Vec::new();
    for (key, item) in entries {
        let wrong = |problem: String| (key.to_owned(), format!("{key}: {problem}"));
        let Some(texts) = texts(item) else {
            let known = CLIENT_KEYS.map(|(known, ..)| known);
            problems.push(if known.contains(&key) {
                wrong("must be an array of strings, e.g. [\"caller\"]".to_owned())
            } else {
                unknown(key)
            });
            continue;
        };
        let read = match key {
            "roles" => roles(&texts).map(|roles| client.roles = roles),
            "token_sha256" => tokens(&texts).map(|tokens| client.tokens = tokens),
            "certificate_names" => names(&texts).map(|names| client.certificate_names = names),
            "numbers" => numbers(&texts).map(|scope| client.scope = scope),
            _ => {
                problems.push(unknown(key));
                continue;
            }
        };
        if let Err(problem) = read {
            problems.push(wrong(problem));
        }
    }
    (client, problems)
}

fn unknown(key: &str) -> (String, String) {
    let hint = did_you_mean(key, CLIENT_KEYS.map(|(known, ..)| known));
    (key.to_owned(), format!("unknown key `{key}`{hint}"))
}

fn texts(item: &Item) -> Option<Vec<String>> {
    let values = item.as_array()?.iter();
    values.map(|value| value.as_str().map(str::to_owned)).collect()
}

fn roles(texts: &[String]) -> Result<Vec<Role>, String> {
    let role = |text: &String| {
        let known = Role::ALL.into_iter().find(|role| role.name() == text);
        known.ok_or_else(|| format!("\"{text}\" is no role; write caller, recorder or admin"))
    };
    let mut roles = texts.iter().map(role).collect::<Result<Vec<_>, _>>()?;
    roles.sort();
    roles.dedup();
    Ok(roles)
}

fn tokens(texts: &[String]) -> Result<Vec<TokenHash>, String> {
    let hash = |text: &String| {
        TokenHash::parse(text).ok_or_else(|| {
            "must be the SHA-256 of a token in 64 hexadecimal digits, not the token itself; `callgate \
             token` makes both"
                .to_owned()
        })
    };
    texts.iter().map(hash).collect()
}

fn names(texts: &[String]) -> Result<Vec<String>, String> {
    match texts.iter().any(String::is_empty) {
        true => Err("a name must not be empty".to_owned()),
        false => Ok(texts.to_vec()),
    }
}

fn numbers(texts: &[String]) -> Result<Scope, String> {
    if texts.is_empty() {
        return Err("must name a business number; leave it out for all of them".to_owned());
    }
    let number = |text: &String| PhoneNumberId::parse(text, text).map_err(|e| e.to_string());
    Ok(Scope::numbers(texts.iter().map(number).collect::<Result<Vec<_>, _>>()?))
}

/// What is wrong with clients that were read well each for itself: the client, and the problem.
pub(super) fn check(clients: &[Client], has_client_ca: bool) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let mut tokens = BTreeMap::new();
    let mut names = BTreeMap::new();
    for client in clients {
        let mut wrong = |problem: String| problems.push((client.name.clone(), problem));
        if client.roles.is_empty() {
            wrong("has no roles: it could ask nothing; set e.g. roles = [\"caller\"]".to_owned());
        }
        if client.tokens.is_empty() && client.certificate_names.is_empty() {
            wrong("cannot be known: set token_sha256 or certificate_names".to_owned());
        }
        if !client.certificate_names.is_empty() && !has_client_ca {
            wrong("certificate_names needs grpc_tls.client_ca_file".to_owned());
        }
        let hashes = client.tokens.iter().map(ToString::to_string);
        for hash in hashes {
            match tokens.get(&hash) {
                Some(first) => wrong(format!("has the same token_sha256 as {first}, or twice")),
                None => drop(tokens.insert(hash, &client.name)),
            }
        }
        for name in &client.certificate_names {
            match names.get(name) {
                Some(first) => {
                    wrong(format!("has the certificate name \"{name}\" of {first}, or twice"));
                }
                None => drop(names.insert(name, &client.name)),
            }
        }
    }
    problems
}
