#!/usr/bin/env escript
%% Erlang/OTP diameter as an HSS of ims.test.
%%
%%   diameter_node.escript listen|connect PORT DICTIONARY
%%
%% Writes a line for everything it sees: "info …", "ok …", "fail …". Each line of its input is a command: "rtr"
%% sends a Registration-Termination-Request. At the end of its input it takes leave of its peers and ends.
-mode(compile).
-export([
    peer_up/3,
    peer_down/3,
    pick_peer/4,
    prepare_request/3,
    prepare_retransmit/3,
    handle_answer/4,
    handle_error/4,
    handle_request/3
]).

-define(CX, 16777216).
-define(VENDOR, 10415).

main([Role, Port, Dictionary]) ->
    {ok, [Forms]} = diameter_make:codec(Dictionary, [forms, return]),
    {ok, cx, Beam} = compile:forms(Forms, []),
    {module, cx} = code:load_binary(cx, Dictionary, Beam),
    ok = logger:set_primary_config(level, none),
    ok = diameter:start(),
    true = diameter:subscribe(hss),
    ok = diameter:start_service(hss, [
        {'Origin-Host', "hss1.ims.test"},
        {'Origin-Realm', "ims.test"},
        {'Vendor-Id', 193},
        {'Product-Name', "Erlang/OTP"},
        {'Host-IP-Address', [{127, 0, 0, 1}]},
        {'Supported-Vendor-Id', [?VENDOR]},
        {'Vendor-Specific-Application-Id', [application_id()]},
        {string_decode, false},
        {decode_format, map},
        {application, [{alias, cx}, {dictionary, cx}, {module, ?MODULE}]}
    ]),
    {ok, _} = diameter:add_transport(hss, transport(Role, list_to_integer(Port))),
    say("info started", []),
    Self = self(),
    spawn_link(fun() -> input(Self) end),
    loop().

transport(Role, Port) ->
    Address = {127, 0, 0, 1},
    Where =
        case Role of
            "listen" -> [{ip, Address}, {port, Port}, {reuseaddr, true}];
            "connect" -> [{ip, Address}, {raddr, Address}, {rport, Port}]
        end,
    {list_to_atom(Role), [
        {transport_module, diameter_tcp},
        {transport_config, Where},
        {watchdog_timer, 6000},
        {connect_timer, 1000}
    ]}.

application_id() ->
    {'diameter_base_Vendor-Specific-Application-Id', ?VENDOR, [?CX], []}.

input(Main) ->
    case io:get_line("") of
        Line when is_list(Line) ->
            Main ! {command, string:trim(Line)},
            input(Main);
        _ ->
            Main ! stop
    end.

loop() ->
    receive
        {command, "rtr"} ->
            rtr(),
            loop();
        stop ->
            ok = diameter:stop_service(hss),
            say("info stopped", []);
        {diameter_event, hss, {watchdog, _, _, {From, To}, _}} ->
            say("info watchdog ~s ~s", [From, To]),
            loop();
        {diameter_event, hss, {closed, _, Reason, _}} ->
            say("info closed ~0p", [Reason]),
            loop();
        _ ->
            loop()
    end.

rtr() ->
    Request = #{
        'Session-Id' => diameter:session_id("hss1.ims.test"),
        'Vendor-Specific-Application-Id' =>
            #{'Vendor-Id' => ?VENDOR, 'Auth-Application-Id' => [?CX]},
        'Auth-Session-State' => 1,
        'Destination-Host' => "scscf1.ims.test",
        'Destination-Realm' => "ims.test",
        'User-Name' => "alice@ims.test",
        'Deregistration-Reason' => #{'Reason-Code' => 0, 'Reason-Info' => ["goodbye"]},
        'Public-Identity' => ["sip:alice@ims.test"]
    },
    case diameter:call(hss, cx, ['RTR' | Request], [{timeout, 5000}]) of
        ['RTA' | #{'Result-Code' := [2001]}] -> say("ok rtr 2001", []);
        Other -> say("fail rtr ~0p", [Other])
    end.

peer_up(_, {_, Caps}, State) ->
    say("info up ~s", [remote(Caps)]),
    State.

peer_down(_, {_, Caps}, State) ->
    say("info down ~s", [remote(Caps)]),
    State.

%% #diameter_caps{} has pairs of our and their values, Origin-Host first.
remote(Caps) ->
    {_, Host} = element(2, Caps),
    Host.

pick_peer([Peer | _], _, _, _) -> {ok, Peer};
pick_peer([], _, _, _) -> false.

prepare_request(Packet, _, {_, Caps}) ->
    {Host, _} = element(2, Caps),
    {Realm, _} = element(3, Caps),
    ['RTR' | Request] = element(4, Packet),
    {send, ['RTR' | Request#{'Origin-Host' => Host, 'Origin-Realm' => Realm}]}.

prepare_retransmit(Packet, _, _) -> {send, Packet}.

handle_answer(Packet, _, _, _) ->
    case element(6, Packet) of
        [] -> element(4, Packet);
        Errors -> {faults, Errors}
    end.

handle_error(Reason, _, _, _) -> {error, Reason}.

handle_request(Packet, _, {_, Caps}) ->
    ['UAR' | Request] = element(4, Packet),
    {Host, _} = element(2, Caps),
    {Realm, _} = element(3, Caps),
    say("ok uar ~s ~0p", [maps:get('User-Name', Request), element(6, Packet)]),
    Result = #{'Vendor-Id' => ?VENDOR, 'Experimental-Result-Code' => 2001},
    Capabilities = #{'Mandatory-Capability' => [1, 2], 'Server-Name' => ["sip:scscf1.ims.test"]},
    {reply, [
        'UAA'
        | #{
            'Session-Id' => maps:get('Session-Id', Request),
            'Vendor-Specific-Application-Id' =>
                #{'Vendor-Id' => ?VENDOR, 'Auth-Application-Id' => [?CX]},
            'Auth-Session-State' => 1,
            'Origin-Host' => Host,
            'Origin-Realm' => Realm,
            'Experimental-Result' => [Result],
            'Server-Capabilities' => [Capabilities]
        }
    ]}.

say(Format, Arguments) ->
    io:format(Format ++ "~n", Arguments).
