//! RTP and RTCP (RFC 3550): views, headers, reception statistics, quality.
