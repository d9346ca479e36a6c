//! Application data inactivity detection package, H.248.40.

use super::Package;

/// `adid`, version 1.
pub const PACKAGE: Package = Package::new("adid", 0x009c, 1);
