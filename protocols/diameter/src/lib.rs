//! Diameter (RFC 6733) sans-IO: codec, dictionaries, peer machine, Cx.
