//! What an answer takes over from its request, RFC 6733 6.2.

use crate::dictionary::{Dictionary, base};
use crate::error::Error;
use crate::message::{Avps, CommandFlags, HEADER_BYTES, Header, Message, field};
use crate::result::ResultCode;
use crate::writer::Writer;

/// Origin-Host and Origin-Realm: who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Origin-Host.
    pub host: String,
    /// Origin-Realm.
    pub realm: String,
}

/// The parts of a request its answer repeats: identifiers, P bit, Session-Id and Proxy-Info.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    header: Header,
    session_id: Option<Box<[u8]>>,
    proxy_info: Box<[u8]>,
}

/// STATE_MAINTAINED is 0; Cx and its like keep no session, RFC 6733 8.11.
const NO_STATE_MAINTAINED: u32 = 1;

impl ReplyTo {
    /// That of a request.
    pub fn new(request: &Message<'_>) -> ReplyTo {
        ReplyTo::from_parts(request.header, request.avps())
    }

    /// That of a request whose AVPs, length or version cannot be trusted: what stands before the
    /// fault. `None` for an answer, which is never answered, and for less than a header.
    pub fn salvage(bytes: &[u8]) -> Option<ReplyTo> {
        let header = Header::read(bytes.first_chunk::<HEADER_BYTES>()?);
        let avps = Avps(&bytes[field::AVPS]);
        header
            .flags
            .is_request()
            .then(|| ReplyTo::from_parts(header, avps))
    }

    fn from_parts(header: Header, avps: Avps<'_>) -> ReplyTo {
        let mut session_id = None;
        let mut proxy_info = Writer::bare();
        for avp in avps {
            if avp.is(&base::SESSION_ID) && session_id.is_none() {
                session_id = Some(avp.data.into());
            }
            if avp.is(&base::PROXY_INFO) {
                proxy_info.copy(&avp);
            }
        }
        ReplyTo {
            header,
            session_id,
            proxy_info: proxy_info.into_bytes().into_boxed_slice(),
        }
    }

    /// The header of the request.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Starts the answer: header, Session-Id.
    pub fn answer(&self) -> Writer {
        self.start(0)
    }

    /// Ends the answer: Proxy-Info in the order received.
    ///
    /// # Errors
    /// `Limit` when the answer is too long.
    pub fn finish(&self, mut answer: Writer) -> Result<Vec<u8>, Error> {
        answer.raw(&self.proxy_info);
        answer.finish()
    }

    /// The answer that carries nothing but a result, with the E bit for protocol errors (RFC 6733
    /// 7.2).
    ///
    /// `application` adds what every answer of the application must have.
    ///
    /// # Errors
    /// `Limit` when Proxy-Info makes it too long.
    pub fn result(
        &self,
        origin: &Origin,
        result: ResultCode,
        application: Option<&Dictionary>,
    ) -> Result<Vec<u8>, Error> {
        self.finish(self.bare_result(origin, result, application))
    }

    /// The answer to a request with this fault: Result-Code and, if the message can hold it,
    /// Failed-AVP.
    ///
    /// # Errors
    /// `Limit` when Proxy-Info makes it too long.
    pub fn error(
        &self,
        origin: &Origin,
        error: &Error,
        application: Option<&Dictionary>,
    ) -> Result<Vec<u8>, Error> {
        let mut answer = self.bare_result(origin, error.result_code(), application);
        if let Some(avp) = error.failed_avp() {
            answer.group(&base::FAILED_AVP, |inside| inside.raw(avp.as_bytes()));
        }
        self.finish(answer)
            .or_else(|_| self.result(origin, error.result_code(), application))
    }

    fn bare_result(
        &self,
        origin: &Origin,
        result: ResultCode,
        application: Option<&Dictionary>,
    ) -> Writer {
        let protocol_error = result.is_protocol_error();
        let mut answer = self.start(if protocol_error {
            CommandFlags::ERROR
        } else {
            0
        });
        if let (false, Some(application)) = (protocol_error, application) {
            write_application(&mut answer, application);
        }
        answer.u32(&base::RESULT_CODE, result.0);
        answer.text(&base::ORIGIN_HOST, &origin.host);
        answer.text(&base::ORIGIN_REALM, &origin.realm);
        answer
    }

    fn start(&self, flags: u8) -> Writer {
        let mut writer = Writer::new(Header {
            flags: CommandFlags(self.header.flags.0 & CommandFlags::PROXIABLE | flags),
            ..self.header
        });
        if let Some(session_id) = &self.session_id {
            writer.octets(&base::SESSION_ID, session_id);
        }
        writer
    }
}

/// Vendor-Specific-Application-Id and Auth-Session-State of a 3GPP application.
pub(crate) fn write_application(writer: &mut Writer, application: &Dictionary) {
    let Some(vendor) = application.vendor else {
        return;
    };
    writer.group(&base::VENDOR_SPECIFIC_APPLICATION_ID, |inside| {
        inside.u32(&base::VENDOR_ID, vendor);
        inside.u32(&base::AUTH_APPLICATION_ID, application.application);
    });
    writer.u32(&base::AUTH_SESSION_STATE, NO_STATE_MAINTAINED);
}
