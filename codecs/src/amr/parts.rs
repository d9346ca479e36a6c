//! Payloads of several frames taken apart.

use crate::amr::payload::{FRAME_BYTES_MAX, Head, Layout, NO_DATA, Payload};
use crate::amr::{Band, payload};

/// Octets of the longest part: what is asked for, interleaving, a CRC, and a frame.
pub const PART_BYTES_MAX: usize = 3 + FRAME_BYTES_MAX;

/// The frames of a payload, each as a payload of its own that is packed alike.
///
/// A packet may have frames that are apart in time (RFC 4867 3.7.2), or some that came before
/// (3.7.1). Who keeps frames by their times has them in order, and each once.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    payload: Payload<'a>,
    band: Band,
    layout: Layout,
    next: usize,
    /// There is more than frames that are not there.
    is_filled: bool,
}

impl<'a> Parts<'a> {
    /// Of a payload in this layout; `None` of what is none.
    pub fn of(band: Band, layout: Layout, octets: &'a [u8]) -> Option<Self> {
        let payload = Payload::parse(band, layout, octets).ok()?;
        Some(Self {
            payload,
            band,
            layout,
            next: 0,
            is_filled: payload.iter().any(|frame| frame.frame_type != NO_DATA),
        })
    }

    /// Writes the next part. Gives how many samples after the time of the packet it is, and its
    /// octets.
    ///
    /// Frames that are not there are left out, since another packet may have them; of a payload
    /// without any other the first is kept, for what it asks for.
    pub fn next_into(&mut self, part: &mut [u8; PART_BYTES_MAX]) -> Option<(usize, usize)> {
        loop {
            let frame = self.payload.iter().nth(self.next)?;
            self.next += 1;
            let is_told = match self.is_filled {
                true => frame.frame_type != NO_DATA,
                false => self.next == 1,
            };
            if !is_told {
                continue;
            }
            let mut file = [0; FRAME_BYTES_MAX];
            let len = frame.write_to(&mut file);
            let head = Head::from(self.payload.head().request);
            let frames = std::iter::once(&file[..len]);
            let len = payload::write(self.band, self.layout, head, frames, part)?;
            return Some((frame.offset * self.band.frame_samples(), len));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amr::NO_REQUEST;

    const LAYOUT: Layout = Layout {
        crc: true,
        interleaving: true,
        ..Layout::ALIGNED
    };

    fn parts(band: Band, layout: Layout, octets: &[u8]) -> Option<Vec<(usize, Vec<u8>)>> {
        let mut parts = Parts::of(band, layout, octets)?;
        let mut all = Vec::new();
        let mut part = [0; PART_BYTES_MAX];
        while let Some((samples, len)) = parts.next_into(&mut part) {
            all.push((samples, part[..len].to_vec()));
        }
        Some(all)
    }

    fn pack(layout: Layout, head: Head, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut payload = vec![0; 500];
        let files = frames.iter().map(Vec::as_slice);
        let len = payload::write(Band::Narrow, layout, head, files, &mut payload).unwrap();
        payload.truncate(len);
        payload
    }

    fn speech(octet: u8) -> Vec<u8> {
        [vec![0x04], vec![octet; 11], vec![0]].concat()
    }

    #[test]
    fn each_frame_is_a_payload_at_its_time() {
        let head = Head {
            request: 3,
            interleaving_length: 3,
            interleaving_index: 1,
        };
        let frames = [speech(1), vec![0x7c], speech(2)];
        let whole = pack(LAYOUT, head, &frames);
        let parts = parts(Band::Narrow, LAYOUT, &whole).unwrap();
        // What is not there is left out.
        let part = |frame: &Vec<u8>| pack(LAYOUT, Head::from(3), std::slice::from_ref(frame));
        assert_eq!(parts, [(0, part(&frames[0])), (8 * 160, part(&frames[2]))]);
    }

    #[test]
    fn a_payload_of_one_frame_is_its_only_part() {
        for layout in [Layout::EFFICIENT, Layout::ALIGNED, LAYOUT] {
            for frame in [speech(1), vec![0x7c]] {
                let whole = pack(layout, Head::from(NO_REQUEST), &[frame]);
                let parts = parts(Band::Narrow, layout, &whole).unwrap();
                assert_eq!(parts, [(0, whole)]);
            }
        }
        assert_eq!(parts(Band::Wide, LAYOUT, &[]), None);
    }

    #[test]
    fn of_nothing_one_part_stays_for_what_it_asks_for() {
        let whole = pack(Layout::EFFICIENT, Head::from(5), &[vec![0x7c], vec![0x7c]]);
        let parts = parts(Band::Narrow, Layout::EFFICIENT, &whole).unwrap();
        let one = pack(Layout::EFFICIENT, Head::from(5), &[vec![0x7c]]);
        assert_eq!(parts, [(0, one)]);
    }

    #[test]
    fn a_frame_whose_crc_does_not_hold_stays_bad() {
        let mut whole = pack(LAYOUT, Head::from(NO_REQUEST), &[speech(1), speech(2)]);
        whole[4] ^= 1;
        let parts = parts(Band::Narrow, LAYOUT, &whole).unwrap();
        let good = |part: &[u8]| {
            let part = Payload::parse(Band::Narrow, LAYOUT, part).unwrap();
            part.iter().all(|frame| frame.is_good)
        };
        assert_eq!([good(&parts[0].1), good(&parts[1].1)], [false, true]);
    }

    #[test]
    fn the_longest_frame_has_room() {
        let layout = Layout {
            robust_sorting: true,
            ..LAYOUT
        };
        let frame = [vec![0x44], vec![0xff; 59], vec![0xf8]].concat();
        let frames = [frame.as_slice(), frame.as_slice()];
        let mut whole = [0; 200];
        let len = payload::write(Band::Wide, layout, 15, frames.into_iter(), &mut whole).unwrap();
        let parts = parts(Band::Wide, layout, &whole[..len]).unwrap();
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|(_, part)| part.len() == PART_BYTES_MAX));
    }
}
