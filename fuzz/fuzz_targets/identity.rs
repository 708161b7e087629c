#![no_main]

#[path = "../../tests/suite/hostile/bodies.rs"]
mod bodies;
#[path = "../../tests/suite/hostile/door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::identity(data));
