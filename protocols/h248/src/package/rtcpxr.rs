//! RTCP XR base package, H.248.30; its items have no confirmed names.

package! {
    "rtcpxr" 0x0080, version 1;
}
