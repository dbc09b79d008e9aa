"""Reading published editions: which one binds at an instant, how pages display it, and what changed between two.

Sites may use :func:`editions_in_force`, :func:`has_edition_in_force`, :class:`DisplayedEdition` and
:func:`text_language`. For the app, the package also provides timelines, comparisons, instruments of amendment,
histories of clauses, citations, and Word and PDF files. It writes nothing to the database.
"""

from agreement.editions.display import DisplayedEdition, editions_in_force, has_edition_in_force, text_language

__all__ = ["DisplayedEdition", "editions_in_force", "has_edition_in_force", "text_language"]
