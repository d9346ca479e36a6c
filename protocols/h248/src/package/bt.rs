//! Bearer control tunnelling package, Q.1950 A.7.

use super::Type;

package! {
    "bt" 0x0022, version 1;
    properties {
        /// Property: in the reply to the command, at any time, or not.
        OPTIONS = "TunOpt" 0x0001: Type::Enumeration(&[("1", 1), ("2", 2), ("NO", 3)]);
    }
    events {
        /// Event: the bearer control has something to send.
        INDICATION = "TIND" 0x0001 (TRANSPORT_DATA);
    }
    signals {
        /// Signal: passes something to the bearer control.
        TRANSPORT = "BIT" 0x0001 (TRANSPORT_DATA);
    }
    parameters {
        /// Parameter: a message of the bearer control, IPBCP (Q.1970) for example.
        TRANSPORT_DATA = "BIT" 0x0001: Type::OctetString;
    }
}
