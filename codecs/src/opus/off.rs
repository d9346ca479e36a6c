//! In place of encoder and decoder in a build without the feature `opus`: there are none.

use crate::decoder::DecodedKind;
use crate::encoder::{Encoded, EncoderConfig};
use crate::error::{DecodeError, EncodeError, Unavailable};
use crate::opus::OpusFormat;

#[derive(Debug)]
pub(crate) enum Encoder {}

impl Encoder {
    pub(crate) fn new(_: &OpusFormat, _: EncoderConfig) -> Result<Self, Unavailable> {
        Err(Unavailable::Feature("opus"))
    }

    pub(crate) fn encode(&mut self, _: &[i16], _: &mut [u8]) -> Result<Encoded, EncodeError> {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Decoder {}

impl Decoder {
    pub(crate) fn new(_: &OpusFormat) -> Result<Self, Unavailable> {
        Err(Unavailable::Feature("opus"))
    }

    pub(crate) fn begin(&mut self) {
        match *self {}
    }

    pub(crate) fn samples_in(&self, _: &[u8]) -> Result<usize, DecodeError> {
        match *self {}
    }

    pub(crate) fn decode(&mut self, _: &[u8], _: &mut [i16]) -> Result<DecodedKind, DecodeError> {
        match *self {}
    }

    pub(crate) fn conceal(&mut self, _: &mut [i16]) {
        match *self {}
    }

    pub(crate) fn recover(&mut self, _: &[u8], _: &mut [i16]) {
        match *self {}
    }
}
