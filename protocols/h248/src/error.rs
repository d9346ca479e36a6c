//! Error codes, H.248.8.

use std::fmt;

/// ErrorCode, H.248.8: any number; those this crate knows have a name and a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u16);

macro_rules! error_codes {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        impl ErrorCode {
            $(#[doc = $text] pub const $name: ErrorCode = ErrorCode($code);)*

            /// Every code with a name.
            pub const KNOWN: &[ErrorCode] = &[$(Self::$name),*];

            /// The words for this code, `None` when the number is unknown.
            pub const fn text(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    SYNTAX_IN_MESSAGE = 400, "Syntax error in message";
    PROTOCOL_ERROR = 401, "Protocol error";
    UNAUTHORIZED = 402, "Unauthorized";
    SYNTAX_IN_TRANSACTION_REQUEST = 403, "Syntax error in transaction request";
    VERSION_NOT_SUPPORTED = 406, "Version not supported";
    INCORRECT_IDENTIFIER = 410, "Incorrect identifier";
    UNKNOWN_CONTEXT = 411, "The transaction refers to an unknown ContextID";
    NO_CONTEXT_AVAILABLE = 412, "No ContextIDs available";
    TOO_MANY_TRANSACTIONS = 413, "Number of transactions in message exceeds maximum";
    UNKNOWN_ACTION = 421, "Unknown action or illegal combination of actions";
    SYNTAX_IN_ACTION = 422, "Syntax error in action";
    UNKNOWN_TERMINATION = 430, "Unknown TerminationID";
    NO_TERMINATION_MATCHED = 431, "No TerminationID matched a wildcard";
    NO_TERMINATION_AVAILABLE = 432, "Out of TerminationIDs or no TerminationID available";
    ALREADY_IN_CONTEXT = 433, "TerminationID is already in a context";
    TOO_MANY_TERMINATIONS = 434, "Max number of terminations in a context exceeded";
    NOT_IN_CONTEXT = 435, "Termination ID is not in specified context";
    UNKNOWN_PACKAGE = 440, "Unsupported or unknown package";
    MISSING_REMOTE_OR_LOCAL = 441, "Missing remote or local descriptor";
    SYNTAX_IN_COMMAND = 442, "Syntax error in command";
    UNKNOWN_COMMAND = 443, "Unsupported or unknown command";
    UNKNOWN_DESCRIPTOR = 444, "Unsupported or unknown descriptor";
    UNKNOWN_PROPERTY = 445, "Unsupported or unknown property";
    UNKNOWN_PARAMETER = 446, "Unsupported or unknown parameter";
    DESCRIPTOR_NOT_LEGAL = 447, "Descriptor not legal in this command";
    DESCRIPTOR_TWICE = 448, "Descriptor appears twice in a command";
    UNKNOWN_VALUE = 449, "Unsupported or unknown parameter or property value";
    NO_SUCH_PROPERTY = 450, "No such property in this package";
    NO_SUCH_EVENT = 451, "No such event in this package";
    NO_SUCH_SIGNAL = 452, "No such signal in this package";
    NO_SUCH_STATISTIC = 453, "No such statistic in this package";
    NO_SUCH_PARAMETER_VALUE = 454, "No such parameter value in this package";
    PROPERTY_ILLEGAL = 455, "Property illegal in this descriptor";
    PROPERTY_TWICE = 456, "Property appears twice in this descriptor";
    MISSING_PARAMETER = 457, "Missing parameter in signal or event";
    UNEXPECTED_EVENT = 458, "Unexpected event/request ID";
    UNKNOWN_PROFILE = 459, "Unsupported or unknown profile";
    STATISTIC_ON_STREAM = 460, "Unable to set statistic on stream";
    UNKNOWN_PROFILE_IN_REQUEST = 461, "Unsupported or unknown profile";
    IMPLIED_ADD_FAILURE = 471, "Implied Add for multiplex failure";
    INFORMATION_MISSING = 472, "Required information missing";
    CONFLICTING_VALUES = 473, "Conflicting property values";
    INVALID_SDP = 474, "Invalid SDP syntax";
    CANNOT_PAUSE_SIGNAL = 475, "Unable to pause the playout of the signal";
    CANNOT_ADJUST_SPEED = 476, "Unable to adjust the data delivery speed of the signal";
    CANNOT_ADJUST_SCALE = 477, "Unable to adjust the playback relative scale of the signal";
    CONTRADICTS_RESOURCE_RULE = 478, "Behaviour contradicts resource rule";
    INTERNAL_SOFTWARE_FAILURE = 500, "Internal software failure in MG";
    NOT_IMPLEMENTED = 501, "Not implemented";
    NOT_READY = 502, "Not ready";
    SERVICE_UNAVAILABLE = 503, "Service unavailable";
    COMMAND_FROM_UNAUTHORIZED = 504, "Command received from unauthorized entity";
    BEFORE_RESTART = 505, "Transaction request received before a ServiceChange reply has been received";
    PENDING_EXCEEDED = 506, "Number of transaction pendings exceeded";
    INSUFFICIENT_RESOURCES = 510, "Insufficient resources";
    TEMPORARILY_BUSY = 511, "Temporarily busy";
    CANNOT_DETECT_EVENT = 512, "Media gateway unequipped to detect requested event";
    CANNOT_GENERATE_SIGNAL = 513, "Media gateway unequipped to generate requested signals";
    CANNOT_SEND_ANNOUNCEMENT = 514, "Media gateway cannot send the specified announcement";
    UNSUPPORTED_MEDIA_TYPE = 515, "Unsupported media type";
    UNSUPPORTED_MODE = 517, "Unsupported or invalid mode";
    EVENT_BUFFER_FULL = 518, "Event buffer full";
    NO_DIGIT_MAP_SPACE = 519, "Out of space to store digit map";
    UNDEFINED_DIGIT_MAP = 520, "Digit map undefined in the MG";
    TERMINATION_SERVICE_CHANGING = 521, "Termination is ServiceChanging";
    TOPOLOGY_NOT_SUPPORTED = 522, "Functionality requested in topology triple not supported";
    INSUFFICIENT_BANDWIDTH = 526, "Insufficient bandwidth";
    INTERNAL_HARDWARE_FAILURE = 529, "Internal hardware failure in MG";
    TEMPORARY_NETWORK_FAILURE = 530, "Temporary network failure";
    PERMANENT_NETWORK_FAILURE = 531, "Permanent network failure";
    AUDITED_PROPERTY_UNKNOWN = 532, "Audited property, statistic, event or signal does not exist";
    RESPONSE_TOO_BIG = 533, "Response exceeds maximum transport PDU size";
    ILLEGAL_WRITE = 534, "Illegal write or read only property";
    UNEXPECTED_INITIAL_HOOK_STATE = 540, "Unexpected initial hook state";
    UNEXPECTED_SPARE_BIT = 541, "Unexpected spare bit state";
    COMMAND_NOT_ALLOWED_ON_TERMINATION = 542, "Command is not allowed on this termination";
    TIMESTAMP_NOT_SUPPORTED = 543, "MGC requested event detection timestamp not supported";
    DOES_NOT_EXIST = 581, "Does not exist";
    ANNOUNCEMENT_SYNTAX = 600, "Illegal syntax within an announcement specification";
    VARIABLE_TYPE_NOT_SUPPORTED = 601, "Variable type not supported";
    VARIABLE_OUT_OF_RANGE = 602, "Variable value out of range";
    CATEGORY_NOT_SUPPORTED = 603, "Category not supported";
    SELECTOR_TYPE_NOT_SUPPORTED = 604, "Selector type not supported";
    SELECTOR_VALUE_NOT_SUPPORTED = 605, "Selector value not supported";
    UNKNOWN_SEGMENT = 606, "Unknown segment ID";
    PLAY_MISMATCH = 607, "Mismatch between play specification and provisioned data";
    PROVISIONING_ERROR = 608, "Provisioning error";
    INVALID_OFFSET = 609, "Invalid offset";
    NO_FREE_SEGMENT = 610, "No free segment IDs";
    TEMPORARY_SEGMENT_NOT_FOUND = 611, "Temporary segment not found";
    SEGMENT_IN_USE = 612, "Segment in use";
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => write!(f, "{} {text}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
