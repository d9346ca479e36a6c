//! Packets are protected and opened without any allocation, also while keys change.

use srtp::{MasterKey, Receiver, Sender, Suite};

#[test]
fn no_packet_allocates() {
    for suite in Suite::ALL {
        let octets = vec![3; suite.key_bytes() + suite.salt_bytes()];
        let key = MasterKey::new(suite, &octets).unwrap();
        let sender = Sender::new(&key).unwrap();
        let receiver = Receiver::new(std::slice::from_ref(&key)).unwrap();
        let rekeyed = receiver.rekeyed(&[key]).unwrap();
        let mut buffer = [0; 256];
        let counted = allocation_counter::measure(|| {
            for (number, receiver) in (0..200_u16).zip([&receiver, &rekeyed].into_iter().cycle()) {
                buffer[..12].copy_from_slice(&[0x80, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
                buffer[2..4].copy_from_slice(&number.to_be_bytes());
                let len = sender.protect(&mut buffer, 172).unwrap();
                assert_eq!(receiver.unprotect(&mut buffer[..len]), Ok(172));
                buffer[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 1]);
                let len = sender.protect_rtcp(&mut buffer, 32).unwrap();
                assert_eq!(receiver.unprotect_rtcp(&mut buffer[..len]), Ok(32));
                assert!(receiver.unprotect_rtcp(&mut buffer[..len]).is_err());
            }
        });
        assert_eq!(counted.count_total, 0, "{suite}");
    }
}
