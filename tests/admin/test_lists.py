"""The lists of the admin: by which columns the parameter ``o`` of a URL can sort them."""

from __future__ import annotations

import pytest
from django.contrib.admin import site
from django.urls import reverse

from agreement.admin.base import LongList
from tests.support import factories

pytestmark = pytest.mark.django_db

LISTS = [one for one in site._registry.values() if one.opts.app_label == "agreement"]
LONG = [one for one in LISTS if isinstance(one, LongList)]


def name(model_admin) -> str:
    return model_admin.opts.model_name


def orders(model_admin) -> list[str]:
    """Every column of the list in both directions, alone and before another; and values that name no column."""
    columns = range(-1, len(model_admin.list_display) + 2)
    alone = [f"{sign}{column}" for column in columns for sign in ("", "-")]
    return [*alone, *(f"{one}.1" for one in alone), "1.2.3.4", "x", ".", "9" * 5000]


@pytest.mark.parametrize("model_admin", LONG, ids=name)
def test_no_parameter_sorts_a_long_list(admin_client, model_admin):
    address = reverse(f"admin:agreement_{name(model_admin)}_changelist")
    for order in orders(model_admin):
        assert set(admin_client.get(address, {"o": order}).context["cl"].queryset.query.order_by) == {"-pk"}, order


@pytest.mark.parametrize("model_admin", [one for one in LISTS if one not in LONG], ids=name)
def test_a_short_list_is_sorted_by_its_first_heading(admin_client, model_admin):
    address = reverse(f"admin:agreement_{name(model_admin)}_changelist")
    factories.published()
    for order, direction in (("1", "asc"), ("-1", "desc")):
        assert admin_client.get(address, {"o": order}).context["cl"].get_ordering_field_columns() == {1: direction}
