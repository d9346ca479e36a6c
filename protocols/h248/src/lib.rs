//! H.248.1 v3: messages, text encoding, transactions, packages.
