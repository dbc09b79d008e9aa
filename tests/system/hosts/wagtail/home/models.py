from django.db import models
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from wagtail import blocks
from wagtail.admin.panels import FieldPanel
from wagtail.fields import StreamField
from wagtail.models import Page
from wagtail.snippets.blocks import SnippetChooserBlock
from wagtail.snippets.models import register_snippet

from agreement.contrib.wagtail.blocks import AnnouncementBlock, ChangesBlock, ClauseBlock, ValidityBlock

QUOTES = [
    ("text", blocks.RichTextBlock()),
    ("clause", ClauseBlock()),
    ("validity", ValidityBlock()),
    ("announcement", AnnouncementBlock()),
    ("changes", ChangesBlock()),
]


@register_snippet
class Footer(models.Model):
    body = StreamField(QUOTES)

    def __str__(self):
        return f"Footer {self.pk}"


class HomePage(Page):
    body = StreamField([*QUOTES, ("footer", SnippetChooserBlock(Footer))], blank=True)

    content_panels = [*Page.content_panels, FieldPanel("body")]


@method_decorator(cache_control(public=True, max_age=3600), name="serve")
class StoredPage(HomePage):
    """A page that states for how long caches may store it."""

    template = "home/home_page.html"
