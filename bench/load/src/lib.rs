//! SIP user agents and RTP generators for load and demonstration.
