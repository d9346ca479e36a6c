//! Telling a UE that the network has lost its registration (TS 24.229 5.2.6.3.2A, 5.4.3.2, 7.6; TS
//! 23.380 4.4).

use sip::{Draft, HeaderName, Message};

/// The 3GPP IM CN subsystem XML body.
const CONTENT_TYPE: &str = "application/3gpp-ims+xml";

/// 504 to an initial request of a UE, which makes it register anew.
///
/// `own` is the URI by which the UE knows who says so: that of the P-CSCF in Path, or of the S-CSCF
/// in Service-Route.
pub(crate) fn response(request: &Message, tag: &str, own: &str, reason: &str) -> Draft {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ims-3gpp version=\"1\"><alternative-service><type>restoration</type>\
         <reason>{reason}</reason><action>initial-registration</action>\
         </alternative-service></ims-3gpp>\n"
    );
    let mut draft = request.response(504, "");
    draft
        .to_tag(tag)
        .append(HeaderName::PAssertedIdentity, &format!("<{own}>"))
        .set_body(CONTENT_TYPE, body);
    draft
}
