%% Digits collected, notified, buffered and sent by a gateway, as its controller sees them: with a
%% stream of telephone events (RFC 4733) on one side of a context of two.
-module(digits).
-export([drive/2]).
-import(text, [log/2]).
-import(mgc, [step/3, refused/3, flatten/1, counters/1]).

-define(PACKET_MS, 20).
-define(PACKET_TICKS, 160).
-define(NOTIFY_WITHIN_MS, 5000).

drive(Connection, MediaIp) ->
    {A, B} = {mgc:socket(MediaIp), mgc:socket(MediaIp)},
    step(Connection, root_map, "Context = - { Modify = ROOT { DigitMap = x0001 { (1xx|2xx) } } }"),
    [Reply] = step(Connection, add, ["Context = $ {", add(MediaIp, A), ",", add(MediaIp, B), "}"]),
    [One, Two] = [added(Command) || Command <- element(5, Reply)],
    Modify = fun(Name, {Termination, _, _}, Descriptors) ->
        step(Connection, Name, action(element(2, Reply), "Modify", Termination, Descriptors))
    end,
    collect(Modify, A, B, One),
    wait_for_timers(Modify, A, One),
    by_name(Modify, A, One),
    one_by_one(Modify, A, One),
    in_lock_step(Modify, A, One),
    play(Modify, A, B, One, Two),
    audit(Connection, element(2, Reply), One),
    refuse(Connection, element(2, Reply), One),
    statistics(Connection, element(2, Reply), One).

%% An in-line map, completed by its last digit. The events pass the context as well.
collect(Modify, A, B, One) ->
    Modify(collect, One, "Events = 11 { dd/ce { DigitMap = { (12x|9x.) } } }"),
    dial(A, One, [1, 2, 5]),
    expect(unambiguous, 11, [{"dd/ce", [{"ds", "125"}, {"Meth", "UM"}]}]),
    log("ok relayed ~p", [length(events(B))]).

%% The short timer ends what could go on, and the start timer what never began.
wait_for_timers(Modify, A, One) ->
    Modify(collect_timed, One, "Events = 12 { dd/ce { DigitMap = { T:1, S:1, (12x|9x.) } } }"),
    dial(A, One, [9, 4]),
    expect(full, 12, [{"dd/ce", [{"ds", "94"}, {"Meth", "FM"}]}]),
    Modify(collect_nothing, One, "Events = 13 { dd/ce { DigitMap = { T:1, (12x|9x.) } } }"),
    expect(partial, 13, [{"dd/ce", [{"ds", ""}, {"Meth", "PM"}]}]).

%% The map of ROOT, and the digit that fits none of it.
by_name(Modify, A, One) ->
    Modify(collect_named, One, "Events = 14 { dd/ce { DigitMap = x0001 }, dd/do }"),
    dial(A, One, [2, 7, 11]),
    Completed = {"dd/ce", [{"ds", "27"}, {"Meth", "PM"}]},
    expect(partial_by_digit, 14, [Completed, {"dd/do", []}]).

%% Digits as events of their own, and tones that end.
one_by_one(Modify, A, One) ->
    Modify(single, One, "Events = 15 { dd/d5, tonedet/etd }"),
    dial(A, One, [5]),
    expect(digit, 15, [{"dd/d5", []}]),
    expect(tone_ended, 15, [{"tonedet/etd", any}]).

%% What comes while the controller thinks is kept for its next word.
in_lock_step(Modify, A, One) ->
    Modify(lock_step, One, [
        "Media { TerminationState { Buffer = LockStep } }, EventBuffer { dd/d3, dd/d4 },",
        " Events = 16 { dd/d1 }"
    ]),
    dial(A, One, [1, 2, 4, 3]),
    expect(locked, 16, [{"dd/d1", []}]),
    Modify(unlock, One, "Events = 17 { dd/d3 }"),
    expect(buffered, 17, [{"dd/d3", []}]),
    Modify(off, One, "Media { TerminationState { Buffer = OFF } }, Events = 18 { g/sc }").

%% A digit towards A takes the place of what B sends.
play(Modify, A, B, One, Two) ->
    events(A),
    Modify(play, One, "Events = 19 { g/sc }, Signals { dg/d8 { NotifyCompletion = { TimeOut } } }"),
    [audio(B, Two) || _ <- lists:seq(1, 15)],
    expect(played, 19, [{"g/sc", any}]),
    Heard = lists:usort([Code || <<Code, _/binary>> <- events(A)]),
    log("ok heard ~w", [Heard]).

audit(Connection, Context, One) ->
    Audit = "Audit { Events, Signals, DigitMap, EventBuffer, ObservedEvents }",
    Audited = step(Connection, audit, action(Context, "AuditValue", element(1, One), Audit)),
    log("ok requests ~w", [[Id || {'EventsDescriptor', Id, _} <- flatten(Audited)]]).

refuse(Connection, Context, {Name, _, _}) ->
    [
        refused(Connection, Step, action(Context, "Modify", Name, Descriptors))
     || {Step, Descriptors} <- [
            {without_map, "Events = 20 { dd/ce }"},
            {undefined_map, "Events = 20 { dd/ce { DigitMap = x0009 } }"},
            {no_map, "Events = 20 { dd/ce { DigitMap = { [5-1] } } }"},
            {foreign_event, "Events = 20 { al/on }"},
            {undetected, "Events = 20 { nt/qualert }"},
            {foreign_signal, "Signals { cg/rt }"},
            {two_tones, "Signals { dg/d1, dg/d2 }"}
        ]
    ].

%% Statistics add up, whoever asks for them, until the termination ends.
statistics(Connection, Context, {Name, _, _}) ->
    Audit = action(Context, "AuditValue", Name, "Audit { Statistics }"),
    First = counters(step(Connection, first_count, Audit)),
    Second = counters(step(Connection, second_count, Audit)),
    Received = fun(Counters) -> proplists:get_value("rtp/pr", Counters) end,
    case Received(First) =/= ["0"] andalso Received(First) =:= Received(Second) of
        true -> log("ok cumulative", []);
        false -> log("fail cumulative ~0p ~0p", [First, Second])
    end,
    step(Connection, subtract_one, action(Context, "Subtract", Name, "Audit { }")),
    Gone = step(Connection, subtract, [
        "Context = ", integer_to_list(Context), " { Subtract = * { Audit { Statistics } } }"
    ]),
    log("info statistics ~0p", [counters(Gone)]),
    refused(Connection, subtract_again, action(Context, "Subtract", Name, "Audit { }")).

action(Context, Command, Name, Descriptors) ->
    ["Context = ", integer_to_list(Context), " { ", Command, " = ", Name, " { ", Descriptors, " } }"].

%% Waits for a notification of a request, with these events and their parameters. Notifications may
%% overtake each other on their way here.
expect(Step, Request, [{First, _} | _] = Expected) ->
    receive
        {notify, {'ObservedEventsDescriptor', Request, [Head | _] = Events}} when
            element(2, Head) =:= First
        ->
            Found = [{element(2, Event), parameters(Event)} || Event <- Events],
            case length(Found) =:= length(Expected) andalso all_agree(Expected, Found) of
                true -> log("ok ~s ~0p", [Step, [Name || {Name, _} <- Found]]);
                false -> log("fail ~s ~0p", [Step, Found])
            end
    after ?NOTIFY_WITHIN_MS -> log("fail ~s was not notified", [Step])
    end.

all_agree(Expected, Found) ->
    lists:all(fun agrees/1, lists:zip(Expected, Found)).

agrees({{Name, any}, {Name, _}}) -> true;
agrees({{Name, Parameters}, {Name, Found}}) -> lists:sort(Parameters) =:= lists:sort(Found);
agrees(_) -> false.

parameters(Event) ->
    [parameter(string:lowercase(Id), V) || {'EventParameter', Id, [V], _} <- flatten(Event)].

%% In text OTP makes all letters small, in binary the method is a number.
parameter("meth", "1") -> {"Meth", "UM"};
parameter("meth", "2") -> {"Meth", "PM"};
parameter("meth", "3") -> {"Meth", "FM"};
parameter("meth", Value) -> {"Meth", string:uppercase(Value)};
parameter(Id, Value) -> {Id, Value}.

%% Terminations that take telephone events.

add(MediaIp, Socket) ->
    [
        "Add = $ { Media { Stream = 1 { LocalControl { Mode = SendReceive },\n",
        "Local {\r\nv=0\r\nc=IN IP4 $\r\nm=audio $", formats(), "},\n",
        "Remote {\r\nv=0\r\nc=IN IP4 ", MediaIp, "\r\nm=audio ",
        integer_to_list(mgc:port_of(Socket)), formats(), "} } } }"
    ].

formats() -> " RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n".

added({addReply, {'AmmsReply', Id, Audit}}) ->
    [Streams | _] = [Each || {mediaDescriptor, {_, _, Each}} <- mgc:descriptors(Audit)],
    Lines = text:sdp_lines(mgc:local(Streams)),
    {text:term_id(Id), mgc:host(Lines), mgc:media_port(Lines)}.

%% Streams of RTP: sequence number and timestamp of each socket are in the process dictionary.

dial(Socket, To, Codes) ->
    [press(Socket, To, Code) || Code <- Codes].

press(Socket, To, Code) ->
    {_, Start} = clock(Socket),
    Durations = [{N * ?PACKET_TICKS, 0} || N <- lists:seq(1, 4)] ++ lists:duplicate(3, {640, 1}),
    [
        begin
            {Sequence, _} = tick(Socket),
            Event = <<Code, End:1, 0:1, 10:6, Duration:16>>,
            send(Socket, To, <<2:2, 0:6, 0:1, 101:7, Sequence:16, Start:32, 7:32, Event/binary>>)
        end
     || {Duration, End} <- Durations
    ],
    timer:sleep(2 * ?PACKET_MS).

audio(Socket, To) ->
    {Sequence, Time} = tick(Socket),
    send(Socket, To, <<2:2, 0:6, 0:1, 8:7, Sequence:16, Time:32, 8:32, 0:1280>>).

send(Socket, {_, Address, Port}, Packet) ->
    ok = gen_udp:send(Socket, Address, Port, Packet),
    timer:sleep(?PACKET_MS).

clock(Socket) ->
    case get({clock, Socket}) of
        undefined -> {0, 0};
        Clock -> Clock
    end.

tick(Socket) ->
    {Sequence, Time} = clock(Socket),
    put({clock, Socket}, {Sequence + 1, Time + ?PACKET_TICKS}),
    {Sequence + 1, Time + ?PACKET_TICKS}.

%% The telephone events that have arrived.
events(Socket) ->
    case gen_udp:recv(Socket, 0, 100) of
        {ok, {_, _, <<2:2, _:7, 101:7, _:80, Event/binary>>}} -> [Event | events(Socket)];
        {ok, _} -> events(Socket);
        {error, timeout} -> []
    end.
