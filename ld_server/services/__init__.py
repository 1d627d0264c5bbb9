"""What the service does: one function for each command, one transaction for each call."""

from collections.abc import Callable, Mapping
from typing import Any

from ld_server.domain import commands
from ld_server.domain.commands import Command
from ld_server.services import catalog, reservations
from ld_server.services.occasion import Occasion
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

HANDLERS: Mapping[type[Command], Callable[[UnitOfWork, Any, Occasion], Head]] = {
    commands.CreateItemType: catalog.create_item_type,
    commands.CreateAsset: catalog.create_asset,
    commands.CreateReservation: reservations.create,
    commands.SubmitReservation: reservations.submit,
    commands.ApproveReservation: reservations.approve,
    commands.RejectReservation: reservations.reject,
    commands.CancelReservation: reservations.cancel,
}


def handle(uow: UnitOfWork, command: Command, occasion: Occasion) -> Head:
    """Carry out a command in the transaction of `uow`, and give the resource as it is then. Raises refusals; the caller rolls back."""
    return HANDLERS[type(command)](uow, command, occasion)
