"""The lists of the admin: what the parameters of a URL can do, and what is logged of them."""

from __future__ import annotations

import logging

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.db.models import DateField, DateTimeField
from django.urls import reverse
from django.utils import translation

from agreement.admin.base import LongList
from agreement.models import Breach
from tests.support import factories

pytestmark = pytest.mark.django_db

LISTS = [one for one in site._registry.values() if one.opts.app_label == "agreement"]
LONG = [one for one in LISTS if isinstance(one, LongList)]


def name(model_admin) -> str:
    return model_admin.opts.model_name


def moments(model_admin) -> list[str]:
    return [field.name for field in model_admin.opts.concrete_fields if isinstance(field, DateTimeField)]


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


@pytest.mark.parametrize("model_admin", [one for one in LISTS if moments(one)], ids=name)
def test_no_log_record_of_a_refused_filter_names_what_was_searched_for(admin_client, caplog, model_admin):
    caplog.set_level(logging.DEBUG)
    address = reverse(f"admin:agreement_{name(model_admin)}_changelist")

    answer = admin_client.get(address, {f"{moments(model_admin)[0]}__year": "0", "q": "q7search7q"})
    admin_client.get(address, {"pk__contains": "q7value7q\x00"})  # PostgreSQL refuses it.

    assert answer.status_code == 400
    assert "The list can't be filtered by these values" in caplog.text
    assert "q7" not in caplog.text


@pytest.mark.parametrize("model_admin", LISTS, ids=name)
def test_no_moment_is_displayed_in_a_format_of_django(rf, admin_user, model_admin):
    """Django has no Kazakh formats: «Қар. 25, 2026», «3:35 Т.Ж.»."""
    request, row = rf.get("/"), model_admin.model(pk=1)
    request.user = admin_user
    columns = {*model_admin.get_list_display(request), *model_admin.get_readonly_fields(request, row)}
    if not model_admin.has_change_permission(request, row):
        columns |= set(model_admin.get_fields(request, row))
    assert not {field.name for field in model_admin.opts.concrete_fields if isinstance(field, DateField)} & columns


def test_a_list_is_counted_without_a_plural_that_depends_on_the_number(admin_client):
    for _number in range(2):
        factories.published()
    with translation.override("kk"):
        page = admin_client.get(reverse("admin:agreement_edition_changelist"))
    assert "Редакциялар: 2" in " ".join(page.content.decode().split())


def test_the_history_names_fields_in_the_language_of_the_reader(admin_client):
    breach = Breach.objects.create(agreement=factories.agreement(), text_kk="Бір.", text_ru="Один.")
    answer = {"agreement": breach.agreement_id, "everyone": "on", "text_kk": "Екі.", "text_ru": "Один."}
    moment = {"known_at_0": "2026-01-01", "known_at_1": "10:00"}
    saved = admin_client.post(reverse("admin:agreement_breach_change", args=[breach.pk]), answer | moment)
    assert saved.status_code == 302
    with translation.override("ru"):
        message = LogEntry.objects.get().get_change_message()
    assert "стало известно" in message
    assert "Became known" not in message
