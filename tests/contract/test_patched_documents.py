"""Patched documents: taken in as a whole, under the name that they have, and with what only the server says."""

from collections.abc import Mapping
from typing import Any

import jsonpatch
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ld_server.domain.errors import MalformedBody, ShapeViolation, TooLarge, UnknownReference, UnknownTerm
from ld_server.rdf.codecs import Limits
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import JSON, JSON_LD
from ld_server.rdf.naming import Naming
from ld_server.rdf.published import data_directory
from ld_server.rdf.validation import Validator
from ld_server.resources import KINDS, PATCHED, PATHS
from ld_server.resources.intake import take_in
from ld_server.resources.kind import Document, is_same
from ld_server.resources.patching import Patching, json_patch, merge_patch
from tests import factories

BASE = "http://localhost:8000"
Json = dict[str, Any]


class Desk:
    """Takes documents in, and patches them, as the service does; nothing is stored."""

    def __init__(self) -> None:
        self.naming, self.contexts = Naming(BASE, PATHS), Contexts(data_directory("contexts"), BASE)
        self.validator = Validator([data_directory("shapes")])

    def take_in(self, body: bytes, kind: str, form: Any = JSON_LD) -> Document:
        return take_in(body, form, KINDS[kind], self.naming, self.contexts, self.validator, Limits())

    def stored(self, posted: Json, kind: str = "rentAction", number: int = 1, **managed: Any) -> Document:
        """The document that comes of what was posted, with something of all that only the server says."""
        taken = self.take_in(orjson.dumps(posted), kind, JSON)
        identifier = f"{KINDS[kind].prefix}_{number}"
        text = orjson.dumps(taken).decode().replace(taken["@id"], self.naming.iri(identifier))
        given = {"identifier": identifier, "createdAt": "2027-01-01T00:00:00Z", "updatedAt": "2027-01-01T00:00:00Z"}
        return {**orjson.loads(text), **given, **(_as_the_service_does(orjson.loads(text)) if kind == "rentAction" else {}), **managed}

    def patched(self, before: Document, patch: Any, kind: str = "rentAction") -> Document:
        patching = Patching(KINDS[kind], self.naming, self.contexts, lambda body: self.take_in(body, kind))
        after = patching.changed(before, json_patch(patch, 100_000) if isinstance(patch, list) else merge_patch(patch))
        return after if after is before or kind != "rentAction" else {**after, **_as_the_service_does(after)}


def _as_the_service_does(document: Document) -> Json:
    lines = [{**line, "allocatedQuantity": 0} for line in document["lineItems"]]
    objects = list({line["object"]["identifier"]: line["object"] for line in lines}.values())
    return {
        "object": objects[0] if len(objects) == 1 else objects,
        "requestedQuantity": sum(line["requestedQuantity"] for line in lines),
        "lineItems": lines,
        "allocations": document.get("allocations", []),
        "status": document.get("status", "pending"),
        "createdBy": "dana",
    }


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def settled(document: Document) -> Json:
    """The document without what the service works out anew whenever it writes a reservation."""
    lines = [{key: value for key, value in line.items() if key != "allocatedQuantity"} for line in document.get("lineItems", [])]
    rest = {key: value for key, value in document.items() if key not in ("object", "requestedQuantity", "lineItems")}
    return {**rest, "lineItems": lines} if lines else rest


# --- any document can be made of any other ----------------------------------------------------------------------------

codes = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,6}", fullmatch=True)
words = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=12)
values = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**53), 2**53), words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)
"""JSON without null, which a merge patch cannot write."""

strangers = st.dictionaries(
    st.sampled_from([f"http://vocabulary.example/p{number}" for number in range(4)]),
    st.one_of(
        st.booleans(),
        st.integers(-(2**53), 2**53),
        words,
        st.fixed_dictionaries({"@id": st.sampled_from(["http://elsewhere.example/a", "http://elsewhere.example/b"])}),
        st.fixed_dictionaries({"http://vocabulary.example/inner": words}),
        st.fixed_dictionaries({"@value": words, "@language": st.sampled_from(["de", "en"])}),
    ),
    max_size=3,
)
"""Statements in other vocabularies."""

metadata = st.fixed_dictionaries({}, optional={"metadata": st.dictionaries(words, values, max_size=3)})
lines = st.lists(
    st.fixed_dictionaries(
        {"object": st.sampled_from(["itemType_1", "itemType_2", "itemType_3"]), "requestedQuantity": st.integers(1, 9)},
        optional={"notes": words, "metadata": values},
    ),
    min_size=1,
    max_size=4,
)
agents = st.fixed_dictionaries(
    {"@type": st.sampled_from(["Person", "Organization"]), "identifier": words}, optional={"name": words, "telephone": words}
)
days = st.integers(1, 20)


def joined(*parts: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.tuples(*parts).map(lambda drawn: {key: value for part in drawn for key, value in part.items()})


reservations = joined(
    st.builds(
        lambda start, length: {"startTime": f"2027-03-{start:02}T08:00:00Z", "endTime": f"2027-04-{length:02}T08:00:00Z"}, days, days
    ),
    st.fixed_dictionaries(
        {"lineItems": lines, "agent": agents},
        optional={"description": words, "priority": st.sampled_from(["low", "urgent"]), "isAsap": st.booleans(), "externalRef": words},
    ),
    metadata,
    strangers,
)
item_types = joined(
    st.fixed_dictionaries(
        {"code": codes, "name": words, "kind": st.sampled_from(["serialized", "fungible"])},
        optional={"isActive": st.booleans(), "description": words, "turnaroundBefore": st.sampled_from(["PT1H", "P1D"])},
    ),
    metadata,
    strangers,
)
assets = joined(
    st.fixed_dictionaries(
        {"isVariantOf": st.sampled_from(["itemType_1", "itemType_2"])},
        optional={"assetTag": words, "status": st.sampled_from(["available", "hold"]), "location": words, "name": words},
    ),
    metadata,
    strangers,
)
stock_pools = joined(
    st.fixed_dictionaries(
        {"isVariantOf": st.sampled_from(["itemType_1", "itemType_2"]), "quantityTotal": st.integers(0, 99)}, optional={"location": words}
    ),
    metadata,
    strangers,
)
kit_templates = joined(
    st.fixed_dictionaries(
        {
            "code": codes,
            "name": words,
            "kitComponents": st.dictionaries(st.integers(1, 5), st.integers(1, 9), min_size=1, max_size=3).map(
                lambda parts: [{"itemType": f"itemType_{item}", "quantityPerKit": quantity} for item, quantity in parts.items()]
            ),
        }
    ),
    metadata,
    strangers,
)
demand_signals = joined(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["sgl", "manual"]),
            "itemType": st.sampled_from(["itemType_1", "kit_2"]),
            "quantityRequired": st.integers(1, 99),
            "startTime": st.just("2027-06-01T08:00:00Z"),
            "endTime": st.just("2027-06-04T08:00:00Z"),
        },
        optional={"sourceRef": words, "location": words, "name": words},
    ),
    metadata,
    strangers,
)
build_requests = joined(
    st.fixed_dictionaries(
        {"itemType": st.sampled_from(["itemType_1", "itemType_2"]), "quantity": st.integers(1, 99), "reason": st.just("shortfall")},
        optional={"location": words, "externalRef": words, "neededBy": st.just("2027-06-01T08:00:00Z")},
    ),
    metadata,
    strangers,
)
OF_EACH_KIND = {
    "demandSignal": demand_signals,
    "buildRequest": build_requests,
    "rentAction": reservations,
    "itemType": item_types,
    "asset": assets,
    "stockPool": stock_pools,
    "kitTemplate": kit_templates,
}


def difference(before: Any, after: Any) -> Any:
    """The merge patch that makes `after` of `before`."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    gone = {key: None for key in before if key not in after}
    return {**gone, **{key: difference(before.get(key), value) for key, value in after.items() if not is_same(before.get(key), value)}}


def test_every_kind_is_tried() -> None:
    assert set(OF_EACH_KIND) == set(PATCHED)


@pytest.mark.parametrize("kind", OF_EACH_KIND)
def test_the_difference_to_another_document_as_a_merge_patch_gives_that_document(desk: Desk, kind: str) -> None:
    @settings(max_examples=25, deadline=None)
    @given(OF_EACH_KIND[kind], OF_EACH_KIND[kind])
    def check(one: Json, other: Json) -> None:
        before, after = desk.stored(one, kind), desk.stored(other, kind)
        assert is_same(settled(desk.patched(before, difference(before, after), kind)), settled(after))

    check()


@pytest.mark.parametrize("kind", OF_EACH_KIND)
def test_the_difference_to_another_document_as_a_json_patch_gives_that_document(desk: Desk, kind: str) -> None:
    @settings(max_examples=25, deadline=None)
    @given(OF_EACH_KIND[kind], OF_EACH_KIND[kind])
    def check(one: Json, other: Json) -> None:
        before, after = desk.stored(one, kind), desk.stored(other, kind)
        patch = jsonpatch.make_patch(before, after).patch
        assert is_same(settled(desk.patched(before, patch, kind)), settled(after))

    check()


@pytest.mark.parametrize("kind", OF_EACH_KIND)
def test_sending_a_document_back_changes_nothing(desk: Desk, kind: str) -> None:
    @settings(max_examples=25, deadline=None)
    @given(OF_EACH_KIND[kind], words)
    def check(posted: Json, text: str) -> None:
        before = desk.stored(posted, kind)
        assert desk.patched(before, before, kind) is before
        assert is_same(settled(desk.patched(before, {**before, "description": text}, kind)), settled({**before, "description": text}))

    check()


# --- what stays -------------------------------------------------------------------------------------------------------


def test_statements_in_other_vocabularies_survive_a_change_of_something_else(desk: Desk) -> None:
    strange = {
        "http://vocabulary.example/crew": {"@list": ["Ann", "Bob"]},
        "http://vocabulary.example/label": [{"@value": "Ziel", "@language": "de"}, {"@value": "goal", "@language": "en"}],
        "http://vocabulary.example/weight": {"@value": "5.0", "@type": "http://www.w3.org/2001/XMLSchema#decimal"},
        "http://vocabulary.example/box": {"http://vocabulary.example/inside": {"@id": "http://elsewhere.example/a"}},
    }
    before = desk.stored(factories.reservation(**strange))
    after = desk.patched(before, {"description": "Spring fair"})
    assert {key: after[key] for key in strange} == {key: before[key] for key in strange}
    assert desk.patched(after, {"http://vocabulary.example/box": None}).keys() == after.keys() - {"http://vocabulary.example/box"}


FIXED = [
    ("rentAction", {"@id": f"{BASE}/v1/rent-actions/ra_2"}, "/@id"),
    ("rentAction", {"@context": "https://schema.org"}, "/@context"),
    ("rentAction", {"@context": None}, "/@context"),
    ("rentAction", {"@type": "Product"}, "/@type"),
    ("rentAction", {"@type": None}, "/@type"),
    ("rentAction", {"@type": ["Event"]}, "/@type"),
    ("rentAction", {"identifier": "ra_2"}, "/identifier"),
    ("rentAction", {"createdAt": None}, "/createdAt"),
    ("rentAction", {"updatedAt": "2028-01-01T00:00:00Z"}, "/updatedAt"),
    ("rentAction", {"createdBy": "mallory"}, "/createdBy"),
    ("rentAction", {"approvedBy": "mallory"}, "/approvedBy"),
    ("rentAction", {"approvedAt": "2027-01-01T00:00:00Z"}, "/approvedAt"),
    ("rentAction", {"status": "approved"}, "/status"),
    ("rentAction", {"status": None}, "/status"),
    ("rentAction", {"actionStatus": "ActiveActionStatus"}, "/actionStatus"),
    ("rentAction", {"reason": "because"}, "/reason"),
    ("rentAction", {"allocatedQuantity": 7}, "/allocatedQuantity"),
    ("rentAction", {"allocations": [{"asset": "asset_1"}]}, "/allocations"),
    ("itemType", {"identifier": "itemType_9"}, "/identifier"),
    ("asset", {"createdAt": "2020-01-01T00:00:00Z"}, "/createdAt"),
    ("kitTemplate", {"@type": "Product"}, "/@type"),
    ("stockPool", {"updatedAt": None}, "/updatedAt"),
    ("demandSignal", {"supersedes": "demand_2"}, "/supersedes"),
    ("buildRequest", {"snapshot": "snap_2"}, "/snapshot"),
]
POSTED: Mapping[str, Json] = {
    "rentAction": factories.reservation(),
    "itemType": factories.item_type(),
    "asset": factories.asset(),
    "stockPool": factories.stock_pool(),
    "kitTemplate": factories.kit_template(("itemType_1", 2)),
    "demandSignal": factories.demand_signal(),
    "buildRequest": factories.build_request(),
}


@pytest.mark.parametrize(("kind", "patch", "pointer"), FIXED)
def test_what_only_the_server_says_is_refused_by_its_name(desk: Desk, kind: str, patch: Json, pointer: str) -> None:
    before = desk.stored(POSTED[kind], kind)
    with pytest.raises(ShapeViolation, match=pointer[1:]) as refused:
        desk.patched(before, {**patch, "metadata": {"a": 1}}, kind)
    assert [one.pointer for one in refused.value.violations] == [pointer]


def test_everything_that_cannot_be_changed_is_named_at_once(desk: Desk) -> None:
    with pytest.raises(ShapeViolation) as refused:
        desk.patched(desk.stored(POSTED["asset"], "asset"), {"identifier": "asset_2", "@id": None, "createdAt": None}, "asset")
    assert [one.pointer for one in refused.value.violations] == ["/@id", "/createdAt", "/identifier"]


def test_a_resource_may_be_of_more_classes_than_its_kind_has(desk: Desk) -> None:
    before = desk.stored(POSTED["asset"], "asset")
    after = desk.patched(before, {"@type": ["IndividualProduct", "Vehicle"]}, "asset")
    assert set(after["@type"]) == {"IndividualProduct", "Vehicle"}
    assert desk.patched(after, {"@type": "IndividualProduct"}, "asset")["@type"] == "IndividualProduct"


# --- the whole result is checked --------------------------------------------------------------------------------------


def test_the_result_has_to_have_the_shape(desk: Desk) -> None:
    with pytest.raises(ShapeViolation, match="endTime must be after startTime") as refused:
        desk.patched(desk.stored(POSTED["rentAction"]), {"endTime": "2027-02-01T08:00:00Z", "agent": None})
    assert "/agent" in {one.pointer for one in refused.value.violations}


def test_a_typo_is_refused_with_a_suggestion(desk: Desk) -> None:
    with pytest.raises(UnknownTerm) as refused:
        desk.patched(desk.stored(POSTED["itemType"], "itemType"), {"nmae": "TimerNode v3"}, "itemType")
    assert refused.value.members["suggestion"] == "name"


def test_a_patch_that_leaves_no_object_is_refused(desk: Desk) -> None:
    with pytest.raises(MalformedBody, match="no JSON object"):
        desk.patched(desk.stored(POSTED["rentAction"]), [{"op": "replace", "path": "", "value": [1]}])


def test_times_are_brought_to_utc(desk: Desk) -> None:
    before = desk.stored(POSTED["rentAction"])
    assert desk.patched(before, {"endTime": "2027-03-05T09:00:00+01:00"})["endTime"] == "2027-03-05T08:00:00Z"


def test_a_result_without_end_is_refused(desk: Desk) -> None:
    before = desk.stored(POSTED["rentAction"])
    copies = [{"op": "copy", "from": "", "path": f"/metadata/{number}"} for number in range(30)]
    with pytest.raises(TooLarge):
        desk.patched(before, [{"op": "add", "path": "/metadata", "value": {}}, *copies])


# --- references -------------------------------------------------------------------------------------------------------

WAYS = {
    "the identifier": {"isVariantOf": "itemType_2"},
    "the IRI": {"isVariantOf": {"@id": f"{BASE}/v1/catalog/item-types/itemType_2"}},
    "the identifier alone": {"isVariantOf": {"identifier": "itemType_2"}},
    "the flat key": {"itemTypeId": "itemType_2"},
    "all of it": {"isVariantOf": {"@id": f"{BASE}/v1/catalog/item-types/itemType_2", "identifier": "itemType_2", "name": "Mast"}},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["asset", "stockPool"])
def test_a_reference_is_changed_in_any_of_its_spellings(desk: Desk, kind: str, way: str) -> None:
    after = desk.patched(desk.stored(POSTED[kind], kind), WAYS[way], kind)
    assert (after["isVariantOf"]["identifier"], after["isVariantOf"]["@id"]) == (
        "itemType_2",
        f"{BASE}/v1/catalog/item-types/itemType_2",
    )
    assert "itemTypeId" not in after


def test_two_spellings_that_mean_two_resources_are_refused(desk: Desk) -> None:
    with pytest.raises(ShapeViolation, match="isVariantOf"):
        desk.patched(desk.stored(POSTED["asset"], "asset"), {"isVariantOf": "itemType_3", "itemTypeId": "itemType_2"}, "asset")


def test_a_reference_to_nothing_of_ours_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownReference, match="isVariantOf"):
        desk.patched(desk.stored(POSTED["asset"], "asset"), {"isVariantOf": "ra_1"}, "asset")


# --- lines ------------------------------------------------------------------------------------------------------------


def named(document: Document) -> list[tuple[str, str, int]]:
    return [(one["@id"].rpartition("#")[2], one["object"]["identifier"], one["requestedQuantity"]) for one in document["lineItems"]]


@pytest.fixture(scope="module")
def three(desk: Desk) -> Document:
    return desk.stored(factories.several_lines(("itemType_1", 1), ("itemType_2", 2), ("itemType_3", 3)))


def test_the_only_line_can_be_changed_at_the_top(desk: Desk) -> None:
    before = desk.stored(factories.reservation("itemType_1", 1))
    assert named(desk.patched(before, {"requestedQuantity": 4})) == [("line-1", "itemType_1", 4)]
    assert named(desk.patched(before, {"object": "itemType_2"})) == [("line-1", "itemType_2", 1)]
    assert named(desk.patched(before, {"itemTypeId": "itemType_2", "requestedQuantity": 4})) == [("line-1", "itemType_2", 4)]
    with pytest.raises(ShapeViolation, match="requestedQuantity is required"):
        desk.patched(before, {"requestedQuantity": None})


def test_the_sum_of_several_lines_cannot_be_changed(desk: Desk, three: Document) -> None:
    with pytest.raises(ShapeViolation, match="lineItems amount to") as refused:
        desk.patched(three, {"requestedQuantity": 7, "object": "itemType_1"})
    assert [one.pointer for one in refused.value.violations] == ["/object", "/requestedQuantity"]


def test_a_sum_that_contradicts_the_new_lines_is_refused(desk: Desk, three: Document) -> None:
    with pytest.raises(ShapeViolation, match="not the sum"):
        desk.patched(three, {"lineItems": [{"object": "itemType_1", "requestedQuantity": 1}], "requestedQuantity": 7})


def test_a_line_keeps_its_name_when_another_goes(desk: Desk, three: Document) -> None:
    after = desk.patched(three, [{"op": "remove", "path": "/lineItems/0"}])
    assert named(after) == [("line-2", "itemType_2", 2), ("line-3", "itemType_3", 3)]
    more = desk.patched(after, [{"op": "add", "path": "/lineItems/-", "value": {"object": "itemType_1", "requestedQuantity": 5}}])
    assert named(more) == [("line-2", "itemType_2", 2), ("line-3", "itemType_3", 3), ("line-4", "itemType_1", 5)]


def test_lines_may_change_places(desk: Desk, three: Document) -> None:
    after = desk.patched(three, [{"op": "move", "from": "/lineItems/0", "path": "/lineItems/2"}])
    assert named(after) == [("line-2", "itemType_2", 2), ("line-3", "itemType_3", 3), ("line-1", "itemType_1", 1)]


def test_a_line_without_a_name_takes_the_place_of_the_one_that_stood_there(desk: Desk, three: Document) -> None:
    after = desk.patched(three, {"lineItems": [{"object": "itemType_1", "requestedQuantity": 9}, three["lineItems"][2]]})
    assert named(after) == [("line-1", "itemType_1", 9), ("line-3", "itemType_3", 3)]


def test_a_copy_of_a_line_is_a_line_of_its_own(desk: Desk, three: Document) -> None:
    after = desk.patched(three, [{"op": "copy", "from": "/lineItems/2", "path": "/lineItems/-"}])
    assert named(after)[2:] == [("line-3", "itemType_3", 3), ("line-4", "itemType_3", 3)]


def test_a_new_line_never_gets_a_name_for_which_units_were_promised(desk: Desk) -> None:
    before = desk.stored(factories.reservation())
    iri = before["@id"]
    gone = {"@id": f"{iri}#alloc_1", "@type": "Allocation", "identifier": "alloc_1", "forLine": {"@id": f"{iri}#line-7"}, "quantity": 1}
    line = {"object": "itemType_2", "requestedQuantity": 1}
    after = desk.patched({**before, "allocations": [gone]}, [{"op": "add", "path": "/lineItems/-", "value": line}])
    assert [name for name, _, _ in named(after)] == ["line-1", "line-8"]
    assert after["allocations"] == [gone]


def test_what_is_promised_to_a_line_is_refused_by_its_name(desk: Desk, three: Document) -> None:
    with pytest.raises(ShapeViolation) as refused:
        desk.patched(three, [{"op": "replace", "path": "/lineItems/1/allocatedQuantity", "value": 2}])
    assert [one.pointer for one in refused.value.violations] == ["/lineItems/1/allocatedQuantity"]


def test_what_is_wrong_with_a_line_is_said_with_its_place(desk: Desk, three: Document) -> None:
    with pytest.raises(ShapeViolation) as refused:
        desk.patched(three, [{"op": "replace", "path": "/lineItems/1/requestedQuantity", "value": 0}])
    assert [one.pointer for one in refused.value.violations] == ["/lineItems/1/requestedQuantity"]


@pytest.mark.parametrize("value", [None, [], "a line", ["a line"], [5], [None], [{"@id": ["x"]}], {"object": "itemType_1"}])
def test_lines_that_are_none_are_refused(desk: Desk, three: Document, value: Any) -> None:
    with pytest.raises((ShapeViolation, MalformedBody)):
        desk.patched(three, [{"op": "replace", "path": "/lineItems", "value": value}])


def test_a_statement_about_a_line_stays_with_it(desk: Desk, three: Document) -> None:
    pointed = desk.patched(three, {"http://vocabulary.example/first": {"@id": three["lineItems"][1]["@id"]}})
    after = desk.patched(pointed, [{"op": "remove", "path": "/lineItems/0"}])
    assert after["http://vocabulary.example/first"] == {"@id": three["lineItems"][1]["@id"]}
