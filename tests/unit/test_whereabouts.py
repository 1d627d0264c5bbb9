"""A refusal points into what the client sent, in whatever shape of JSON-LD that was."""

from typing import Any

import orjson
import pytest
from pyld import jsonld

from ld_server.domain.errors import Refusal, ShapeViolation
from ld_server.rdf import vocab
from ld_server.rdf.codecs import Limits
from ld_server.rdf.formats import JSON_LD, TURTLE, Format
from ld_server.rdf.published import data_directory
from ld_server.rdf.tracing import at
from ld_server.rdf.validation import Validator
from ld_server.resources import KINDS
from ld_server.resources.intake import take_in_all
from tests import factories
from tests.unit.conftest import BASE, Reader

VALIDATOR = Validator([data_directory("shapes")])
PREFIXES = {"s": "http://schema.org/", "r": vocab.RSV, "xsd": vocab.XSD, "ex": "http://ex.example/"}
ITEM = {"@id": f"{BASE}/v1/catalog/item-types/itemType_1"}
LATE, EARLY = "2027-03-02T08:00:00Z", "2027-03-01T08:00:00Z"


def instant(text: str) -> dict[str, str]:
    return {"@value": text, "@type": "xsd:dateTime"}


def refusals(reader: Reader, posted: Any, form: Format = JSON_LD, kind: str = "rentAction") -> list[Refusal]:
    """What is refused, in the words of who sent it."""
    body = posted if isinstance(posted, bytes) else orjson.dumps(posted)
    arrivals = take_in_all(body, form, KINDS[kind], reader.naming, reader.contexts, VALIDATOR, Limits())
    found = [(index, one.outcome) for index, one in enumerate(arrivals.resources) if isinstance(one.outcome, Refusal)]
    return [arrivals.in_their_words(refusal, index) for index, refusal in found]


def pointers(refusal: Refusal) -> list[str]:
    return [one.pointer for one in refusal.violations] if isinstance(refusal, ShapeViolation) else [refusal.members["pointer"]]


def prefixed(**changes: Any) -> dict[str, Any]:
    whole = {
        "@context": PREFIXES,
        "@type": "s:RentAction",
        "s:agent": {"@type": "s:Person", "s:identifier": "alice"},
        "s:object": ITEM,
        "r:requestedQuantity": 1,
        "s:startTime": instant(EARLY),
        "s:endTime": instant(LATE),
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def expanded(**changes: Any) -> list[Any]:
    return list(jsonld.expand(prefixed(**changes), {"base": BASE}))


def flattened(**changes: Any) -> Any:
    return {"@context": PREFIXES, "@graph": jsonld.flatten(prefixed(**changes), PREFIXES, {"base": BASE})["@graph"]}


def lines(*quantities: Any) -> list[dict[str, Any]]:
    return [{"@type": "r:LineItem", "s:object": ITEM, "r:requestedQuantity": quantity} for quantity in quantities]


def aliased(**changes: Any) -> dict[str, Any]:
    """A client's own words for everything, keywords included."""
    context = {
        "von": {"@id": "http://schema.org/startTime", "@type": vocab.DATE_TIME},
        "bis": {"@id": "http://schema.org/endTime", "@type": vocab.DATE_TIME},
        "wer": "http://schema.org/agent",
        "was": {"@id": "http://schema.org/object", "@type": "@id"},
        "menge": vocab.REQUESTED_QUANTITY,
        "posten": {"@id": vocab.LINE_ITEMS, "@container": "@index"},
        "art": "@type",
        "kennung": "http://schema.org/identifier",
        "details": "@nest",
    }
    return {"@context": context, "art": "http://schema.org/RentAction", "wer": {"kennung": "a"}, "von": EARLY, "bis": LATE, **changes}


FLAT = {"object": None, "itemTypeId": "itemType_1"}
ARRAY = "/http:~1~1schema.org~1endTime/0/@value"

CASES: dict[str, tuple[Any, str]] = {
    "compact": (factories.reservation(endTime=EARLY), "/endTime"),
    "what is missing": (factories.reservation(endTime=None), "/endTime"),
    "a single line": (factories.reservation(requestedQuantity=0), "/requestedQuantity"),
    "the second line": (factories.several_lines(("itemType_1", 1), ("itemType_1", 0)), "/lineItems/1/requestedQuantity"),
    "what a line lacks": (
        factories.reservation(object=None, requestedQuantity=None, lineItems=[{"object": ITEM}]),
        "/lineItems/0/requestedQuantity",
    ),
    "one line that is not in an array": (
        factories.reservation(object=None, requestedQuantity=None, lineItems={"object": ITEM, "requestedQuantity": 0}),
        "/lineItems/requestedQuantity",
    ),
    "a part of a part": (factories.reservation(agent={"@type": "Person", "identifier": "a", "email": "nobody"}), "/agent/email"),
    "an agent that is a text": (factories.reservation(agent="\t"), "/agent"),
    "a value object": (factories.reservation(endTime={"@value": "tomorrow", "@type": vocab.DATE_TIME}), "/endTime/@value"),
    "too many values": (factories.reservation(endTime=[LATE, "2027-03-03T08:00:00Z"]), "/endTime"),
    "no line at all": (factories.reservation(object=None, requestedQuantity=None), "/lineItems"),
    "prefixes": (prefixed(**{"s:endTime": instant(EARLY)}), "/s:endTime/@value"),
    "a line under prefixes": (
        prefixed(**{"s:object": None, "r:requestedQuantity": None, "r:lineItem": lines(1, 0)}),
        "/r:lineItem/1/r:requestedQuantity",
    ),
    "https": (
        {"@context": {"xsd": vocab.XSD}, "@type": "https://schema.org/RentAction", "https://schema.org/endTime": instant("tomorrow")},
        "/https:~1~1schema.org~1endTime/@value",
    ),
    "schema.org's context alone": (
        {"@context": "https://schema.org", "@type": "RentAction", **factories.reservation(requestedQuantity=0)},
        "/requestedQuantity",
    ),
    "expanded": (expanded(**{"s:endTime": instant(EARLY)}), f"/0{ARRAY}"),
    "an object that is expanded": (expanded(**{"s:endTime": instant(EARLY)})[0], ARRAY),
    "a line that is expanded": (
        expanded(**{"s:object": None, "r:requestedQuantity": None, "r:lineItem": lines(1, 0)}),
        "/0/https:~1~1w3id.org~1ld-reservations#lineItem/1/https:~1~1w3id.org~1ld-reservations#requestedQuantity/0/@value",
    ),
    "a graph": ({"@graph": [factories.reservation(endTime=EARLY)]}, "/@graph/0/endTime"),
    "an array": ([factories.reservation(endTime=EARLY)], "/0/endTime"),
    "words of the client's own": (aliased(was=ITEM["@id"], menge=1, bis=EARLY), "/bis"),
    "an index": (
        aliased(posten={"eins": {"was": ITEM["@id"], "menge": 1}, "zwei": {"was": ITEM["@id"], "menge": 0}}),
        "/posten/zwei/menge",
    ),
    "a nest": (aliased(was=ITEM["@id"], details={"menge": 0}), "/details/menge"),
    "a list of values": (factories.reservation(endTime={"@set": ["tomorrow"]}), "/endTime"),
    "a misspelt key": (factories.reservation(PRIORTY="high"), "/PRIORTY"),
    "a misspelt key with a prefix": (prefixed(**{"r:priorty": "high"}), "/r:priorty"),
    "a wrong value beside keys that are no IRIs": (
        prefixed(**{"s:endTime": instant(EARLY), "ex:\ufdd0": 1, "ex:a b": [1]}),
        "/s:endTime/@value",
    ),
    "a wrong value beside keys that are no IRIs and lead here": (
        prefixed(**{"s:endTime": instant(EARLY), "@reverse": {"ex:\ufdd0": {"@id": "ex:x"}}}),
        "/s:endTime/@value",
    ),
    "a misspelt key in a part": (factories.reservation(agent={"identifier": "a", "nmae": "A"}), "/agent/nmae"),
    "a misspelt key in a line": (
        factories.reservation(object=None, requestedQuantity=None, lineItems=[{"object": ITEM, "requestdQuantity": 1}]),
        "/lineItems/0/requestdQuantity",
    ),
    "a misspelt key far inside": (prefixed(**{"ex:crew": [{"ex:a": 1}, {"ex:lead": {"s:nmae": "x"}}]}), "/ex:crew/1/ex:lead/s:nmae"),
    "an unknown class": (factories.reservation(agent={"@type": "Persn", "identifier": "a"}), "/agent/@type"),
    "an unknown class under an alias": (aliased(was=ITEM["@id"], menge=1, wer={"art": "http://schema.org/Persn"}), "/wer/art"),
    "another class": (factories.reservation(**{"@type": "Product"}), "/@type"),
    "a reference to a thing elsewhere": (factories.reservation(object="https://shop.example/7"), "/object"),
    "a flat key": (factories.reservation(**{**FLAT, "itemTypeId": "asset_1"}), "/itemTypeId"),
    "a reference in a line": (factories.several_lines(("itemType_1", 1), ("asset_1", 1)), "/lineItems/1/object"),
    "what belongs elsewhere": (factories.reservation(object={**ITEM, "color": "red"}), "/object"),
    "a reference under a prefix": (prefixed(**{"s:object": {"@id": "https://shop.example/7"}}), "/s:object"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_points_into_what_was_sent(reader: Reader, name: str) -> None:
    posted, pointer = CASES[name]
    (refusal,) = refusals(reader, posted)
    assert pointer in pointers(refusal), refusal.members


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith(("what is missing", "what a line lacks", "no line"))])
def test_something_stands_where_it_points(reader: Reader, name: str) -> None:
    posted, pointer = CASES[name]
    assert at(posted, pointer) is not None


def test_the_nodes_of_a_flattened_document_are_found_by_their_names(reader: Reader) -> None:
    posted = flattened(**{"s:object": None, "r:requestedQuantity": None, "r:lineItem": lines(1, 0)})
    (refusal,) = refusals(reader, posted)
    (pointer,) = pointers(refusal)
    assert pointer.startswith("/@graph/")
    assert at(posted, pointer) == 0


def test_each_of_many_has_its_own_place(reader: Reader) -> None:
    good, bad = factories.reservation(), factories.reservation(requestedQuantity=0)
    posted = {"@graph": [good, bad, good, factories.reservation(endTime=EARLY), bad]}
    assert [pointers(one) for one in refusals(reader, posted)] == [
        ["/@graph/1/requestedQuantity"],
        ["/@graph/3/endTime"],
        ["/@graph/4/requestedQuantity"],
    ]


def test_what_is_no_json_has_no_pointers_but_names(reader: Reader) -> None:
    turtle = f"""@prefix s: <http://schema.org/> . @prefix r: <{vocab.RSV}> .
        <> a s:RentAction ; s:agent [ s:identifier "alice" ] ; s:startTime "soon" ; r:lineItem <#first> .
        <#first> a r:LineItem ; s:object <{ITEM["@id"]}> ; r:requestedQuantity 0 ."""
    (refusal,) = refusals(reader, turtle.encode(), TURTLE)
    assert isinstance(refusal, ShapeViolation)
    here = f"{BASE}/v1/rent-actions/"
    assert {(one.pointer, one.focus, one.path) for one in refusal.violations} == {
        ("", here, vocab.START_TIME),
        ("", here, vocab.END_TIME),
        ("", f"{here}#first", vocab.REQUESTED_QUANTITY),
    }
    focuses = {str(one.object) for one in refusal.report if one.predicate.value == vocab.SH + "focusNode"}
    assert focuses == {f"<{here}>", f"<{here}#first>"}


@pytest.mark.parametrize(("root", "shown"), [({}, "_:"), ({"@id": "https://partner.example/r/7"}, "<https://partner.example/r/7>")])
def test_the_report_has_the_names_that_were_sent(reader: Reader, root: dict[str, str], shown: str) -> None:
    (refusal,) = refusals(reader, {**root, **factories.reservation(requestedQuantity=0, endTime=None)})
    assert isinstance(refusal, ShapeViolation)
    focuses = {str(one.object) for one in refusal.report if one.predicate.value == vocab.SH + "focusNode"}
    assert all(one.startswith(shown.removesuffix(">")) for one in focuses)
    assert not any("/new-" in str(one) for one in refusal.report)
    assert not any("/new-" in one.focus for one in refusal.violations)


def test_a_document_that_pyld_does_not_take_gets_the_places_of_ours(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise jsonld.JsonLdError("no", "no")

    monkeypatch.setattr("ld_server.rdf.tracing._Tracing.expand", broken)
    (refusal,) = refusals(reader, factories.reservation(endTime=EARLY))
    assert pointers(refusal) == ["/endTime"]
