//! Messages as they cross the wire: protobuf, of at most so many parts.

use std::marker::PhantomData;

use prost::{
    Message,
    bytes::Buf as _,
    encoding::{DecodeContext, decode_key, skip_field},
};
use tonic::{
    Status,
    codec::{self, DecodeBuf},
};
use tonic_prost::{ProstDecoder, ProstEncoder};

use crate::service::status;

/// Fields of a message, each item of a list by itself. A request has two lists of 1000 items at most. An
/// item takes 2 bytes on the wire and some hundred in memory, so that bytes alone are no bound.
const FIELDS_MAX: usize = 4096;

/// What `tonic_prost::ProstCodec` is, but that it counts before it unfolds.
#[derive(Debug)]
pub(crate) struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Decoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Decoder(ProstDecoder::default())
    }
}

/// See [`Codec`].
#[derive(Debug)]
pub(crate) struct Decoder<U>(ProstDecoder<U>);

impl<U: Message + Default> codec::Decoder for Decoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        count(buf.chunk())?;
        self.0.decode(buf)
    }
}

/// What is no protobuf is left to whoever reads it.
fn count(mut message: &[u8]) -> Result<(), Status> {
    let mut fields = 0;
    while !message.is_empty() {
        let Ok((tag, wire_type)) = decode_key(&mut message) else { return Ok(()) };
        if skip_field(wire_type, tag, &mut message, DecodeContext::default()).is_err() {
            return Ok(());
        }
        fields += 1;
        if FIELDS_MAX < fields {
            return Err(status::too_many_fields(FIELDS_MAX));
        }
    }
    Ok(())
}
