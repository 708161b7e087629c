#![no_main]

#[path = "../../tests/suite/hostile/bodies.rs"]
mod bodies;
#[path = "../../tests/suite/hostile/door.rs"]
mod door;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| bodies::webhook(data));

// Bytes alone seldom make a JSON text that is one and says something else: every other time a value
// of it is changed instead.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let body = serde_json::from_slice::<Value>(&data[..size]);
    if let (Ok(mut body), true) = (body, seed % 2 == 0) {
        let mut place = seed / 2;
        let count = values(&mut body, &mut u32::MAX.clone(), seed);
        place %= count.max(1);
        values(&mut body, &mut place, seed.rotate_left(16));
        let text = body.to_string();
        if text.len() <= max_size {
            data[..text.len()].copy_from_slice(text.as_bytes());
            return text.len();
        }
    }
    fuzzer_mutate(data, size, max_size)
});

/// Changes the value at `place`, counted down on the way. Gives how many values there are.
fn values(value: &mut Value, place: &mut u32, seed: u32) -> u32 {
    let is_here = *place == 0;
    *place = place.wrapping_sub(1);
    if is_here {
        *value = other(value, seed);
        return 1;
    }
    let inside: u32 = match value {
        Value::Array(list) => list.iter_mut().map(|value| values(value, place, seed)).sum(),
        Value::Object(fields) => {
            fields.values_mut().map(|value| values(value, place, seed)).sum()
        }
        _ => 0,
    };
    1 + inside
}

/// What might stand there instead.
fn other(value: &Value, seed: u32) -> Value {
    let others = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(2_147_483_648_u64),
        json!(u64::MAX),
        json!(""),
        json!("1794830400"),
        json!("99999999999999999999"),
        json!("é😀\u{0}"),
        json!("x".repeat(300)),
        json!([]),
        json!({}),
        json!([value, value]),
        json!({"id": value}),
    ];
    others[seed as usize % others.len()].clone()
}
