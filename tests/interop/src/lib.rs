//! Calls with real counterparts: SIPp, tshark, Erlang megaco.
