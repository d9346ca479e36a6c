//! Batched UDP sockets: recvmmsg and sendmmsg behind a safe interface.
