//! Call type discrimination package, H.248.2 9.

use super::Type;

package! {
    "ctyp" 0x0011, version 3;
    events {
        /// Event: a tone that tells fax, text telephones and modems apart.
        DISCRIMINATING_TONE = "dtone" 0x0001 (TONE_TYPE);
        /// Event: what the call is.
        RESULT = "calldisres" 0x0002 ();
    }
    parameters {
        /// Parameter of [`DISCRIMINATING_TONE`]: which tone.
        TONE_TYPE = "dtt" 0x0001: Type::Enumeration(&[
            ("CNG", 0x01),
            ("V21flag", 0x02),
            ("XCI", 0x03),
            ("V18txp1", 0x04),
            ("V18txp2", 0x05),
            ("BellHi", 0x06),
            ("BellLo", 0x07),
            ("Baudot45", 0x08),
            ("Baudot50", 0x09),
            ("Edt", 0x0a),
            ("DTMF", 0x0b),
            ("Sig", 0x0c),
            ("CT", 0x0d),
            ("V21hi", 0x0e),
            ("V21lo", 0x0f),
            ("V23hi", 0x10),
            ("V23lo", 0x11),
            ("CI", 0x12),
            ("ANS", 0x13),
            ("ANSbar", 0x14),
            ("ANSAM", 0x15),
            ("ANSAMbar", 0x16),
            ("CM", 0x17),
            ("CJ", 0x18),
            ("JM", 0x19),
            ("ENDOFSIG", 0x1a),
            ("V8BIS", 0x1b),
            ("CTM", 0x1c),
        ]);
    }
}
