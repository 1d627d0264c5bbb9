"""What the services store conforms to the shape that was asked of what was posted, at every turn of its life."""

import orjson
import pytest

from ld_server.domain.commands import Command
from ld_server.rdf.codecs import Limits
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import JSON
from ld_server.rdf.published import data_directory
from ld_server.rdf.representation import triples_of
from ld_server.rdf.validation import Validator
from ld_server.resources import KINDS, intake
from relational.unit_of_work import Ledger
from tests import factories
from tests.contract.fleet import BASE, NAMING, Fleet, tags

CONTEXTS = Contexts(data_directory("contexts"), BASE)


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator([data_directory("shapes")])


def posted(kind: str, body: factories.Json, validator: Validator) -> Command:
    """The command that a posted body leads to."""
    document = intake.take_in(orjson.dumps(body), JSON, KINDS[kind], NAMING, CONTEXTS, validator, Limits())
    command: Command = KINDS[kind].to_create(document)
    return command


def assert_conforms(fleet: Fleet, validator: Validator, identifier: str) -> None:
    head = fleet.ledger.head(identifier)
    assert head is not None
    validator.check(triples_of(head.body, CONTEXTS), NAMING.iri(identifier), KINDS[head.kind].frame.shape)


def test_every_state_of_a_fleet_conforms(fleet: Fleet, validator: Validator) -> None:
    timer = fleet.do(posted("itemType", factories.item_type(turnaroundAfter="PT2H"), validator)).identifier
    unit = fleet.do(posted("asset", factories.asset(timer, assetTag="TN-0001", location="Depot"), validator)).identifier
    held, late, refused, draft = (
        fleet.do(posted("rentAction", factories.reservation(timer, **changes), validator)).identifier
        for changes in ({"purpose": "Marathon"}, {}, {"priority": "high"}, {"status": "draft"})
    )
    assert tags(fleet.approve(held)) == ["TN-0001"]
    fleet.approve(late, "allow_under_allocation")
    fleet.reject(refused, reason="No crew that day")
    for identifier in (timer, unit, held, late, refused, draft):
        assert_conforms(fleet, validator, identifier)
    fleet.cancel(held, reason="Rained off")
    assert_conforms(fleet, validator, held)


def test_what_was_given_back_can_be_posted_again(fleet: Fleet, validator: Validator) -> None:
    timer = fleet.stocked("TN-0001")
    booked = fleet.reserve(timer, description="City marathon")
    again = fleet.do(posted("rentAction", fleet.document(booked), validator)).identifier
    assert again != booked
    own = {"@id", "identifier", "agent", "lineItems"}
    first, second = fleet.document(booked), fleet.document(again)
    assert {key: value for key, value in first.items() if key not in own} == {key: value for key, value in second.items() if key not in own}
    assert second["lineItems"][0]["@id"] == f"{second['@id']}#line-1"
