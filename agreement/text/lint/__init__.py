"""The lint: what is wrong with the texts of an edition, before it is published.

:func:`lint` gives messages, each with an id, a language, a clause, a sentence and a hint; :func:`errors` gives those
that forbid publication. A site's own rule takes :class:`Texts` and gives :class:`Message` objects. The lint uses the
clauses, references and redlines of ``agreement.text``.
"""

from agreement.text.lint.messages import Message
from agreement.text.lint.rules import errors, lint
from agreement.text.lint.texts import Texts

__all__ = ["Message", "Texts", "errors", "lint"]
