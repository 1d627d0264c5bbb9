"""What a client gets for what it accepts, a row per case (RFC 9110, section 12.5.1)."""

import pytest

from ld_server.domain.errors import InvalidParameter
from ld_server.http.negotiation import COLLECTION_OFFERS, READ_OFFERS, RESOURCE_OFFERS, Wanted, choose, negotiate, parse, ranges, wanted
from ld_server.rdf.formats import FORMATS, TURTLE
from ld_server.rdf.representation import COMPACTED, EXPANDED, FLATTENED
from tests.costs import within

LD, JSON, TTL, NT = "application/ld+json", "application/json", "text/turtle", "application/n-triples"
NQ, TRIG, XML = "application/n-quads", "application/trig", "application/rdf+xml"

CASES = [
    # nothing is said
    ("no header", None, LD),
    ("an empty header", "", LD),
    ("blanks only", "   ", LD),
    ("commas only", " , ,", LD),
    # one type
    ("its own default", LD, LD),
    ("plain JSON", JSON, JSON),
    ("Turtle", TTL, TTL),
    ("N-Triples", NT, NT),
    ("N-Quads", NQ, NQ),
    ("TriG", TRIG, TRIG),
    ("RDF/XML", XML, XML),
    ("an older name of Turtle", "application/x-turtle", "application/x-turtle"),
    ("something else", "image/png", None),
    ("a type that only begins alike", "text/turtles", None),
    ("a subtype under another type", "application/turtle", None),
    # case and blanks
    ("capitals", "Text/TURTLE", TTL),
    ("a capital Q", f"{LD};Q=0.1, {TTL};Q=0.2", TTL),
    ("blanks around everything", f"  {TTL}  ;  q=0.9 , {LD} ; q=0.8 ", TTL),
    ("tabs", f"\t{TTL}\t;\tq=1", TTL),
    # wildcards
    ("anything", "*/*", LD),
    ("anything, as Java says it", "*", LD),
    ("any text", "text/*", TTL),
    ("any application", "application/*", LD),
    ("any image", "image/*", None),
    ("a wildcard type with a subtype is no range", f"*/turtle, {NT}", NT),
    # weights
    ("the heavier wins", f"{LD};q=0.5, {TTL};q=0.8", TTL),
    ("equal weights: the first on offer wins", f"{TTL}, {LD}", LD),
    ("equal weights in another order", f"{XML};q=0.7, {NT};q=0.7", NT),
    ("three decimals", f"{LD};q=0.001, {TTL};q=0.002", TTL),
    ("a weight of one with decimals", f"{LD};q=0.999, {TTL};q=1.000", TTL),
    ("zero refuses", f"{LD};q=0", None),
    ("zero refuses one of all", f"*/*, {LD};q=0", JSON),
    ("zero refuses a range", "application/*;q=0, */*;q=0.1", TTL),
    ("zero for all", "*/*;q=0", None),
    ("zero for all but one", f"*/*;q=0, {XML}", XML),
    ("a weight above one is one", f"{LD};q=1, {TTL};q=7", LD),
    ("a weight that is no number is one", f"{LD};q=0.9, {TTL};q=high", TTL),
    ("a weight without a value is one", f"{LD};q=0.9, {TTL};q=", TTL),
    ("a weight that says nan is one", f"{LD};q=0.9, {TTL};q=nan", TTL),
    ("a negative weight cannot be read", f"{LD};q=0.9, {TTL};q=-1", TTL),
    # the narrower range decides, wherever it stands
    ("a type over its range", f"text/*;q=0.1, {TTL};q=0.9, {LD};q=0.5", TTL),
    ("a range over anything", "*/*;q=0.9, application/*;q=0.1", TTL),
    ("a narrow low weight over a broad high one", f"*/*;q=1.0, {LD};q=0.1, {JSON};q=0.1, {TTL};q=0.1, {NT};q=0.1", NQ),
    ("a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", LD),
    ("rdflib", f"text/turtle, application/rdf+xml;q=0.9, {NT};q=0.8, {LD};q=0.7, text/html;q=0.5, */*;q=0.1", TTL),
    ("a client of XML", "application/xml;q=0.9, application/rdf+xml", XML),
    # parameters
    ("utf-8 is what is sent", f"{TTL};charset=utf-8", TTL),
    ("utf-8 in capitals and quotes", f'{TTL};charset="UTF-8"', TTL),
    ("another charset is not", f"{TTL};charset=iso-8859-1", None),
    ("a parameter that is not offered", f"{TTL};level=1", None),
    ("a comma in quotes parts nothing", f'{TTL};note="a, {LD}", {NT}', NT),
    ("a quotation that is never closed", f'{NT}, {TTL};note="a, {LD}', NT),
    ("a parameter after the weight", f"{LD};q=0.2;charset=utf-8, {TTL};q=0.1", LD),
    ("the profile it is in anyway", f'{LD};profile="{COMPACTED}"', f'{LD};profile="{COMPACTED}"'),
    ("another profile", f'{LD};profile="{EXPANDED}"', f'{LD};profile="{EXPANDED}"'),
    ("a profile among other types", f'{TTL};q=0.9, {LD};profile="{FLATTENED}"', f'{LD};profile="{FLATTENED}"'),
    ("a profile of another type is a wish", f'{TTL};profile="{FLATTENED}"', TTL),
    ("an unknown profile is a wish", f'{LD};profile="http://example.org/mine"', LD),
    ("a profile that is missing means the type less", f'{LD};profile="http://example.org/mine";q=0.9, {LD};q=0.1, {TTL};q=0.5', TTL),
    # what cannot be read
    ("garbage counts as absent", "garbage", LD),
    ("garbage beside a type is passed over", f"garbage, {TTL}", TTL),
    ("half a type", f"text/, {NT}", NT),
    ("no type", f";q=1, {NT}", NT),
    ("a parameter without a name", f"{TTL};=1, {NT}", NT),
    ("letters outside ASCII", f"t\u00e9xt/turtle, {NT}", NT),
    ("stray semicolons", f"{TTL};;q=0.9;", TTL),
]  # fmt: skip


@pytest.mark.parametrize(("accept", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_client_gets_what_it_likes_best(accept: str | None, expected: str | None) -> None:
    assert negotiate(accept, tuple(RESOURCE_OFFERS)) == expected


HTML, CSV = "text/html", "text/csv"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
OLDER_FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/png,image/svg+xml,*/*;q=0.8"
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
SAFARI = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
LYNX = "text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01"

PAGES = [
    ("Firefox", FIREFOX, HTML, HTML),
    ("Firefox before 132", OLDER_FIREFOX, HTML, HTML),
    ("Chrome and Edge", CHROME, HTML, HTML),
    ("Safari", SAFARI, HTML, HTML),
    ("Lynx", LYNX, HTML, HTML),
    ("a browser that asks for an image", "image/avif,image/webp,*/*;q=0.8", LD, LD),
    ("a script in a browser: fetch", "*/*", LD, LD),
    ("a script in a browser: axios", "application/json, text/plain, */*", LD, LD),
    ("curl", "*/*", LD, LD),
    ("an empty header", "", LD, LD),
    ("no header", None, LD, LD),
    ("any text", "text/*", TTL, TTL),
    ("a page", HTML, HTML, HTML),
    ("a page in capitals", "TEXT/HTML;charset=UTF-8", HTML, HTML),
    ("XHTML alone", "application/xhtml+xml", None, None),
    ("data before pages", f"{LD}, {HTML};q=0.9", LD, LD),
    ("data as much as pages", f"{HTML}, {LD}", LD, LD),
    ("pages before data", f"{LD};q=0.9, {HTML}", HTML, HTML),
    ("rdflib", f"text/turtle, application/rdf+xml;q=0.9, {NT};q=0.8, {LD};q=0.7, text/html;q=0.5, */*;q=0.1", TTL, TTL),
    ("Jena", f"{TTL},{NT};q=0.9,{LD};q=0.8,{XML};q=0.7,*/*;q=0.3", TTL, TTL),
    ("a spreadsheet", CSV, None, CSV),
    ("a table, or else data", f"{CSV}, {JSON};q=0.5", JSON, CSV),
    ("no pages", f"{HTML};q=0, */*", LD, LD),
]  # fmt: skip


@pytest.mark.parametrize(("accept", "resource", "collection"), [case[1:] for case in PAGES], ids=[case[0] for case in PAGES])
def test_browsers_get_pages_and_everybody_else_data(accept: str | None, resource: str | None, collection: str | None) -> None:
    assert negotiate(accept, tuple(READ_OFFERS)) == resource
    assert negotiate(accept, tuple(COLLECTION_OFFERS)) == collection


@pytest.mark.parametrize(("accept", "expected"), [case[1:] for case in CASES if case[0] != "a browser"])
def test_pages_and_tables_change_nothing_for_those_who_do_not_name_them(accept: str | None, expected: str | None) -> None:
    assert negotiate(accept, tuple(COLLECTION_OFFERS)) == expected


@pytest.mark.parametrize("accept", [None, CHROME, "image/png"])
def test_a_name_goes_before_the_header(accept: str | None) -> None:
    assert choose(accept, READ_OFFERS, "turtle") == Wanted(TURTLE)
    assert choose(accept, COLLECTION_OFFERS, "csv").media_type == CSV


@pytest.mark.parametrize("name", ["cvs", "", "text/turtle", "csv"])
def test_a_name_of_nothing_on_offer_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameter, match="format must be one of"):
        choose(None, READ_OFFERS, name)


def test_every_key_names_one_thing() -> None:
    keys = {choice.key: choice.content_type for choice in COLLECTION_OFFERS.values()}
    assert len(keys) == len(FORMATS) + 4


PROFILED = (LD, f'{LD};profile="{COMPACTED}"', f'{LD};profile="{EXPANDED}"', f'{LD};profile="{FLATTENED}"', TTL)
PROFILES = [
    ("no profile: the first", LD, 0),
    ("expanded", f'{LD};profile="{EXPANDED}"', 2),
    ("flattened, after another parameter", f'{LD};charset=utf-8;profile="{FLATTENED}"', 3),
    ("two profiles, one known", f'{LD};profile="http://example.org/x {FLATTENED}"', 3),
    ("only unknown ones", f'{LD};profile="http://example.org/x"', 0),
    ("the weight counts before the profile", f'{LD};profile="{EXPANDED}";q=0.5, {TTL}', 4),
    ("one profile is liked less", f'{LD}, {LD};profile="{EXPANDED}";q=0.2', 0),
    ("a profile beside anything", f'*/*;q=0.1, {LD};profile="{EXPANDED}"', 2),
]


@pytest.mark.parametrize(("accept", "expected"), [case[1:] for case in PROFILES], ids=[case[0] for case in PROFILES])
def test_a_profile_that_is_known_is_honoured(accept: str, expected: int) -> None:
    assert negotiate(accept, PROFILED) == PROFILED[expected]


def test_the_table_has_enough_rows() -> None:
    assert len(CASES) + len(PROFILES) >= 40
    assert len({name for name, *_ in CASES}) == len(CASES)


def test_nothing_on_offer_is_nothing_chosen() -> None:
    assert negotiate(None, ()) is None
    assert negotiate("*/*", ()) is None


def test_an_offer_must_be_a_media_type() -> None:
    with pytest.raises(ValueError, match="is not a media type"):
        negotiate("*/*", ("nonsense",))


def test_every_name_of_every_format_is_on_offer() -> None:
    for form in FORMATS:
        assert {wanted(name) for name in form.media_types} == {Wanted(form)}


@pytest.mark.parametrize(
    ("accept", "key", "content_type"),
    [
        (None, "jsonld", LD),
        (f'{LD};profile="{COMPACTED}"', "jsonld", LD),
        (f'{LD};profile="{EXPANDED}"', "jsonld-expanded", f'{LD};profile="{EXPANDED}"'),
        (f'{LD};profile="{FLATTENED}"', "jsonld-flattened", f'{LD};profile="{FLATTENED}"'),
        (JSON, "json", JSON),
        ("text/*", "turtle", "text/turtle; charset=utf-8"),
        ("application/x-turtle", "turtle", "text/turtle; charset=utf-8"),
    ],
)
def test_an_answer_says_what_it_is(accept: str | None, key: str, content_type: str) -> None:
    found = wanted(accept)
    assert found is not None
    assert (found.key, found.content_type) == (key, content_type)


def test_turtle_is_one_format_under_two_names() -> None:
    assert wanted("application/x-turtle") == wanted("text/turtle") == Wanted(TURTLE)


@pytest.mark.parametrize("text", ["", "text", "text/", "/turtle", "*/json", "text/turtle x", 'a/b;c="d', "a/b;c", "a b/c"])
def test_what_is_no_media_type_is_none(text: str) -> None:
    assert parse(text) is None


def test_a_content_type_is_read_with_its_parameters() -> None:
    found = parse('Text/Turtle; Charset="utf\\-8";version=1.2')
    assert found is not None
    assert (found.essence, dict(found.parameters)) == ("text/turtle", {"charset": "utf-8", "version": "1.2"})


@pytest.mark.parametrize("part", ['"', '"\\', "a/b;q=", ";", "a/b,", " ", "*", '"a",', 'a/b;c="d\\"', "=", "a" * 50 + "/"])
def test_a_hostile_header_takes_linear_time(part: str) -> None:
    header = (part * 8190)[:8190]
    with within():  # backtracking would take longer than anyone waits
        ranges.__wrapped__(header)
