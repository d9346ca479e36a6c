//! Tokens of Annex B.2, each in its long and its short spelling.

/// A keyword. Not case sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// For people.
    pub(crate) long: &'static str,
    /// For the wire.
    pub(crate) short: &'static str,
}

impl Token {
    /// True when `word` spells this token, either way.
    pub(crate) fn is(self, word: &[u8]) -> bool {
        word.eq_ignore_ascii_case(self.short.as_bytes())
            || word.eq_ignore_ascii_case(self.long.as_bytes())
    }
}

const fn token(long: &'static str, short: &'static str) -> Token {
    Token { long, short }
}

pub(crate) const ADD: Token = token("Add", "A");
pub(crate) const AUDIT: Token = token("Audit", "AT");
pub(crate) const AUDIT_CAPABILITY: Token = token("AuditCapability", "AC");
pub(crate) const AUDIT_VALUE: Token = token("AuditValue", "AV");
pub(crate) const AUTHENTICATION: Token = token("Authentication", "AU");
pub(crate) const BOTH: Token = token("Both", "B");
pub(crate) const BOTHWAY: Token = token("Bothway", "BW");
pub(crate) const BRIEF: Token = token("Brief", "BR");
pub(crate) const BUFFER: Token = token("Buffer", "BF");
pub(crate) const CONTEXT: Token = token("Context", "C");
pub(crate) const CONTEXT_AUDIT: Token = token("ContextAudit", "CA");
pub(crate) const CONTEXT_ATTR: Token = token("ContextAttr", "CT");
pub(crate) const CONTEXT_LIST: Token = token("ContextList", "CLT");
pub(crate) const DIGIT_MAP: Token = token("DigitMap", "DM");
pub(crate) const DIRECTION: Token = token("SPADirection", "SPADI");
pub(crate) const DISCONNECTED: Token = token("Disconnected", "DC");
pub(crate) const DELAY: Token = token("Delay", "DL");
pub(crate) const DURATION: Token = token("Duration", "DR");
pub(crate) const EMBED: Token = token("Embed", "EM");
pub(crate) const EMERGENCY: Token = token("Emergency", "EG");
pub(crate) const EMERGENCY_OFF: Token = token("EmergencyOff", "EGO");
pub(crate) const EMERGENCY_VALUE: Token = token("EmergencyValue", "EGV");
pub(crate) const ERROR: Token = token("Error", "ER");
pub(crate) const EVENT_BUFFER: Token = token("EventBuffer", "EB");
pub(crate) const EVENTS: Token = token("Events", "E");
pub(crate) const EXTERNAL: Token = token("External", "EX");
pub(crate) const FAILOVER: Token = token("Failover", "FL");
pub(crate) const FORCED: Token = token("Forced", "FO");
pub(crate) const GRACEFUL: Token = token("Graceful", "GR");
pub(crate) const HAND_OFF: Token = token("HandOff", "HO");
pub(crate) const IEPS_CALL: Token = token("IEPSCall", "IEPS");
pub(crate) const IMM_ACK_REQUIRED: Token = token("ImmAckRequired", "IA");
pub(crate) const INACTIVE: Token = token("Inactive", "IN");
pub(crate) const IN_SERVICE: Token = token("InService", "IV");
pub(crate) const INTERNAL: Token = token("Internal", "IT");
pub(crate) const INTERRUPT_BY_EVENT: Token = token("IntByEvent", "IBE");
pub(crate) const INTERRUPT_BY_SIGNALS: Token = token("IntBySigDescr", "IBS");
pub(crate) const INTERSIGNAL_DELAY: Token = token("Intersignal", "SPAIS");
pub(crate) const ISOLATE: Token = token("Isolate", "IS");
pub(crate) const ITERATION: Token = token("Iteration", "IR");
pub(crate) const KEEP_ACTIVE: Token = token("KeepActive", "KA");
pub(crate) const LOCAL: Token = token("Local", "L");
pub(crate) const LOCAL_CONTROL: Token = token("LocalControl", "O");
pub(crate) const LOCK_STEP: Token = token("LockStep", "SP");
pub(crate) const LOOPBACK: Token = token("Loopback", "LB");
pub(crate) const MEDIA: Token = token("Media", "M");
pub(crate) const MEGACO: Token = token("MEGACO", "!");
pub(crate) const METHOD: Token = token("Method", "MT");
pub(crate) const MGC_ID_TO_TRY: Token = token("MgcIdToTry", "MG");
pub(crate) const MODE: Token = token("Mode", "MO");
pub(crate) const MODEM: Token = token("Modem", "MD");
pub(crate) const MODIFY: Token = token("Modify", "MF");
pub(crate) const MOVE: Token = token("Move", "MV");
pub(crate) const MTP: Token = token("MTP", "MTP");
pub(crate) const MUX: Token = token("Mux", "MX");
pub(crate) const NEVER_NOTIFY: Token = token("NeverNotify", "NBNN");
pub(crate) const NOTIFY: Token = token("Notify", "N");
pub(crate) const NOTIFY_COMPLETION: Token = token("NotifyCompletion", "NC");
pub(crate) const NOTIFY_IMMEDIATE: Token = token("ImmediateNotify", "NBIN");
pub(crate) const NOTIFY_REGULATED: Token = token("RegulatedNotify", "NBRN");
pub(crate) const OBSERVED_EVENTS: Token = token("ObservedEvents", "OE");
pub(crate) const OFF: Token = token("OFF", "OFF");
pub(crate) const ON: Token = token("ON", "ON");
pub(crate) const ONEWAY: Token = token("Oneway", "OW");
pub(crate) const ONEWAY_BOTH: Token = token("OnewayBoth", "OWB");
pub(crate) const ONEWAY_EXTERNAL: Token = token("OnewayExternal", "OWE");
pub(crate) const ON_OFF: Token = token("OnOff", "OO");
pub(crate) const OTHER_REASON: Token = token("OtherReason", "OR");
pub(crate) const OUT_OF_SERVICE: Token = token("OutOfService", "OS");
pub(crate) const PACKAGES: Token = token("Packages", "PG");
pub(crate) const PENDING: Token = token("Pending", "PN");
pub(crate) const PRIORITY: Token = token("Priority", "PR");
pub(crate) const PROFILE: Token = token("Profile", "PF");
pub(crate) const REASON: Token = token("Reason", "RE");
pub(crate) const RECEIVE_ONLY: Token = token("ReceiveOnly", "RC");
pub(crate) const REMOTE: Token = token("Remote", "R");
pub(crate) const REPLY: Token = token("Reply", "P");
pub(crate) const REQUEST_ID: Token = token("SPARequestID", "SPARQ");
pub(crate) const RESERVED_GROUP: Token = token("ReservedGroup", "RG");
pub(crate) const RESERVED_VALUE: Token = token("ReservedValue", "RV");
pub(crate) const RESET_EVENTS: Token = token("ResetEventsDescriptor", "RSE");
pub(crate) const RESPONSE_ACK: Token = token("TransactionResponseAck", "K");
pub(crate) const RESTART: Token = token("Restart", "RS");
pub(crate) const SEGMENT: Token = token("Segment", "SM");
pub(crate) const SEGMENTATION_COMPLETE: Token = token("END", "&");
pub(crate) const SELECT_AND: Token = token("ANDLgc", "ANDLgc");
pub(crate) const SELECT_OR: Token = token("ORLgc", "ORLgc");
pub(crate) const SEND_ONLY: Token = token("SendOnly", "SO");
pub(crate) const SEND_RECEIVE: Token = token("SendReceive", "SR");
pub(crate) const SERVICE_CHANGE: Token = token("ServiceChange", "SC");
pub(crate) const SERVICE_CHANGE_ADDRESS: Token = token("ServiceChangeAddress", "AD");
pub(crate) const SERVICE_CHANGE_INCOMPLETE: Token = token("ServiceChangeInc", "SIC");
pub(crate) const SERVICES: Token = token("Services", "SV");
pub(crate) const SERVICE_STATES: Token = token("ServiceStates", "SI");
pub(crate) const SIGNAL_LIST: Token = token("SignalList", "SL");
pub(crate) const SIGNALS: Token = token("Signals", "SG");
pub(crate) const SIGNAL_TYPE: Token = token("SignalType", "SY");
pub(crate) const STATISTICS: Token = token("Statistics", "SA");
pub(crate) const STREAM: Token = token("Stream", "ST");
pub(crate) const SUBTRACT: Token = token("Subtract", "S");
pub(crate) const TERMINATION_STATE: Token = token("TerminationState", "TS");
pub(crate) const TEST: Token = token("Test", "TE");
pub(crate) const TIME_OUT: Token = token("TimeOut", "TO");
pub(crate) const TOPOLOGY: Token = token("Topology", "TP");
pub(crate) const TRANSACTION: Token = token("Transaction", "T");
pub(crate) const VERSION: Token = token("Version", "V");
