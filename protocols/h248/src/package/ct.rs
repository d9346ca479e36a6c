//! Basic continuity package, H.248.1 E.10.

use super::Type;

package! {
    "ct" 0x000a, version 1;
    events {
        /// Event: the test ended.
        COMPLETION = "cmp" 0x0005 (RESULT);
    }
    signals {
        /// Signal: sends the tone of the test.
        TEST = "ct" 0x0003 ();
        /// Signal: answers the tone of the test.
        RESPOND = "rsp" 0x0004 ();
    }
    parameters {
        /// Parameter of [`COMPLETION`].
        RESULT = "res" 0x0008: Type::Enumeration(&[("failure", 0), ("success", 1)]);
    }
}
