//! The contract's messages as JSON (protobuf's own mapping), both ways.

use std::sync::OnceLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;

use crate::proto::DESCRIPTOR_SET;

fn descriptor(name: &str) -> MessageDescriptor {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        DescriptorPool::decode(DESCRIPTOR_SET).expect("our own descriptors are well-formed")
    });
    let name = format!("callgate.v1.{name}");
    pool.get_message_by_name(&name).expect("a message of our own contract")
}

/// A message as JSON: names as in the .proto file, times as RFC 3339, enums by name; what is unset
/// is left out, but numbers and truth values are always there.
pub(super) fn of<M: Message>(name: &str, message: &M) -> Value {
    let bytes = message.encode_to_vec();
    let message = DynamicMessage::decode(descriptor(name), bytes.as_slice())
        .expect("a message reads back by its own descriptor");
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("every message has a JSON form")
}

/// Reads a message; unknown fields are errors.
pub(super) fn read<M: Message + Default>(name: &str, text: &str) -> Result<M, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(descriptor(name), &mut reader)
        .map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    M::decode(message.encode_to_vec().as_slice()).map_err(|error| error.to_string())
}

/// For printing.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
