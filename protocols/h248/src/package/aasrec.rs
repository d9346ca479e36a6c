//! AAS recording package, H.248.9 10.

use super::Type;

package! {
    "aasrec" 0x0035, version 3, extends aasb;
    events {
        /// Event: something has been recorded.
        PLAY_RECORD_SUCCESS = "precsucc" 0x0002
            (AMOUNT_PLAYED, ATTEMPTS, RESULT, RECORDING, DURATION, END_KEY_PRESSED);
    }
    signals {
        /// Signal: plays a prompt and records what is said.
        PLAY_RECORD = "playrec" 0x0002 (
            INITIAL_PROMPT, NO_SPEECH_REPROMPT, SUCCESS_ANNOUNCEMENT, FAILURE_ANNOUNCEMENT,
            ATTEMPTS_MAX, PRE_SPEECH_TIMER, POST_SPEECH_TIMER, RECORDING_LENGTH_TIMER,
            RECORDING_ID, VOLUME, END_KEY
        );
    }
    parameters {
        /// Parameter of [`PLAY_RECORD_SUCCESS`]: how much of the prompt was played before speech
        /// ended it, in units of 10 ms.
        AMOUNT_PLAYED = "ap" 0x0001: Type::Integer;
        /// Parameter of [`PLAY_RECORD_SUCCESS`]: how many attempts it took.
        ATTEMPTS = "na" 0x0002: Type::Integer;
        /// Parameter of [`PLAY_RECORD_SUCCESS`]: what ended it.
        RESULT = "res" 0x0003: Type::String;
        /// Parameter of [`PLAY_RECORD_SUCCESS`]: what the recording is called.
        RECORDING = "ri" 0x0004: Type::String;
        /// Parameter of [`PLAY_RECORD_SUCCESS`]: its length, in ms.
        DURATION = "rdur" 0x0005: Type::Integer;
        /// Parameter of [`PLAY_RECORD_SUCCESS`]: the key that ended it.
        END_KEY_PRESSED = "ek" 0x0006: Type::String;
        /// Parameter of [`PLAY_RECORD`]: the announcement that asks to speak.
        INITIAL_PROMPT = "ip" 0x0001: Type::String;
        /// Parameter of [`PLAY_RECORD`]: what asks again when nothing is said.
        NO_SPEECH_REPROMPT = "ns" 0x0002: Type::String;
        /// Parameter of [`PLAY_RECORD`]: what is played when something has been recorded.
        SUCCESS_ANNOUNCEMENT = "sa" 0x0003: Type::String;
        /// Parameter of [`PLAY_RECORD`]: what is played after the last attempt failed.
        FAILURE_ANNOUNCEMENT = "fa" 0x0004: Type::String;
        /// Parameter of [`PLAY_RECORD`]: how often it is asked for.
        ATTEMPTS_MAX = "mxatt" 0x0005: Type::Integer, default "1";
        /// Parameter of [`PLAY_RECORD`]: how long speech is waited for, in units of 100 ms.
        PRE_SPEECH_TIMER = "prt" 0x0006: Type::Integer;
        /// Parameter of [`PLAY_RECORD`]: the silence that ends it, in units of 100 ms.
        POST_SPEECH_TIMER = "pst" 0x0007: Type::Integer;
        /// Parameter of [`PLAY_RECORD`]: how long it may be, in units of 100 ms.
        RECORDING_LENGTH_TIMER = "rlt" 0x0008: Type::Integer;
        /// Parameter of [`PLAY_RECORD`]: what the recording is to be called.
        RECORDING_ID = "rid" 0x0009: Type::String;
        /// Parameter of [`PLAY_RECORD`]: louder or softer, in dB.
        VOLUME = "vl" 0x000b: Type::Integer;
        /// Parameter of [`PLAY_RECORD`]: the keys that end it.
        END_KEY = "eik" 0x0010: Type::String;
    }
}
