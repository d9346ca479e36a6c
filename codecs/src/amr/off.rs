//! In place of encoder and decoder in a build without the feature `amr`: there are none.

use crate::amr::{AmrFormat, Band, Parts};
use crate::decoder::DecodedKind;
use crate::encoder::{Encoded, EncoderConfig};
use crate::error::{DecodeError, EncodeError, Unavailable};
use crate::evs::EvsFormat;

#[derive(Debug)]
pub(crate) enum Encoder {}

impl Encoder {
    pub(crate) fn new(_: Band, _: &AmrFormat, _: EncoderConfig) -> Result<Self, Unavailable> {
        Err(Unavailable::Feature("amr"))
    }

    pub(crate) fn of_evs(_: &EvsFormat, _: EncoderConfig) -> Result<Self, Unavailable> {
        Err(Unavailable::Feature("amr"))
    }

    pub(crate) fn payload_bytes(&self, _: usize) -> usize {
        match *self {}
    }

    pub(crate) fn request_mode(&mut self, _: u8) {
        match *self {}
    }

    pub(crate) fn modes(&self) -> (u8, u8) {
        match *self {}
    }

    pub(crate) fn ask_peer(&mut self, _: Option<u8>) {
        match *self {}
    }

    pub(crate) fn begin(&mut self, _: &[i16]) {
        match *self {}
    }

    pub(crate) fn behind_samples(&self) -> usize {
        match *self {}
    }

    pub(crate) fn encode(&mut self, _: &[i16], _: &mut [u8]) -> Result<Encoded, EncodeError> {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Decoder {}

impl Decoder {
    pub(crate) fn new(_: Band, _: &AmrFormat) -> Result<Self, Unavailable> {
        Err(Unavailable::Feature("amr"))
    }

    pub(crate) fn of_evs(_: &EvsFormat) -> Result<Self, Unavailable> {
        Err(Unavailable::Feature("amr"))
    }

    pub(crate) fn begin(&mut self) {
        match *self {}
    }

    pub(crate) fn parts<'a>(&self, _: &'a [u8]) -> Option<Parts<'a>> {
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

    pub(crate) fn requested_mode(&self) -> Option<u8> {
        match *self {}
    }
}
