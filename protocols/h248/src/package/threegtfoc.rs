//! 3G TFO control package, TS 29.232 15.2.2.

use super::Type;

package! {
    "threegtfoc" 0x0031, version 1;
    properties {
        /// Property: tandem free operation is on or off.
        ENABLE = "enable" 0x0001: Type::Enumeration(&[("On", 1), ("Off", 2)]);
        /// Property: codecs in the order of preference (TS 26.103).
        CODEC_LIST = "codeclist" 0x0002: Type::List(&Type::OctetString);
    }
    events {
        /// Event: another codec would be better.
        CODEC_MODIFY = "codec_modify" 0x0010 (OPTIMAL_CODEC);
        /// Event: the distant side sent its list.
        DISTANT_CODEC_LIST = "distant_codec_list" 0x0012 (DISTANT_LIST);
        /// Event: tandem free operation began or ended.
        STATUS = "status" 0x0014 (TFO_STATUS);
    }
    parameters {
        /// Parameter of [`CODEC_MODIFY`].
        OPTIMAL_CODEC = "optimalcodec" 0x0011: Type::OctetString;
        /// Parameter of [`DISTANT_CODEC_LIST`].
        DISTANT_LIST = "distlist" 0x0013: Type::List(&Type::OctetString);
        /// Parameter of [`STATUS`].
        TFO_STATUS = "tfostatus" 0x0001: Type::Boolean;
    }
}
