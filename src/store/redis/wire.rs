//! What crosses to the scripts and back: MessagePack maps, with the names that the rulebook reads.

use std::sync::Arc;

use redis::{FromRedisValue as _, Value};
use rmp::{Marker, decode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    engine::{
        Error, Result,
        change::{Logged, Position},
        pair::{Customer, PhoneNumberId},
        step::{Command, NumberStep, Reply, Step},
        time::{Millis, millis},
    },
    store::{
        LogLimits, codec,
        lua::pack_command,
        redis::keys::{Keys, NumberKeys},
        reply::{self, Packed},
    },
};

/// KEYS and ARGV of a script.
pub(super) type Encoded = (Vec<String>, Vec<Vec<u8>>);

/// The customer's ids as keys: `wa_id`, user id; "" where there is none.
pub(super) fn ids(customer: &Customer) -> (&str, &str) {
    let wa = customer.wa().map_or("", |wa| wa.key());
    let user = customer.user().map_or("", |user| user.as_str());
    (wa, user)
}

/// How much of the change log is kept, in ARGV.
pub(super) fn limits(limits: LogLimits) -> [Vec<u8>; 2] {
    [millis(limits.age).to_string().into(), limits.length.to_string().into()]
}

/// For `shell.lua`.
pub(super) fn shell(
    of: &NumberKeys,
    secret: &[u8],
    limits: LogLimits,
    step: &Step<'_>,
) -> Result<Encoded> {
    let number = &step.pair.number;
    let (wa, user) = ids(&step.pair.customer);
    // Where there is one id only, it stands for both: a key must not be empty.
    let (first, second) =
        (if wa.is_empty() { user } else { wa }, if user.is_empty() { wa } else { user });
    let mut keys = vec![
        of.number.clone(),
        of.numbers.clone(),
        of.log.changes.clone(),
        of.log.marks.clone(),
        of.log.erased.clone(),
        of.due.clone(),
        of.never.clone(),
        format!("{}{first}", of.pair),
        format!("{}{second}", of.pair),
    ];
    if matches!(step.command, Command::Record { .. }) {
        keys.extend([first, second].map(|id| of.forgotten(secret, number, id)));
    }
    let mut args = vec![
        instant(step),
        bytes_as_texts(pack_command(step.pair, &step.command)?)?,
        pack_values(step.profile)?,
        of.pair.clone().into_bytes(),
        number.as_str().into(),
    ];
    args.extend(self::limits(limits));
    Ok((keys, args))
}

/// For `records.lua`. All steps are of one partition.
pub(super) fn records(keys: &Keys, steps: &[&Step<'_>]) -> Encoded {
    let mut numbers: Vec<(&PhoneNumberId, NumberKeys)> = Vec::new();
    let (mut records, mut questions) = (Vec::with_capacity(steps.len()), Vec::new());
    for step in steps {
        let number = &step.pair.number;
        let known = numbers.iter().position(|(known, _)| *known == number);
        let index = known.unwrap_or_else(|| {
            numbers.push((number, keys.of(number)));
            numbers.len() - 1
        });
        let ids = step.pair.customer.keys();
        // Lua counts from 1.
        questions.extend([(index + 1).to_string().into(), ids.len().to_string().into()]);
        records.extend(ids.iter().map(|id| format!("{}{id}", numbers[index].1.pair)));
    }
    let mut args = vec![
        steps.first().map(|step| instant(step)).unwrap_or_default(),
        numbers.len().to_string().into(),
    ];
    args.extend(numbers.iter().map(|(_, of)| of.pair.clone().into()));
    args.extend(questions);
    let never = numbers.first().map(|(_, of)| of.never.clone());
    let numbers = numbers.into_iter().map(|(_, of)| of.number);
    (numbers.chain(records).chain(never).collect(), args)
}

/// The instant for which `records.lua` has read.
pub(super) fn instant_of(value: Option<Value>) -> Result<Millis> {
    let text: Option<String> = value.and_then(|value| String::from_redis_value(value).ok());
    let at = text.and_then(|text| text.parse().ok());
    at.map(Millis).ok_or_else(|| Error::Internal("redis: an answer without its time".to_owned()))
}

/// ARGV of `number.lua`.
pub(super) fn number(step: &NumberStep<'_>) -> Result<Vec<Vec<u8>>> {
    let report = step.report.as_ref().map(pack).transpose()?.unwrap_or_default();
    Ok(vec![step.now.0.to_string().into(), report, step.number.as_str().into()])
}

/// The reply of `shell.lua`.
pub(super) fn step_reply(packed: &[u8]) -> Result<Reply> {
    reply::read(&mut Packed(packed))
}

/// What another script answered.
pub(super) fn reply<T: DeserializeOwned>(packed: &[u8]) -> Result<T> {
    rmp_serde::from_slice(packed)
        .map_err(|error| Error::Internal(format!("the rulebook's reply cannot be read: {error}")))
}

pub(super) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(value).map_err(|error| unpacked(&error))
}

/// Without the names.
pub(super) fn pack_values<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    rmp_serde::to_vec(value).map_err(|error| unpacked(&error))
}

/// A command as the `cmsgpack` of Redis reads it, whose texts are any bytes and which knows no others.
fn bytes_as_texts(mut command: Vec<u8>) -> Result<Vec<u8>> {
    let mut at = 0;
    while at < command.len() {
        let mut rest = &command[at..];
        let marker = Marker::from_u8(rest[0]);
        let (text, length) = match marker {
            Marker::FixMap(_) | Marker::Map16 => {
                (marker, decode::read_map_len(&mut rest).ok().map(|_| 0))
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                (marker, decode::read_str_len(&mut rest).ok())
            }
            Marker::Bin8 => (Marker::Str8, decode::read_bin_len(&mut rest).ok()),
            Marker::Bin16 => (Marker::Str16, decode::read_bin_len(&mut rest).ok()),
            Marker::Bin32 => (Marker::Str32, decode::read_bin_len(&mut rest).ok()),
            _ => (marker, decode::read_int::<i64, _>(&mut rest).ok().map(|_| 0)),
        };
        let length =
            length.ok_or_else(|| unpacked(&"it is not made of texts, bytes and whole numbers"))?;
        let header = command.len() - at - rest.len();
        command[at] = text.to_u8();
        at += header + length as usize;
    }
    Ok(command)
}

fn unpacked(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a command cannot be packed: {error}"))
}

fn instant(step: &Step<'_>) -> Vec<u8> {
    step.now.0.to_string().into_bytes()
}

/// A position of the change log as the id of a stream's entry.
pub(super) fn id_of(position: Position) -> String {
    format!("{}-{}", position.0, position.1)
}

/// An id of a stream's entry.
pub(super) fn position(id: &str) -> Result<Position> {
    id.split_once('-')
        .and_then(|(ms, seq)| Some(Position(ms.parse().ok()?, seq.parse().ok()?)))
        .ok_or_else(|| Error::Internal(format!("redis: {id:?} is no place in the change log")))
}

/// An entry of the change log.
pub(super) fn logged(id: &str, bytes: &[u8]) -> Result<Logged> {
    Ok(Logged { position: position(id)?, change: Arc::new(codec::decode_change(bytes)?) })
}

/// The same from a stream's fields: there is one, `c`.
pub(super) fn entry(id: &str, fields: &[Vec<u8>]) -> Result<Logged> {
    match fields {
        [_, bytes] => logged(id, bytes),
        _ => Err(Error::Internal(format!("redis: {id} on the change log is not callgate's"))),
    }
}

/// A score that is a time.
pub(super) fn score(text: &str) -> Result<Millis> {
    let score: f64 = text
        .parse()
        .map_err(|_| Error::Internal(format!("redis: the score {text:?} is no time")))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast to whole numbers saturates; times are exact in a float until the year 287396"
    )]
    Ok(Millis(score as u64))
}

/// A quarantined piece as it is kept.
pub(super) fn unpack_entry<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    rmp_serde::from_slice(bytes)
        .map_err(|error| Error::Internal(format!("a quarantined webhook cannot be read: {error}")))
}

/// A number that came back from a script.
pub(super) fn number_id(text: &str) -> Result<PhoneNumberId> {
    PhoneNumberId::parse(text, "phone_number_id")
}
