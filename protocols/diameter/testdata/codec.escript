#!/usr/bin/env escript
%% Reads messages as lines of hexadecimal digits, decodes each by the dictionary file given as argument, and
%% writes two lines for each: the errors found, and the message encoded again.

main([Dictionary]) ->
    {ok, [Forms]} = diameter_make:codec(Dictionary, [forms, return]),
    {ok, Module, Beam} = compile:forms(Forms, []),
    {module, Module} = code:load_binary(Module, Dictionary, Beam),
    lines(Module, io:get_line("")).

lines(_, eof) ->
    ok;
lines(Module, Line) ->
    Octets = binary:decode_hex(list_to_binary(string:trim(Line))),
    Options = #{
        app_dictionary => Module,
        decode_format => map,
        string_decode => false,
        strict_mbit => true,
        strict_arities => true,
        rfc => 6733,
        failed_avp => false
    },
    {diameter_packet, Header, _, Message, _, Errors, _} =
        diameter_codec:decode(Module, Options, Octets),
    io:format("~0p~n", [Errors]),
    Again = {diameter_packet, Header, undefined, Message, undefined, [], undefined},
    {diameter_packet, _, _, _, Encoded, _, _} = diameter_codec:encode(Module, Options, Again),
    io:format("~s~n", [binary:encode_hex(iolist_to_binary([Encoded]))]),
    lines(Module, io:get_line("")).
