//! The XDP program, written as instructions, and what it takes to write it.

use std::os::fd::{AsRawFd, BorrowedFd};

/// One instruction of eBPF, RFC 9669 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(crate) struct Instruction {
    code: u8,
    /// Destination register in the lower four bits, source in the upper.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// Bytes of a key of the address map: a VLAN (0: none) after an address, IPv4 mapped into IPv6.
pub(crate) const KEY_BYTES: usize = 20;
/// Bytes of its values: first and last port.
pub(crate) const VALUE_BYTES: usize = 4;

/// What becomes of a frame that is for us and whose queue has no socket, and of all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    #[cfg(test)]
    Drop = 1,
    Pass = 2,
}

/// The program: unfragmented UDP to an address in `addresses` and a port of its range goes to the
/// socket of its queue in `sockets`, everything else to the kernel.
///
/// Frames may have one VLAN tag, IPv4 options, but no IPv6 extension header, of which the fragment
/// header is one. Where the queue has no socket, `otherwise` is done.
pub(crate) fn redirect(
    addresses: BorrowedFd<'_>,
    sockets: BorrowedFd<'_>,
    otherwise: Action,
) -> Vec<Instruction> {
    let mut program = Assembler::default();
    let p = &mut program;
    // The context is kept across calls; the frame is from `CURSOR` to `END`.
    p.move_register(CONTEXT, R1);
    p.load(Size::Word, CURSOR, R1, context::DATA);
    p.load(Size::Word, END, R1, context::DATA_END);
    ethernet(p);
    ipv4(p);
    ipv6(p);
    udp(p, addresses);
    // Into the socket of this queue.
    p.load(Size::Word, R2, CONTEXT, context::QUEUE);
    p.load_map(R1, sockets);
    p.move_immediate(R3, otherwise as i32);
    p.call(HELPER_REDIRECT_MAP);
    p.exit();
    p.label(Label::Pass);
    p.move_immediate(R0, Action::Pass as i32);
    p.exit();
    program.finish()
}

/// Leaves the VLAN in the key, the EtherType in `R5`, and the cursor behind the header.
fn ethernet(p: &mut Assembler) {
    const TYPE: i16 = 12;
    const TAG_CONTROL: i16 = 14;
    const TAGGED_TYPE: i16 = 16;
    p.move_immediate(VLAN, 0);
    p.need(14);
    p.load(Size::Half, R5, CURSOR, TYPE);
    p.jump_unless_equal(R5, be16(0x8100), Label::Untagged);
    p.need(18);
    p.load(Size::Half, VLAN, CURSOR, TAG_CONTROL);
    p.network_order_16(VLAN);
    p.and(VLAN, 0x0fff);
    p.load(Size::Half, R5, CURSOR, TAGGED_TYPE);
    p.add(CURSOR, 4);
    p.label(Label::Untagged);
    p.add(CURSOR, 14);
    p.store(Size::Word, STACK, key::VLAN, VLAN);
    p.jump_if_equal(R5, be16(0x86dd), Label::Ipv6);
    p.jump_unless_equal(R5, be16(0x0800), Label::Pass);
}

/// Leaves the address in the key, and the cursor behind the header.
fn ipv4(p: &mut Assembler) {
    const VERSION_IHL: i16 = 0;
    const FRAGMENT: i16 = 6;
    const PROTOCOL: i16 = 9;
    const DESTINATION: i16 = 16;
    p.need(20);
    p.load(Size::Half, R4, CURSOR, FRAGMENT);
    p.and(R4, be16(0x3fff));
    p.jump_unless_equal(R4, 0, Label::Pass);
    p.load(Size::Byte, R4, CURSOR, PROTOCOL);
    p.jump_unless_equal(R4, UDP, Label::Pass);
    // ::ffff:a.b.c.d
    p.store_immediate(Size::Double, STACK, key::ADDRESS, 0);
    p.store_immediate(Size::Half, STACK, key::ADDRESS + 8, 0);
    p.store_immediate(Size::Half, STACK, key::ADDRESS + 10, 0xffff);
    p.load(Size::Word, R4, CURSOR, DESTINATION);
    p.store(Size::Word, STACK, key::ADDRESS + 12, R4);
    p.load(Size::Byte, R4, CURSOR, VERSION_IHL);
    p.move_register(R5, R4);
    p.shift_right(R5, 4);
    p.jump_unless_equal(R5, 4, Label::Pass);
    p.and(R4, 0xf);
    p.shift_left(R4, 2);
    p.jump_if_below(R4, 20, Label::Pass);
    p.add_register(CURSOR, R4);
    p.jump(Label::Udp);
}

/// The same for IPv6.
fn ipv6(p: &mut Assembler) {
    const VERSION: i16 = 0;
    const NEXT_HEADER: i16 = 6;
    const DESTINATION: i16 = 24;
    p.label(Label::Ipv6);
    p.need(40);
    p.load(Size::Byte, R4, CURSOR, VERSION);
    p.shift_right(R4, 4);
    p.jump_unless_equal(R4, 6, Label::Pass);
    p.load(Size::Byte, R4, CURSOR, NEXT_HEADER);
    p.jump_unless_equal(R4, UDP, Label::Pass);
    for word in [0, 4, 8, 12] {
        p.load(Size::Word, R4, CURSOR, DESTINATION + word);
        p.store(Size::Word, STACK, key::ADDRESS + word, R4);
    }
    p.add(CURSOR, 40);
}

/// Goes on if address and port are ours.
fn udp(p: &mut Assembler, addresses: BorrowedFd<'_>) {
    const DESTINATION: i16 = 2;
    const FIRST: i16 = 0;
    const LAST: i16 = 2;
    p.label(Label::Udp);
    p.need(8);
    p.load(Size::Half, PORT, CURSOR, DESTINATION);
    p.network_order_16(PORT);
    p.load_map(R1, addresses);
    p.move_register(R2, STACK);
    p.add(R2, i32::from(key::ADDRESS));
    p.call(HELPER_MAP_LOOKUP);
    p.jump_if_equal(R0, 0, Label::Pass);
    p.load(Size::Half, R1, R0, FIRST);
    p.jump_if_register_below(PORT, R1, Label::Pass);
    p.load(Size::Half, R1, R0, LAST);
    p.jump_if_register_below(R1, PORT, Label::Pass);
}

/// Where the parts of the key are, below the end of the stack.
mod key {
    use super::KEY_BYTES;

    pub(super) const ADDRESS: i16 = -24;
    pub(super) const VLAN: i16 = ADDRESS + 16;

    const _: () = assert!(VLAN + 4 == ADDRESS + KEY_BYTES as i16);
}

/// struct xdp_md of linux/bpf.h.
mod context {
    pub(super) const DATA: i16 = 0;
    pub(super) const DATA_END: i16 = 4;
    pub(super) const QUEUE: i16 = 16;
}

const UDP: i32 = 17;
const HELPER_MAP_LOOKUP: i32 = 1;
const HELPER_REDIRECT_MAP: i32 = 51;

/// A constant as a field of the frame reads.
fn be16(value: u16) -> i32 {
    i32::from(u16::from_ne_bytes(value.to_be_bytes()))
}

#[derive(Clone, Copy)]
struct Register(u8);

const R0: Register = Register(0);
const R1: Register = Register(1);
const R2: Register = Register(2);
const R3: Register = Register(3);
const R4: Register = Register(4);
const R5: Register = Register(5);
// These survive calls.
const CONTEXT: Register = Register(6);
const CURSOR: Register = Register(7);
const VLAN: Register = Register(8);
const PORT: Register = Register(9);
/// The end of the stack.
const STACK: Register = Register(10);
/// The end of the frame; lost with the first call.
const END: Register = R3;

#[derive(Clone, Copy)]
enum Size {
    Word = 0x00,
    Half = 0x08,
    Byte = 0x10,
    Double = 0x18,
}

/// Where jumps go: forward only, so that the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Label {
    Untagged,
    Ipv6,
    Udp,
    Pass,
}

/// Collects instructions; jumps find their labels at the end.
#[derive(Default)]
struct Assembler {
    instructions: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
    labels: Vec<(Label, usize)>,
}

// Classes and operations of RFC 9669.
const LD_DOUBLE: u8 = 0x18;
const LDX: u8 = 0x61;
const ST: u8 = 0x62;
const STX: u8 = 0x63;
const ALU64: u8 = 0x07;
const TO_BIG_ENDIAN: u8 = 0xdc;
const JMP: u8 = 0x05;
/// The second operand is a register.
const X: u8 = 0x08;
const ADD: u8 = 0x00;
const AND: u8 = 0x50;
const LSH: u8 = 0x60;
const RSH: u8 = 0x70;
const MOV: u8 = 0xb0;
const ALWAYS: u8 = 0x00;
const EQUAL: u8 = 0x10;
const GREATER: u8 = 0x20;
const NOT_EQUAL: u8 = 0x50;
const CALL: u8 = 0x80;
const EXIT: u8 = 0x90;
const LESS: u8 = 0xa0;
/// The immediate of a `LD_DOUBLE` is the descriptor of a map.
const MAP_DESCRIPTOR: Register = Register(1);

impl Assembler {
    fn put(&mut self, code: u8, to: Register, from: Register, offset: i16, immediate: i32) {
        self.instructions.push(Instruction {
            code,
            registers: to.0 | from.0 << 4,
            offset,
            immediate,
        });
    }

    fn load(&mut self, size: Size, to: Register, from: Register, offset: i16) {
        self.put(LDX | size as u8, to, from, offset, 0);
    }

    fn store(&mut self, size: Size, to: Register, offset: i16, from: Register) {
        self.put(STX | size as u8, to, from, offset, 0);
    }

    fn store_immediate(&mut self, size: Size, to: Register, offset: i16, value: i32) {
        self.put(ST | size as u8, to, R0, offset, value);
    }

    fn load_map(&mut self, to: Register, map: BorrowedFd<'_>) {
        self.put(LD_DOUBLE, to, MAP_DESCRIPTOR, 0, map.as_raw_fd());
        self.put(0, R0, R0, 0, 0);
    }

    fn move_register(&mut self, to: Register, from: Register) {
        self.put(ALU64 | MOV | X, to, from, 0, 0);
    }

    fn move_immediate(&mut self, to: Register, value: i32) {
        self.put(ALU64 | MOV, to, R0, 0, value);
    }

    fn add(&mut self, to: Register, value: i32) {
        self.put(ALU64 | ADD, to, R0, 0, value);
    }

    fn add_register(&mut self, to: Register, from: Register) {
        self.put(ALU64 | ADD | X, to, from, 0, 0);
    }

    fn and(&mut self, to: Register, value: i32) {
        self.put(ALU64 | AND, to, R0, 0, value);
    }

    fn shift_left(&mut self, to: Register, bits: i32) {
        self.put(ALU64 | LSH, to, R0, 0, bits);
    }

    fn shift_right(&mut self, to: Register, bits: i32) {
        self.put(ALU64 | RSH, to, R0, 0, bits);
    }

    fn network_order_16(&mut self, to: Register) {
        self.put(TO_BIG_ENDIAN, to, R0, 0, 16);
    }

    fn call(&mut self, helper: i32) {
        self.put(JMP | CALL, R0, R0, 0, helper);
    }

    fn exit(&mut self) {
        self.put(JMP | EXIT, R0, R0, 0, 0);
    }

    fn label(&mut self, label: Label) {
        self.labels.push((label, self.instructions.len()));
    }

    fn jump(&mut self, label: Label) {
        self.jump_by(ALWAYS, R0, R0, 0, label);
    }

    fn jump_if_equal(&mut self, register: Register, value: i32, label: Label) {
        self.jump_by(EQUAL, register, R0, value, label);
    }

    fn jump_unless_equal(&mut self, register: Register, value: i32, label: Label) {
        self.jump_by(NOT_EQUAL, register, R0, value, label);
    }

    fn jump_if_below(&mut self, register: Register, value: i32, label: Label) {
        self.jump_by(LESS, register, R0, value, label);
    }

    fn jump_if_register_below(&mut self, register: Register, other: Register, label: Label) {
        self.jump_by(LESS | X, register, other, 0, label);
    }

    /// The kernel takes the frame if it has not so many bytes at the cursor. Uses `R4`.
    fn need(&mut self, bytes: i32) {
        self.move_register(R4, CURSOR);
        self.add(R4, bytes);
        self.jump_by(GREATER | X, R4, END, 0, Label::Pass);
    }

    fn jump_by(&mut self, kind: u8, a: Register, b: Register, value: i32, label: Label) {
        self.jumps.push((self.instructions.len(), label));
        self.put(JMP | kind, a, b, 0, value);
    }

    fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let found = self.labels.iter().find(|(name, _)| *name == label);
            let target = found.map_or(at, |(_, target)| *target);
            debug_assert!(target > at, "{label:?} is ahead");
            // Distances count from the next instruction.
            self.instructions[at].offset = (target as isize - at as isize - 1) as i16;
        }
        self.instructions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attachment::{Served, Tables};
    use crate::bpf;
    use std::os::fd::{AsFd, OwnedFd};

    const FOR_US: u32 = Action::Drop as u32;
    const FOR_THE_KERNEL: u32 = Action::Pass as u32;

    /// The program with these addresses, and no socket at any queue.
    fn program(served: &[Served]) -> OwnedFd {
        let tables = Tables::new(served).unwrap_or_else(|error| {
            panic!("this test needs root: BPF maps cannot be made: {error}")
        });
        let (addresses, sockets) = (tables.addresses.as_fd(), tables.sockets.as_fd());
        bpf::load(c"test", &redirect(addresses, sockets, Action::Drop)).unwrap()
    }

    fn served() -> OwnedFd {
        let serve = |address: &str, vlan, ports| Served {
            address: address.parse().unwrap(),
            vlan,
            ports,
        };
        program(&[
            serve("192.0.2.1", None, 10_000..=10_999),
            serve("192.0.2.1", Some(100), 20_000..=20_001),
            serve("2001:db8::1", None, 10_000..=10_999),
        ])
    }

    fn judge(program: &OwnedFd, frame: &[u8]) -> u32 {
        bpf::test_run(program.as_fd(), frame).unwrap()
    }

    fn ethernet(vlan: Option<u16>, ether_type: u16, packet: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        if let Some(vlan) = vlan {
            frame.extend([0x81, 0]);
            frame.extend((vlan | 0xe000).to_be_bytes());
        }
        frame.extend(ether_type.to_be_bytes());
        frame.extend(packet);
        frame
    }

    fn udp(port: u16) -> Vec<u8> {
        let mut bytes = vec![0x30, 0x39];
        bytes.extend(port.to_be_bytes());
        bytes.extend([0, 12, 0, 0]);
        bytes.extend(b"data");
        bytes
    }

    fn v4(to: [u8; 4], options: usize, port: u16) -> Vec<u8> {
        let ihl = 5 + options / 4;
        let mut packet = vec![0x40 | ihl as u8, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0];
        packet.extend([198, 51, 100, 7]);
        packet.extend(to);
        packet.extend(vec![1; options]);
        packet.extend(udp(port));
        packet
    }

    fn v6(port: u16) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 12, 17, 64];
        packet.extend([0xfe; 16]);
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        packet.extend(udp(port));
        packet
    }

    const OURS: [u8; 4] = [192, 0, 2, 1];

    #[test]
    fn udp_to_our_ports_is_ours_and_nothing_beside() {
        let program = served();
        for (port, expected) in [
            (9_999, FOR_THE_KERNEL),
            (10_000, FOR_US),
            (10_999, FOR_US),
            (11_000, FOR_THE_KERNEL),
            (0, FOR_THE_KERNEL),
            (65_535, FOR_THE_KERNEL),
        ] {
            let frame = ethernet(None, 0x0800, &v4(OURS, 0, port));
            assert_eq!(judge(&program, &frame), expected, "IPv4 port {port}");
            let frame = ethernet(None, 0x86dd, &v6(port));
            assert_eq!(judge(&program, &frame), expected, "IPv6 port {port}");
        }
        let frame = ethernet(None, 0x0800, &v4([192, 0, 2, 2], 0, 10_000));
        assert_eq!(judge(&program, &frame), FOR_THE_KERNEL);
        let mut other = v6(10_000);
        other[39] = 2;
        let frame = ethernet(None, 0x86dd, &other);
        assert_eq!(judge(&program, &frame), FOR_THE_KERNEL);
    }

    #[test]
    fn an_address_is_served_in_its_own_vlan() {
        let program = served();
        for (vlan, port, expected) in [
            (Some(100), 20_000, FOR_US),
            (Some(100), 10_000, FOR_THE_KERNEL),
            (Some(101), 20_000, FOR_THE_KERNEL),
            (None, 20_000, FOR_THE_KERNEL),
            // A priority tag is none.
            (Some(0), 10_000, FOR_US),
        ] {
            let frame = ethernet(vlan, 0x0800, &v4(OURS, 0, port));
            assert_eq!(judge(&program, &frame), expected, "{vlan:?} {port}");
        }
        let inner = ethernet(Some(100), 0x0800, &v4(OURS, 0, 20_000));
        let twice = ethernet(Some(100), 0x8100, &inner[14..]);
        assert_eq!(judge(&program, &twice), FOR_THE_KERNEL);
    }

    #[test]
    fn options_of_ipv4_are_skipped() {
        let program = served();
        for options in [4, 40] {
            let frame = ethernet(None, 0x0800, &v4(OURS, options, 10_000));
            assert_eq!(judge(&program, &frame), FOR_US);
            let frame = ethernet(None, 0x0800, &v4(OURS, options, 9_999));
            assert_eq!(judge(&program, &frame), FOR_THE_KERNEL);
        }
    }

    #[test]
    fn every_fragment_is_the_kernels() {
        let program = served();
        for fragment in [0x2000_u16, 0x2001, 0x0001, 0x1fff, 0x6000] {
            let mut packet = v4(OURS, 0, 10_000);
            packet[6..8].copy_from_slice(&fragment.to_be_bytes());
            let frame = ethernet(None, 0x0800, &packet);
            assert_eq!(judge(&program, &frame), FOR_THE_KERNEL, "{fragment:x}");
        }
        // Fragment, hop-by-hop, routing and destination options headers.
        for next_header in [44, 0, 43, 60] {
            let mut packet = v6(10_000);
            packet[6] = next_header;
            let frame = ethernet(None, 0x86dd, &packet);
            assert_eq!(judge(&program, &frame), FOR_THE_KERNEL, "{next_header}");
        }
    }

    #[test]
    fn other_protocols_and_broken_headers_are_the_kernels() {
        let program = served();
        let changed = |at: usize, value: u8| {
            let mut packet = v4(OURS, 0, 10_000);
            packet[at] = value;
            ethernet(None, 0x0800, &packet)
        };
        for (at, value) in [(9, 6), (9, 1), (0, 0x44), (0, 0x55), (0, 0x65)] {
            let frame = changed(at, value);
            assert_eq!(judge(&program, &frame), FOR_THE_KERNEL, "{at} {value:x}");
        }
        for ether_type in [0x0806, 0x88a8, 0x86dd, 0] {
            let frame = ethernet(None, ether_type, &v4(OURS, 0, 10_000));
            assert_eq!(judge(&program, &frame), FOR_THE_KERNEL, "{ether_type:x}");
        }
    }

    #[test]
    fn no_truncated_header_is_taken() {
        let program = served();
        let frames = [
            (ethernet(None, 0x0800, &v4(OURS, 0, 10_000)), 14 + 20 + 8),
            (
                ethernet(Some(100), 0x0800, &v4(OURS, 40, 20_000)),
                18 + 60 + 8,
            ),
            (ethernet(None, 0x86dd, &v6(10_000)), 14 + 40 + 8),
        ];
        for (frame, headers) in frames {
            // The kernel runs no program on less than an Ethernet header.
            for length in 14..frame.len() {
                let expected = if length < headers {
                    FOR_THE_KERNEL
                } else {
                    FOR_US
                };
                assert_eq!(judge(&program, &frame[..length]), expected, "{length}");
            }
        }
    }
}
