//! TrGW: RTP and RTCP relay between IP realms (TS 23.334, TS 29.238).
