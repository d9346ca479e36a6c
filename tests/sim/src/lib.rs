//! A seeded virtual network on virtual time.
