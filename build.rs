//! Compiles the contract. protox reads the .proto files, so no system `protoc` is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(
        [
            "callgate/v1/call_permission.proto",
            "callgate/v1/config.proto",
            "callgate/v1/quarantine.proto",
        ],
        ["proto"],
    )?;
    // The same set answers gRPC reflection.
    let out = PathBuf::from(env::var("OUT_DIR")?).join("callgate_descriptor.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    let services = tonic_prost_build::configure().codec_path("crate::service::codec::Codec");
    services.compile_fds(descriptors)?;
    Ok(())
}
