//! Hanging termination detection package, H.248.36.

use super::Package;

/// `hangterm`, version 1.
pub const PACKAGE: Package = Package::new("hangterm", 0x0098, 1);
