%% A resource function (MRFP) as its controller sees it: announcements with barge-in, digits after
%% prompts, a recording that is played again, and a conference of three; TS 29.333, H.248.9.
-module(resource).
-export([drive/2]).
-import(text, [log/2]).
-import(mgc, [step/3, refused/3]).

-define(TICK_MS, 20).
-define(TALK_TICKS, 30).
-define(TALKS_MAX, 8).
-define(NOTIFY_WITHIN_MS, 8000).

drive(Connection, MediaIp) ->
    A = mgc:socket(MediaIp),
    [Reply] = step(Connection, add, ["Context = $ {", add(MediaIp, A, "8"), "}"]),
    Context = element(2, Reply),
    [One] = [added(Command) || Command <- element(5, Reply)],
    Modify = fun(Name, Descriptors) ->
        step(Connection, Name, action(Context, "Modify", One, Descriptors))
    end,
    announce(Modify, A),
    busy_tone(Modify, A),
    barge_in(Modify, A, One),
    collect(Modify, A, One),
    record(Modify, A, One),
    refuse(Connection, Context, One),
    step(Connection, subtract_one, ["Context = ", integer_to_list(Context), " { Subtract = * }"]),
    conference(Connection, MediaIp).

%% An announcement of the built-in voice, by its number.
announce(Modify, A) ->
    Modify(announce, [
        "Events = 1 { g/sc { KeepActive } }, Signals { an/apf { NotifyCompletion = { TimeOut },",
        " an = 10, noc = 1, av = \"en\" } }"
    ]),
    expect(announced, 1, "g/sc", [{"meth", "to"}]),
    judge(announcement_heard, length([Packet || Packet <- heard(A), is_said(Packet)]) > 10).

busy_tone(Modify, A) ->
    Modify(tone, "Signals { cg/bt }"),
    timer:sleep(600),
    Modify(no_tone, "Signals"),
    Loud = length([Packet || Packet <- heard(A), is_loud(Packet)]),
    judge(tone_heard, Loud > 10),
    timer:sleep(200),
    heard(A),
    timer:sleep(200),
    %% Who is alone is sent silence.
    judge(tone_ended, not lists:any(fun is_said/1, heard(A))).

%% A digit ends what would go on for ever.
barge_in(Modify, A, One) ->
    Modify(play, [
        "Events = 2 { g/sc { KeepActive }, dd/ce { DigitMap = { (1x) } } },",
        " Signals { aasb/play { SignalType = OnOff, NotifyCompletion = { IntByEvent }, an = \"<9>\" } }"
    ]),
    timer:sleep(400),
    press(A, One, 1),
    expect(interrupted, 2, "g/sc", [{"meth", "ev"}]),
    press(A, One, 2),
    expect(dialled, 2, "dd/ce", [{"ds", "12"}]).

%% OTP takes `dm`, `it` and `sa` for tokens wherever they stand, so digits end by the number sign and
%% announcements go on for ever by their type.
collect(Modify, A, One) ->
    Parameters =
        case is_binary_spoken() of
            %% What these are in binary is not known here.
            true -> "";
            false -> " { ip = \"<9>\", mxatt = 2 }"
        end,
    Modify(play_collect, [
        "Events = 3 { aasdc/pcolsucc, aasdc/audfail }, Signals { aasdc/playcol", Parameters, " }"
    ]),
    timer:sleep(300),
    [press(A, One, Digit) || Digit <- [4, 4, 11]],
    expect(collected, 3, "aasdc/pcolsucc", [{"dc", "44f"}, {"na", "1"}]).

%% What is said until a key is pressed is there to be played.
record(Modify, A, One) ->
    Modify(play_record, [
        "Events = 4 { aasrec/precsucc, aasrec/audfail }, Signals { aasrec/playrec {",
        " rid = \"message\", rlt = 100, eik = \"#\" } }"
    ]),
    [speak(A, One) || _ <- lists:seq(1, 50)],
    press(A, One, 11),
    expect(recorded, 4, "aasrec/precsucc", [{"res", "key"}, {"ri", "message"}, {"ek", "#"}]),
    heard(A),
    Modify(play_back, [
        "Events = 5 { aasb/playcom, aasb/audfail }, Signals { aasb/play {",
        " an = \"<recording:message.wav>\" } }"
    ]),
    expect(played_back, 5, "aasb/playcom", []),
    judge(recording_heard, length(heard(A)) > 40).

refuse(Connection, Context, One) ->
    InText = [{no_attempts, "Signals { aasdc/playcol { mxatt = 0 } }"} || not is_binary_spoken()],
    [
        refused(Connection, Step, action(Context, "Modify", One, Descriptors))
     || {Step, Descriptors} <- InText ++ [
            {no_name, "Signals { aasb/play }"},
            {two_sounds, "Signals { cg/bt, cg/dt }"}
        ]
    ].

is_binary_spoken() -> get(encoder) =:= "ber".

%% Three of different codecs: each hears the other two and not itself.
conference(Connection, MediaIp) ->
    Sockets = [A, B, C] = [mgc:socket(MediaIp) || _ <- lists:seq(1, 3)],
    Formats = ["8", "0", "8"],
    Adds = [add(MediaIp, Socket, Format) || {Socket, Format} <- lists:zip(Sockets, Formats)],
    [Reply] = step(Connection, conference, ["Context = $ {", lists:join(",", Adds), "}"]),
    Context = element(2, Reply),
    Members = [One, Two, Three] = [added(Command) || Command <- element(5, Reply)],
    %% Everybody sends, so that everybody is heard; the loud one is heard by the others.
    First = [{A, One, 8, loud}, {B, Two, 0, quiet}, {C, Three, 8, quiet}],
    Second = [{A, One, 8, quiet}, {B, Two, 0, loud}, {C, Three, 8, quiet}],
    hear(first_is_heard, First, [quiet, loud, loud]),
    hear(second_is_heard, Second, [loud, quiet, loud]),
    %% Who is held neither speaks nor hears.
    step(Connection, hold, action(Context, "Modify", Two,
        "Media { Stream = 1 { LocalControl { Mode = Inactive } } }")),
    hear(held, Second, [quiet, nothing, quiet]),
    step(Connection, leave, action(Context, "Subtract", Two, "Audit { Statistics }")),
    hear(third_is_heard, [{A, One, 8, quiet}, {C, Three, 8, loud}], [loud, quiet]),
    log("info members ~0p", [[element(1, Member) || Member <- Members]]),
    step(Connection, end_conference, [
        "Context = ", integer_to_list(Context), " { Subtract = * { Audit { Statistics } } }"
    ]).

%% All talk until each hears what it is to hear. What was on its way before is not meant, and a busy
%% machine may stammer.
hear(Step, Talkers, Expected) -> hear(Step, Talkers, Expected, ?TALKS_MAX).

hear(Step, Talkers, Expected, Talks) ->
    talk(Talkers),
    case [loudness(Socket) || {Socket, _, _, _} <- Talkers] of
        Expected -> log("ok ~s", [Step]);
        _ when Talks > 1 -> hear(Step, Talkers, Expected, Talks - 1);
        Heard -> log("fail ~s ~w", [Step, Heard])
    end.

talk(Talkers) ->
    [
        begin
            [send(Socket, To, Format, tone(Format, How)) || {Socket, To, Format, How} <- Talkers],
            timer:sleep(?TICK_MS)
        end
     || _ <- lists:seq(1, ?TALK_TICKS)
    ].

%% What the last packets are like.
loudness(Socket) ->
    Packets = heard(Socket),
    Last = lists:nthtail(max(0, length(Packets) - 20), Packets),
    case {Last, [Packet || Packet <- Last, is_loud(Packet)]} of
        {[], _} -> nothing;
        {_, Loud} when length(Loud) >= 10 -> loud;
        {_, Loud} when length(Loud) =< 3 -> quiet;
        _ -> mixed
    end.

%% Something is said, or something loud: by the segment of the loudest octet (ITU-T G.711).
is_said(Packet) -> loudest(Packet) >= 2.
is_loud(Packet) -> loudest(Packet) >= 4.

loudest({Format, Payload}) -> lists:max([segment(Format, Octet) || <<Octet>> <= Payload]).

segment(8, Octet) -> ((Octet bxor 16#55) band 16#70) bsr 4;
segment(0, Octet) -> ((255 - Octet) band 16#70) bsr 4.

%% A sine of 1 kHz at 8 kHz in either law (ITU-T G.711 tables 5 and 6), or nothing.
tone(8, loud) -> repeat(<<16#34, 16#21, 16#21, 16#34, 16#b4, 16#a1, 16#a1, 16#b4>>);
tone(0, loud) -> repeat(<<16#1e, 16#0b, 16#0b, 16#1e, 16#9e, 16#8b, 16#8b, 16#9e>>);
tone(8, quiet) -> binary:copy(<<16#d5>>, 160);
tone(0, quiet) -> binary:copy(<<16#ff>>, 160).

repeat(Period) -> binary:copy(Period, 20).

judge(Step, true) -> log("ok ~s", [Step]);
judge(Step, false) -> log("fail ~s", [Step]).

%% Waits for a notification with one event and some of its parameters.
expect(Step, Request, Name, Expected) ->
    receive
        {notify, {'ObservedEventsDescriptor', Request, Events}} ->
            Found = [Event || Event <- Events, string:lowercase(element(2, Event)) =:= Name],
            case Found of
                [] -> expect(Step, Request, Name, Expected);
                [Event | _] ->
                    Parameters = parameters(Event),
                    case Expected -- Parameters of
                        [] -> log("ok ~s ~0p", [Step, Parameters]);
                        _ -> log("fail ~s ~0p", [Step, Parameters])
                    end
            end
    after ?NOTIFY_WITHIN_MS -> log("fail ~s was not notified", [Step])
    end.

parameters(Event) ->
    [
        {string:lowercase(Id), value(string:lowercase(Id), string:lowercase(Value))}
     || {'EventParameter', Id, [Value], _} <- mgc:flatten(Event)
    ].

%% How a signal ended is a number in binary (H.248.1 E.1.2).
value("meth", "1") -> "to";
value("meth", "2") -> "ev";
value(_, Value) -> Value.

action(Context, Command, {Name, _, _}, Descriptors) ->
    ["Context = ", integer_to_list(Context), " { ", Command, " = ", Name, " { ", Descriptors, " } }"].

add(MediaIp, Socket, Format) ->
    Formats = [" RTP/AVP ", Format, " 101\r\na=rtpmap:101 telephone-event/8000\r\n"],
    [
        "Add = $ { Media { Stream = 1 { LocalControl { Mode = SendReceive },\n",
        "Local {\r\nv=0\r\nc=IN IP4 $\r\nm=audio $", Formats, "},\n",
        "Remote {\r\nv=0\r\nc=IN IP4 ", MediaIp, "\r\nm=audio ",
        integer_to_list(mgc:port_of(Socket)), Formats, "} } } }"
    ].

added({addReply, {'AmmsReply', Id, Audit}}) ->
    [Streams | _] = [Each || {mediaDescriptor, {_, _, Each}} <- mgc:descriptors(Audit)],
    Lines = text:sdp_lines(mgc:local(Streams)),
    {text:term_id(Id), mgc:host(Lines), mgc:media_port(Lines)}.

%% Streams of RTP: sequence number and timestamp of each socket are in the process dictionary.

press(Socket, To, Code) ->
    {_, Start} = clock(Socket),
    Durations = [{N * 160, 0} || N <- lists:seq(1, 4)] ++ lists:duplicate(3, {640, 1}),
    [
        begin
            {Sequence, _} = tick(Socket),
            Event = <<Code, End:1, 0:1, 10:6, Duration:16>>,
            transmit(Socket, To, <<2:2, 0:6, 0:1, 101:7, Sequence:16, Start:32, 7:32, Event/binary>>),
            timer:sleep(?TICK_MS)
        end
     || {Duration, End} <- Durations
    ],
    timer:sleep(3 * ?TICK_MS).

speak(Socket, To) ->
    send(Socket, To, 8, tone(8, loud)),
    timer:sleep(?TICK_MS).

send(Socket, To, Format, Payload) ->
    {Sequence, Time} = tick(Socket),
    transmit(Socket, To, <<2:2, 0:6, 0:1, Format:7, Sequence:16, Time:32, 7:32, Payload/binary>>).

transmit(Socket, {_, Address, Port}, Packet) ->
    ok = gen_udp:send(Socket, Address, Port, Packet).

clock(Socket) ->
    case get({clock, Socket}) of
        undefined -> {0, 0};
        Clock -> Clock
    end.

tick(Socket) ->
    {Sequence, Time} = clock(Socket),
    put({clock, Socket}, {Sequence + 1, Time + 160}),
    {Sequence + 1, Time + 160}.

%% Payload types and payloads of what has arrived.
heard(Socket) ->
    case gen_udp:recv(Socket, 0, 0) of
        {ok, {_, _, <<2:2, _:7, Format:7, _:80, Payload/binary>>}} ->
            [{Format, Payload} | heard(Socket)];
        {ok, _} -> heard(Socket);
        {error, timeout} -> []
    end.
