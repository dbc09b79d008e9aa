"""Reading published editions: which one binds when, how pages display it, and what changed between two.

The package gives out :func:`editions_in_force`, :class:`DisplayedEdition` and :func:`text_language`, which sites may
use too, and for the app timelines, remembered redlines, comparisons, citations and PDF files. It uses the models and
the pure functions of ``text``, and writes nothing.
"""

from agreement.editions.display import DisplayedEdition, editions_in_force, text_language

__all__ = ["DisplayedEdition", "editions_in_force", "text_language"]
