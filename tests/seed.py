"""
What the specification owes, row by row: each endpoint, column, event, action, job and role, with the tests that prove it.

`tests/http/test_seed.py` calls every endpoint and fills every column; the tests that are named here look deeper. `docs/seed-coverage.md` is
written from these tables: `python -m tests.seed`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "seed-coverage.md"

CALLED = "tests/http/test_seed.py::test_every_endpoint_answers"
FILTERED = "tests/http/test_seed.py::test_every_parameter_of_a_list_narrows_it"
FILLED = "tests/http/test_seed.py::test_every_column_is_kept_and_given_back"


@dataclass(frozen=True)
class Endpoint:
    """A method and a path of section 5, the names of its parameters, and the tests that look deeper."""

    section: str
    method: str
    path: str
    parameters: tuple[str, ...] = ()
    proven_by: tuple[str, ...] = ()


def _catalog(path: str, *parameters: str, has_get: bool = True) -> Iterator[Endpoint]:
    http = "tests/http"
    yield Endpoint("5.2", "GET", path, parameters, (f"{http}/test_catalog.py::test_every_filter_finds_what_it_says",))
    yield Endpoint("5.2", "POST", path, (), (f"{http}/test_resources.py::test_a_resource_can_be_made_with_its_answer_in_every_syntax",))
    if has_get:
        yield Endpoint("5.2", "GET", f"{path}/{{id}}", (), (f"{http}/test_resources.py::test_a_resource_is_read_in_every_syntax",))
    yield Endpoint("5.2", "PATCH", f"{path}/{{id}}", (), (f"{http}/test_patching.py::test_a_merge_patch_changes_a_resource",))


WINDOW = ("startTime", "endTime")

ENDPOINTS: tuple[Endpoint, ...] = (
    *_catalog("/v1/catalog/item-types"),
    *_catalog("/v1/catalog/assets", "itemTypeId", "status", "location"),
    *_catalog("/v1/catalog/stock-pools", "itemTypeId", "location", has_get=False),
    *_catalog("/v1/catalog/kit-templates"),
    Endpoint(
        "5.3", "GET", "/v1/availability", ("itemTypeId", *WINDOW, "quantity", "location"),
        ("tests/http/test_availability.py::test_available_is_what_can_then_be_approved", "tests/contract/test_life_model.py"),
    ),
    Endpoint(
        "5.3", "GET", "/v1/availability/kits", ("kitTemplateId", *WINDOW, "quantity", "location"),
        ("tests/http/test_availability.py::test_a_kit_can_be_had_as_often_as_its_scarcest_component",),
    ),
    Endpoint(
        "5.3", "GET", "/v1/availability/assets", ("itemTypeId", *WINDOW, "location"),
        ("tests/http/test_availability.py::test_free_units_come_with_their_place_what_fits_best_first",),
    ),
    Endpoint(
        "5.3", "GET", "/v1/availability/asset", ("assetId", *WINDOW),
        ("tests/http/test_availability.py::test_one_unit_says_what_blocks_it",),
    ),
    Endpoint("5.4", "POST", "/v1/rent-actions", (), ("tests/http/test_resources.py::test_one_reservation_may_be_written_in_many_ways",)),
    Endpoint(
        "5.4", "GET", "/v1/rent-actions", ("status", "startFrom", "endUntil", "externalRef"),
        ("tests/http/test_resources.py::test_filters_narrow_a_collection",),
    ),
    Endpoint("5.4", "GET", "/v1/rent-actions/{id}", (), ("tests/http/test_resources.py::test_a_resource_is_read_in_every_syntax",)),
    Endpoint("5.4", "PATCH", "/v1/rent-actions/{id}", (), ("tests/http/test_patching.py::test_an_approved_reservation_is_planned_anew",)),
    Endpoint(
        "5.4", "POST", "/v1/rent-actions/{id}/approve", (),
        ("tests/http/test_steps.py::test_a_reservation_is_approved_with_concrete_units", "tests/e2e/test_races.py"),
    ),
    Endpoint("5.4", "POST", "/v1/rent-actions/{id}/reject", (), ("tests/http/test_steps.py::test_a_rejection_keeps_its_reason",)),
    Endpoint("5.4", "POST", "/v1/rent-actions/{id}/cancel", (), ("tests/http/test_steps.py::test_cancelling_frees_the_units",)),
    Endpoint("5.4", "POST", "/v1/rent-actions/{id}/allocate", (), ("tests/contract/test_services_allocating.py",)),
    Endpoint("5.4", "POST", "/v1/rent-actions/{id}/release-allocations", (), ("tests/contract/test_services_allocating.py",)),
    Endpoint(
        "5.4", "GET", "/v1/rent-actions/{id}/allocations", (),
        ("tests/http/test_steps.py::test_the_allocations_of_a_reservation_are_a_collection",),
    ),
    Endpoint(
        "5.5", "GET", "/v1/planning/demand-signals", ("startFrom", "endUntil", "itemTypeId", "source"),
        ("tests/http/test_demand.py::test_lists_are_filtered",),
    ),
    Endpoint(
        "5.5", "POST", "/v1/planning/demand-signals", (),
        ("tests/http/test_demand.py::test_a_table_is_told_row_by_row_with_a_report",),
    ),
    Endpoint(
        "5.5", "PATCH", "/v1/planning/demand-signals/{id}", (),
        ("tests/http/test_demand.py::test_a_patch_changes_what_is_needed_and_may_call_it_off",),
    ),
    Endpoint(
        "5.5", "DELETE", "/v1/planning/demand-signals/{id}", (),
        ("tests/http/test_demand.py::test_delete_marks_a_signal_cancelled",),
    ),
    Endpoint(
        "5.5", "GET", "/v1/planning/shortfalls", ("startFrom", "endUntil", "itemTypeId", "location"),
        ("tests/http/test_shortfalls.py", "tests/unit/test_domain_planning.py"),
    ),
    Endpoint("5.5", "POST", "/v1/planning/build-requests", (), ("tests/http/test_builds.py::test_a_build_request_is_an_order",)),
    Endpoint(
        "5.5", "GET", "/v1/planning/build-requests", ("status", "itemTypeId", "neededBy"),
        ("tests/http/test_builds.py::test_lists_are_filtered_by_what_the_specification_names",),
    ),
    Endpoint("5.5", "GET", "/v1/planning/build-requests/{id}", (), ("tests/http/test_builds.py::test_a_build_request_is_an_order",)),
    Endpoint(
        "5.5", "PATCH", "/v1/planning/build-requests/{id}", (),
        ("tests/http/test_builds.py::test_external_references_are_written_back",),
    ),
    Endpoint(
        "5.6", "GET", "/v1/assets/{assetId}/maintenance-logs", (),
        ("tests/http/test_maintenance.py::test_entries_are_found_by_what_is_asked_for",),
    ),
    Endpoint(
        "5.6", "POST", "/v1/assets/{assetId}/maintenance-logs", (),
        ("tests/http/test_maintenance.py::test_work_is_written_down_and_read_again",),
    ),
    Endpoint("5.6", "GET", "/v1/maintenance-logs/{id}", (), ("tests/http/test_maintenance.py::test_the_class_follows_from_the_kind",)),
    Endpoint(
        "5.6", "POST", "/v1/attachments/initiate", (),
        ("tests/http/test_attachments.py::test_a_photo_is_announced_uploaded_and_completed", "tests/http/test_attachments_s3.py"),
    ),
    Endpoint(
        "5.6", "POST", "/v1/attachments/complete", (),
        ("tests/http/test_attachments.py::test_a_file_that_is_not_what_it_was_said_to_be_is_refused",),
    ),
    Endpoint(
        "5.6", "GET", "/v1/attachments/{id}", (),
        ("tests/http/test_attachments.py::test_the_link_leads_to_the_bytes_without_a_key",),
    ),
    Endpoint("5.7", "GET", "/v1/triggers", (), ("tests/http/test_triggers.py::test_lists_are_paged_and_filtered",)),
    Endpoint("5.7", "POST", "/v1/triggers", (), ("tests/http/test_triggers.py::test_a_new_trigger_is_given_back_whole",)),
    Endpoint(
        "5.7", "PATCH", "/v1/triggers/{id}", (),
        ("tests/http/test_triggers.py::test_patches_of_both_sorts_change_it_and_nothing_else_does",),
    ),
    Endpoint(
        "5.7", "DELETE", "/v1/triggers/{id}", (),
        ("tests/http/test_triggers.py::test_what_a_deleted_trigger_has_not_delivered_is_cancelled",),
    ),
    Endpoint("5.7", "GET", "/v1/webhooks", (), ("tests/http/test_webhooks.py::test_everything_that_can_be_said_is_given_back",)),
    Endpoint(
        "5.7", "POST", "/v1/webhooks", (),
        ("tests/http/test_webhooks.py::test_a_new_webhook_has_defaults_and_a_secret_that_is_told_once",),
    ),
    Endpoint(
        "5.7", "PATCH", "/v1/webhooks/{id}", (),
        ("tests/http/test_webhooks.py::test_a_patch_changes_it_and_judges_a_new_address",),
    ),
    Endpoint(
        "5.7", "DELETE", "/v1/webhooks/{id}", (),
        ("tests/http/test_triggers.py::test_a_webhook_must_be_there_and_stays_while_it_is_used",),
    ),
    Endpoint(
        "5.7", "GET", "/v1/events", ("since", "types"),
        ("tests/http/test_events.py::test_a_reader_of_pages_misses_nothing_that_commits_late",),
    ),
)  # fmt: skip
"""Section 5."""

TIMES = {"id": "identifier", "created_at": "createdAt", "updated_at": "updatedAt"}

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "item_types": {**TIMES, "code": "code", "name": "name", "kind": "kind", "is_active": "isActive", "metadata": "metadata"},
    "assets": {
        **TIMES, "item_type_id": "isVariantOf", "asset_tag": "assetTag", "serial_number": "serialNumber", "status": "status",
        "location": "location", "assigned_to": "assignedTo", "mesh_node_id": "meshNodeId", "wireguard_hostname": "wireguardHostname",
        "metadata": "metadata",
    },
    "stock_pools": {
        **TIMES, "item_type_id": "isVariantOf", "location": "location", "quantity_total": "quantityTotal", "is_active": "isActive",
        "metadata": "metadata",
    },
    "kit_templates": {**TIMES, "code": "code", "name": "name", "is_active": "isActive", "metadata": "metadata"},
    "kit_template_items": {
        "kit_template_id": "@id", "component_item_type_id": "kitComponents/0/itemType",
        "quantity_per_kit": "kitComponents/0/quantityPerKit",
        "created_at": "createdAt", "updated_at": "updatedAt",
    },
    "rent_actions": {
        **TIMES, "requester_ref": "agent", "created_by_ref": "createdBy", "approved_by_ref": "approvedBy", "status": "status",
        "priority": "priority", "start_time": "startTime", "end_time": "endTime", "is_asap": "isAsap", "description": "description",
        "external_source": "externalSource", "external_ref": "externalRef", "schema_org": "@context", "metadata": "metadata",
        "approved_at": "approvedAt", "rejected_at": "rejectedAt", "cancelled_at": "cancelledAt",
    },
    "rent_action_items": {
        "id": "lineItems/0/@id", "rent_action_id": "@id", "item_kind": "lineItems/0/object/@type",
        "item_id": "lineItems/0/object/identifier",
        "requested_quantity": "lineItems/0/requestedQuantity", "allocated_quantity": "lineItems/0/allocatedQuantity",
        "notes": "lineItems/0/notes", "metadata": "lineItems/0/metadata", "created_at": "createdAt", "updated_at": "updatedAt",
    },
    "rent_action_allocations": {
        "id": "allocations/0/identifier", "rent_action_item_id": "allocations/0/forLine", "asset_id": "allocations/0/asset",
        "stock_pool_id": "allocations/1/stockPool", "quantity": "allocations/0/quantity", "status": "allocations/0/status",
        "allocated_from": "allocations/0/allocatedFrom", "allocated_to": "allocations/0/allocatedTo",
        "metadata": "allocations/0/metadata", "created_at": "approvedAt", "updated_at": "updatedAt",
    },
    "demand_signals": {
        **TIMES, "source": "source", "source_ref": "sourceRef", "start_time": "startTime", "end_time": "endTime",
        "item_type_id": "itemType",
        "quantity_required": "quantityRequired", "location": "location", "priority": "priority", "status": "status", "metadata": "metadata",
    },
    "supply_snapshots": {
        "id": "identifier", "as_of_time": "asOfTime", "start_time": "startTime", "end_time": "endTime", "item_type_id": "itemType",
        "total_capacity": "totalCapacity", "reserved_capacity": "reservedCapacity", "available_capacity": "availableCapacity",
        "created_at": "createdAt",  # its metadata has keys of their own: location, demand, causes, …
    },
    "build_requests": {
        **TIMES, "item_type_id": "itemType", "quantity": "quantity", "needed_by": "neededBy", "reason": "reason", "status": "status",
        "trigger_event_id": "triggerEventId", "demand_signal_id": "demandSignal", "external_system": "externalSystem",
        "external_ref": "externalRef", "metadata": "metadata",
    },
    "maintenance_logs": {
        **TIMES, "asset_id": "object", "performed_by_ref": "performedBy", "performed_at": "performedAt", "kind": "kind",
        "summary": "summary",
        "details": "details", "outcome": "outcome", "next_action": "nextAction", "schema_org": "@type", "metadata": "metadata",
    },
    "attachments": {
        "id": "identifier", "owner_kind": "ownerKind", "owner_id": "ownerId", "file_name": "fileName", "content_type": "contentType",
        "byte_size": "byteSize", "storage_provider": "storageProvider", "storage_key": "storageKey", "checksum": "checksum",
        "metadata": "metadata", "created_at": "createdAt",
    },
}  # fmt: skip
"""Section 3: table → column → where it is in the JSON of the resource, as a path of keys."""

EVENT_PROOF = ("tests/http/test_every_event.py",)

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "webhook": ("tests/workers/test_deliver.py::test_an_event_is_posted_once_signed_so_that_the_reference_library_accepts_it",),
    "transform": ("tests/workers/test_actions.py::test_a_transform_changes_what_the_actions_behind_it_get",),
    "route": (
        "tests/workers/test_actions.py::test_an_event_is_published_to_a_queue_in_redis",
        "tests/workers/test_actions.py::test_an_event_is_published_to_sqs",
    ),
    "invoke_internal": ("tests/workers/test_shortfall_scan.py::test_an_event_can_set_a_run_going",),
    "filter": ("tests/workers/test_actions.py::test_what_stands_behind_a_filter_that_does_not_hold_is_not_done",),
    "rate_limit": ("tests/workers/test_actions.py::test_a_rate_limit_lets_so_many_pass_in_a_period_and_loses_none",),
}
"""Section 6.6."""

JOBS: Mapping[str, tuple[str, ...]] = {
    "planning.shortfall_scan": ("tests/workers/test_shortfall_scan.py::test_what_is_missing_is_asked_for_with_its_reasons",),
    "planning.build_request_submit": ("tests/workers/test_build_request_submit.py::test_a_build_request_becomes_a_build_order",),
    "notifications.starts_soon_scan": ("tests/workers/test_jobs.py::test_coming_reservations_are_told_of_once_for_each_lead_time",),
    "notifications.ends_soon_scan": ("tests/workers/test_jobs.py::test_coming_reservations_are_told_of_once_for_each_lead_time",),
    "maintenance.overdue_scan": ("tests/workers/test_jobs.py::test_what_is_overdue_is_told_once_with_whom_it_endangers",),
}
"""Section 6.5."""

ROLES = ("planner", "approver", "allocator", "catalog_admin", "admin")
ROLE_PROOF = ("tests/http/test_routes.py::test_each_scope_opens_what_needs_it",)
"""Section 8.2."""

EVENTS = (
    "catalog.itemType.created", "catalog.itemType.updated", "catalog.asset.created", "catalog.asset.updated", "catalog.stockPool.updated",
    "catalog.kitTemplate.updated", "rentAction.created", "rentAction.updated", "rentAction.status.changed", "rentAction.approved",
    "rentAction.rejected", "rentAction.cancelled", "rentAction.allocation.created", "rentAction.allocation.released",
    "rentAction.allocation.changed", "rentAction.starts.soon", "rentAction.ends.soon", "rentAction.overdue",
    "availability.shortfall.detected", "buildRequest.requested", "buildRequest.submitted", "buildRequest.failed", "buildRequest.fulfilled",
    "maintenanceLog.created", "attachment.created",
)  # fmt: skip
"""Section 6.1."""


def rows() -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Section, sort, name and tests of everything that is owed."""
    for one in ENDPOINTS:
        called = (CALLED, FILTERED) if one.parameters and one.method == "GET" else (CALLED,)
        query = "?" + "&".join(f"{name}=" for name in one.parameters) if one.parameters else ""
        yield one.section, "endpoint", f"{one.method} {one.path}{query}", (*called, *one.proven_by)
    for table, columns in COLUMNS.items():
        for column, key in columns.items():
            yield "3", "column", f"{table}.{column} (`{key}`)", (FILLED,)
    yield from (("6.1", "event", name, EVENT_PROOF) for name in EVENTS)
    yield from (("6.6", "action", name, tests) for name, tests in ACTIONS.items())
    yield from (("6.5", "job", name, tests) for name, tests in JOBS.items())
    yield from (("8.2", "role", name, ROLE_PROOF) for name in ROLES)


def page() -> str:
    """`docs/seed-coverage.md`."""
    lines = [
        f"| {section} | {sort} | {_code(name)} | {', '.join(f'`{test}`' for test in tests)} |" for section, sort, name, tests in rows()
    ]
    return "\n".join((*HEAD, *lines, ""))


def _code(name: str) -> str:
    word, space, rest = name.partition(" (")
    return f"`{word}`{space}{rest}"


HEAD = (
    "# What the specification asks for, and what proves it",
    "",
    "Written by `python -m tests.seed` from the tables of `tests/seed.py`; a test compares the two and looks for every test that is named.",
    "",
    "| section | what | name | tests |",
    "|---|---|---|---|",
)

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
