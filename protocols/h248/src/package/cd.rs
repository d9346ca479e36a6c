//! Call progress tones detection package, H.248.1 E.8.

package! {
    "cd" 0x0008, version 1, extends tonedet;
    events {
        /// Event: dial tone.
        DIAL_TONE = "dt" 0x0030 ();
        /// Event: ringing tone.
        RINGING_TONE = "rt" 0x0031 ();
        /// Event: busy tone.
        BUSY_TONE = "bt" 0x0032 ();
        /// Event: congestion tone.
        CONGESTION_TONE = "ct" 0x0033 ();
        /// Event: special information tone.
        SPECIAL_INFORMATION_TONE = "sit" 0x0034 ();
        /// Event: (recording) warning tone.
        WARNING_TONE = "wt" 0x0035 ();
        /// Event: payphone recognition tone.
        PAYPHONE_RECOGNITION_TONE = "prt" 0x0036 ();
        /// Event: call waiting tone.
        CALL_WAITING_TONE = "cw" 0x0037 ();
        /// Event: caller waiting tone.
        CALLER_WAITING_TONE = "cr" 0x0038 ();
    }
}
