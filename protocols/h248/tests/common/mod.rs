//! Random messages that Annex B, and if asked Annex A too, can express, for round trips and for the
//! judgement of others.

use std::net::{Ipv4Addr, Ipv6Addr};

use base::Entropy;
use h248::error::ErrorCode;
use h248::message::*;
use h248::package::{self, Item, Kind, Type};

/// Makes messages from a seed.
pub struct Generator {
    entropy: Entropy,
    /// Leaves out what Erlang/OTP 25 cannot read although Annex B has it.
    otp: bool,
    /// Makes what the binary encoding has room for with its default names, and in the form in which
    /// it is read.
    binary: bool,
}

impl Generator {
    pub fn new(seed: u64, otp: bool) -> Self {
        Self {
            entropy: Entropy::from_u64(seed),
            otp,
            binary: false,
        }
    }

    #[allow(dead_code, reason = "only the tests of the binary encoding use it")]
    pub fn binary(seed: u64) -> Self {
        Self {
            binary: true,
            ..Self::new(seed, false)
        }
    }

    pub fn message(&mut self) -> Message {
        let body = if self.chance(20) {
            MessageBody::Error(self.error())
        } else {
            MessageBody::Transactions(self.list(1, 4, Self::transaction))
        };
        let auth = self.chance(50).then(|| AuthHeader {
            spi: self.entropy.next_u32() | 0x1010_1010,
            sequence: self.entropy.next_u32() | 0x1010_1010,
            data: (0..12 + self.below(21))
                .map(|_| self.below(240) as u8 + 16)
                .collect(),
        });
        Message {
            auth,
            version: 3,
            mid: self.mid(),
            body,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.entropy.below(bound)
    }

    fn chance(&mut self, per_mille: u64) -> bool {
        self.entropy.chance(per_mille)
    }

    fn maybe<T>(&mut self, make: fn(&mut Self) -> T) -> Option<T> {
        self.chance(300).then(|| make(self))
    }

    fn list<T>(&mut self, min: u64, max: u64, make: fn(&mut Self) -> T) -> Vec<T> {
        let len = min + self.below(max - min + 1);
        (0..len).map(|_| make(self)).collect()
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    fn boolean(&mut self) -> bool {
        self.chance(500)
    }

    fn u8(&mut self) -> u8 {
        1 + self.below(99) as u8
    }

    fn u16(&mut self) -> u16 {
        self.below(65_536) as u16
    }

    fn u32(&mut self) -> u32 {
        self.entropy.next_u32()
    }

    // Leaves.

    fn word(&mut self) -> String {
        let letters = b"abcdefghijklmnopqrstuvwxyz";
        let rest = b"abcdefghijklmnopqrstuvwxyz0123456789_";
        // Names that look like tokens are excluded where a token may stand instead: all have four
        // letters or more.
        let mut word = vec![b'q', self.pick(letters)];
        for _ in 0..self.below(8) {
            word.push(self.pick(rest));
        }
        String::from_utf8(word).unwrap()
    }

    fn name(&mut self) -> Name {
        Name::new(self.word())
    }

    fn pkgd_name(&mut self, kind: Kind) -> PkgdName {
        self.item(kind).0
    }

    /// An item of a package, with what is known of it.
    fn item(&mut self, kind: Kind) -> (PkgdName, Option<&'static Item>) {
        if !self.binary {
            let (package, item) = (self.word(), self.word());
            return (PkgdName::new(&package, &item), None);
        }
        let package = self.pick(package::ALL);
        let items = package.items(kind);
        if items.is_empty() || self.chance(100) {
            let (package, item) = (self.number_name(), self.number_name());
            return (PkgdName::new(package.as_str(), item.as_str()), None);
        }
        let at = self.below(items.len() as u64) as usize;
        (PkgdName::from(items[at]), Some(&items[at]))
    }

    /// The name of something that has a number only.
    fn number_name(&mut self) -> Name {
        Name::new(format!("x{:04x}", 0x4000 | self.u16() >> 2))
    }

    fn package_name(&mut self) -> Name {
        if !self.binary {
            self.name()
        } else if self.boolean() {
            self.number_name()
        } else {
            Name::new(self.pick(package::ALL).name)
        }
    }

    fn digit_map_name(&mut self) -> Name {
        if self.binary {
            self.number_name()
        } else {
            self.name()
        }
    }

    fn value(&mut self, value_type: Option<Type>) -> Value {
        match value_type {
            Some(Type::List(inner)) => return self.value(Some(*inner)),
            Some(Type::Boolean) => return Value::from(self.boolean()),
            Some(Type::Integer) => return Value::from(self.u32()),
            Some(Type::Double) => return Value::from(self.entropy.next_u64() >> 1),
            Some(Type::Enumeration(names)) => return Value::symbol(self.pick(names).0),
            Some(Type::OctetString) => return Value::symbol(format!("{:04x}", self.u16())),
            Some(Type::String) | None => (),
        }
        match self.below(4) {
            0 if value_type.is_none() => Value::from(self.u32()),
            1 => Value::symbol(self.word()),
            2 if value_type.is_none() => Value::choose(),
            _ => {
                let rest = b"abc XYZ ;[]{}:,#<>=+-&!_/'?@^`~*$\\()%|.012";
                let len = self.below(20);
                let text: Vec<u8> = (0..len).map(|_| self.pick(rest)).collect();
                Value::quoted(String::from_utf8(text).unwrap())
            }
        }
    }

    fn values(&mut self, value_type: Option<Type>) -> Vec<Value> {
        let len = 1 + self.below(3);
        (0..len).map(|_| self.value(value_type)).collect()
    }

    fn parm_value(&mut self, value_type: Option<Type>) -> ParmValue {
        match self.below(10) {
            0 => ParmValue::NotEqual(self.value(value_type)),
            1 => ParmValue::Less(self.value(value_type)),
            2 => ParmValue::Greater(self.value(value_type)),
            3 => ParmValue::OneOf(self.values(value_type)),
            4 => ParmValue::List(self.values(value_type)),
            5 => ParmValue::Range(self.value(value_type), self.value(value_type)),
            _ => ParmValue::Equal(self.value(value_type)),
        }
    }

    fn properties(&mut self, min: u64) -> Vec<PropertyParm> {
        let mut list: Vec<PropertyParm> = Vec::new();
        for _ in 0..min + self.below(3) {
            let (name, item) = self.item(Kind::Property);
            let value = self.parm_value(item.and_then(Item::value_type));
            if list.iter().all(|other| other.name != name) {
                list.push(PropertyParm { name, value });
            }
        }
        list
    }

    /// Parameters of an event or signal of which `item` is known.
    fn parameters(&mut self, min: u64, item: Option<&'static Item>) -> Vec<Parameter> {
        let mut list: Vec<Parameter> = Vec::new();
        for _ in 0..min + self.below(3) {
            let known = item.map_or(&[][..], |item| item.parameters);
            let (name, value_type) = match known.is_empty() {
                false => {
                    let parameter = self.pick(known);
                    (Name::from(parameter), Some(parameter.domain.value))
                }
                true if self.binary => (self.number_name(), None),
                true => (self.name(), None),
            };
            let value = self.parm_value(value_type);
            if list.iter().all(|other| other.name != name) {
                list.push(Parameter { name, value });
            }
        }
        list
    }

    fn octets(&mut self) -> OctetString {
        let mut text = String::from("v=0\r\nc=IN IP4 $\r\nm=audio $ RTP/AVP 8\r\n");
        if self.boolean() {
            text.push_str("a=fmtp:96 mode-set=0,2;octet-align=1\r\n");
        }
        if !self.otp && self.boolean() {
            text.push_str("a=odd:{\"}\\ \\} ;{{}\r\n");
        }
        if !self.otp && !self.binary && self.chance(200) {
            text.push_str("i=ends in a backslash \\");
        }
        OctetString::new(text)
    }

    fn mid(&mut self) -> Mid {
        let port = self.maybe(Self::u16);
        match self.below(5) {
            0 => Mid::Ipv4(Ipv4Addr::from(self.u32()), port),
            1 => {
                let high = u128::from(self.entropy.next_u64()) << 64;
                let address = high | u128::from(self.entropy.next_u64());
                Mid::Ipv6(Ipv6Addr::from(address), port)
            }
            2 => {
                let host = self.word().replace('_', "-");
                Mid::Domain(Name::new(format!("{host}-1.example")), port)
            }
            3 => Mid::Device(Name::new(format!("{}/1", self.word()))),
            _ => Mid::Mtp(self.list(2, 4, Self::u8).into()),
        }
    }

    fn termination(&mut self) -> TerminationId {
        if self.binary {
            let (interface, number) = (self.u16(), self.u32());
            return TerminationId::new(match self.below(9) {
                0 => "ROOT".to_owned(),
                1 => "*".to_owned(),
                2 => "$".to_owned(),
                3 => "tdm/*".to_owned(),
                4 => format!("ip/{interface}/$"),
                5 => format!("ip/*/{number}"),
                6 => format!("b-00{interface:04x}"),
                7 => format!("a_1/{interface}"),
                _ => format!("ip/{interface}/{number}"),
            });
        }
        match self.below(8) {
            0 => TerminationId::Root,
            1 => TerminationId::All,
            2 => TerminationId::Choose,
            3 => TerminationId::new(format!("{}/*", self.word())),
            4 => TerminationId::new(format!("{}/1/$", self.word())),
            _ => TerminationId::new(format!("{}/{}", self.word(), self.word())),
        }
    }

    fn terminations(&mut self) -> TerminationList {
        let max = if self.chance(100) { 3 } else { 1 };
        self.list(1, max, Self::termination).into()
    }

    fn stream_id(&mut self) -> StreamId {
        StreamId(self.u16())
    }

    fn request_id(&mut self) -> RequestId {
        if self.chance(50) {
            RequestId::ALL
        } else {
            RequestId(self.u32() >> 1)
        }
    }

    fn time(&mut self) -> TimeStamp {
        TimeStamp {
            date: 20_261_121,
            time: self.below(24_000_000) as u32,
        }
    }

    fn error(&mut self) -> ErrorDescriptor {
        let code = self.pick(ErrorCode::KNOWN);
        let text = self.boolean().then(|| self.word());
        ErrorDescriptor { code, text }
    }

    // Transactions.

    fn transaction(&mut self) -> Transaction {
        let id = TransactionId(1 + (self.u32() >> 1));
        match self.below(8) {
            0 => Transaction::Pending(id),
            1 => Transaction::ResponseAck(self.list(1, 3, |g| {
                let first = g.u32() >> 1;
                (
                    TransactionId(first),
                    TransactionId(first + g.below(3) as u32),
                )
            })),
            2 if !self.otp => Transaction::SegmentReply(id, self.segment()),
            3..6 => Transaction::Reply(self.reply(id)),
            _ => {
                let actions = self.list(1, 2, Self::action_request);
                Transaction::Request(TransactionRequest { id, actions })
            }
        }
    }

    fn segment(&mut self) -> Segment {
        Segment {
            number: 1 + self.below(9) as u16,
            complete: self.boolean(),
        }
    }

    fn reply(&mut self, id: TransactionId) -> TransactionReply {
        let body = if self.chance(100) {
            ReplyBody::Error(self.error())
        } else {
            ReplyBody::Actions(self.list(1, 2, Self::action_reply))
        };
        let segment = self.chance(100).then(|| self.segment());
        TransactionReply {
            id,
            imm_ack_required: self.boolean(),
            segment,
            body,
        }
    }

    fn context(&mut self) -> ContextId {
        match self.below(6) {
            0 => ContextId::Null,
            1 => ContextId::Choose,
            2 => ContextId::All,
            _ => ContextId::Id(1 + (self.u32() >> 1)),
        }
    }

    fn action_request(&mut self) -> ActionRequest {
        ActionRequest {
            context: self.context(),
            properties: self.context_properties(),
            audit: self.chance(100).then(|| Box::new(self.context_audit())),
            commands: self.list(1, 3, Self::command_request),
        }
    }

    fn action_reply(&mut self) -> ActionReply {
        ActionReply {
            context: self.context(),
            properties: self.context_properties(),
            error: self.chance(100).then(|| self.error()),
            commands: self.list(0, 3, Self::command_reply),
        }
    }

    fn context_properties(&mut self) -> ContextProperties {
        if self.chance(800) {
            return ContextProperties::default();
        }
        ContextProperties {
            priority: self.maybe(|g| g.below(16) as u8),
            emergency: self.maybe(Self::boolean),
            ieps: self.maybe(Self::boolean),
            topology: self.list(0, 2, |g| TopologyTriple {
                from: g.termination(),
                to: g.termination(),
                direction: g.pick(&[
                    TopologyDirection::Bothway,
                    TopologyDirection::Isolate,
                    TopologyDirection::Oneway,
                ]),
                stream: if g.otp {
                    None
                } else {
                    g.maybe(Self::stream_id)
                },
            }),
            attributes: self.properties(0),
            contexts: self.list(0, 2, |g| ContextId::Id(1 + g.below(1000) as u32)),
        }
    }

    fn context_audit(&mut self) -> ContextAudit {
        ContextAudit {
            topology: true,
            emergency: self.boolean(),
            priority: self.boolean(),
            ieps: self.boolean(),
            properties: if self.otp {
                self.list(0, 2, |g| IndexedProperty {
                    name: g.pkgd_name(Kind::Property),
                    select: None,
                })
            } else {
                self.indexed_properties()
            },
            select_priority: self.maybe(|g| g.below(16) as u8),
            select_emergency: self.maybe(Self::boolean),
            select_ieps: self.maybe(Self::boolean),
            logic: self.maybe(|g| g.pick(&[SelectLogic::Or])),
        }
    }

    // Commands.

    fn command_request(&mut self) -> CommandRequest {
        let terminations = self.terminations();
        let audit = self.maybe(Self::audit);
        // Annex A has no audit request without Audit descriptor.
        let asked = audit.clone().or(self.binary.then(AuditDescriptor::default));
        let command = match self.below(8) {
            0 => Command::Add(self.amm_request()),
            1 => Command::Modify(self.amm_request()),
            2 => Command::Move(self.amm_request()),
            3 => Command::Subtract(SubtractRequest {
                terminations,
                audit,
            }),
            4 => Command::AuditValue(AuditRequest {
                terminations,
                audit: asked,
            }),
            5 => Command::AuditCapability(AuditRequest {
                terminations,
                audit: asked,
            }),
            6 => Command::Notify(NotifyRequest {
                terminations,
                observed: Some(self.observed()),
                error: if self.otp {
                    None
                } else {
                    self.maybe(Self::error)
                },
            }),
            _ => {
                let parms = Box::new(self.service_change());
                Command::ServiceChange(ServiceChangeRequest {
                    terminations,
                    parms,
                })
            }
        };
        CommandRequest {
            command,
            optional: self.chance(100),
            wildcard_response: self.chance(100),
        }
    }

    fn amm_request(&mut self) -> AmmRequest {
        AmmRequest {
            terminations: self.terminations(),
            descriptors: AmmDescriptors {
                media: self.maybe(Self::media),
                modem: None,
                mux: self.maybe(|g| Box::new(g.mux())),
                events: self.maybe(|g| g.events(0)),
                event_buffer: self.maybe(Self::event_buffer),
                signals: self.maybe(Self::signals),
                digit_map: self.maybe(|g| Box::new(g.digit_map())),
                audit: self.maybe(Self::audit),
                statistics: self.maybe(Self::statistics),
            },
        }
    }

    fn command_reply(&mut self) -> CommandReply {
        let terminations = self.terminations();
        match self.below(8) {
            0 => CommandReply::Add(self.amms_reply()),
            1 => CommandReply::Modify(self.amms_reply()),
            2 => CommandReply::Move(self.amms_reply()),
            3 => CommandReply::Subtract(self.amms_reply()),
            4 => CommandReply::AuditValue(self.audit_reply()),
            5 => CommandReply::AuditCapability(self.audit_reply()),
            6 => CommandReply::Notify(NotifyReply {
                terminations,
                error: self.maybe(Self::error),
            }),
            _ => {
                let result = match self.maybe(Self::error) {
                    Some(error) => Err(error),
                    None => Ok(Box::new(self.service_change_result())),
                };
                CommandReply::ServiceChange(ServiceChangeReply {
                    terminations,
                    result,
                })
            }
        }
    }

    fn amms_reply(&mut self) -> AmmsReply {
        AmmsReply {
            terminations: self.terminations(),
            audit: self.list(0, 3, Self::audit_return),
        }
    }

    fn audit_reply(&mut self) -> AuditReply {
        match self.below(4) {
            0 => AuditReply::Context(self.list(1, 3, Self::termination).into()),
            1 => AuditReply::ContextError(self.error()),
            _ => AuditReply::Terminations(self.amms_reply()),
        }
    }

    fn audit_return(&mut self) -> AuditReturn {
        match self.below(11) {
            0 => AuditReturn::Error(self.error()),
            1 => AuditReturn::Media(self.media()),
            2 => AuditReturn::Mux(self.mux()),
            3 => AuditReturn::Events(self.events(0)),
            4 => AuditReturn::EventBuffer(self.event_buffer()),
            5 => AuditReturn::Signals(self.signals()),
            6 => AuditReturn::DigitMap(self.digit_map()),
            7 => AuditReturn::ObservedEvents(self.observed()),
            8 => AuditReturn::Statistics(self.list(1, 3, Self::statistic)),
            9 => AuditReturn::Packages(self.list(1, 3, |g| PackagesItem {
                name: g.package_name(),
                version: g.u8(),
            })),
            _ => {
                let empty = [AuditToken::Media, AuditToken::Packages, AuditToken::Mux];
                AuditReturn::Empty(self.pick(&empty))
            }
        }
    }

    // Descriptors.

    fn media(&mut self) -> MediaDescriptor {
        let termination_state = self.maybe(|g| TerminationState {
            service_state: Some(g.pick(&[
                ServiceState::InService,
                ServiceState::OutOfService,
                ServiceState::Test,
            ])),
            event_buffer: g
                .maybe(|g| g.pick(&[EventBufferControl::Off, EventBufferControl::LockStep])),
            properties: g.properties(0),
        });
        let streams = if self.boolean() {
            Streams::One(Box::new(self.stream_parms()))
        } else {
            let first = self.below(60_000) as u16;
            let streams = 1 + self.below(3) as u16;
            let stream = |offset| StreamDescriptor {
                id: StreamId(first + offset),
                parms: self.stream_parms(),
            };
            Streams::Many((0..streams).map(stream).collect())
        };
        MediaDescriptor {
            termination_state,
            streams,
        }
    }

    fn stream_parms(&mut self) -> StreamParms {
        let mode = self.pick(&[
            StreamMode::SendOnly,
            StreamMode::ReceiveOnly,
            StreamMode::SendReceive,
            StreamMode::Inactive,
            StreamMode::Loopback,
        ]);
        StreamParms {
            local_control: Some(LocalControl {
                mode: Some(mode),
                reserve_value: self.maybe(Self::boolean),
                reserve_group: self.maybe(Self::boolean),
                properties: self.properties(0),
            }),
            local: self.maybe(Self::octets),
            remote: self.maybe(Self::octets),
            statistics: self.maybe(Self::statistics),
        }
    }

    fn mux(&mut self) -> MuxDescriptor {
        MuxDescriptor {
            mux_type: Name::new(self.pick(&["H221", "H223", "H226", "V76"])),
            terminations: self.list(1, 3, Self::termination),
        }
    }

    fn events(&mut self, depth: u8) -> EventsDescriptor {
        if self.chance(200) {
            return EventsDescriptor::default();
        }
        let len = 1 + self.below(3);
        EventsDescriptor {
            request_id: Some(self.request_id()),
            events: (0..len).map(|_| self.requested_event(depth)).collect(),
        }
    }

    fn requested_event(&mut self, depth: u8) -> RequestedEvent {
        let (name, item) = self.item(Kind::Event);
        let mut event = RequestedEvent::new(name);
        event.stream = self.maybe(Self::stream_id);
        event.parameters = self.parameters(0, item);
        event.digit_map = self.maybe(|g| {
            if g.boolean() {
                EventDigitMap::Name(g.digit_map_name())
            } else {
                EventDigitMap::Value(g.digit_map_value())
            }
        });
        event.embed = self.chance(300).then(|| Box::new(self.embedded(depth)));
        event.keep_active = event.embed.is_none() && self.boolean();
        event.notify = self.chance(300).then(|| match self.below(4) {
            0 => NotifyBehaviour::Immediate,
            1 => NotifyBehaviour::Never,
            2 if depth == 0 && !self.otp => {
                NotifyBehaviour::Regulated(Some(Box::new(self.embedded(depth))))
            }
            _ => NotifyBehaviour::Regulated(None),
        });
        event.reset_events = self.chance(100);
        event
    }

    fn embedded(&mut self, depth: u8) -> Embedded {
        let events = (depth == 0 && self.boolean()).then(|| self.events(depth + 1));
        let mut signals = self.list(1, 2, Self::signal_request);
        if events.is_some() && self.chance(500) {
            return Embedded {
                signals: None,
                events,
            };
        }
        if signals.is_empty() {
            signals.push(SignalRequest::Signal(self.signal()));
        }
        Embedded {
            signals: Some(signals),
            events,
        }
    }

    fn event_buffer(&mut self) -> EventBufferDescriptor {
        self.list(0, 2, |g| {
            let (name, item) = g.item(Kind::Event);
            EventSpec {
                name,
                stream: g.maybe(Self::stream_id),
                parameters: g.parameters(0, item),
            }
        })
    }

    fn observed(&mut self) -> ObservedEventsDescriptor {
        ObservedEventsDescriptor {
            request_id: self.request_id(),
            events: self.list(1, 3, |g| {
                let (name, item) = g.item(Kind::Event);
                ObservedEvent {
                    name,
                    stream: g.maybe(Self::stream_id),
                    time: g.maybe(Self::time),
                    parameters: g.parameters(0, item),
                }
            }),
        }
    }

    fn signals(&mut self) -> SignalsDescriptor {
        self.list(0, 3, Self::signal_request)
    }

    fn signal_request(&mut self) -> SignalRequest {
        if self.chance(200) {
            let signals = self.list(1, 2, Self::signal);
            return SignalRequest::List(SignalList {
                id: self.u16(),
                signals,
            });
        }
        SignalRequest::Signal(self.signal())
    }

    fn signal(&mut self) -> Signal {
        let (name, item) = self.item(Kind::Signal);
        let mut signal = Signal::new(name);
        signal.stream = self.maybe(Self::stream_id);
        signal.signal_type =
            self.maybe(|g| g.pick(&[SignalType::OnOff, SignalType::TimeOut, SignalType::Brief]));
        signal.duration = self.maybe(Self::u16);
        signal.notify_completion = self.maybe(|g| {
            let bits = if g.otp { 15 } else { 31 };
            NotifyCompletion(1 + g.below(bits) as u8)
        });
        signal.keep_active = self.chance(200);
        signal.direction = self.maybe(|g| {
            g.pick(&[
                SignalDirection::Internal,
                SignalDirection::External,
                SignalDirection::Both,
            ])
        });
        signal.request_id = self.maybe(Self::request_id);
        signal.intersignal_delay = self.maybe(Self::u16);
        signal.parameters = self.parameters(0, item);
        signal
    }

    fn digit_map(&mut self) -> DigitMapDescriptor {
        let name = self.boolean().then(|| self.digit_map_name());
        let value = (name.is_none() || self.boolean()).then(|| self.digit_map_value());
        DigitMapDescriptor { name, value }
    }

    fn digit_map_value(&mut self) -> DigitMapValue {
        DigitMapValue {
            start: self.maybe(Self::u8),
            short: self.maybe(Self::u8),
            long: self.maybe(Self::u8),
            duration: self.maybe(Self::u8),
            body: self
                .pick(&["(0|00|[1-7]xxx|8xxxxxxx)", "(xS.)", "([1-9]x.T|0L)"])
                .to_owned(),
        }
    }

    fn statistics(&mut self) -> StatisticsDescriptor {
        self.list(0, 3, Self::statistic)
    }

    fn statistic(&mut self) -> Statistic {
        let (name, item) = self.item(Kind::Statistic);
        let value_type = item.and_then(Item::value_type);
        let value = match self.below(4) {
            0 => StatisticValue::None,
            1 if !self.otp => {
                let mut values = self.values(value_type);
                // Annex A has no sub-list of one.
                values.push(self.value(value_type));
                StatisticValue::List(values)
            }
            _ => StatisticValue::Single(self.value(value_type)),
        };
        Statistic { name, value }
    }

    fn audit(&mut self) -> AuditDescriptor {
        AuditDescriptor {
            tokens: self
                .list(0, 4, |g| g.pick(&AuditToken::ALL))
                .into_iter()
                .collect(),
            items: if self.otp {
                Vec::new()
            } else {
                self.list(0, 3, Self::indexed_audit)
            },
        }
    }

    fn indexed_audit(&mut self) -> IndexedAudit {
        match self.below(8) {
            0 => IndexedAudit::Media(self.indexed_media()),
            1 => IndexedAudit::Events {
                request_id: self.maybe(Self::request_id),
                name: self.pkgd_name(Kind::Event),
            },
            2 if self.binary => IndexedAudit::EventBuffer {
                name: self.pkgd_name(Kind::Event),
                stream: self.maybe(Self::stream_id),
                parameter: None,
            },
            2 => IndexedAudit::EventBuffer {
                name: self.pkgd_name(Kind::Event),
                stream: None,
                parameter: self.maybe(Self::name),
            },
            3 if self.binary => {
                let mut signal = Signal::new(self.pkgd_name(Kind::Signal));
                signal.stream = self.maybe(Self::stream_id);
                signal.request_id = self.maybe(Self::request_id);
                IndexedAudit::Signals(Some(SignalRequest::Signal(signal)))
            }
            3 => IndexedAudit::Signals(self.maybe(|g| SignalRequest::Signal(g.signal()))),
            4 => IndexedAudit::SignalList(self.u16()),
            5 => IndexedAudit::DigitMap(self.digit_map_name()),
            6 => IndexedAudit::Statistics(self.pkgd_name(Kind::Statistic)),
            _ => IndexedAudit::Packages(PackagesItem {
                name: self.package_name(),
                version: self.u8(),
            }),
        }
    }

    fn indexed_media(&mut self) -> IndexedMedia {
        let mut media = IndexedMedia {
            termination_state: Some(IndexedTerminationState {
                service_state: self
                    .maybe(|g| g.selection(ServiceState::Test, ServiceState::InService)),
                event_buffer: true,
                properties: self.indexed_properties(),
            }),
            ..IndexedMedia::default()
        };
        if self.boolean() {
            media.stream = Some(Box::new(self.indexed_stream_parms()));
        } else {
            media.streams = self.list(0, 2, |g| (g.stream_id(), g.indexed_stream_parms()));
        }
        media
    }

    fn indexed_stream_parms(&mut self) -> IndexedStreamParms {
        IndexedStreamParms {
            local_control: Some(IndexedLocalControl {
                mode: Some(self.selection(StreamMode::SendOnly, StreamMode::Inactive)),
                reserve_value: self.boolean(),
                reserve_group: self.boolean(),
                properties: self.indexed_properties(),
            }),
            local: self.maybe(Self::octets),
            remote: self.maybe(Self::octets),
            statistics: self.maybe(|g| g.pkgd_name(Kind::Statistic)),
        }
    }

    fn selection<T: Clone>(&mut self, equal: T, other: T) -> Selection<T> {
        match self.below(3) {
            0 => Selection::Equal(equal),
            // Annex A selects by equality only.
            1 if !self.binary => Selection::NotEqual(other),
            _ => Selection::Value,
        }
    }

    fn indexed_properties(&mut self) -> Vec<IndexedProperty> {
        self.list(0, 2, |g| {
            let (name, item) = g.item(Kind::Property);
            let value_type = item.and_then(Item::value_type);
            let select = g.chance(300).then(|| g.parm_value(value_type));
            IndexedProperty { name, select }
        })
    }

    fn service_change(&mut self) -> ServiceChangeParms {
        let method = self.pick(&[
            ServiceChangeMethod::Failover,
            ServiceChangeMethod::Forced,
            ServiceChangeMethod::Graceful,
            ServiceChangeMethod::Restart,
            ServiceChangeMethod::Disconnected,
            ServiceChangeMethod::HandOff,
        ]);
        let text = if self.boolean() {
            self.word()
        } else {
            String::new()
        };
        let code = 900 + self.below(21) as u16;
        let mut parms = ServiceChangeParms::new(method, ServiceChangeReason::new(code, text));
        parms.address = self.maybe(Self::service_change_address);
        parms.version = self.maybe(|_| 3);
        parms.profile = self.maybe(Self::profile);
        parms.delay = self.maybe(|g| g.u32() >> 1);
        parms.time = self.maybe(Self::time);
        parms.incomplete = self.chance(100);
        if parms.address.is_none() {
            parms.mgc_id = self.maybe(Self::mid);
        }
        if !self.otp {
            parms.info = self.maybe(|g| AuditDescriptor {
                tokens: [AuditToken::Packages].into_iter().collect(),
                items: g.list(0, 2, Self::indexed_audit),
            });
            parms.extensions = self.list(0, 1, |g| Parameter {
                name: Name::new("X-strowg"),
                value: match g.binary {
                    true => ParmValue::Equal(g.value(None)),
                    false => g.parm_value(None),
                },
            });
        }
        parms
    }

    fn service_change_result(&mut self) -> ServiceChangeResult {
        let mut result = ServiceChangeResult {
            mgc_id: self.maybe(Self::mid),
            address: None,
            version: self.maybe(|_| 3),
            profile: self.maybe(Self::profile),
            time: self.maybe(Self::time),
        };
        if result.mgc_id.is_none() {
            result.address = self.maybe(Self::service_change_address);
        }
        result
    }

    fn service_change_address(&mut self) -> ServiceChangeAddress {
        if self.boolean() {
            return ServiceChangeAddress::Port(self.u16());
        }
        match self.mid() {
            Mid::Device(_) if self.otp => ServiceChangeAddress::Port(self.u16()),
            mid => ServiceChangeAddress::Mid(mid),
        }
    }

    fn profile(&mut self) -> Profile {
        Profile {
            name: self.name(),
            version: self.u8(),
        }
    }
}
