//! SRTP and SRTCP: packets of anybody at a receiver, and packets of ours after damage.
#![no_main]

use libfuzzer_sys::fuzz_target;
use srtp::{MasterKey, OVERHEAD_BYTES_MAX, Receiver, Sender, Suite};
use std::sync::LazyLock;

/// A sender, a receiver that knows its key, and one for which the key has just changed.
struct Ends(Sender, Receiver, Receiver);

static ENDS: LazyLock<Vec<Ends>> = LazyLock::new(|| {
    let ends = |suite: Suite| {
        let octets = vec![5; suite.key_bytes() + suite.salt_bytes()];
        let key = MasterKey::new(suite, &octets).expect("the length is the suite's");
        let receiver = Receiver::new(std::slice::from_ref(&key)).expect("one key");
        let rekeyed = receiver.rekeyed(std::slice::from_ref(&key)).expect("one key");
        Ends(Sender::new(&key).expect("a key"), receiver, rekeyed)
    };
    Suite::ALL.into_iter().map(ends).collect()
});

fuzz_target!(|data: &[u8]| {
    for Ends(sender, receiver, rekeyed) in ENDS.iter() {
        for receiver in [receiver, rekeyed] {
            assert!(receiver.unprotect(&mut data.to_vec()).is_err());
            assert!(receiver.unprotect_rtcp(&mut data.to_vec()).is_err());
        }
        let mut buffer = data.to_vec();
        buffer.resize(data.len() + OVERHEAD_BYTES_MAX, 0);
        if let Ok(len) = sender.protect(&mut buffer, data.len()) {
            let at = data.len() % len;
            buffer[at] ^= 1;
            assert!(receiver.unprotect(&mut buffer[..len].to_vec()).is_err());
            buffer[at] ^= 1;
            // Its source may be one too many, or too far from the last packet of it.
            if let Ok(opened) = receiver.unprotect(&mut buffer[..len]) {
                assert_eq!(&buffer[..opened], data);
            }
        }
        let mut buffer = data.to_vec();
        buffer.resize(data.len() + OVERHEAD_BYTES_MAX, 0);
        if let Ok(len) = sender.protect_rtcp(&mut buffer, data.len())
            && let Ok(opened) = receiver.unprotect_rtcp(&mut buffer[..len])
        {
            assert_eq!(&buffer[..opened], data);
        }
    }
});
