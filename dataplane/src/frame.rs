//! A buffer with exactly one owner.

use inet::checksum::Sum;

/// One buffer of a back-end's pool: headroom, a UDP payload, tailroom.
///
/// A frame is moved, never copied or cloned, so that who holds it owns its bytes. Its memory
/// belongs to the pool of one back-end, which lasts as long as the process: a frame is given back
/// to that back-end ([`crate::PacketIo::free`] or by sending it), and one that is merely dropped is
/// lost to the pool.
#[derive(Debug)]
pub struct Frame {
    memory: &'static mut [u8],
    start: u16,
    end: u16,
    /// The ones' complement sum over the payload, while it is known: [`Sum::word`], which is 0 only
    /// for a payload of zeros, and that is summed again.
    sum: u32,
}

impl Frame {
    /// A frame over `memory`, at most 65 535 bytes of it, with an empty payload behind the
    /// headroom.
    #[inline]
    pub fn new(memory: &'static mut [u8]) -> Self {
        let start = memory.len().min(HEADROOM_BYTES) as u16;
        Self {
            memory,
            start,
            end: start,
            sum: UNKNOWN_SUM,
        }
    }

    /// As many frames of [`FRAME_BYTES`] in one piece of memory, which is never given back to the
    /// system.
    pub fn pool(frames: usize) -> Vec<Frame> {
        let memory = Box::leak(vec![0; frames * FRAME_STRIDE_BYTES].into_boxed_slice());
        memory::use_huge_pages(memory);
        memory
            .chunks_exact_mut(FRAME_STRIDE_BYTES)
            .map(|memory| Frame::new(&mut memory[..FRAME_BYTES]))
            .collect()
    }

    /// The frame, of which one without memory is left.
    #[inline]
    pub(crate) fn take(&mut self) -> Frame {
        let nothing = Frame {
            memory: &mut [],
            start: 0,
            end: 0,
            sum: UNKNOWN_SUM,
        };
        std::mem::replace(self, nothing)
    }

    /// It has no memory.
    pub(crate) fn is_taken(&self) -> bool {
        self.memory.is_empty()
    }

    /// The memory back, for the back-end it belongs to.
    #[inline]
    pub fn into_memory(self) -> &'static mut [u8] {
        self.memory
    }

    /// The UDP payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.memory[usize::from(self.start)..usize::from(self.end)]
    }

    /// The UDP payload, to be changed in place.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        self.sum = UNKNOWN_SUM;
        &mut self.memory[usize::from(self.start)..usize::from(self.end)]
    }

    /// Bytes before the payload: room for the headers of the outgoing datagram.
    #[inline]
    pub fn headroom(&self) -> usize {
        usize::from(self.start)
    }

    /// Bytes behind the payload: room for an authentication tag.
    #[inline]
    pub fn tailroom(&self) -> usize {
        self.capacity() - usize::from(self.end)
    }

    /// Everything behind the usual headroom, to receive into; [`Frame::received`] then says how
    /// much came.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        self.sum = UNKNOWN_SUM;
        let headroom = self.memory.len().min(HEADROOM_BYTES);
        &mut self.memory[headroom..]
    }

    /// Makes the first `bytes` of [`Frame::space`] the payload; false, and no payload, when they
    /// exceed it.
    #[inline]
    pub fn received(&mut self, bytes: usize) -> bool {
        let headroom = self.capacity().min(HEADROOM_BYTES);
        self.set_payload(headroom, bytes)
    }

    /// Makes `bytes` from offset `start` of the memory the payload; false, and no payload, when
    /// they exceed it.
    #[inline]
    pub fn set_payload(&mut self, start: usize, bytes: usize) -> bool {
        let end = start.saturating_add(bytes);
        let fits = end <= self.capacity();
        let (start, end) = if fits { (start, end) } else { (0, 0) };
        // Both are at most the capacity, and that fits 16 bits.
        (self.start, self.end) = (start as u16, end as u16);
        self.sum = UNKNOWN_SUM;
        fits
    }

    /// Notes the sum over the payload, which a back-end found while it verified a checksum. It is
    /// forgotten when the payload can have changed.
    #[inline]
    pub fn set_payload_sum(&mut self, sum: Option<Sum>) {
        self.sum = sum.map_or(UNKNOWN_SUM, Sum::word);
    }

    /// The sum over the payload, where it is known.
    #[inline]
    pub fn payload_sum(&self) -> Option<Sum> {
        (self.sum != UNKNOWN_SUM).then(|| Sum::from_word(self.sum))
    }

    /// Has the payload rewritten: `rewrite` sees it with all the tailroom behind it, is told its
    /// length and returns the new one. An error leaves the length as it was.
    ///
    /// # Errors
    /// Those of `rewrite`.
    pub fn rewrite<E>(
        &mut self,
        rewrite: impl FnOnce(&mut [u8], usize) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.sum = UNKNOWN_SUM;
        let (start, end) = (usize::from(self.start), usize::from(self.end));
        let capacity = self.capacity();
        let bytes = rewrite(&mut self.memory[start..capacity], end - start)?;
        self.set_payload(start, bytes);
        Ok(())
    }

    /// Copies `bytes` in as the payload; false, and no payload, when they do not fit.
    pub fn fill(&mut self, bytes: &[u8]) -> bool {
        let fits = self.received(bytes.len());
        if fits {
            self.payload_mut().copy_from_slice(bytes);
        }
        fits
    }

    #[inline]
    fn capacity(&self) -> usize {
        self.memory.len().min(usize::from(u16::MAX))
    }
}

impl AsMut<[u8]> for Frame {
    fn as_mut(&mut self) -> &mut [u8] {
        self.space()
    }
}

/// Memory of one frame of our own pools; the chunk size of an AF_XDP UMEM, half a page.
pub const FRAME_BYTES: usize = 2048;

/// From one frame of our own pools to the next: a cache line more than it needs. At a power of two
/// headers and payloads of all frames would share a few sets of a cache.
const FRAME_STRIDE_BYTES: usize = FRAME_BYTES + memory::LINE_BYTES;

const UNKNOWN_SUM: u32 = 0;

/// Space before a received payload: more than Ethernet, two VLAN tags, IPv6, ESP and UDP headers.
pub const HEADROOM_BYTES: usize = 256;

/// The longest payload of our own pools; above what a 1 500 byte MTU carries.
pub const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES - HEADROOM_BYTES;

const _: () = assert!(PAYLOAD_BYTES_MAX > 1500);
const _: () = assert!(FRAME_BYTES <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_keeps_head_and_tailroom() {
        let mut frame = Frame::pool(1).pop().unwrap();
        assert!(frame.fill(b"abc"));
        assert_eq!(frame.payload(), b"abc");
        assert_eq!(frame.headroom(), HEADROOM_BYTES);
        assert_eq!(frame.tailroom(), PAYLOAD_BYTES_MAX - 3);
        frame.payload_mut()[0] = b'x';
        assert_eq!(frame.payload(), b"xbc");
    }

    #[test]
    fn a_payload_beyond_the_frame_is_refused() {
        let mut frame = Frame::pool(1).pop().unwrap();
        assert!(frame.received(PAYLOAD_BYTES_MAX));
        assert_eq!(frame.tailroom(), 0);
        assert!(!frame.received(PAYLOAD_BYTES_MAX + 1));
        assert!(frame.payload().is_empty());
        assert!(!frame.set_payload(usize::MAX, 2));
        assert!(frame.payload().is_empty());
    }

    #[test]
    fn a_payload_is_rewritten_with_its_tailroom() {
        let mut frame = Frame::pool(1).pop().unwrap();
        assert!(frame.fill(b"abc"));
        let longer = frame.rewrite(|buffer, len| {
            assert_eq!(
                (&buffer[..len], buffer.len()),
                (&b"abc"[..], PAYLOAD_BYTES_MAX)
            );
            buffer[len] = b'd';
            Ok::<_, ()>(len + 1)
        });
        assert_eq!((longer, frame.payload()), (Ok(()), &b"abcd"[..]));
        assert_eq!(frame.rewrite(|_, _| Err(7)), Err(7));
        assert_eq!(frame.rewrite(|_, _| Ok::<_, ()>(2)), Ok(()));
        assert_eq!(frame.payload(), b"ab");
        assert_eq!(frame.rewrite(|_, _| Ok::<_, ()>(usize::MAX)), Ok(()));
        assert!(frame.payload().is_empty());
    }

    #[test]
    fn a_sum_is_forgotten_with_whatever_may_change_the_payload() {
        let sum = Some(Sum::ZERO.bytes(b"abcd"));
        let changes: [fn(&mut Frame); 6] = [
            |frame| assert!(frame.fill(b"abcd")),
            |frame| assert!(frame.received(4)),
            |frame| assert!(frame.set_payload(HEADROOM_BYTES, 4)),
            |frame| frame.payload_mut()[0] = b'x',
            |frame| frame.space()[0] = b'x',
            |frame| assert!(frame.rewrite(|_, _| Err(())).is_err()),
        ];
        for change in changes {
            let mut frame = Frame::pool(1).pop().unwrap();
            assert!(frame.fill(b"abcd"));
            assert!(frame.payload_sum().is_none());
            frame.set_payload_sum(sum);
            assert_eq!(frame.payload_sum().map(Sum::folded), sum.map(Sum::folded));
            change(&mut frame);
            assert!(frame.payload_sum().is_none());
        }
    }

    #[test]
    fn frames_of_a_pool_do_not_overlap() {
        let mut frames = Frame::pool(3);
        for (index, frame) in frames.iter_mut().enumerate() {
            frame.space().fill(index as u8);
            frame.received(PAYLOAD_BYTES_MAX);
        }
        for (index, frame) in frames.iter().enumerate() {
            assert!(frame.payload().iter().all(|&byte| byte == index as u8));
        }
    }
}
