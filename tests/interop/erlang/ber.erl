%% OTP's BER encoder with the termination identities that are provisioned here: a word of three
%% characters in 16 bits, a number of 16 bits and one of 32. OTP itself names levels by their bits.
%% Packages that OTP has no numbers for are named by these in hexadecimal digits behind an x.
-module(ber).
-export([encode_message/3, decode_message/3, decode_mini_message/3]).
-export([encode_name/3, decode_name/3]).

-define(CONFIG, [{binary_name_resolver, {?MODULE, [16, 16, 32]}}]).
-define(NAMES, megaco_binary_name_resolver_v3).
-define(LEVELS, [{word, 16}, {number, 16}, {number, 32}]).
-define(WORD, " abcdefghijklmnopqrstuvwxyz0123456789_-.").

encode_message(_, Version, Message) ->
    megaco_ber_encoder:encode_message(?CONFIG, Version, map(fun to_bits/2, Message)).

decode_message(_, Version, Octets) ->
    case megaco_ber_encoder:decode_message(?CONFIG, Version, Octets) of
        {ok, Message} -> {ok, values(map(fun from_bits/2, Message))};
        Error -> Error
    end.

decode_mini_message(_, Version, Octets) ->
    megaco_ber_encoder:decode_mini_message(?CONFIG, Version, Octets).

%% Values are encoded by their type (comments in A.2), and OTP leaves them so: they become text.
values([22, Length | Octets]) when length(Octets) =:= Length ->
    Octets;
values([Tag, Length | Octets]) when Tag =:= 2 orelse Tag =:= 10, length(Octets) =:= Length ->
    <<Number:Length/signed-unit:8>> = list_to_binary(Octets),
    integer_to_list(Number);
values([Head | Tail]) -> [values(Head) | values_of(Tail)];
values(Term) when is_tuple(Term) -> list_to_tuple(values_of(tuple_to_list(Term)));
values(Term) -> Term.

values_of(Terms) -> [values(Term) || Term <- Terms].

%% What OTP's encoder calls for each name.

encode_name(_, dialplan, [$x | Digits]) ->
    Number = list_to_integer(Digits, 16),
    [Number bsr 8, Number band 255];
encode_name(Levels, Scope, Name) -> ?NAMES:encode_name(Levels, Scope, Name).

decode_name(Levels, Scope, Octets) ->
    try
        ?NAMES:decode_name(Levels, Scope, Octets)
    catch
        _:_ -> [$x | [hd(integer_to_list(N, 16)) || O <- Octets, N <- [O bsr 4, O band 15]]]
    end.

%% Every level of every termination identity within a term.
map(_, {megaco_term_id, _, ["root"]} = Root) -> Root;
map(Change, {megaco_term_id, Wild, Levels}) ->
    {megaco_term_id, Wild, levels(Change, lists:flatmap(fun split/1, Levels), ?LEVELS)};
map(Change, Term) when is_tuple(Term) -> list_to_tuple(map(Change, tuple_to_list(Term)));
map(Change, [Head | Tail]) -> [map(Change, Head) | map(Change, Tail)];
map(_, Term) -> Term.

levels(_, [], _) -> [];
levels(_, [[Wildcard] | _], _) when Wildcard =:= $*; Wildcard =:= $$ -> [[Wildcard]];
levels(Change, [Level | Levels], [Form | Forms]) ->
    [Change(Level, Form) | levels(Change, Levels, Forms)].

to_bits(Level, {Form, Bits}) ->
    lists:flatten(io_lib:format("~*.2.0b", [Bits, number(Form, Level)])).

number(number, Level) -> list_to_integer(Level);
number(word, Level) ->
    Places = [string:chr(?WORD, C) - 1 || C <- lists:flatten(string:pad(Level, 3))],
    lists:foldl(fun(Place, Sum) -> 40 * Sum + Place end, 0, Places).

%% OTP reads a wildcard as a further digit of the level before.
split(Level) ->
    {Bits, Wildcard} = lists:splitwith(fun(C) -> C =/= $* andalso C =/= $$ end, Level),
    [Part || Part <- [Bits, Wildcard], Part =/= []].

from_bits(Bits, {number, _}) -> integer_to_list(list_to_integer(Bits, 2));
from_bits(Bits, {word, _}) ->
    Number = list_to_integer(Bits, 2),
    Places = [Number div 1600, Number div 40 rem 40, Number rem 40],
    string:trim([lists:nth(Place + 1, ?WORD) || Place <- Places]).
