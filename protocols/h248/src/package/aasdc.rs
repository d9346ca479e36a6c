//! AAS digit collection package, H.248.9 9.

use super::Type;

package! {
    "aasdc" 0x0034, version 3, extends aasb;
    events {
        /// Event: digits have been collected.
        PLAY_COLLECT_SUCCESS = "pcolsucc" 0x0002 (DIGITS, ATTEMPTS, AMOUNT_PLAYED);
    }
    signals {
        /// Signal: plays a prompt and collects digits.
        PLAY_COLLECT = "playcol" 0x0002 (
            INITIAL_PROMPT, REPROMPT, NO_DIGITS_REPROMPT, SUCCESS_ANNOUNCEMENT,
            FAILURE_ANNOUNCEMENT, NON_INTERRUPTIBLE, KEEP_DIGITS, CLEAR_BUFFER, ATTEMPTS_MAX,
            DIGIT_MAP, VOLUME
        );
    }
    parameters {
        /// Parameter of [`PLAY_COLLECT_SUCCESS`]: the digits.
        DIGITS = "dc" 0x0001: Type::String;
        /// Parameter of [`PLAY_COLLECT_SUCCESS`]: how many attempts it took.
        ATTEMPTS = "na" 0x0002: Type::Integer;
        /// Parameter of [`PLAY_COLLECT_SUCCESS`]: how much of the prompt was played before a digit
        /// ended it, in units of 10 ms.
        AMOUNT_PLAYED = "ap" 0x0003: Type::Integer;
        /// Parameter of [`PLAY_COLLECT`]: the announcement that asks for digits.
        INITIAL_PROMPT = "ip" _: Type::String;
        /// Parameter of [`PLAY_COLLECT`]: what asks again after other digits; the same without it.
        REPROMPT = "rp" _: Type::String;
        /// Parameter of [`PLAY_COLLECT`]: what asks again when none came; as [`REPROMPT`] without.
        NO_DIGITS_REPROMPT = "nd" _: Type::String;
        /// Parameter of [`PLAY_COLLECT`]: what is played when digits have been collected.
        SUCCESS_ANNOUNCEMENT = "sa" _: Type::String;
        /// Parameter of [`PLAY_COLLECT`]: what is played after the last attempt failed.
        FAILURE_ANNOUNCEMENT = "fa" _: Type::String;
        /// Parameter of [`PLAY_COLLECT`]: digits do not end the initial prompt.
        NON_INTERRUPTIBLE = "ni" _: Type::Boolean, default "OFF";
        /// Parameter of [`PLAY_COLLECT`]: digits during such a prompt count.
        KEEP_DIGITS = "kdg" 0x0007: Type::Boolean, default "OFF";
        /// Parameter of [`PLAY_COLLECT`]: digits that came before do not count.
        CLEAR_BUFFER = "cb" 0x0008: Type::Boolean, default "OFF";
        /// Parameter of [`PLAY_COLLECT`]: how often digits are asked for.
        ATTEMPTS_MAX = "mxatt" _: Type::Integer, default "1";
        /// Parameter of [`PLAY_COLLECT`]: the digit map, by name or in full.
        DIGIT_MAP = "dm" _: Type::String;
        /// Parameter of [`PLAY_COLLECT`]: louder or softer, in dB.
        VOLUME = "vl" _: Type::Integer;
    }
}
