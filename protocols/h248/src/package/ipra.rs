//! IP realm availability package, H.248.41 Amendment 1.

use super::Package;

/// `ipra`, version 1.
pub const PACKAGE: Package = Package::new("ipra", 0x00e0, 1);
