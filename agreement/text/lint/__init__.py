"""The lint: checks the texts of an edition before it is published.

:func:`lint` returns messages, each with an id, a language, a clause, a sentence and a hint. :func:`errors` returns
those that forbid publication. A site's own rule takes :class:`Texts` and returns :class:`Message` objects. The lint
uses the clauses, references and redlines of ``agreement.text``.
"""

from agreement.text.lint.messages import Message
from agreement.text.lint.rules import errors, lint
from agreement.text.lint.texts import Texts

__all__ = ["Message", "Texts", "errors", "lint"]
