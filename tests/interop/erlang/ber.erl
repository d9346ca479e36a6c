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

%% Names that OTP has no numbers for (H.248.7, H.248.9).
-define(PACKAGES, [{"an", 16#1d}, {"aasb", 16#33}, {"aasdc", 16#34}, {"aasrec", 16#35}]).
-define(SIGNALS, [{"an/apf", 1}, {"aasb/play", 1}, {"aasdc/playcol", 2}, {"aasrec/playrec", 2}]).
-define(EVENTS, [
    {"aasb/playcom", 16#12},
    {"aasdc/pcolsucc", 2},
    {"aasrec/precsucc", 2},
    {"aasb/audfail", 1},
    {"aasdc/audfail", 1},
    {"aasrec/audfail", 1}
]).
-define(PARAMETERS, [
    {{"an/apf", "an"}, 1},
    {{"an/apf", "noc"}, 2},
    {{"an/apf", "av"}, 3},
    {{"aasb/play", "an"}, 1},
    {{"aasb/play", "it"}, 2},
    {{"aasb/playcom", "ap"}, 1},
    {{"aasdc/pcolsucc", "dc"}, 1},
    {{"aasdc/pcolsucc", "na"}, 2},
    {{"aasrec/playrec", "rlt"}, 8},
    {{"aasrec/playrec", "rid"}, 9},
    {{"aasrec/playrec", "eik"}, 16#10},
    {{"aasrec/precsucc", "res"}, 3},
    {{"aasrec/precsucc", "ri"}, 4},
    {{"aasrec/precsucc", "ek"}, 6},
    {{"aasb/audfail", "rc"}, 1},
    {{"aasdc/audfail", "rc"}, 1},
    {{"aasrec/audfail", "rc"}, 1}
]).

encode_message(_, Version, Message) ->
    megaco_ber_encoder:encode_message(?CONFIG, Version, map(fun to_bits/2, typed(Message))).

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

%% The other way round for parameters of signals: what looks like a number is one.
typed({'SigParameter', Name, Values, Extra}) ->
    {'SigParameter', Name, [octets(Value) || Value <- Values], Extra};
typed(Term) when is_tuple(Term) -> list_to_tuple(typed(tuple_to_list(Term)));
typed([Head | Tail]) -> [typed(Head) | typed(Tail)];
typed(Term) -> Term.

octets(Text) ->
    case string:to_integer(Text) of
        {Number, ""} -> [2, 4 | binary_to_list(<<Number:32/signed>>)];
        _ -> [22, length(Text) | Text]
    end.

%% What OTP's encoder calls for each name.

encode_name(_, dialplan, [$x | Digits]) ->
    Number = list_to_integer(Digits, 16),
    [Number bsr 8, Number band 255];
encode_name(Levels, Scope, Name) ->
    case number(Scope, Name) of
        none -> ?NAMES:encode_name(Levels, Scope, Name);
        Number -> Number
    end.

decode_name(Levels, Scope, Octets) ->
    case [Name || Name <- names(Scope), number(Scope, Name) =:= Octets] of
        [Name | _] -> Name;
        [] -> decode_other(Levels, Scope, Octets)
    end.

decode_other(Levels, Scope, Octets) ->
    try
        ?NAMES:decode_name(Levels, Scope, Octets)
    catch
        _:_ -> [$x | [hd(integer_to_list(N, 16)) || O <- Octets, N <- [O bsr 4, O band 15]]]
    end.

%% The octets of a name that OTP does not know. It names the item of a parameter by its octets when
%% it decodes, and by its name when it encodes.
number({Scope, [Octet | _] = Item}, Name) when Octet < $\s ->
    case [Known || {Known, _} <- items(Scope), number(item(Scope), Known) =:= Item] of
        [Known | _] -> number({Scope, Known}, Name);
        [] -> none
    end;
number({_, Item}, Name) -> find({Item, Name}, ?PARAMETERS);
number(package, Name) -> find(Name, ?PACKAGES);
number(Scope, Name) when Scope =:= signal; Scope =:= event ->
    case find(Name, items(Scope)) of
        none -> none;
        Number -> find(hd(string:lexemes(Name, "/")), ?PACKAGES) ++ Number
    end;
number(_, _) -> none.

find(Name, List) ->
    case lists:keyfind(Name, 1, List) of
        {_, Number} -> [0, Number];
        false -> none
    end.

items(Scope) when Scope =:= signal; Scope =:= signal_parameter -> ?SIGNALS;
items(Scope) when Scope =:= event; Scope =:= event_parameter -> ?EVENTS;
items(_) -> [].

item(signal_parameter) -> signal;
item(event_parameter) -> event;
item(Other) -> Other.

names(package) -> [Name || {Name, _} <- ?PACKAGES];
names({_, _}) -> [Name || {{_, Name}, _} <- ?PARAMETERS];
names(Scope) -> [Name || {Name, _} <- items(Scope)].

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
    lists:flatten(io_lib:format("~*.2.0b", [Bits, level_number(Form, Level)])).

level_number(number, Level) -> list_to_integer(Level);
level_number(word, Level) ->
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
