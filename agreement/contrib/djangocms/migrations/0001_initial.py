import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("agreement", "0001_initial"),
        ("cms", "0036_auto_20240311_1028"),
    ]

    operations = [
        migrations.CreateModel(
            name="ChangesPlugin",
            fields=[
                (
                    "cmsplugin_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        related_name="%(app_label)s_%(class)s",
                        serialize=False,
                        to="cms.cmsplugin",
                    ),
                ),
                (
                    "edition",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Leave this field empty for the edition in force.",
                        null=True,
                        verbose_name="number of the edition",
                    ),
                ),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreement.agreement",
                        verbose_name="agreement",
                    ),
                ),
            ],
            options={
                "verbose_name": "Changes of an edition",
            },
            bases=("cms.cmsplugin",),
        ),
        migrations.CreateModel(
            name="ClausePlugin",
            fields=[
                (
                    "cmsplugin_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        related_name="%(app_label)s_%(class)s",
                        serialize=False,
                        to="cms.cmsplugin",
                    ),
                ),
                (
                    "number",
                    models.CharField(
                        help_text="As it is printed in the text, for example 2.3. The page always displays the clause in force.",
                        max_length=48,
                        verbose_name="number of the clause",
                    ),
                ),
                (
                    "display",
                    models.CharField(
                        choices=[
                            ("quotation", "the words of the clause, with their source"),
                            ("link", "a link to the clause, for use in a sentence"),
                        ],
                        default="quotation",
                        max_length=16,
                        verbose_name="display",
                    ),
                ),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreement.agreement",
                        verbose_name="agreement",
                    ),
                ),
            ],
            options={
                "verbose_name": "Clause of an agreement",
            },
            bases=("cms.cmsplugin",),
        ),
        migrations.CreateModel(
            name="NewsPlugin",
            fields=[
                (
                    "cmsplugin_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        related_name="%(app_label)s_%(class)s",
                        serialize=False,
                        to="cms.cmsplugin",
                    ),
                ),
                (
                    "days",
                    models.PositiveSmallIntegerField(
                        default=10,
                        help_text="For how many days an edition counts as new after it takes effect.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(366),
                        ],
                        verbose_name="days",
                    ),
                ),
                (
                    "agreement",
                    models.ForeignKey(
                        blank=True,
                        help_text="Leave this field empty for all agreements.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreement.agreement",
                        verbose_name="agreement",
                    ),
                ),
            ],
            options={
                "verbose_name": "Announced or new edition",
            },
            bases=("cms.cmsplugin",),
        ),
        migrations.CreateModel(
            name="ValidityPlugin",
            fields=[
                (
                    "cmsplugin_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        related_name="%(app_label)s_%(class)s",
                        serialize=False,
                        to="cms.cmsplugin",
                    ),
                ),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreement.agreement",
                        verbose_name="agreement",
                    ),
                ),
            ],
            options={
                "verbose_name": "Edition in force",
            },
            bases=("cms.cmsplugin",),
        ),
    ]
