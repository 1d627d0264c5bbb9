"""What reservations have beyond other kinds: the steps of their life, and their allocations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import falcon
import orjson

from ld_server.domain.allocation import Policy
from ld_server.domain.commands import (
    AllocateUnits,
    ApproveReservation,
    CancelReservation,
    Command,
    Expected,
    FulfillReservation,
    RejectReservation,
    ReleaseAllocations,
    SubmitReservation,
    SwapAllocation,
)
from ld_server.domain.status import Step
from ld_server.http import links, units
from ld_server.http.body import STEP_READABLE, Known, read_options
from ld_server.http.execution import execute, wanted_by
from ld_server.http.finding import check_identifier, head_of
from ld_server.http.paging import PAGE_PARAMETERS, collection_page, cut, page_of
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import expected_revisions
from ld_server.http.preferences import VALIDATE
from ld_server.http.showing import asked, may_be_listed, show_page
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services.parts import Parts
from ld_server.settings import Settings


@dataclass(frozen=True)
class Asked:
    """
    What was asked of a reservation: which one, in which revisions, with which options; `allocation` where one of its allocations is meant.
    """

    identifier: str
    expected: Expected
    options: Mapping[str, Any]
    settings: Settings
    allocation: str = ""


@dataclass(frozen=True)
class StepCommand:
    """How a step becomes a command, and the options that its body may have."""

    make: Callable[[Asked], Command]
    options: Known


def _submit(asked: Asked) -> Command:
    return SubmitReservation(asked.identifier, asked.expected)


def _approve(asked: Asked) -> Command:
    return ApproveReservation(asked.identifier, asked.expected, _policy(asked))


def _policy(asked: Asked) -> str:
    policy: str = asked.options.get("allocationPolicy", asked.settings.allocation_policy)
    return policy


def _reject(asked: Asked) -> Command:
    return RejectReservation(asked.identifier, asked.expected, asked.options.get("reason"))


def _cancel(asked: Asked) -> Command:
    return CancelReservation(asked.identifier, asked.expected, asked.options.get("reason"))


def _fulfill(asked: Asked) -> Command:
    return FulfillReservation(asked.identifier, asked.expected)


def _allocate(asked: Asked) -> Command:
    return AllocateUnits(asked.identifier, asked.expected, _policy(asked), units.units_of(asked.options))


def _release(asked: Asked) -> Command:
    return ReleaseAllocations(asked.identifier, asked.expected, units.allocations_of(asked.options))


def _swap(asked: Asked) -> Command:
    asset = units.asset_of(asked.options["asset"]) if "asset" in asked.options else None
    return SwapAllocation(asked.identifier, asked.allocation, asked.expected, asset)


STEPS: Mapping[Step, StepCommand] = {
    Step.SUBMIT: StepCommand(_submit, {}),
    Step.APPROVE: StepCommand(_approve, {"allocationPolicy": tuple(Policy)}),
    Step.REJECT: StepCommand(_reject, {"reason": None}),
    Step.CANCEL: StepCommand(_cancel, {"reason": None}),
    Step.FULFILL: StepCommand(_fulfill, {}),
    Step.ALLOCATE: StepCommand(_allocate, {"allocationPolicy": tuple(Policy), "assets": units.ASSETS, "allocations": units.UNITS}),
    Step.RELEASE: StepCommand(_release, {"allocations": units.ALLOCATIONS}),
    Step.SWAP: StepCommand(_swap, {"asset": units.ASSET}),
}


class ReservationStep:
    """
    `POST /v1/rent-actions/{identifier}/{step}`: takes the reservation one step on and gives it back as it is then.

    A step that is taken with one of the allocations has `allocations/{allocation}` before it in its address.
    """

    accept_post = STEP_READABLE

    def __init__(self, parts: Parts, step: Step) -> None:
        self._parts = parts
        self._step = STEPS[step]
        self._links = links.of_resource(RENT_ACTION, parts.settings.base_iri)

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str, allocation: str = "") -> None:
        """The body may be empty. `If-Match` is compared inside the transaction."""
        wanted_by(req)
        query_parameters(req.query_string, (VALIDATE,))
        check_identifier(self._parts, RENT_ACTION, identifier)
        expected = expected_revisions(req.env.get("HTTP_IF_MATCH"))
        body, options = read_options(req, self._parts.settings, self._step.options)
        asked = Asked(identifier, expected, options, self._parts.settings, allocation)
        execute(req, resp, self._parts, self._step.make(asked), body)
        resp.set_header("Link", self._links)


class Allocations:
    """`GET /v1/rent-actions/{identifier}/allocations`: which units a reservation has, or had."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """A page of the allocations, in the order in which they were made."""
        may_be_listed(req)
        parameters = asked(req, PAGE_PARAMETERS)
        every = _allocations(head_of(self._parts, RENT_ACTION, identifier).body)
        page = page_of(parameters, identifier)
        found = [one for one in every if page.after is None or _number(one) > page.after]
        bodies = [orjson.dumps(one).decode() for one in found]
        count, following = cut([_number(one) for one in found], page, identifier)
        shown = collection_page(f"{self._parts.naming.iri(identifier)}/allocations", parameters, len(every), following)
        show_page(req, resp, shown, bodies[:count], RENT_ACTION, self._parts, lambda: bodies)


def _allocations(body: str) -> list[dict[str, Any]]:
    return sorted(orjson.loads(body).get("allocations", ()), key=_number)


def _number(allocation: Mapping[str, Any]) -> int:
    """The number in `alloc_9`."""
    return int(str(allocation["identifier"]).rpartition("_")[2])
