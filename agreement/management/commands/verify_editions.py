from __future__ import annotations

from django.apps import apps
from django.core.management.base import BaseCommand, no_translations
from django.db import DatabaseError, connections, router, transaction

from agreement.management import command_error
from agreement.models import AuditEntry, Edition, NoticeText, verification
from agreement.models.audit import AuditAction
from agreement.seal import inspection, triggers


class Command(BaseCommand):
    help = (
        "Recompute every digest and the chain, and check that the database still protects them. The exit code is 1 if"
        " there is a fault."
    )

    @no_translations
    def handle(self, **options: object) -> None:
        connection = connections[router.db_for_read(Edition)]
        editions, faults = Edition.objects.published(), 0
        for edition, sentence in verification.faults(editions):
            faults += 1
            self.stderr.write(f"{edition} (id {edition.pk}): {sentence}")
        for text in NoticeText.objects.select_related("notice__edition__agreement").iterator(chunk_size=50):
            if not text.intact:
                faults += 1
                self.stderr.write(
                    f"{text.notice} ({text.channel}, {text.language}): this is not the text that was sent."
                )
        if connection.vendor not in triggers.VENDORS:
            self.stdout.write(
                f"There are no triggers on {connection.vendor}: the seal consists of Python code and the chain only."
            )
        else:
            for sentence in inspection.differences(connection, apps.get_model):
                faults += 1
                self.stderr.write(sentence)
            if triggers.removable(connection, apps.get_model):
                self.stdout.write(
                    "The current database role could remove the triggers. A role that does not own the tables can't."
                )
        self._log(faults)
        if faults:
            raise command_error(
                f"{faults} faults in {editions.count()} editions.",
                "Compare with a backup and with the digests in notices. `migrate --skip-checks` installs the triggers.",
            )
        self.stdout.write(f"{editions.count()} editions verified: every digest and the chain are correct.")

    def _log(self, faults: int) -> None:
        """Record the verification as an audit entry, so that ``agreement_status`` can report it. ``faults`` is the
        number of faults that were found. Nothing is recorded if there is no published edition. If the database refuses
        the entry, for example because its role may only read, a sentence is printed and no exception is raised.
        """
        latest = Edition.objects.published().order_by("-pk").first()
        if latest is None:
            return
        kind = AuditAction.FAULTY if faults else AuditAction.VERIFIED
        try:
            with transaction.atomic(using=router.db_for_write(AuditEntry)):
                AuditEntry.objects.log(kind, on=latest, note=f"{faults}" if faults else "")
        except DatabaseError:
            self.stdout.write("The verification was not recorded in the audit log: this database role may only read.")
