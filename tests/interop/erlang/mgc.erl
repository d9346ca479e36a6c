%% OTP's megaco as Media Gateway Controller: waits for a gateway's ServiceChange Restart, drives
%% one context through its life, and says step by step what it saw.
%%
%%   erl -noshell -pa DIR -run mgc main IP PORT ENCODER CARRIER MEDIA_IP STORY
%%
%% ENCODER is pretty, compact or ber, CARRIER udp or tcp. With a MEDIA_IP other than `none` RTP is
%% sent through the context both ways and counted. STORY is `life`, or `digits` or `resource` for what
%% is in the module of that name. Every line of output is `ok STEP …`,
%% `fail STEP …` or `info …`; the last is `done`.
-module(mgc).
-export([main/1]).
-export([step/3, refused/3, descriptors/1, local/1, host/1, media_port/1, flatten/1, counters/1]).
-export([socket/1, port_of/1]).
-export([
    handle_connect/2,
    handle_disconnect/3,
    handle_syntax_error/3,
    handle_message_error/3,
    handle_trans_request/3,
    handle_trans_long_request/3,
    handle_trans_reply/4,
    handle_trans_ack/4,
    handle_unexpected_trans/3,
    handle_trans_request_abort/4,
    handle_segment_reply/5
]).
-import(text, [log/2]).

-define(WAIT_FOR_GATEWAY_MS, 30000).
-define(RTP_PACKETS, 50).

main([Ip, Port, Encoder, Carrier, MediaIp, Story]) ->
    register(driver, self()),
    put(encoder, Encoder),
    {ok, Address} = inet:parse_address(Ip),
    Mid = mid(Address, list_to_integer(Port)),
    ok = megaco:start(),
    ok = megaco:start_user(Mid, [
        {user_mod, ?MODULE},
        {encoding_mod, text:encoder(Encoder)},
        {encoding_config, []},
        {send_mod, carrier(Carrier)},
        {protocol_version, 3},
        {auto_ack, true}
    ]),
    ok = listen(Carrier, Address, list_to_integer(Port), megaco:user_info(Mid, receive_handle)),
    log("info listening ~s ~s", [Ip, Port]),
    receive
        {gateway, Connection} ->
            case Story of
                "life" -> drive(Connection, MediaIp);
                "digits" -> digits:drive(Connection, MediaIp);
                "resource" -> resource:drive(Connection, MediaIp)
            end,
            log("done", []),
            halt(0)
    after ?WAIT_FOR_GATEWAY_MS ->
        log("fail service_change no gateway came", []),
        halt(1)
    end.

carrier("udp") -> megaco_udp;
carrier("tcp") -> megaco_tcp.

listen("udp", Address, Port, Receive) ->
    {ok, Transport} = megaco_udp:start_transport(),
    {ok, _, _} = megaco_udp:open(Transport, [
        {port, Port},
        {receive_handle, Receive},
        {udp_options, [{ip, Address}, family(Address)]}
    ]),
    ok;
listen("tcp", Address, Port, Receive) ->
    {ok, Transport} = megaco_tcp:start_transport(),
    megaco_tcp:listen(Transport, [
        {port, Port},
        {receive_handle, Receive},
        {tcp_options, [{ip, Address}, {reuseaddr, true}, family(Address)]}
    ]).

family(Address) when tuple_size(Address) =:= 4 -> inet;
family(_) -> inet6.

mid({A, B, C, D}, Port) ->
    {ip4Address, {'IP4Address', [A, B, C, D], Port}};
mid(Address, Port) ->
    Octets = [Octet || Word <- tuple_to_list(Address), Octet <- [Word bsr 8, Word band 255]],
    {ip6Address, {'IP6Address', Octets, Port}}.

%% The life of one context.
drive(Connection, MediaIp) ->
    Root = step(Connection, audit_root, "Context = - { AuditValue = ROOT { Audit { Packages } } }"),
    log("info packages ~0p", [packages(Root)]),
    step(Connection, audit_root_capabilities,
        "Context = - { AuditCapability = ROOT { Audit { Media, Packages } } }"),
    {A, B} = {socket(MediaIp), socket(MediaIp)},
    [Reply] = step(Connection, add, [
        "Context = $ {", add(MediaIp), ",", add(MediaIp), "}"
    ]),
    Context = element(2, Reply),
    [One, Two] = [added(Command) || Command <- element(5, Reply)],
    log("info context ~p terminations ~s ~s", [Context, name(One), name(Two)]),
    Is = io_lib:format("Context = ~p {", [Context]),
    step(Connection, modify, [Is, modify(One, MediaIp, A), ",", modify(Two, MediaIp, B), "}"]),
    media(MediaIp, {A, One}, {B, Two}),
    step(Connection, audit_value, [
        Is, "AuditValue = ", name(One), " { Audit { Media, Statistics, Packages } } }"
    ]),
    step(Connection, audit_capabilities, [
        Is, "AuditCapability = ", name(One), " { Audit { Media, Statistics } } }"
    ]),
    Gone = step(Connection, subtract, [Is, "Subtract = * { Audit { Statistics } } }"]),
    log("info statistics ~0p", [counters(Gone)]),
    refused(Connection, subtract_again, [Is, "Subtract = * }"]),
    refused(Connection, audit_gone, [Is, "AuditValue = ", name(One), " { Audit { } } }"]).

%% Sends actions, expects success, and returns the action replies.
step(Connection, Name, Text) ->
    case call(Connection, Text) of
        {ok, Replies} ->
            case [Error || Reply <- Replies, Error <- errors(Reply)] of
                [] ->
                    log("ok ~s", [Name]),
                    Replies;
                Errors ->
                    log("fail ~s ~0p", [Name, Errors]),
                    halt(1)
            end;
        Other ->
            log("fail ~s ~0p", [Name, Other]),
            halt(1)
    end.

%% Sends actions and expects an error descriptor.
refused(Connection, Name, Text) ->
    Codes =
        case call(Connection, Text) of
            {ok, Replies} ->
                [element(2, Error) || Reply <- Replies, Error <- errors(Reply)];
            {error, {'ErrorDescriptor', Code, _}} ->
                [Code];
            Other ->
                log("info ~s ~0p", [Name, Other]),
                []
        end,
    case Codes of
        [] -> log("fail ~s was not refused", [Name]);
        [First | _] -> log("ok ~s ~p", [Name, First])
    end.

call(Connection, Text) ->
    Timer = {megaco_incr_timer, 1000, 2, 0, 3},
    {_, Result} = megaco:call(Connection, text:actions(Text), [{request_timer, Timer}]),
    Result.

%% Error descriptors anywhere in an action reply.
errors(Term) when is_tuple(Term), element(1, Term) =:= 'ErrorDescriptor' -> [Term];
errors(Term) when is_tuple(Term) -> errors(tuple_to_list(Term));
errors([Head | Tail]) -> errors(Head) ++ errors(Tail);
errors(_) -> [].

add(MediaIp) ->
    [
        "Add = $ { Media { Stream = 1 { LocalControl { Mode = SendReceive },\n",
        "Local {\r\nv=0\r\nc=IN ", version(MediaIp), " $\r\nm=audio $ RTP/AVP 8\r\na=ptime:20\r\n} } } }"
    ].

%% Name and local address of a termination just added.
added({addReply, {'AmmsReply', Id, Audit}}) ->
    [{mediaDescriptor, {'MediaDescriptor', _, Streams}} | _] =
        [Each || {mediaDescriptor, _} = Each <- descriptors(Audit)],
    Lines = text:sdp_lines(local(Streams)),
    {text:term_id(Id), host(Lines), media_port(Lines)}.

descriptors(asn1_NOVALUE) -> [];
descriptors(Descriptors) -> Descriptors.

local({oneStream, Parms}) -> element(2, element(3, Parms));
local({multiStream, [{'StreamDescriptor', _, Parms} | _]}) -> local({oneStream, Parms}).

host(Lines) ->
    ["IN", _, Host | _] = string:lexemes(proplists:get_value("c", Lines), " "),
    {ok, Address} = inet:parse_address(Host),
    Address.

media_port(Lines) ->
    ["audio", Port | _] = string:lexemes(proplists:get_value("m", Lines), " "),
    list_to_integer(Port).

name({Name, _, _}) -> Name.

modify(Termination, MediaIp, Socket) ->
    [
        "Modify = ", name(Termination), " { Media { Stream = 1 {\n",
        "Remote {\r\nv=0\r\nc=IN ", version(MediaIp), " ", address(MediaIp), "\r\nm=audio ",
        integer_to_list(port_of(Socket)), " RTP/AVP 8\r\na=ptime:20\r\n} } } }"
    ].

version(Ip) ->
    case lists:member($:, Ip) of
        true -> "IP6";
        false -> "IP4"
    end.

address("none") -> "127.0.0.1";
address(Ip) -> Ip.

packages(Term) ->
    lists:sort([Name || {'PackagesItem', Name, _} <- flatten(Term)]).

counters(Term) ->
    [{Name, Value} || {'StatisticsParameter', Name, Value} <- flatten(Term)].

%% Every tuple within a term.
flatten(Term) when is_tuple(Term) -> [Term | flatten(tuple_to_list(Term))];
flatten([Head | Tail]) -> flatten(Head) ++ flatten(Tail);
flatten(_) -> [].

%% RTP both ways through the context.
socket("none") ->
    none;
socket(Ip) ->
    {ok, Address} = inet:parse_address(Ip),
    Options = [binary, {active, false}, {recbuf, 1 bsl 18}, {ip, Address}, family(Address)],
    {ok, Socket} = gen_udp:open(0, Options),
    Socket.

port_of(none) ->
    6000;
port_of(Socket) ->
    {ok, Port} = inet:port(Socket),
    Port.

media("none", _, _) ->
    ok;
media(_, {A, One}, {B, Two}) ->
    %% The first packet of each side may be what the gateway latches on.
    exchange(A, One, B, 16#11111111, 1),
    exchange(B, Two, A, 16#22222222, 1),
    Forward = exchange(A, One, B, 16#11111111, ?RTP_PACKETS),
    Back = exchange(B, Two, A, 16#22222222, ?RTP_PACKETS),
    case {Forward, Back} of
        {?RTP_PACKETS, ?RTP_PACKETS} -> log("ok media ~p ~p", [Forward, Back]);
        _ -> log("fail media ~p ~p of ~p", [Forward, Back, ?RTP_PACKETS])
    end.

%% Sends packets from one socket into a termination and counts those that come out at the other.
exchange(From, {_, Address, Port}, To, Ssrc, Count) ->
    First =
        case get({sent, Ssrc}) of
            undefined -> 0;
            Sent -> Sent
        end,
    put({sent, Ssrc}, First + Count),
    [
        begin
            Sequence = First + N,
            Packet = <<2:2, 0:6, 0:1, 8:7, Sequence:16, (Sequence * 160):32, Ssrc:32, 0:1280>>,
            ok = gen_udp:send(From, Address, Port, Packet),
            timer:sleep(5)
        end
     || N <- lists:seq(1, Count)
    ],
    received(To, Ssrc, 0).

received(Socket, Ssrc, Count) ->
    case gen_udp:recv(Socket, 0, 300) of
        {ok, {_, _, <<2:2, _:94, _/binary>>}} -> received(Socket, Ssrc, Count + 1);
        {ok, _} -> received(Socket, Ssrc, Count);
        {error, timeout} -> Count
    end.

%% What OTP's engine calls.

handle_connect(_, _) -> ok.

handle_disconnect(_, _, _) -> ok.

handle_syntax_error(_, _, Error) ->
    log("fail decode ~0p", [Error]),
    reply.

%% A gateway that has to wait for the answer to its registration repeats it, in version 1, when this
%% engine has agreed on another already.
handle_message_error(_, _, Error) ->
    Text = lists:flatten(io_lib:format("~0p", [Error])),
    case string:find(Text, "Not negotiated version") of
        nomatch -> log("fail message ~s", [Text]);
        _ -> log("info repeated ~s", [Text])
    end,
    no_reply.

handle_trans_request(Connection, _, Actions) ->
    {discard_ack, lists:flatmap(fun(Action) -> action(Connection, Action) end, Actions)}.

action(Connection, Action) ->
    Context = element(2, Action),
    lists:flatmap(fun(Each) -> command(Connection, Context, element(2, Each)) end, element(5, Action)).

command(Connection, 0, {serviceChangeReq, {'ServiceChangeRequest', Ids, Parameters}}) ->
    Name = text:term_id(Ids),
    log("ok service_change ~s method ~p reason ~0p version ~p", [
        Name, element(2, Parameters), element(6, Parameters), element(4, Parameters)
    ]),
    (element(2, Parameters) =:= restart) andalso (driver ! {gateway, Connection}),
    text:replies(["Context = - { ServiceChange = ", Name, " { Services { Version = 3 } } }"]);
command(_, Context, {notifyReq, {'NotifyRequest', Ids, Observed, _}}) ->
    log("info notify ~0p", [Observed]),
    driver ! {notify, Observed},
    text:replies([
        "Context = ", context(Context), " { Notify = ", text:term_id(Ids), " }"
    ]);
command(_, _, Other) ->
    log("fail command ~0p", [Other]),
    text:replies("Context = - { Error = 443 { \"not for a gateway to ask\" } }").

context(0) -> "-";
context(Number) -> integer_to_list(Number).

handle_trans_long_request(_, _, _) -> {discard_ack, []}.

handle_trans_reply(_, _, _, _) -> ok.

handle_trans_ack(_, _, _, _) -> ok.

handle_unexpected_trans(_, _, Transaction) ->
    log("info unexpected ~0p", [Transaction]),
    ok.

handle_trans_request_abort(_, _, _, _) -> ok.

handle_segment_reply(_, _, _, _, _) -> ok.
