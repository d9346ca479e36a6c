#!/usr/bin/env escript
%% A wide corpus of messages made by Erlang/OTP's megaco application, and its judgement of what others make of them.
%%
%%   corpus.escript generate SEED COUNT FILE   makes COUNT random messages of versions 1 to 3 and writes what OTP's
%%                                             encoders make of them; prints how many of each encoding there are
%%   corpus.escript judge THEIRS OURS          decodes both files; prints `INDEX TAB FORM TAB …` for each message
%%                                             that differs and how many are the same
%%
%% A file holds for each message its version and which forms are faithful, pretty text, compact text and BER, each
%% behind its length in four octets. A form is empty when OTP cannot make it, or does not read what it made; it is
%% faithful (1, 2, 4) when OTP reads it as the message that it was made of.
-mode(compile).
-include("records.hrl").

-define(FORMS, [{"pretty", megaco_pretty_text_encoder}, {"compact", megaco_compact_text_encoder},
                {"ber", megaco_ber_encoder}]).

main(["generate", Seed, Count, File]) ->
    All = [forms(message(list_to_integer(Seed), Index))
           || Index <- lists:seq(1, list_to_integer(Count))],
    ok = file:write_file(File, [<<(byte_size(F)):32, F/binary>> || Forms <- All, F <- Forms]),
    [io:format("~s\t~w~n", [Name, length([1 || Forms <- All, lists:nth(At, Forms) =/= <<>>])])
     || {At, {Name, _}} <- lists:zip([2, 3, 4], ?FORMS)],
    [io:format("faithful ~s\t~w~n", [Name, length([1 || [<<_, Faithful>> | _] <- All, Faithful band Bit =/= 0])])
     || {Bit, {Name, _}} <- lists:zip([1, 2, 4], ?FORMS)];
main(["why", Seed, Count]) ->
    [why(message(list_to_integer(Seed), Index)) || Index <- lists:seq(1, list_to_integer(Count))];
main(["judge", Theirs, Ours]) ->
    Verdicts = judge_all(0, read(Theirs), read(Ours)),
    io:format("same\t~w~n", [length([1 || same <- Verdicts])]).

read(File) ->
    {ok, Bin} = file:read_file(File),
    [F || <<Len:32, F:Len/binary>> <= Bin].

judge_all(_, [], []) -> [];
judge_all(At, [<<Version, _>> | Theirs], [<<Version, _>> | Ours]) ->
    {T, MoreTheirs} = lists:split(3, Theirs),
    {O, MoreOurs} = lists:split(3, Ours),
    [judge(At, Version, F, X, Y) || {F, X, Y} <- lists:zip3(?FORMS, T, O)]
        ++ judge_all(At + 1, MoreTheirs, MoreOurs).

judge(_, _, _, <<>>, <<>>) -> none;
judge(At, Version, {Form, Module}, Theirs, Ours) ->
    case {decode(Module, Version, Theirs), decode(Module, Version, Ours)} of
        {{ok, Same}, {ok, Same}} -> same;
        {{ok, T}, {ok, O}} -> io:format("~w\t~s\t~0p~n", [At, Form, difference(T, O)]);
        {T, O} -> io:format("~w\t~s\t~0P /// ~0P~n", [At, Form, T, 40, O, 40])
    end.

decode(Module, Version, Bin) ->
    try Module:decode_message([], Version, Bin)
    catch Class:Reason -> {Class, Reason}
    end.

forms({Version, Message}) ->
    Forms = [case get(binary_only) of
                 true when Name =/= "ber" -> {<<>>, binary_only};
                 _ -> there_and_back(Module, Version, Message)
             end || {Name, Module} <- ?FORMS],
    Faithful = lists:sum([Bit || {Bit, {_, same}} <- lists:zip([1, 2, 4], Forms)]),
    [<<Version, Faithful>> | [Bin || {Bin, _} <- Forms]].

there_and_back(Module, Version, Message) ->
    try
        {ok, Bin} = Module:encode_message([], Version, Message),
        {ok, Back} = Module:decode_message([], Version, Bin),
        {Bin, difference(lower(Message), lower(Back))}
    catch _:Reason -> {<<>>, Reason}
    end.

%% OTP reads names in text as small letters.
lower(Term) when is_list(Term) -> [lower(T) || T <- Term];
lower(Term) when is_tuple(Term) -> list_to_tuple(lower(tuple_to_list(Term)));
lower(C) when is_integer(C), C >= $A, C =< $Z -> C + 32;
lower(Term) -> Term.

%% The smallest part that differs.
difference(Same, Same) -> same;
difference([X | Xs], [X | Ys]) -> difference(Xs, Ys);
difference([X | Xs], [Y | Xs]) -> difference(X, Y);
difference(X, Y) when is_tuple(X), is_tuple(Y), tuple_size(X) =:= tuple_size(Y) ->
    case [Pair || {A, B} = Pair <- lists:zip(tuple_to_list(X), tuple_to_list(Y)), A =/= B] of
        [{A, B}] -> {element(1, X), difference(A, B)};
        _ -> {X, Y}
    end;
difference(X, Y) -> {X, Y}.

why({Version, Message}) ->
    [case there_and_back(Module, Version, Message) of
         {_, same} -> ok;
         {_, Why} -> io:format("~s ~w ~0P~n", [Name, Version, Why, 40])
     end || {Name, Module} <- ?FORMS].

%% Messages.

message(Seed, Index) ->
    rand:seed(exsss, erlang:phash2({Seed, Index}, 1 bsl 32)),
    Version = pick([1, 2, 3, 3]),
    put(version, Version),
    put(wild, below(10) =:= 0),
    %% Packages and terminations that BER has no numbers for: text only.
    put(foreign, below(10) =:= 0),
    put(binary_only, false),
    Body = case below(20) of
        0 -> {messageError, failure()};
        %% OTP does not read text in which anything follows.
        1 when Version =:= 3 -> {transactions, list(0, 2, fun transaction/0) ++ [segment_reply()]};
        _ -> {transactions, list(1, 3, fun transaction/0)}
    end,
    Auth = sometimes(20, fun() ->
        #'AuthenticationHeader'{secParmIndex = octets(4), seqNum = octets(4), ad = octets(12 + below(21))}
    end),
    Message = #'MegacoMessage'{authHeader = Auth,
                               mess = #'Message'{version = Version, mId = mid(), messageBody = Body}},
    {Version, older(Version, Message)}.

%% Earlier versions have the same records without the fields that came later.
older(3, Term) -> Term;
older(Version, Term) when is_list(Term) -> [older(Version, T) || T <- Term];
older(Version, Term) when is_tuple(Term) ->
    Fields = [older(Version, T) || T <- tuple_to_list(Term)],
    case fields(Version, hd(Fields)) of
        all -> list_to_tuple(Fields);
        Count -> list_to_tuple(lists:sublist(Fields, 1 + Count))
    end;
older(_, Term) -> Term.

fields(_, 'TransactionReply') -> 3;
fields(_, 'ContextRequest') -> 3;
fields(_, 'ContextAttrAuditRequest') -> 3;
fields(1, 'TopologyRequest') -> 3;
fields(2, 'TopologyRequest') -> 4;
fields(_, 'AuditRequest') -> 2;
fields(1, 'AuditDescriptor') -> 1;
fields(_, 'StreamParms') -> 3;
fields(_, 'RequestedActions') -> 4;
fields(_, 'SecondRequestedActions') -> 3;
fields(_, 'Signal') -> 7;
fields(1, 'DigitMapValue') -> 4;
fields(1, 'ServiceChangeParm') -> 9;
fields(2, 'ServiceChangeParm') -> 10;
fields(_, 'IndAudLocalControlDescriptor') -> 4;
fields(_, 'IndAudPropertyParm') -> 1;
fields(_, 'IndAudTerminationStateDescriptor') -> 3;
fields(_, 'IndAudStreamParms') -> 3;
fields(_, 'IndAudSignal') -> 2;
fields(_, _) -> all.

since(Version) -> get(version) >= Version.

%% Chance.

below(Bound) -> rand:uniform(Bound) - 1.

pick(List) -> lists:nth(rand:uniform(length(List)), List).

flip() -> below(2) =:= 0.

%% One time in N.
sometimes(N, Make) -> case below(N) of 0 -> Make(); _ -> ?NO end.

%% What OTP prints otherwise than Annex B has it: such a message has BER only.
binary_only(Make) -> fun() -> put(binary_only, true), Make() end.

%% Likewise, for what came with a version.
since(Version, N, Make) -> case since(Version) of true -> sometimes(N, Make); false -> ?NO end.

list(Min, Max, Make) -> [Make() || _ <- lists:seq(1, Min + below(Max - Min + 1))].

u16() -> below(65536).
u32() -> pick([below(1 bsl pick([4, 16, 31])), below(1 bsl pick([4, 16, 31])), below(1 bsl 32)]).
octets(Len) -> [16 + below(200) || _ <- lists:seq(1, Len)].
%% No token ends so: OTP's parser takes a VALUE that reads as one for it, which B.2 does not.
word() -> [pick("abcdefghijklmnopqrstuvwxyz") || _ <- lists:seq(1, 1 + below(6))] ++ "z".
words() -> pick([word(), word() ++ " " ++ word(), word() ++ "-" ++ word() ++ ".", integer_to_list(u16()), odd()]).
%% What must stand in quotation marks.
odd() -> word() ++ pick(["{", "}", ";", "=", ",", "<", "#", "[", "(", "\\", "\t", " "]) ++ word().

%% Those of Items, in their order.
some(Items) -> [I || I <- Items, flip()].

unique(Key, List) -> lists:ukeysort(Key, List).

%% Names.

items(property) ->
    foreign(["root/maxNumberOfContexts", "root/normalMGExecutionTime", "root/MGProvisionalResponseTimerValue",
             "nt/jit", "tdmc/ec", "tdmc/gain"],
            ["root/MGOriginatedPendingLimit", "vendor/thing", "x9876/x0001", "x0001/y_2"]);
items(event) ->
    foreign(
    [{"g/cause", ["Generalcause", "Failurecause"]}, {"g/sc", ["SigID", "Meth", "SLID"]},
     {"tonedet/std", ["tl", "tid"]}, {"tonedet/ltd", ["tl", "dur", "tid"]}, {"dd/ce", ["ds", "Meth"]},
     {"cd/bt", []}, {"al/on", ["strict", "init"]}, {"al/of", ["strict", "init"]},
     {"al/fl", ["mindur", "maxdur"]}, {"ct/cmp", ["res"]}, {"nt/netfail", ["cs"]},
     {"nt/qualert", ["th"]}, {"rtp/pltrans", ["rtppltype"]}],
    [{"vendor/event", ["x0001", "p_q"]}, {"x9876/*", []}, {"*/*", []}]);
items(signal) ->
    foreign(
    [{"tonegen/pt", ["tl", "ind"] ++ ["btd" || since(3)]}, {"dg/d5", ["btd" || since(3)]}, {"dg/ds", []},
     {"cg/rt", []}, {"cg/dt", []},
     {"al/ri", ["cad", "freq"]}, {"ct/ct", []}, {"ct/rsp", []}],
    [{"vendor/signal", ["x0001", "p_q"]}, {"x9876/x0002", []}, {"dg/*", []}]);
items(statistics) ->
    foreign(["nt/dur", "nt/os", "nt/or", "rtp/ps", "rtp/pr", "rtp/pl", "rtp/jit", "rtp/delay"],
            ["vendor/count", "x9876/x0003"]).

foreign(Known, Foreign) -> case get(foreign) of true -> Known ++ Foreign; false -> Known end.

packages() -> ["g", "root", "tonegen", "tonedet", "dg", "dd", "cg", "cd", "al", "ct", "nt", "rtp", "tdmc"].

dial_plan() -> "dialplan" ++ [$0 + below(10), $0 + below(10)].

%% Three levels of eight bits, as OTP's default configuration has them.
level() -> [pick("01") || _ <- lists:seq(1, 8)].

tid() ->
    case below(10) of
        0 -> tid(false, ["root"]);
        1 -> tid(true, ["*"]);
        2 -> tid(true, ["$"]);
        3 -> tid(true, [level(), pick(["*", "$"])]);
        4 -> case get(wild) of
            %% OTP reads wildcards of a single level in BER as further digits of the level before.
            true -> tid(true, [level(), pick(["*", "$"]), level()]);
            false -> tid(false, [level(), level(), level()])
        end;
        5 -> case get(foreign) of
            true -> tid(false, pick([["tdm", "4", "b-2"], ["access"], ["ip", "10_1", "port@3.example"]]));
            false -> tid(false, [level(), level(), level()])
        end;
        _ -> tid(false, [level(), level(), level()])
    end.

tid(Wild, Levels) -> #megaco_term_id{contains_wildcards = Wild, id = Levels}.

%% Only version 3 has lists of terminations.
tids() -> case since(3) of true -> list(1, pick([1, 1, 3]), fun tid/0); false -> [tid()] end.

mid() ->
    Port = sometimes(2, fun u16/0),
    case below(8) + 8 * below(3) of
        0 -> {ip6Address, #'IP6Address'{address = octets(16), portNumber = Port}};
        1 -> {domainName, #'DomainName'{name = word() ++ "." ++ word(), portNumber = Port}};
        2 -> {deviceName, word() ++ "/" ++ word()};
        3 -> {mtpAddress, pick(["01A0", "8FC1"])};
        _ -> {ip4Address, #'IP4Address'{address = [below(256) || _ <- "1234"], portNumber = Port}}
    end.

failure() -> #'ErrorDescriptor'{errorCode = 400 + below(200), errorText = sometimes(2, fun words/0)}.

%% Transactions and actions.

transaction() ->
    Id = id(),
    case below(10) of
        0 -> {transactionPending, #'TransactionPending'{transactionId = Id}};
        1 -> {transactionResponseAck, list(1, 3, fun ack/0)};
        N when N < 5 -> {transactionReply, reply(Id)};
        _ -> {transactionRequest,
              #'TransactionRequest'{transactionId = Id, actions = list(1, 2, fun action/0)}}
    end.

segment_reply() ->
    {segmentReply, #'SegmentReply'{transactionId = id(), segmentNumber = 1 + below(200),
                                   segmentationComplete = sometimes(2, fun null/0)}}.

%% Neither 0 nor a number to which an acknowledged range could not be added.
id() -> min(1 + u32(), 16#fffffff0).

ack() ->
    First = id(),
    #'TransactionAck'{firstAck = First, lastAck = sometimes(2, fun() -> First + 1 + below(9) end)}.

reply(Id) ->
    Result = case below(8) of
        0 -> {transactionError, failure()};
        _ -> {actionReplies, list(1, 2, fun action_reply/0)}
    end,
    Segment = since(3, 8, fun() -> 1 + below(200) end),
    #'TransactionReply'{transactionId = Id, immAckRequired = sometimes(4, fun null/0),
                        transactionResult = Result, segmentNumber = Segment,
                        segmentationComplete = case Segment of ?NO -> ?NO; _ -> sometimes(2, fun null/0) end}.

null() -> 'NULL'.

context() -> case below(6) of 0 -> 0; 1 -> 16#fffffffe; 2 -> 16#ffffffff; _ -> min(1 + u32(), 16#fffffffd) end.

action() ->
    {Request, Audit} = case below(6) of
        0 -> {context_request(), ?NO};
        1 -> {?NO, case since(2) of true -> context_audit(); false -> ?NO end};
        _ -> {?NO, ?NO}
    end,
    #'ActionRequest'{contextId = context(), contextRequest = Request, contextAttrAuditReq = Audit,
                     commandRequests = list(1, 3, fun command/0)}.

action_reply() ->
    #'ActionReply'{contextId = context(), errorDescriptor = sometimes(8, fun failure/0),
                   contextReply = sometimes(6, fun context_request/0),
                   commandReply = list(1, 3, fun command_reply/0)}.

context_request() ->
    #'ContextRequest'{
        %% OTP's second version has a word of its own for false.
        priority = below(16), emergency = sometimes(2, fun() -> not since(3) orelse flip() end),
        topologyReq = sometimes(2, fun() -> list(1, 3, fun topology/0) end),
        iepscallind = since(3, 2, fun flip/0),
        contextProp = since(3, 3, fun() -> unique(2, list(1, 2, fun property/0)) end),
        contextList = since(3, 3, fun() -> list(1, 3, fun u32/0) end)}.

topology() ->
    %% OTP prints both otherwise than topologyTriple of B.2 has them.
    Stream = since(2, 20, binary_only(fun u16/0)),
    Extension = since(3, 20, binary_only(fun() -> pick([onewayexternal, onewayboth]) end)),
    %% Beside an extension the direction says nothing (A.2), and ours is always the same.
    Direction = case Extension of ?NO -> pick([bothway, isolate, oneway]); _ -> oneway end,
    #'TopologyRequest'{terminationFrom = tid(), terminationTo = tid(), topologyDirection = Direction,
                       streamID = Stream, topologyDirectionExtension = Extension}.

context_audit() ->
    #'ContextAttrAuditRequest'{
        topology = null(), emergency = since(2, 2, fun null/0), priority = since(2, 2, fun null/0),
        iepscallind = since(3, 2, fun null/0),
        contextPropAud = since(3, 3, fun() -> list(1, 2, fun indexed_property/0) end),
        selectpriority = since(3, 4, fun() -> below(16) end),
        selectemergency = since(3, 4, fun flip/0), selectiepscallind = since(3, 4, fun flip/0),
        selectLogic = since(3, 4, fun() -> {orAUDITSelect, 'NULL'} end)}.

%% Commands.

command() ->
    Command = case below(8) of
        0 -> {addReq, amm()};
        1 -> {moveReq, amm()};
        2 -> {modReq, amm()};
        3 -> {subtractReq, #'SubtractRequest'{terminationID = tids(),
                                              auditDescriptor = sometimes(2, fun audit/0)}};
        4 -> {auditCapRequest, audit_request()};
        5 -> {auditValueRequest, audit_request()};
        6 -> {notifyReq, #'NotifyRequest'{terminationID = tids(), observedEventsDescriptor = observed(),
                                          errorDescriptor = sometimes(12, fun failure/0)}};
        7 -> {serviceChangeReq, #'ServiceChangeRequest'{terminationID = tids(),
                                                        serviceChangeParms = service_change()}}
    end,
    #'CommandRequest'{command = Command, optional = sometimes(6, fun null/0),
                      wildcardReturn = sometimes(6, fun null/0)}.

amm() ->
    Descriptors = [{mediaDescriptor, fun media/0}, {muxDescriptor, fun mux/0}]
        ++ [{eventsDescriptor, fun events/0}, {eventBufferDescriptor, fun event_buffer/0},
                   {signalsDescriptor, fun signals/0}, {digitMapDescriptor, fun digit_map/0},
                   {auditDescriptor, fun audit/0}]
        ++ [{statisticsDescriptor, fun statistics/0} || since(3)],
    #'AmmRequest'{terminationID = tids(),
                  descriptors = [{Tag, Make()} || {Tag, Make} <- Descriptors, below(3) =:= 0]}.

audit_request() ->
    Ids = case tids() of [One] -> {One, ?NO}; [First | _] = Many -> {First, Many} end,
    #'AuditRequest'{terminationID = element(1, Ids), auditDescriptor = audit(),
                    terminationIDList = element(2, Ids)}.

command_reply() ->
    case below(8) of
        0 -> {addReply, amms()};
        1 -> {moveReply, amms()};
        2 -> {modReply, amms()};
        3 -> {subtractReply, amms()};
        4 -> {auditCapReply, audit_reply()};
        5 -> {auditValueReply, audit_reply()};
        6 -> {notifyReply, #'NotifyReply'{terminationID = tids(), errorDescriptor = sometimes(2, fun failure/0)}};
        7 ->
            Result = case flip() of
                true -> {errorDescriptor, failure()};
                false -> {serviceChangeResParms, service_change_result()}
            end,
            {serviceChangeReply, #'ServiceChangeReply'{terminationID = tids(), serviceChangeResult = Result}}
    end.

amms() -> #'AmmsReply'{terminationID = tids(), terminationAudit = sometimes(2, fun termination_audit/0)}.

audit_reply() ->
    case {below(4), tids()} of
        {0, _} -> {contextAuditResult, list(1, 3, fun tid/0)};
        {1, _} -> {error, failure()};
        {_, [One]} -> {auditResult, #'AuditResult'{terminationID = One,
                                                   terminationAuditResult = termination_audit()}};
        {_, Many} -> {auditResultTermList, #'TermListAuditResult'{
            terminationIDList = Many, terminationAuditResult = termination_audit()}}
    end.

termination_audit() ->
    Descriptors = [{errorDescriptor, fun failure/0}, {mediaDescriptor, fun media/0},
                   {muxDescriptor, fun mux/0}, {eventsDescriptor, fun events/0},
                   {eventBufferDescriptor, fun event_buffer/0}, {signalsDescriptor, fun signals/0},
                   {digitMapDescriptor, fun digit_map/0}, {observedEventsDescriptor, fun observed/0},
                   {statisticsDescriptor, fun measured/0},
                   {packagesDescriptor, fun() -> list(1, 3, fun package/0) end}],
    list(1, 3, fun() -> {Tag, Make} = pick(Descriptors), {Tag, Make()} end)
        ++ [{emptyDescriptors, empty()} || since(3), below(8) =:= 0].

empty() -> #'AuditDescriptor'{auditToken = [pick([mediaToken, muxToken, packagesToken, statsToken])]}.

package() -> #'PackagesItem'{packageName = pick(packages()), packageVersion = 1 + below(99)}.

%% Audits.

audit() ->
    Tokens = some([muxToken, modemToken, mediaToken, eventsToken, signalsToken, digitMapToken,
                   statsToken, observedEventsToken, packagesToken, eventBufferToken]),
    Properties = since(2, 3, fun() -> [indexed()] end),
    #'AuditDescriptor'{auditToken = case Tokens of [] -> ?NO; _ -> Tokens end,
                       auditPropertyToken = Properties}.

indexed() ->
    case below(12) of
        0 -> indexed_media(#'IndAudMediaDescriptor'{streams = {oneStream, indexed_stream()}});
        1 -> indexed_media(#'IndAudMediaDescriptor'{streams = {multiStream, list(1, pick([1, get(version) - 1]), fun() ->
                 #'IndAudStreamDescriptor'{streamID = u16(), streamParms = indexed_stream()} end)}});
        2 -> indexed_media(#'IndAudMediaDescriptor'{termStateDescr = indexed_state()});
        3 -> {indAudEventsDescriptor, #'IndAudEventsDescriptor'{requestID = u32(), pkgdName = event_name()}};
        4 -> {indAudEventBufferDescriptor, #'IndAudEventBufferDescriptor'{eventName = event_name(),
                                                                          streamID = sometimes(2, fun u16/0)}};
        5 -> {indAudSignalsDescriptor, {signal, #'IndAudSignal'{signalName = signal_name()}}};
        6 -> {indAudDigitMapDescriptor, #'IndAudDigitMapDescriptor'{digitMapName = dial_plan()}};
        7 -> {indAudSignalsDescriptor, {seqSigList, #'IndAudSeqSigList'{
                 id = u16(), signalList = #'IndAudSignal'{signalName = signal_name()}}}};
        8 -> {indAudSignalsDescriptor, {seqSigList, #'IndAudSeqSigList'{
                 id = u16(), signalList = case since(3) of
                     true -> ?NO;
                     false -> #'IndAudSignal'{signalName = signal_name()}
                 end}}};
        9 -> {indAudStatisticsDescriptor, indexed_statistics()};
        _ -> {indAudPackagesDescriptor, #'IndAudPackagesDescriptor'{packageName = pick(packages()),
                                                                    packageVersion = 1 + below(9)}}
    end.

indexed_media(Media) -> {indAudMediaDescriptor, Media}.

indexed_stream() ->
    case {below(8), since(3)} of
        {0, true} -> #'IndAudStreamParms'{statisticsDescriptor = indexed_statistics()};
        {3, _} -> #'IndAudStreamParms'{localDescriptor = indexed_lines()};
        {4, true} -> #'IndAudStreamParms'{localControlDescriptor = #'IndAudLocalControlDescriptor'{
                         streamModeSel = pick([sendOnly, recvOnly, sendRecv, inactive, loopBack])}};
        {1, _} -> #'IndAudStreamParms'{localControlDescriptor = #'IndAudLocalControlDescriptor'{
                      propertyParms = [indexed_property()]}};
        {_, New} -> #'IndAudStreamParms'{localControlDescriptor = #'IndAudLocalControlDescriptor'{
                      streamMode = sometimes(2, fun null/0), reserveValue = null(),
                      reserveGroup = case New of true -> sometimes(2, fun null/0); false -> ?NO end}}
    end.

indexed_lines() -> #'IndAudLocalRemoteDescriptor'{propGrps = [#'IndAudPropertyParm'{name = [Type]}
                                                               || Type <- [$v | some("ocm")]]}.

indexed_state() ->
    case {below(4), since(3)} of
        {0, true} -> #'IndAudTerminationStateDescriptor'{serviceStateSel = pick([test, outOfSvc, inSvc])};
        {1, _} -> #'IndAudTerminationStateDescriptor'{eventBufferControl = null()};
        {2, _} -> #'IndAudTerminationStateDescriptor'{propertyParms = [indexed_property()]};
        _ -> #'IndAudTerminationStateDescriptor'{serviceState = null()}
    end.

indexed_property() -> #'IndAudPropertyParm'{name = pick(items(property))}.

indexed_statistics() -> #'IndAudStatisticsDescriptor'{statName = pick(items(statistics))}.

%% Descriptors.

media() ->
    #'MediaDescriptor'{termStateDescr = sometimes(3, fun state/0),
                       streams = case flip() of
                           true -> {oneStream, stream()};
                           false -> {multiStream, unique(2, list(1, 3, fun() ->
                               #'StreamDescriptor'{streamID = u16(), streamParms = stream()} end))}
                       end}.

state() ->
    #'TerminationStateDescriptor'{propertyParms = properties(),
                                  eventBufferControl = sometimes(2, fun() -> pick([off, lockStep]) end),
                                  serviceState = pick([test, outOfSvc, inSvc])}.

stream() ->
    #'StreamParms'{localControlDescriptor = control(), localDescriptor = sometimes(2, fun sdp/0),
                   remoteDescriptor = sometimes(2, fun sdp/0),
                   statisticsDescriptor = since(3, 4, fun statistics/0)}.

control() ->
    #'LocalControlDescriptor'{streamMode = pick([sendOnly, recvOnly, sendRecv, inactive, loopBack]),
                              reserveValue = sometimes(3, fun flip/0),
                              reserveGroup = sometimes(3, fun flip/0), propertyParms = properties()}.

properties() -> unique(2, list(0, 2, fun property/0)).

property() ->
    {Value, Extra} = value(),
    #'PropertyParm'{name = pick(items(property)), value = Value, extraInfo = Extra}.

value() ->
    case below(10) of
        0 -> {[words()], {relation, pick([greaterThan, smallerThan, unequalTo])}};
        1 -> {[words(), words()], {range, true}};
        2 -> {list(2, 3, fun words/0), {sublist, true}};
        3 -> {list(2, 3, fun words/0), {sublist, false}};
        4 -> {["$"], ?NO};
        _ -> {[words()], ?NO}
    end.

sdp() -> #'LocalRemoteDescriptor'{propGrps = list(1, 2, fun group/0)}.

group() ->
    Line = fun(Type, Value) -> #'PropertyParm'{name = [Type], value = [Value]} end,
    [Line($v, "0")] ++ [Line($o, "- 1 1 IN IP4 192.0.2.1") || flip()] ++ [Line($s, "-") || flip()]
        ++ [Line($c, "IN IP4 " ++ pick(["$", "203.0.113.9"])), Line($t, "0 0"),
            Line($m, "audio " ++ pick(["$", "40000"]) ++ " RTP/AVP 8 96")]
        ++ [Line($b, "AS:64") || below(4) =:= 0] ++ [Line($i, "a title") || below(6) =:= 0]
        ++ [Line($a, A) || A <- some(["ptime:20", "rtpmap:96 telephone-event/8000",
                                      "fmtp:96 mode-set=0,2;octet-align=1", "sendrecv"])].

mux() -> #'MuxDescriptor'{muxType = pick([h221, h223, h226, v76]), termList = list(1, 3, fun tid/0)}.

event_name() -> element(1, pick(items(event))).
signal_name() -> element(1, pick(items(signal))).

signal_parameters(Names) ->
    [begin
         {Value, Extra} = value(),
         #'SigParameter'{sigParameterName = Name, value = Value, extraInfo = Extra}
     end || Name <- some(Names)].

%% OTP reads no relations there in text.
event_parameters(Names) ->
    [#'EventParameter'{eventParameterName = Name, value = [pick(["$", words(), words()])]}
     || Name <- some(Names)].

events() ->
    case {below(6), since(3)} of
        {0, true} -> #'EventsDescriptor'{requestID = ?NO, eventList = []};
        _ -> #'EventsDescriptor'{requestID = u32(), eventList = list(1, 3, fun event/0)}
    end.

event() ->
    {Name, Names} = pick(items(event)),
    #'RequestedEvent'{pkgdName = Name, streamID = sometimes(3, fun u16/0),
                      eventAction = sometimes(2, fun actions/0),
                      evParList = event_parameters(Names)}.

actions() ->
    case below(6) of
        0 -> #'RequestedActions'{keepActive = true};
        1 -> #'RequestedActions'{eventDM = event_map()};
        2 -> #'RequestedActions'{signalsDescriptor = some_signals()};
        3 -> #'RequestedActions'{signalsDescriptor = sometimes(2, fun some_signals/0), secondEvent = second()};
        4 -> #'RequestedActions'{keepActive = true, notifyBehaviour = since(3, 1, fun behaviour/0)};
        5 -> #'RequestedActions'{keepActive = true, resetEventsDescriptor = since(3, 1, fun null/0)}
    end.

behaviour() ->
    pick([{notifyImmediate, 'NULL'}, {neverNotify, 'NULL'},
          {notifyRegulated, #'RegulatedEmbeddedDescriptor'{}},
          {notifyRegulated, #'RegulatedEmbeddedDescriptor'{secondEvent = second()}},
          {notifyRegulated, #'RegulatedEmbeddedDescriptor'{signalsDescriptor = some_signals()}}]).

event_map() ->
    case flip() of true -> {digitMapName, dial_plan()}; false -> {digitMapValue, map_value()} end.

second() -> #'SecondEventsDescriptor'{requestID = u32(), eventList = list(1, 2, fun second_event/0)}.

second_event() ->
    {Name, Names} = pick(items(event)),
    Action = sometimes(2, fun() ->
        case below(4) of
            0 -> #'SecondRequestedActions'{keepActive = true};
            1 -> #'SecondRequestedActions'{eventDM = event_map()};
            2 -> #'SecondRequestedActions'{keepActive = true, notifyBehaviour = since(3, 1, fun() ->
                     pick([{notifyImmediate, 'NULL'}, {neverNotify, 'NULL'}]) end)};
            3 -> #'SecondRequestedActions'{signalsDescriptor = some_signals()}
        end
    end),
    #'SecondRequestedEvent'{pkgdName = Name, streamID = sometimes(3, fun u16/0), eventAction = Action,
                            evParList = event_parameters(Names)}.

event_buffer() ->
    list(1, 2, fun() ->
        {Name, Names} = pick(items(event)),
        #'EventSpec'{eventName = Name, streamID = sometimes(2, fun u16/0),
                     eventParList = event_parameters(Names)}
    end).

observed() ->
    #'ObservedEventsDescriptor'{requestId = u32(), observedEventLst = list(1, 3, fun() ->
        {Name, Names} = pick(items(event)),
        #'ObservedEvent'{eventName = Name, streamID = sometimes(3, fun u16/0),
                         eventParList = event_parameters(Names),
                         timeNotation = sometimes(2, fun time/0)}
    end)}.

time() -> #'TimeNotation'{date = "20261121", time = "1" ++ [$0 + below(10) || _ <- "1234567"]}.

signals() -> case below(5) of 0 -> []; _ -> some_signals() end.

some_signals() ->
    list(1, 3, fun() ->
        case below(4) of
            0 -> {seqSigList, #'SeqSigList'{id = u16(), signalList = list(1, 3, fun signal/0)}};
            _ -> {signal, signal()}
        end
    end).

signal() ->
    {Name, Names} = pick(items(signal)),
    Completion = sometimes(3, fun() ->
        [onTimeOut | some([onInterruptByEvent, onInterruptByNewSignalDescr, otherReason]
                          ++ [onIteration || since(3), below(30) =:= 0])]
    end),
    #'Signal'{signalName = Name, streamID = sometimes(3, fun u16/0),
              sigType = sometimes(3, fun() -> pick([brief, onOff, timeOut]) end),
              duration = sometimes(3, fun u16/0), notifyCompletion = Completion,
              keepActive = sometimes(4, fun() -> true end),
              sigParList = signal_parameters(Names),
              direction = since(3, 3, fun() -> pick([internal, external, both]) end),
              requestID = since(3, 4, fun u32/0), intersigDelay = since(3, 4, fun u16/0)}.

digit_map() ->
    case below(3) of
        0 -> #'DigitMapDescriptor'{digitMapName = dial_plan()};
        1 -> #'DigitMapDescriptor'{digitMapValue = map_value()};
        2 -> #'DigitMapDescriptor'{digitMapName = dial_plan(), digitMapValue = map_value()}
    end.

map_value() ->
    Timer = fun() -> 1 + below(99) end,
    #'DigitMapValue'{startTimer = sometimes(2, Timer), shortTimer = sometimes(2, Timer),
                     longTimer = sometimes(2, Timer), durationTimer = since(2, 8, Timer),
                     digitMapBody = pick(["(0|00|[1-7]xxx|8xxxxxxx)", "(xS.)", "([1-9]x.T|0L)", "x.", "[2-9AE]Zx", "(11L|Exx|F.S)"])}.

statistics() ->
    unique(2, list(1, 3, fun() ->
        #'StatisticsParameter'{statName = pick(items(statistics)), statValue = sometimes(2, fun() -> [words()] end)}
    end)).

measured() ->
    unique(2, list(1, 3, fun() ->
        #'StatisticsParameter'{statName = pick(items(statistics)), statValue = [integer_to_list(u32())]}
    end)).

service_change() ->
    Address = sometimes(3, fun address/0),
    #'ServiceChangeParm'{
        serviceChangeMethod = pick([failover, forced, graceful, restart, disconnected, handOff]),
        serviceChangeAddress = Address, serviceChangeVersion = sometimes(3, fun() -> 1 + below(3) end),
        serviceChangeProfile = sometimes(3, fun profile/0),
        serviceChangeReason = [integer_to_list(900 + below(21)) ++ pick(["", " " ++ word() ++ " " ++ word()])],
        serviceChangeDelay = sometimes(3, fun u32/0),
        serviceChangeMgcId = case Address of ?NO -> sometimes(3, fun mid/0); _ -> ?NO end,
        timeStamp = sometimes(3, fun time/0),
        nonStandardData = sometimes(20, fun non_standard/0),
        serviceChangeInfo = since(2, 20, fun audit/0),
        serviceChangeIncompleteFlag = since(3, 8, fun null/0)}.

non_standard() -> #'NonStandardData'{nonStandardIdentifier = {experimental, "X-" ++ [pick("abcdxyz") || _ <- "123456"]},
                                     data = words()}.

service_change_result() ->
    Id = sometimes(2, fun mid/0),
    #'ServiceChangeResParm'{
        serviceChangeMgcId = Id,
        serviceChangeAddress = case Id of ?NO -> address(); _ -> ?NO end,
        serviceChangeVersion = sometimes(2, fun() -> 1 + below(3) end),
        serviceChangeProfile = sometimes(2, fun profile/0), timeStamp = sometimes(2, fun time/0)}.

%% OTP reads a device name there as a port number.
address() ->
    case {flip(), mid()} of
        {false, {Tag, _} = Id} when Tag =/= deviceName -> Id;
        _ -> {portNumber, u16()}
    end.

profile() -> #'ServiceChangeProfile'{profileName = word(), version = 1 + below(99)}.
