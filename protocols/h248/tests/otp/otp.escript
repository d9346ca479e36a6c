#!/usr/bin/env escript
%% Erlang/OTP's megaco application as a judge of the text encoding.
%%
%%   otp.escript generate DIR   prints every message of the corpus in both styles into DIR
%%   otp.escript judge LIST     LIST has a line `NAME TAB FILE TAB FILE` each: decodes both files and prints
%%                              `NAME TAB same`, `NAME TAB differs …` or `NAME TAB refused …`
%%   otp.escript names LIST     LIST has a line `SCOPE TAB NAME` each: prints `SCOPE NAME TAB NUMBER`, the number as
%%                              hexadecimal digits, or `SCOPE NAME TAB unknown`
-mode(compile).
-include("records.hrl").

main(["generate", Dir]) ->
    [generate(Dir, Name, Message) || {Name, Message} <- corpus()];
main(["judge", List]) ->
    [judge(string:split(Line, "\t", all)) || Line <- lines(List)];
main(["names", List]) ->
    [name(string:split(Line, "\t")) || Line <- lines(List)].

lines(File) ->
    {ok, Bin} = file:read_file(File),
    string:lexemes(binary_to_list(Bin), "\n").

generate(Dir, Name, Message) ->
    [begin
         {ok, Bin} = Module:encode_message([], 3, Message),
         {ok, _} = Module:decode_message([], dynamic, Bin),
         ok = file:write_file(filename:join(Dir, Name ++ Suffix), Bin)
     end || {Module, Suffix} <- [{megaco_pretty_text_encoder, ".pretty.h248"},
                                 {megaco_compact_text_encoder, ".compact.h248"}]].

judge([Name, A, B]) ->
    Verdict = case {decode(A), decode(B)} of
        {{ok, Same}, {ok, Same}} -> "same";
        {{ok, X}, {ok, Y}} -> io_lib:format("differs ~0p /// ~0p", [X, Y]);
        {X, {ok, _}} -> io_lib:format("refused first ~0p", [X]);
        {_, Y} -> io_lib:format("refused second ~0p", [Y])
    end,
    io:format("~s\t~ts~n", [Name, Verdict]).

decode(File) ->
    {ok, Bin} = file:read_file(File),
    try megaco_compact_text_encoder:decode_message([], dynamic, Bin)
    catch Class:Reason -> {Class, Reason}
    end.

name([Scope, Name]) ->
    Result =
        try megaco_binary_name_resolver_v3:encode_name([], scope(Scope), Name) of
            Octets -> [io_lib:format("~2.16.0b", [Octet]) || Octet <- Octets]
        catch _:_ -> "unknown"
        end,
    io:format("~s\t~s~n", [Scope ++ " " ++ Name, Result]).

%% `property`, or `event_parameter:g/cause`.
scope(Scope) ->
    case string:split(Scope, ":") of
        [Kind, Item] -> {list_to_atom(Kind), Item};
        [Kind] -> list_to_atom(Kind)
    end.

%% The corpus: every command, reply and descriptor of version 3 that OTP can print.

corpus() ->
    [{"add_two_streams", request([action(choose, [add()])])},
     {"add_topology", request([topology()])},
     {"amm_all_descriptors", request([action(7, [all_descriptors()])])},
     {"move_subtract", request([action(8, [move(), subtract(), subtract_audit()])])},
     {"prefixes", request([action(8, prefixes())])},
     {"audits", request([action(null, audits())])},
     {"context_audit", request([context_audit()])},
     {"indexed_audits", request([action(null, indexed_audits())])},
     {"events", request([action(9, [modify("tdm/1", [events()])])])},
     {"signals", request([action(9, [modify("tdm/1", [signals()])])])},
     {"digit_maps", request([action(null, digit_maps())])},
     {"values", request([action(9, [modify("tdm/1", [values()])])])},
     {"notify", request([action(9, notifies())])},
     {"service_change", request([action(null, service_changes())])},
     {"replies", reply(actions(replies()))},
     {"audit_replies", reply(actions(audit_replies()))},
     {"context_replies", reply({actionReplies, context_replies()})},
     {"transaction_error", reply({transactionError, failure(403)})},
     {"message_error", message({messageError, failure(400)})},
     {"pending", message({transactions, [{transactionPending,
                                          #'TransactionPending'{transactionId = 10}}]})},
     {"response_ack", message({transactions, [{transactionResponseAck, acks()}]})},
     {"segments", segments()},
     {"segment_reply", message({transactions, [{segmentReply,
         #'SegmentReply'{transactionId = 10, segmentNumber = 1}}]})},
     {"segment_reply_end", message({transactions, [{segmentReply,
         #'SegmentReply'{transactionId = 10, segmentNumber = 2,
                         segmentationComplete = 'NULL'}}]})},
     {"bundle", bundle()},
     {"authentication", authenticated()}] ++ mids().

message(Body) -> message(ip4(), Body).

message(MId, Body) ->
    #'MegacoMessage'{mess = #'Message'{mId = MId, messageBody = Body}}.

ip4() -> {ip4Address, #'IP4Address'{address = [192, 0, 2, 1], portNumber = 2944}}.

request(Actions) -> message({transactions, [transaction(10, Actions)]}).

transaction(Id, Actions) ->
    {transactionRequest, #'TransactionRequest'{transactionId = Id, actions = Actions}}.

action(Context, Commands) ->
    #'ActionRequest'{contextId = context(Context), commandRequests = Commands}.

context(null) -> 0;
context(choose) -> 16#fffffffe;
context(all) -> 16#ffffffff;
context(Id) -> Id.

command(Command) -> #'CommandRequest'{command = Command}.

tid(Text) ->
    Levels = string:lexemes(Text, "/"),
    Wild = lists:any(fun(Level) -> lists:member($*, Level) orelse lists:member($$, Level) end,
                     Levels),
    #megaco_term_id{contains_wildcards = Wild, id = Levels}.

failure(Code) -> #'ErrorDescriptor'{errorCode = Code, errorText = "words for people"}.

prop(Name, Value) -> #'PropertyParm'{name = Name, value = [Value]}.
prop(Name, Values, Extra) -> #'PropertyParm'{name = Name, value = Values, extraInfo = Extra}.

sdp(Lines) ->
    #'LocalRemoteDescriptor'{propGrps = [[prop([Type], Value) || {Type, Value} <- Group]
                                         || Group <- Lines]}.

local() -> sdp([[{$v, "0"}, {$c, "IN IP4 $"}, {$m, "audio $ RTP/AVP 8 96"},
                 {$a, "rtpmap:96 telephone-event/8000"}, {$a, "ptime:20"}]]).

remote() -> sdp([[{$v, "0"}, {$c, "IN IP4 203.0.113.9"}, {$m, "audio 40000 RTP/AVP 8"}],
                 [{$v, "0"}, {$c, "IN IP6 2001:db8::9"}, {$m, "audio 40002 RTP/AVP 0"}]]).

control() ->
    #'LocalControlDescriptor'{streamMode = sendRecv, reserveValue = false, reserveGroup = true,
                              propertyParms = [prop("nt/jit", "40"), prop("gm/saf", "on")]}.

add() ->
    Streams = [#'StreamDescriptor'{streamID = 1, streamParms =
                   #'StreamParms'{localControlDescriptor = control(), localDescriptor = local(),
                                  remoteDescriptor = remote(), statisticsDescriptor =
                                      [#'StatisticsParameter'{statName = "rtp/ps"}]}},
               #'StreamDescriptor'{streamID = 2, streamParms =
                   #'StreamParms'{localControlDescriptor =
                                      #'LocalControlDescriptor'{streamMode = inactive},
                                  localDescriptor = local()}}],
    Media = #'MediaDescriptor'{streams = {multiStream, Streams}},
    command({addReq, #'AmmRequest'{terminationID = [tid("ip/1/$")],
                                   descriptors = [{mediaDescriptor, Media}]}}).

modify(Id, Descriptors) ->
    command({modReq, #'AmmRequest'{terminationID = [tid(Id)], descriptors = Descriptors}}).

move() ->
    command({moveReq, #'AmmRequest'{terminationID = [tid("a/1"), tid("a/2")], descriptors = []}}).

subtract() -> command({subtractReq, #'SubtractRequest'{terminationID = [tid("*")]}}).

subtract_audit() ->
    Audit = #'AuditDescriptor'{auditToken = [mediaToken, statsToken]},
    command({subtractReq, #'SubtractRequest'{terminationID = [tid("a/1")],
                                             auditDescriptor = Audit}}).

prefixes() ->
    [(subtract())#'CommandRequest'{optional = 'NULL'},
     (subtract())#'CommandRequest'{wildcardReturn = 'NULL'},
     (subtract())#'CommandRequest'{optional = 'NULL', wildcardReturn = 'NULL'}].

topology() ->
    Triple = fun(From, To, Direction) ->
        #'TopologyRequest'{terminationFrom = tid(From), terminationTo = tid(To),
                           topologyDirection = Direction}
    end,
    Request = #'ContextRequest'{
        topologyReq = [Triple("a", "b", isolate), Triple("b", "c", oneway),
                       Triple("*", "c", bothway)],
        priority = 12, emergency = true, iepscallind = true,
        contextProp = [prop("x/y", "1")]},
    (action(5, [subtract()]))#'ActionRequest'{contextRequest = Request}.

state() ->
    #'TerminationStateDescriptor'{propertyParms = [prop("x/y", "a b")],
                                  eventBufferControl = lockStep, serviceState = inSvc}.

all_descriptors() ->
    One = #'StreamParms'{localControlDescriptor =
                             #'LocalControlDescriptor'{streamMode = loopBack},
                         localDescriptor = local(), remoteDescriptor = remote()},
    Media = #'MediaDescriptor'{termStateDescr = state(), streams = {oneStream, One}},
    Mux = #'MuxDescriptor'{muxType = h223, termList = [tid("a/1"), tid("a/2")]},
    Buffer = [#'EventSpec'{eventName = "al/of", streamID = 1},
              #'EventSpec'{eventName = "al/on", eventParList = [evpar("strict", "state")]}],
    Audit = #'AuditDescriptor'{auditToken = [mediaToken, eventsToken, signalsToken]},
    Map = #'DigitMapDescriptor'{digitMapName = "dialplan00"},
    Descriptors =
        [{mediaDescriptor, Media}, {muxDescriptor, Mux},
         {eventsDescriptor, #'EventsDescriptor'{requestID = ?NO, eventList = []}},
         {eventBufferDescriptor, Buffer}, {signalsDescriptor, []},
         {digitMapDescriptor, Map}, {auditDescriptor, Audit},
         {statisticsDescriptor, [#'StatisticsParameter'{statName = "nt/dur"},
                                 #'StatisticsParameter'{statName = "rtp/jit"}]}],
    modify("tdm/1/1", Descriptors).

evpar(Name, Value) -> #'EventParameter'{eventParameterName = Name, value = [Value]}.

audits() ->
    All = #'AuditDescriptor'{auditToken = [muxToken, modemToken, mediaToken, eventsToken,
                                           signalsToken, digitMapToken, statsToken,
                                           observedEventsToken, packagesToken,
                                           eventBufferToken]},
    Two = [tid("a/1"), tid("a/2")],
    [command({auditValueRequest, #'AuditRequest'{terminationID = tid("root"),
                                                 auditDescriptor = All}}),
     command({auditCapRequest, #'AuditRequest'{terminationID = tid("*"), auditDescriptor =
                                                   #'AuditDescriptor'{auditToken =
                                                                          [mediaToken]}}}),
     command({auditValueRequest, #'AuditRequest'{terminationID = hd(Two), terminationIDList = Two,
                                                 auditDescriptor = #'AuditDescriptor'{}}})].

context_audit() ->
    Audit = #'ContextAttrAuditRequest'{topology = 'NULL', emergency = 'NULL', priority = 'NULL',
                                       iepscallind = 'NULL', contextPropAud =
                                           [#'IndAudPropertyParm'{name = "x/y"}],
                                       selectpriority = 10, selectemergency = true,
                                       selectiepscallind = false,
                                       selectLogic = {orAUDITSelect, 'NULL'}},
    (action(all, [subtract()]))#'ActionRequest'{contextAttrAuditReq = Audit}.

indexed_audits() ->
    Control = fun(Fields) -> {indAudMediaDescriptor, #'IndAudMediaDescriptor'{streams =
        {oneStream, #'IndAudStreamParms'{localControlDescriptor = Fields}}}} end,
    State = fun(Fields) -> {indAudMediaDescriptor,
                            #'IndAudMediaDescriptor'{termStateDescr = Fields}} end,
    Stream = #'IndAudStreamDescriptor'{streamID = 2, streamParms =
        #'IndAudStreamParms'{statisticsDescriptor =
                                 #'IndAudStatisticsDescriptor'{statName = "rtp/pl"}}},
    Items =
        [Control(#'IndAudLocalControlDescriptor'{streamMode = 'NULL', reserveValue = 'NULL',
                                                 reserveGroup = 'NULL'}),
         Control(#'IndAudLocalControlDescriptor'{propertyParms =
             [#'IndAudPropertyParm'{name = "nt/jit"}]}),
         State(#'IndAudTerminationStateDescriptor'{serviceState = 'NULL'}),
         State(#'IndAudTerminationStateDescriptor'{eventBufferControl = 'NULL'}),
         State(#'IndAudTerminationStateDescriptor'{serviceStateSel = outOfSvc}),
         {indAudMediaDescriptor, #'IndAudMediaDescriptor'{streams = {multiStream, [Stream]}}},
         {indAudEventsDescriptor, #'IndAudEventsDescriptor'{requestID = 4, pkgdName = "al/of"}},
         {indAudEventBufferDescriptor, #'IndAudEventBufferDescriptor'{eventName = "al/on",
                                                                      streamID = 3}},
         {indAudSignalsDescriptor, {signal, #'IndAudSignal'{signalName = "al/ri"}}},
         {indAudSignalsDescriptor, {seqSigList, #'IndAudSeqSigList'{id = 5}}},
         {indAudDigitMapDescriptor, #'IndAudDigitMapDescriptor'{digitMapName = "dialplan"}},
         {indAudStatisticsDescriptor, #'IndAudStatisticsDescriptor'{statName = "nt/dur"}},
         {indAudPackagesDescriptor, #'IndAudPackagesDescriptor'{packageName = "nt",
                                                                packageVersion = 1}}],
    [command({auditValueRequest, #'AuditRequest'{
        terminationID = tid("a/1"),
        auditDescriptor = #'AuditDescriptor'{auditPropertyToken = [Item]}}}) || Item <- Items].

signal() -> #'Signal'{signalName = "cg/dt"}.

full_signal() ->
    #'Signal'{signalName = "cg/rt", streamID = 1, sigType = timeOut, duration = 300,
              notifyCompletion = [onTimeOut, onInterruptByEvent, onInterruptByNewSignalDescr,
                                  otherReason],
              keepActive = true, direction = both, requestID = 77, intersigDelay = 50,
              sigParList = [#'SigParameter'{sigParameterName = "btd", value = ["ext"]}]}.

signals() ->
    List = #'SeqSigList'{id = 3, signalList = [signal(), (signal())#'Signal'{sigType = brief}]},
    {signalsDescriptor, [{signal, full_signal()}, {signal, signal()},
                         {signal, (signal())#'Signal'{sigType = onOff, direction = internal}},
                         {seqSigList, List}]}.

events() ->
    Map = #'DigitMapValue'{startTimer = 16, shortTimer = 5, longTimer = 10,
                           digitMapBody = "(0|[1-7]xxx|8.)"},
    Second = #'SecondEventsDescriptor'{requestID = 8, eventList =
        [#'SecondRequestedEvent'{pkgdName = "al/on"},
         #'SecondRequestedEvent'{pkgdName = "al/fl", eventAction =
             #'SecondRequestedActions'{signalsDescriptor = [{signal, signal()}]}}]},
    Event = fun(Name, Action) -> #'RequestedEvent'{pkgdName = Name, eventAction = Action} end,
    List =
        [#'RequestedEvent'{pkgdName = "al/of", streamID = 1,
                           evParList = [evpar("strict", "exact")],
                           eventAction = #'RequestedActions'{keepActive = true}},
         Event("dd/ce", #'RequestedActions'{eventDM = {digitMapValue, Map}}),
         Event("dd/std", #'RequestedActions'{eventDM = {digitMapName, "dialplan00"}}),
         Event("al/on", #'RequestedActions'{signalsDescriptor = [{signal, signal()}],
                                            secondEvent = Second}),
         Event("al/fl", #'RequestedActions'{secondEvent = Second}),
         Event("g/cause", #'RequestedActions'{notifyBehaviour = {neverNotify, 'NULL'}}),
         Event("g/sc", #'RequestedActions'{notifyBehaviour = {notifyImmediate, 'NULL'},
                                           resetEventsDescriptor = 'NULL'}),
         Event("nt/netfail", #'RequestedActions'{notifyBehaviour =
             {notifyRegulated, #'RegulatedEmbeddedDescriptor'{}}}),
         Event("nt/qualert", #'RequestedActions'{notifyBehaviour =
             {notifyRegulated, #'RegulatedEmbeddedDescriptor'{secondEvent = Second}}}),
         #'RequestedEvent'{pkgdName = "*/*"}],
    {eventsDescriptor, #'EventsDescriptor'{requestID = 2222, eventList = List}}.

digit_maps() ->
    Value = #'DigitMapValue'{startTimer = 16, shortTimer = 5, longTimer = 10, durationTimer = 9,
                             digitMapBody = "(xZ|x.T)"},
    [modify("root", [{digitMapDescriptor, Map}]) || Map <-
        [#'DigitMapDescriptor'{digitMapName = "plan", digitMapValue = Value},
         #'DigitMapDescriptor'{digitMapName = "plan"},
         #'DigitMapDescriptor'{digitMapValue = #'DigitMapValue'{digitMapBody = "(1x|2)"}}]].

values() ->
    Control = #'LocalControlDescriptor'{propertyParms =
        [prop("x/equal", "1"), prop("x/choose", "$"), prop("x/unequal", ["2"],
                                                           {relation, unequalTo}),
         prop("x/less", ["3"], {relation, smallerThan}),
         prop("x/greater", ["4"], {relation, greaterThan}),
         prop("x/range", ["5", "6"], {range, true}),
         prop("x/list", ["7", "8", "9"], {sublist, true}),
         prop("x/oneof", ["10", "11"], {sublist, false})]},
    One = #'StreamParms'{localControlDescriptor = Control},
    {mediaDescriptor, #'MediaDescriptor'{streams = {oneStream, One}}}.

time_notation() -> #'TimeNotation'{date = "20261121", time = "12345678"}.

observed() ->
    #'ObservedEventsDescriptor'{requestId = 2222, observedEventLst =
        [#'ObservedEvent'{eventName = "al/of"},
         #'ObservedEvent'{eventName = "dd/ce", timeNotation = time_notation(), streamID = 2,
                          eventParList = [evpar("ds", "123"), evpar("Meth", "FM")]}]}.

notifies() ->
    [command({notifyReq, #'NotifyRequest'{terminationID = [tid("a/1")],
                                          observedEventsDescriptor = observed()}})].

service_changes() ->
    Profile = #'ServiceChangeProfile'{profileName = "ETSI_BGF", version = 2},
    Parms =
        [#'ServiceChangeParm'{serviceChangeMethod = restart, serviceChangeVersion = 3,
                              serviceChangeAddress = {portNumber, 2955},
                              serviceChangeProfile = Profile,
                              serviceChangeReason = ["901 Cold Boot"]},
         #'ServiceChangeParm'{serviceChangeMethod = graceful, serviceChangeDelay = 10,
                              serviceChangeReason = ["905"], timeStamp = time_notation(),
                              serviceChangeIncompleteFlag = 'NULL'},
         #'ServiceChangeParm'{serviceChangeMethod = handOff, serviceChangeMgcId = ip4(),
                              serviceChangeReason = ["903"]},
         #'ServiceChangeParm'{serviceChangeMethod = disconnected, serviceChangeReason = ["900"],
                              serviceChangeAddress =
                                  {domainName, #'DomainName'{name = "mg.example",
                                                             portNumber = 2944}}},
         #'ServiceChangeParm'{serviceChangeMethod = failover, serviceChangeReason = ["909"]},
         #'ServiceChangeParm'{serviceChangeMethod = forced, serviceChangeReason = ["904"]}],
    [command({serviceChangeReq, #'ServiceChangeRequest'{terminationID = [tid("root")],
                                                        serviceChangeParms = P}}) || P <- Parms].

reply(Result) ->
    message({transactions, [{transactionReply, #'TransactionReply'{transactionId = 10,
                                                                   immAckRequired = 'NULL',
                                                                   transactionResult = Result}}]}).

actions(Replies) -> {actionReplies, [#'ActionReply'{contextId = 5, commandReply = Replies}]}.

statistics() ->
    [#'StatisticsParameter'{statName = "rtp/ps", statValue = ["1200"]},
     #'StatisticsParameter'{statName = "nt/os", statValue = ["62300"]}].

media() ->
    #'MediaDescriptor'{termStateDescr = state(), streams = {multiStream,
        [#'StreamDescriptor'{streamID = 1, streamParms =
            #'StreamParms'{localControlDescriptor = control(), localDescriptor = remote()}}]}}.

amms(Id) -> #'AmmsReply'{terminationID = [tid(Id)]}.

replies() ->
    [{addReply, (amms("a/1"))#'AmmsReply'{terminationAudit = [{mediaDescriptor, media()}]}},
     {modReply, amms("a/1")},
     {moveReply, (amms("a/1"))#'AmmsReply'{terminationAudit = [{errorDescriptor, failure(433)}]}},
     {subtractReply, (amms("a/1"))#'AmmsReply'{terminationAudit =
         [{statisticsDescriptor, statistics()}]}},
     {notifyReply, #'NotifyReply'{terminationID = [tid("a/1")]}},
     {notifyReply, #'NotifyReply'{terminationID = [tid("a/1")], errorDescriptor = failure(500)}},
     {serviceChangeReply, #'ServiceChangeReply'{terminationID = [tid("root")],
         serviceChangeResult = {serviceChangeResParms, #'ServiceChangeResParm'{
             serviceChangeMgcId = ip4(), serviceChangeVersion = 3,
             serviceChangeProfile = #'ServiceChangeProfile'{profileName = "x", version = 1},
             timeStamp = time_notation()}}}},
     {serviceChangeReply, #'ServiceChangeReply'{terminationID = [tid("root")],
         serviceChangeResult = {errorDescriptor, failure(502)}}}].

audit_replies() ->
    Result = fun(Audit) -> {auditResult, #'AuditResult'{terminationID = tid("a/1"),
                                                        terminationAuditResult = Audit}} end,
    Mux = #'MuxDescriptor'{muxType = h226, termList = [tid("a/2")]},
    Packages = [#'PackagesItem'{packageName = "nt", packageVersion = 1},
                #'PackagesItem'{packageName = "rtp", packageVersion = 1}],
    Empty = #'AuditDescriptor'{auditToken = [packagesToken]},
    {eventsDescriptor, Events} = events(),
    {signalsDescriptor, Signals} = signals(),
    [{auditValueReply, Result([{mediaDescriptor, media()}, {muxDescriptor, Mux},
                               {eventsDescriptor, Events}, {signalsDescriptor, Signals},
                               {digitMapDescriptor,
                                #'DigitMapDescriptor'{digitMapName = "plan"}},
                               {observedEventsDescriptor, observed()},
                               {statisticsDescriptor, statistics()},
                               {packagesDescriptor, Packages}])},
     {auditValueReply, Result([{emptyDescriptors, Empty}])},
     {auditCapReply, Result([{errorDescriptor, failure(444)}])},
     {auditValueReply, {contextAuditResult, [tid("a/1"), tid("a/2")]}},
     {auditCapReply, {error, failure(411)}},
     {auditValueReply, {auditResultTermList, #'TermListAuditResult'{
         terminationIDList = [tid("a/1"), tid("a/2")],
         terminationAuditResult = [{packagesDescriptor, Packages}]}}}].

context_replies() ->
    Context = #'ContextRequest'{priority = 3, emergency = false, iepscallind = false},
    [#'ActionReply'{contextId = 5},
     #'ActionReply'{contextId = 6, errorDescriptor = failure(411)},
     #'ActionReply'{contextId = 7, contextReply = Context, commandReply = [{addReply, amms("b")}]},
     #'ActionReply'{contextId = 8, commandReply = [{addReply, amms("b")}],
                    errorDescriptor = failure(510)},
     #'ActionReply'{contextId = context(all), contextReply =
         #'ContextRequest'{contextList = [5, 6, 7]}}].

acks() ->
    [#'TransactionAck'{firstAck = 1}, #'TransactionAck'{firstAck = 5, lastAck = 9}].

segments() ->
    Reply = #'TransactionReply'{transactionId = 10, transactionResult = actions([{addReply,
                                                                                   amms("b")}])},
    message({transactions,
             [{transactionReply, Reply#'TransactionReply'{segmentNumber = 1}},
              {transactionReply, Reply#'TransactionReply'{segmentNumber = 2,
                                                          segmentationComplete = 'NULL'}}]}).

bundle() ->
    message({transactions, [{transactionResponseAck, acks()},
                            transaction(1, [action(1, [subtract()]), action(2, [subtract()])]),
                            transaction(2, [action(choose, [add()])]),
                            {transactionPending, #'TransactionPending'{transactionId = 3}}]}).

authenticated() ->
    Auth = #'AuthenticationHeader'{secParmIndex = [16#12, 16#34, 16#56, 16#78],
                                   seqNum = [16#9a, 16#bc, 16#de, 16#f1],
                                   ad = lists:seq(16, 31)},
    (request([action(1, [subtract()])]))#'MegacoMessage'{authHeader = Auth}.

mids() ->
    Body = {transactions, [{transactionPending, #'TransactionPending'{transactionId = 1}}]},
    [{"mid_" ++ Name, message(MId, Body)} || {Name, MId} <-
        [{"ip4", {ip4Address, #'IP4Address'{address = [192, 0, 2, 1]}}},
         {"ip6", {ip6Address, #'IP6Address'{address = [32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0,
                                                       0, 0, 0, 1], portNumber = 2944}}},
         {"domain", {domainName, #'DomainName'{name = "mgc-1.example.com", portNumber = 2944}}},
         {"domain_bare", {domainName, #'DomainName'{name = "mgc"}}},
         {"device", {deviceName, "gateway/1"}},
         {"mtp", {mtpAddress, "01A0"}}]].
