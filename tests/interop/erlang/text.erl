%% Megaco text in and out of OTP's records.
%%
%% OTP keeps its record definitions in header files that Debian packs elsewhere. So requests and
%% replies are written as H.248 text, decoded by OTP's own codec, and handed to its engine.
-module(text).
-export([encoder/1, actions/1, replies/1, sdp/1, sdp_lines/1, term_id/1, log/2]).

%% The module that encodes messages.
encoder("pretty") -> megaco_pretty_text_encoder;
encoder("compact") -> megaco_compact_text_encoder;
encoder("ber") -> ber.

%% The action requests of `Text`, which is what stands inside a transaction request.
actions(Text) ->
    [{transactionRequest, Request}] = transactions(["Transaction = 1 {\n", Text, "\n}\n"]),
    element(3, Request).

%% The action replies of `Text`, which is what stands inside a transaction reply.
replies(Text) ->
    [{transactionReply, Reply}] = transactions(["Reply = 1 {\n", Text, "\n}\n"]),
    {actionReplies, Actions} = element(4, Reply),
    Actions.

transactions(Text) ->
    Message = iolist_to_binary(["MEGACO/3 [127.0.0.1]:2944\n", Text]),
    case megaco_pretty_text_encoder:decode_message([], 3, Message) of
        {ok, {'MegacoMessage', _, {'Message', _, _, {transactions, Transactions}}}} ->
            Transactions;
        Error ->
            log("fail own_text ~0p ~s", [Error, Message]),
            halt(3)
    end.

%% One session description as text, from a Local or Remote descriptor.
sdp([Group | _]) -> [[Name, "=", Value, "\r\n"] || {Name, Value} <- sdp_lines([Group])];
sdp([]) -> "".

sdp_lines([Group | _]) ->
    [{Name, Value} || {'PropertyParm', Name, [Value | _], _} <- Group];
sdp_lines([]) ->
    [].

%% A termination name as text: "ip/1", "*", "$".
term_id({megaco_term_id, _, Parts}) -> lists:flatten(lists:join("/", [part(P) || P <- Parts]));
term_id([One]) -> term_id(One).

part(Part) ->
    [case C of all -> $*; choose -> $$; _ -> C end || C <- Part].

%% One line for the test that started us.
log(Format, Arguments) ->
    io:format(Format ++ "~n", Arguments).
