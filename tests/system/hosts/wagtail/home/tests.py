"""The site's own tests of what the app adds to Wagtail. Its own runner runs them."""

import io
import json
import os
import re
from datetime import timedelta
from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.test import TransactionTestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from django.utils.http import http_date, parse_http_date
from wagtail.blocks import StructBlockValidationError
from wagtail.models import Locale, ModelLogEntry, Page, Site
from wagtail.rich_text import expand_db_html

from agreement.contrib.wagtail import page_cache
from agreement.contrib.wagtail.blocks import AgreementBlock, ClauseBlock
from agreement.memory import clear
from agreement.models import Agreement, Edition
from home.models import Footer, HomePage, StoredPage

KK = "# Келісім\n\n## 1. ЖАЛПЫ\n\n1.1. Бірінші тармақ.\n\n1.2. Екінші тармақ.\n"
RU = "# Соглашение\n\n## 1. ОБЩИЕ\n\n1.1. Первый пункт.\n\n1.2. Второй пункт.\n"
LINK = '<p><a linktype="agreement-clause" agreement="terms" number="1.1">здесь</a></p>'
SECOND = timedelta(seconds=1)


def publish(slug="terms", kk=KK, ru=RU, *, by=None, **stated):
    agreement, _made = Agreement.objects.get_or_create(slug=slug)
    edition = Edition.objects.create_draft(agreement=agreement, bodies={"kk": kk, "ru": ru}, **stated.pop("words", {}))
    edition.publish(by=by, **stated)
    return edition


def clause(number="1.1", agreement="terms"):
    return {"type": "clause", "value": {"agreement": agreement, "number": number}}


def purged():
    """The addresses that were purged since the last call, without their host."""
    file = Path(os.environ["HOST_PURGED"])
    lines = file.read_text().splitlines() if file.exists() else []
    file.write_text("")
    return sorted(re.sub(r"https?://[^/]+", "", line) for line in lines)


class SiteCase(TransactionTestCase):
    def setUp(self):
        clear()
        cache.clear()
        translation.activate("kk")
        self.addCleanup(translation.deactivate)
        Locale.objects.get_or_create(language_code="kk")
        self.root = Page.objects.filter(depth=1).first() or Page.add_root(instance=Page(title="Root", slug="root"))
        self.home = self.add(HomePage, "main", parent=self.root)
        Site.objects.all().delete()
        Site.objects.create(hostname="localhost", root_page=self.home, is_default_site=True)
        purged()

    def add(self, model, slug, *body, parent=None):
        page = model(title=slug, slug=slug, body=json.dumps(list(body)))
        (parent or self.home).add_child(instance=page)
        return page


class Blocks(SiteCase):
    def test_each_block_displays_the_edition_in_force_in_the_language_of_the_page(self):
        publish()
        publish(ru=RU.replace("Первый", "Новый"), words={"summary_ru": "Уточнён пункт 1.1."})
        self.add(
            HomePage,
            "all",
            clause(),
            {"type": "validity", "value": {"agreement": "terms"}},
            {"type": "announcement", "value": {"agreement": "", "days": 10}},
            {"type": "changes", "value": {"agreement": "terms"}},
            {"type": "text", "value": LINK},
        )

        russian = self.client.get("/ru/all/").content.decode()
        kazakh = self.client.get("/kk/all/").content.decode()

        self.assertIn('<figure class="agreement agreement-cited">', russian)
        self.assertIn("Новый пункт.", russian)
        self.assertIn("Бірінші тармақ.", kazakh)
        self.assertIn("Редакция №\u00a02. Эта редакция действует с", russian)
        self.assertIn("agreement-announcements", russian)
        self.assertIn("Уточнён пункт 1.1.", russian)
        self.assertIn('href="/ru/agreements/terms/editions/2/changes/"', russian)
        self.assertIn('<a href="/ru/agreements/terms/editions/2/#1.1">здесь</a>', russian)
        self.assertIn('<a href="/kk/agreements/terms/editions/2/#1.1">здесь</a>', kazakh)

    @override_settings(DEBUG=True)
    def test_a_clause_that_a_new_edition_does_not_have_becomes_a_link_and_breaks_no_page(self):
        publish()
        self.add(HomePage, "quotes", clause("1.2"), {"type": "text", "value": LINK.replace("1.1", "1.2")})
        publish(kk=KK.split("\n\n1.2")[0] + "\n", ru=RU.split("\n\n1.2")[0] + "\n")
        clear()

        with self.assertLogs("agreement", "WARNING") as logged:
            page = self.client.get("/ru/quotes/").content.decode()

        self.assertIn('<a href="/ru/agreements/terms/"><span lang="ru">Соглашение</span></a>', page)
        self.assertIn('<a href="/ru/agreements/terms/">здесь</a>', page)
        self.assertEqual(len(logged.records), 1)
        self.assertIn("cites clause '1.2', which edition 2", logged.records[0].getMessage())

    def test_a_clause_that_is_not_in_force_is_refused_with_the_next_step(self):
        publish()
        block = ClauseBlock()
        cleaned = block.clean(block.to_python({"agreement": "terms", "number": " 1.2. "}))
        self.assertEqual(cleaned["number"], "1.2")
        with translation.override("en"), self.assertRaises(StructBlockValidationError) as refused:
            block.clean(block.to_python({"agreement": "terms", "number": "9.9"}))
        (message,) = refused.exception.block_errors["number"].messages
        self.assertIn("Edition 1 of “Келісім”, which is in force, has no clause 9.9. Open the agreement", message)

    def test_a_clause_of_an_announced_edition_is_not_in_force(self):
        publish(effective_from=timezone.now() + timedelta(days=1))
        block = ClauseBlock()
        with translation.override("en"), self.assertRaises(StructBlockValidationError) as refused:
            block.clean(block.to_python({"agreement": "terms", "number": "1.1"}))
        self.assertIn("No edition of the agreement terms is in force.", str(refused.exception.block_errors["number"]))

    def test_the_only_agreement_is_chosen_and_of_several_none(self):
        publish()
        self.assertEqual(AgreementBlock().get_default(), "terms")
        publish("privacy")
        clear()
        self.assertEqual(AgreementBlock().get_default(), "")

    def test_an_unfinished_block_breaks_no_preview(self):
        for kind in ("clause", "validity", "announcement", "changes"):
            block = HomePage.body.field.stream_block.child_blocks[kind]
            block.render(block.get_default())
            publish(f"terms-{kind}")
            clear()
            block.render(block.to_python({"agreement": None, "number": None, "days": None}))

    def test_changes_without_an_agreement_display_nothing(self):
        for slug in ("terms", "privacy"):
            publish(slug)
            publish(slug, kk=f"{KK}\n1.3. Жаңа.\n", ru=f"{RU}\n1.3. Новый.\n")
        clear()
        block = HomePage.body.field.stream_block.child_blocks["changes"]
        self.assertIn("/terms/editions/2/changes/", block.render(block.to_python({"agreement": "terms"})))
        self.assertEqual(block.render(block.to_python({"agreement": ""})).strip(), "")

    def test_a_link_with_no_clause_or_with_markup_leads_somewhere_and_is_escaped(self):
        publish()
        self.assertIn('href="/kk/agreements/terms/"', expand_db_html('<a linktype="agreement-clause">x</a>'))
        hostile = '<a linktype="agreement-clause" agreement="&quot;&gt;&lt;b&gt;" number="&lt;b&gt;">x</a>'
        self.assertNotIn("<b>", expand_db_html(hostile))


class Pages(SiteCase):
    def test_a_warm_page_with_five_clauses_costs_no_query_of_ours_and_sets_no_cookie(self):
        publish()
        self.add(HomePage, "plain")
        self.add(HomePage, "five", *[clause("1.1"), clause("1.2"), clause("1"), clause("1.1"), clause("1.2")])
        self.client.get("/ru/five/")
        headers = []
        for path in ("/ru/plain/", "/ru/five/"):
            cache.clear()
            with CaptureQueriesContext(connection) as queries:
                response = self.client.get(path)
            headers.append((response.headers.get("Vary"), response.cookies.output()))
        ours = [query["sql"] for query in queries if '"agreement_' in query["sql"]]
        # The dates of the editions may be older than a second by now.
        self.assertEqual([sql for sql in ours if "agreement_withdrawal" not in sql], [])
        self.assertLessEqual(len(ours), 1)
        self.assertEqual(headers[0], headers[1])
        self.assertNotIn("Cookie", headers[1][0] or "")
        self.assertEqual(headers[1][1], "")

    def test_no_copy_of_a_page_outlives_the_moment_at_which_an_edition_takes_effect(self):
        publish()
        self.add(StoredPage, "stored", clause())
        self.add(HomePage, "unstated", clause())
        self.assertEqual(self.client.get("/ru/stored/").headers["Cache-Control"], "public, max-age=3600")
        publish(effective_from=timezone.now() + timedelta(seconds=100))
        clear()
        cache.clear()
        for path in ("/ru/stored/", "/ru/unstated/"):
            age = int(re.search(r"max-age=(\d+)", self.client.get(path).headers["Cache-Control"])[1])
            self.assertTrue(90 < age < 100, (path, age))

    def test_every_age_is_limited_and_a_private_page_is_left_alone(self):
        publish()
        publish(effective_from=timezone.now() + timedelta(seconds=100))
        clear()
        began_at = timezone.now()

        def limited(stated):
            response = HttpResponse(headers={"Cache-Control": stated} if stated else {})
            page_cache.shorten(response, began_at=began_at)
            return response.headers.get("Cache-Control", "")

        stale = limited("public, max-age=20, s-maxage=3600, stale-while-revalidate=9999")
        ages = [int(age) for age in re.findall(r"=(\d+)", stale)]
        self.assertEqual(ages[0], 20)
        self.assertTrue(90 < ages[1] < 100, stale)
        self.assertTrue(ages[0] + ages[2] < 100, stale)
        shared = limited("public, s-maxage=3600")
        self.assertTrue(90 < int(re.search(r"s-maxage=(\d+)", shared)[1]) < 100, shared)
        self.assertTrue(90 < int(re.search(r"max-age=(\d+)", shared)[1]) < 100, shared)
        self.assertEqual(limited("private"), "private")
        self.assertEqual(limited("no-store"), "no-store")
        self.assertIn("max-age=9", limited(""))

    @override_settings(MIDDLEWARE=[])
    def test_a_page_with_expires_alone_expires_before_the_moment(self):
        publish()
        publish(effective_from=timezone.now() + timedelta(seconds=100))
        clear()
        began_at = timezone.now()

        def limited(stated):
            response = HttpResponse(headers={"Expires": stated})
            page_cache.shorten(response, began_at=began_at)
            self.assertNotIn("Cache-Control", response.headers)
            return response.headers["Expires"]

        year, soon = (http_date(began_at.timestamp() + seconds) for seconds in (31_536_000, 20))
        self.assertTrue(90 < parse_http_date(limited(year)) - began_at.timestamp() < 100)
        self.assertEqual(limited(soon), soon)
        self.assertEqual(limited("0"), "0")

    @override_settings(CACHE_MIDDLEWARE_SECONDS=30)
    def test_a_page_that_is_stored_for_less_time_is_left_alone(self):
        publish()
        publish(effective_from=timezone.now() + timedelta(seconds=100))
        clear()
        response = HttpResponse()
        page_cache.shorten(response, began_at=timezone.now())
        self.assertNotIn("Cache-Control", response.headers)


class Purges(SiteCase):
    def setUp(self):
        super().setUp()
        publish()
        footer = Footer.objects.create(body=json.dumps([clause()]))
        self.add(HomePage, "quotes", clause())
        self.add(HomePage, "links", {"type": "text", "value": LINK})
        self.add(HomePage, "footer", {"type": "footer", "value": footer.pk})
        self.add(HomePage, "other", {"type": "text", "value": "<p>Келісім</p>"})
        purged()

    QUOTING = [f"/{language}/{page}/" for language in ("en", "kk", "ru") for page in ("footer", "links", "quotes")]

    def test_a_publication_and_a_cancellation_purge_the_pages_that_quote(self):
        edition = publish(effective_from=timezone.now() + timedelta(days=1))
        self.assertEqual(purged(), self.QUOTING)
        edition.cancel()
        self.assertEqual(purged(), self.QUOTING)

    def test_an_edition_that_takes_effect_is_purged_once_and_also_much_later(self):
        now = timezone.now()
        publish(effective_from=now + timedelta(hours=1))
        clear()
        page_cache.refresh(now + timedelta(minutes=1))
        purged()
        for at in (now + timedelta(minutes=59), now + timedelta(hours=1) - SECOND):
            self.assertIsNone(page_cache.refresh(at))
        self.assertEqual(page_cache.refresh(now + timedelta(days=9)), 3)
        self.assertEqual(purged(), self.QUOTING)
        self.assertIsNone(page_cache.refresh(now + timedelta(days=10)))
        self.assertEqual(purged(), [])

    def test_a_publication_is_purged_again_when_every_process_knows_of_it(self):
        clear()
        page_cache.refresh(timezone.now() + timedelta(minutes=1))
        purged()
        edition = publish()
        clear()
        self.assertEqual(purged(), self.QUOTING)
        at = edition.effective_from
        page_cache.refresh(at)
        purged()
        self.assertEqual(page_cache.refresh(at + 2 * SECOND), 3)
        self.assertEqual(purged(), self.QUOTING)

    def test_the_command_says_what_it_did(self):
        first = self.command()
        self.assertRegex(first, "Removed 3 pages|Nothing has changed")
        clear()
        page_cache.refresh(timezone.now() + timedelta(minutes=1))
        ModelLogEntry.objects.filter(action=page_cache.REFRESH).delete()
        clear()
        self.assertIn("Removed 3 pages from the caches.", self.command())
        self.assertIn("Nothing has changed since the last time.", self.command())

    def command(self):
        written = io.StringIO()
        call_command("refresh_pages", stdout=written)
        return written.getvalue()


class Admin(SiteCase):
    def login(self, *permissions, superuser=False):
        user = get_user_model().objects.create_user(
            "editor", "e@example.kz", "x", is_staff=True, is_superuser=superuser
        )
        for name in ("access_admin", *permissions):
            user.user_permissions.add(*Permission.objects.filter(codename=name))
        self.client.force_login(user)
        return user

    def test_the_audit_log_of_wagtail_has_what_was_done_and_by_whom(self):
        user = self.login(superuser=True)
        publish(by=user)
        publish(by=user, effective_from=timezone.now() + timedelta(days=1)).cancel(by=user)
        found = [(entry.action, entry.user) for entry in ModelLogEntry.objects.filter(action__startswith="agreement.")]
        self.assertEqual(
            found, [("agreement.cancelled", user), ("agreement.published", user), ("agreement.published", user)]
        )
        history = self.client.get("/cms/reports/site-history/").content.decode()
        self.assertIn("/admin/agreement/edition/", history)
        self.assertEqual(page_cache.refresh(timezone.now() + timedelta(minutes=1)), 0)
        self.assertEqual(self.client.get("/cms/reports/site-history/").status_code, 200)

    def test_the_list_leads_to_the_desk_and_offers_no_change(self):
        edition = publish()
        Edition.objects.create_draft(agreement=edition.agreement, bodies={"kk": KK, "ru": RU})
        self.login("view_edition")
        page = self.client.get("/cms/agreements/").content.decode()
        self.assertIn(f"/kk/admin/agreement/edition/{edition.pk}/change/", page)
        self.assertNotRegex(page, r'href="/cms/agreements/[^"?]')
        self.assertIn('"/cms/agreements/"', self.client.get("/cms/").content.decode())
        for path in ("edit", "delete", "add", f"edit/{edition.pk}", f"delete/{edition.pk}"):
            self.assertEqual(self.client.get(f"/cms/agreements/{path}/", follow=True).status_code, 404)

    def test_the_list_is_for_those_who_may_view_editions(self):
        publish()
        self.login()
        self.assertEqual(self.client.get("/cms/agreements/").status_code, 302)
        self.assertNotIn('"/cms/agreements/"', self.client.get("/cms/").content.decode())

    def test_the_form_of_a_link_refuses_a_clause_that_is_not_in_force(self):
        publish()
        self.assertEqual(self.client.get("/cms/agreements/clause-link/").status_code, 302)
        self.login()
        address = "/cms/agreements/clause-link/"
        form = self.client.get(address, {"agreement": "terms", "number": "1.1"}).json()
        self.assertEqual(form["step"], "form")
        self.assertIn('value="1.1"', form["html"])
        refused = self.client.post(address, {"agreement": "terms", "number": "9.9"}).json()
        self.assertEqual(refused["step"], "form")
        self.assertIn("9.9", refused["html"])
        chosen = self.client.post(address, {"agreement": "terms", "number": "1.1."}).json()
        self.assertEqual(chosen["step"], "chosen")
        self.assertEqual(chosen["result"]["number"], "1.1")

    def test_what_is_quoted_cannot_be_deleted(self):
        edition = publish()
        self.add(HomePage, "quotes", clause())
        self.login(superuser=True)
        for model, key in (("agreement", edition.agreement_id), ("edition", edition.pk)):
            answer = self.client.post(f"/kk/admin/agreement/{model}/{key}/delete/", {"post": "yes"})
            self.assertEqual(answer.status_code, 403)
        self.assertTrue(Agreement.objects.filter(slug="terms").exists())

    def test_the_groups_of_the_app_see_the_list_in_wagtail(self):
        publish()
        user = self.login()
        user.groups.add(*Group.objects.filter(permissions__codename="view_edition"))
        self.assertEqual(self.client.get("/cms/agreements/").status_code, 200)
