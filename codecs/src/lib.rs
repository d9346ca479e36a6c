//! Speech codecs and signals.
