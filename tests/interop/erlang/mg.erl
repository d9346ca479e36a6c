%% OTP's megaco as Media Gateway: registers with a controller, then obeys it, and says what it was
%% asked. Terminations are UDP sockets, and a context of two relays between them.
%%
%%   erl -noshell -pa DIR -run mg main IP PORT MGC_IP MGC_PORT ENCODER CARRIER MEDIA_IP SECONDS
%%
%% Every line of output is `ok COMMAND …`, `fail …` or `info …`; the last, after SECONDS, is `done`.
%%
%% Where a Modify asks for dd/ce, 433 was dialled: that is told, and until it is acknowledged no
%% Subtract is answered.
-module(mg).
-export([main/1]).
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

-define(CHOOSE, 16#FFFFFFFE).
-define(ALL, 16#FFFFFFFF).
-define(PACKAGES, " { Packages { g-2, root-2, nt-1, rtp-1 } }").

main([Ip, Port, MgcIp, MgcPort, Encoder, Carrier, MediaIp, Seconds]) ->
    {ok, Address} = inet:parse_address(Ip),
    {ok, MgcAddress} = inet:parse_address(MgcIp),
    %% Contexts, and terminations: {{Context, Name}, Socket, Remote, PacketsIn, PacketsOut}.
    ets:new(terminations, [named_table, public, ordered_set]),
    ets:new(state, [named_table, public]),
    ets:insert(state, [{next, 1}, {media_ip, MediaIp}]),
    register(owner, spawn_link(fun owner/0)),
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
    Receive = megaco:user_info(Mid, receive_handle),
    Here = {Address, list_to_integer(Port)},
    {ok, Send, Control} = open(Carrier, Here, {MgcAddress, list_to_integer(MgcPort)}, Receive),
    {ok, Connection} = megaco:connect(Receive, preliminary_mid, Send, Control),
    log("info listening ~s ~s", [Ip, Port]),
    Restart = text:actions([
        "Context = - { ServiceChange = ROOT { Services { Method = Restart, Reason = \"901 Cold Boot\",",
        " Version = 3 } } }"
    ]),
    Timer = {megaco_incr_timer, 1000, 2, 0, 4},
    case megaco:call(Connection, Restart, [{request_timer, Timer}]) of
        {_, {ok, Replies}} -> log("ok registered ~0p", [Replies]);
        {_, Error} -> log("fail registered ~0p", [Error]), halt(1)
    end,
    timer:sleep(1000 * list_to_integer(Seconds)),
    log("done", []),
    halt(0).

carrier("udp") -> megaco_udp;
carrier("tcp") -> megaco_tcp.

open("udp", {Address, Port}, {MgcAddress, MgcPort}, Receive) ->
    {ok, Transport} = megaco_udp:start_transport(),
    {ok, Handle, Control} = megaco_udp:open(Transport, [
        {port, Port},
        {receive_handle, Receive},
        {udp_options, [{ip, Address}, family(Address)]}
    ]),
    {ok, megaco_udp:create_send_handle(Handle, MgcAddress, MgcPort), Control};
open("tcp", {Address, _}, {MgcAddress, MgcPort}, Receive) ->
    {ok, Transport} = megaco_tcp:start_transport(),
    connect(Transport, 50, [
        {host, MgcAddress},
        {port, MgcPort},
        {receive_handle, Receive},
        {tcp_options, [{ip, Address}, family(Address)]}
    ]).

%% The controller may not listen yet.
connect(Transport, Tries, Options) ->
    case megaco_tcp:connect(Transport, Options) of
        {error, _} when Tries > 0 ->
            timer:sleep(200),
            connect(Transport, Tries - 1, Options);
        Result ->
            Result
    end.

family(Address) when tuple_size(Address) =:= 4 -> inet;
family(_) -> inet6.

mid({A, B, C, D}, Port) ->
    {ip4Address, {'IP4Address', [A, B, C, D], Port}};
mid(Address, Port) ->
    Octets = [Octet || Word <- tuple_to_list(Address), Octet <- [Word bsr 8, Word band 255]],
    {ip6Address, {'IP6Address', Octets, Port}}.

%% Commands, answered in text.

handle_trans_request(Connection, _, Actions) ->
    ets:insert(state, {connection, Connection}),
    Text = lists:join(",\n", [action(Action) || Action <- Actions]),
    {discard_ack, text:replies(Text)}.

action(Action) ->
    Context =
        case element(2, Action) of
            ?CHOOSE -> ets:update_counter(state, next, 1);
            Given -> Given
        end,
    case lists:flatmap(fun(Each) -> command(Context, element(2, Each)) end, element(5, Action)) of
        [] -> ["Context = ", context(Context), " { Error = 411 { \"no such context\" } }"];
        Replies -> ["Context = ", context(Context), " { ", lists:join(", ", Replies), " }"]
    end.

context(0) -> "-";
context(?ALL) -> "*";
context(Number) -> integer_to_list(Number).

%% The replies to one command. In binary the records of requests have as many fields as their version.
command(Context, {addReq, {'AmmRequest', Id, Descriptors}}) ->
    Asked = text:term_id(Id),
    Name =
        case lists:member($$, Asked) of
            true -> "ip/1/" ++ integer_to_list(ets:update_counter(state, next, 1));
            false -> Asked
        end,
    {Socket, Port} = open(),
    ets:insert(terminations, {{Context, Name}, Socket, none, 0, 0}),
    log("ok add ~p ~s", [Context, Name]),
    [["Add = ", Name, streams(Context, Name, Port, Descriptors)]];
command(Context, {modReq, {'AmmRequest', Id, Descriptors}}) ->
    Name = text:term_id(Id),
    log("ok modify ~p ~s", [Context, Name]),
    case ets:lookup(terminations, {Context, Name}) of
        [] when Context =:= 0 ->
            [["Modify = ", Name]];
        [] ->
            [["Modify = ", Name, " { Error = 430 { \"unknown termination\" } }"]];
        [{_, Socket, _, _, _}] ->
            {ok, Port} = inet:port(Socket),
            [
                dialled(Context, Name, element(2, Events))
             || {eventsDescriptor, Events} <- Descriptors,
                lists:any(fun(Event) -> element(2, Event) =:= "dd/ce" end, element(3, Events))
            ],
            [["Modify = ", Name, streams(Context, Name, Port, Descriptors)]]
    end;
command(Context, {subtractReq, {'SubtractRequest', Id, _}}) ->
    await_notified(50),
    Gone = named(Context, text:term_id(Id)),
    log("ok subtract ~p ~p", [Context, length(Gone)]),
    [subtract(Each) || Each <- Gone];
command(0, {auditValueRequest, Audit}) ->
    log("ok audit_value root", []),
    [["AuditValue = ", text:term_id(element(2, Audit)), ?PACKAGES]];
command(Context, {auditValueRequest, Audit}) ->
    log("ok audit_value ~p", [Context]),
    [audit("AuditValue", Each) || Each <- named(Context, text:term_id(element(2, Audit)))];
command(0, {auditCapRequest, Audit}) ->
    log("ok audit_capabilities root", []),
    [["AuditCapability = ", text:term_id(element(2, Audit)), ?PACKAGES]];
command(Context, {auditCapRequest, Audit}) ->
    log("ok audit_capabilities ~p", [Context]),
    [audit("AuditCapability", Each) || Each <- named(Context, text:term_id(element(2, Audit)))];
command(Context, {serviceChangeReq, {'ServiceChangeRequest', Ids, Parameters}}) ->
    log("ok service_change ~p ~s ~p", [Context, text:term_id(Ids), element(2, Parameters)]),
    [["ServiceChange = ", text:term_id(Ids)]];
command(Context, Other) ->
    log("fail command ~p ~0p", [Context, Other]),
    ["Error = 443 { \"unsupported or unknown command\" }"].

%% Without Meth: OTP reads text in small letters and knows it in binary by a capital one only.
dialled(Context, Name, Request) ->
    Notify = text:actions([
        ["Context = ", context(Context), " { Notify = ", Name, " { ObservedEvents = ", integer_to_list(Request)],
        " { dd/ce { ds = \"433\" } } } }"
    ]),
    [{connection, Connection}] = ets:lookup(state, connection),
    ets:insert(state, {notifying, true}),
    spawn(fun() ->
        case megaco:call(Connection, Notify, []) of
            {_, {ok, Replies}} -> log("ok notified ~0p", [Replies]);
            {_, Error} -> log("fail notified ~0p", [Error])
        end,
        ets:delete(state, notifying)
    end).

await_notified(Tries) ->
    case ets:member(state, notifying) of
        true when Tries > 0 ->
            timer:sleep(100),
            await_notified(Tries - 1);
        _ ->
            ok
    end.

named(Context, "*") ->
    [Each || {{Of, _}, _, _, _, _} = Each <- ets:tab2list(terminations), Of =:= Context];
named(Context, Name) ->
    ets:lookup(terminations, {Context, Name}).

subtract({{Context, Name}, Socket, _, _, _} = Each) ->
    Text = ["Subtract = ", Name, " { ", counts(Each), " }"],
    ets:delete(terminations, {Context, Name}),
    gen_udp:close(Socket),
    Text.

audit(Command, {{_, Name}, _, _, _, _} = Each) ->
    [Command, " = ", Name, " { ", counts(Each), " }"].

counts({_, _, _, In, Out}) ->
    io_lib:format("Statistics { rtp/ps = ~p, rtp/pr = ~p, rtp/pl = 0 }", [Out, In]).

%% Takes the Remote of every stream, and answers with the Local of those that have one.
streams(Context, Name, Port, Descriptors) ->
    Streams = lists:flatmap(fun stream_list/1, Descriptors),
    [remote(Context, Name, Parms) || {_, Parms} <- Streams],
    case [local(Id, Port, Parms) || {Id, Parms} <- Streams, element(3, Parms) =/= asn1_NOVALUE] of
        [] -> "";
        Locals -> [" { Media { ", lists:join(", ", Locals), " } }"]
    end.

stream_list({mediaDescriptor, {'MediaDescriptor', _, {oneStream, Parms}}}) -> [{1, Parms}];
stream_list({mediaDescriptor, {'MediaDescriptor', _, {multiStream, Streams}}}) ->
    [{Id, Parms} || {'StreamDescriptor', Id, Parms} <- Streams];
stream_list(_) -> [].

local(Id, Port, Parms) ->
    Lines = text:sdp_lines(element(2, element(3, Parms))),
    Sdp = [[N, "=", chosen(N, V, Port), "\r\n"] || {N, V} <- Lines],
    ["Stream = ", integer_to_list(Id), " { Local {\r\n", Sdp, "} }"].

%% Fills in what the controller left to us.
chosen("c", Value, _) ->
    [{media_ip, Ip}] = ets:lookup(state, media_ip),
    string:replace(Value, "$", Ip);
chosen("m", Value, Port) ->
    string:replace(Value, "$", integer_to_list(Port));
chosen(_, Value, _) ->
    Value.

remote(Context, Name, Parms) ->
    case element(4, Parms) of
        asn1_NOVALUE ->
            ok;
        {'LocalRemoteDescriptor', Groups} ->
            Lines = text:sdp_lines(Groups),
            ["IN", _, Host | _] = string:lexemes(proplists:get_value("c", Lines), " "),
            ["audio", Port | _] = string:lexemes(proplists:get_value("m", Lines), " "),
            {ok, Address} = inet:parse_address(Host),
            Remote = {Address, list_to_integer(Port)},
            ets:update_element(terminations, {Context, Name}, {3, Remote})
    end.

%% The process that owns the sockets and relays between the two of a context.

open() ->
    owner ! {open, self()},
    receive
        {opened, Socket} ->
            {ok, Port} = inet:port(Socket),
            {Socket, Port}
    end.

owner() ->
    receive
        {open, From} ->
            [{media_ip, Ip}] = ets:lookup(state, media_ip),
            {ok, Address} = inet:parse_address(Ip),
            Options = [binary, {active, true}, {recbuf, 1 bsl 18}, {ip, Address}, family(Address)],
            {ok, Socket} = open_even(Options),
            From ! {opened, Socket};
        {udp, Socket, _, _, Packet} ->
            relay(Socket, Packet);
        _ ->
            ok
    end,
    owner().

%% RTP has even ports (RFC 3550 11).
open_even(Options) ->
    {ok, Socket} = gen_udp:open(0, Options),
    case inet:port(Socket) of
        {ok, Port} when Port band 1 =:= 0 ->
            {ok, Socket};
        _ ->
            gen_udp:close(Socket),
            open_even(Options)
    end.

relay(Socket, Packet) ->
    All = ets:tab2list(terminations),
    case [Key || {Key, Each, _, _, _} <- All, Each =:= Socket] of
        [{Context, Name} = In] ->
            ets:update_counter(terminations, In, {4, 1}),
            [
                begin
                    gen_udp:send(Out, Address, Port, Packet),
                    ets:update_counter(terminations, {Context, Other}, {5, 1})
                end
             || {{Of, Other}, Out, {Address, Port}, _, _} <- All, Of =:= Context, Other =/= Name
            ];
        [] ->
            ok
    end.

%% What else OTP's engine calls.

handle_connect(_, _) -> ok.

handle_disconnect(_, _, _) -> ok.

handle_syntax_error(_, _, Error) ->
    log("fail decode ~0p", [Error]),
    reply.

handle_message_error(_, _, Error) ->
    log("fail message ~0p", [Error]),
    no_reply.

handle_trans_long_request(_, _, _) -> {discard_ack, []}.

handle_trans_reply(_, _, _, _) -> ok.

handle_trans_ack(_, _, _, _) -> ok.

handle_unexpected_trans(_, _, Transaction) ->
    log("info unexpected ~0p", [Transaction]),
    ok.

handle_trans_request_abort(_, _, _, _) -> ok.

handle_segment_reply(_, _, _, _, _) -> ok.
