"""What the service does: one function for each command, one transaction for each call."""

from collections.abc import Callable, Mapping
from typing import Any

from ld_server.domain import commands
from ld_server.domain.commands import Command, CreateMany
from ld_server.services import allocating, attachments, builds, catalog, changes, custody, demand, maintenance, many, reservations
from ld_server.services.occasion import Occasion
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

HANDLERS: Mapping[type[Command], Callable[[UnitOfWork, Any, Occasion], Head]] = {
    commands.CreateItemType: catalog.create_item_type,
    commands.CreateAsset: catalog.create_asset,
    commands.CreateStockPool: catalog.create_stock_pool,
    commands.CreateKitTemplate: catalog.create_kit_template,
    commands.CreateDemandSignal: demand.create,
    commands.CreateBuildRequest: builds.create,
    commands.CreateReservation: reservations.create,
    commands.ChangeCatalogEntry: changes.change_entry,
    commands.ChangeReservation: reservations.change,
    commands.ChangeDemandSignal: demand.change,
    commands.CancelDemandSignal: demand.cancel,
    commands.ChangeBuildRequest: builds.change,
    commands.SubmitReservation: reservations.submit,
    commands.ApproveReservation: reservations.approve,
    commands.RejectReservation: reservations.reject,
    commands.CancelReservation: reservations.cancel,
    commands.CheckOutUnits: custody.check_out,
    commands.ReturnUnits: custody.take_back,
    commands.FulfillReservation: reservations.fulfill,
    commands.AllocateUnits: allocating.allocate,
    commands.ReleaseAllocations: allocating.release,
    commands.SwapAllocation: allocating.swap,
    commands.CreateMaintenanceLog: maintenance.record,
    commands.AddAttachment: attachments.add,
    commands.DeleteAttachment: attachments.delete,
}


def handle(uow: UnitOfWork, command: Command, occasion: Occasion) -> Head:
    """Carry out a command in the transaction of `uow`, and give the resource as it is then. Raises refusals; the caller rolls back."""
    return HANDLERS[type(command)](uow, command, occasion)


def handle_many(uow: UnitOfWork, command: CreateMany, occasion: Occasion) -> list[Head]:
    """The same for many creations. Raises ResourcesRefused; the caller rolls back."""
    return many.create(command.creations, lambda creation: handle(uow, creation, occasion))
