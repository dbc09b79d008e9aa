"""The form in which a user enters the code of their second factor."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django_otp import devices_for_user
from django_otp.forms import OTPTokenForm


class SecondFactorForm(OTPTokenForm):  # type: ignore[misc]  # django-otp is untyped
    """The form of django-otp, with its messages in the languages of the portal. django-otp limits the attempts."""

    otp_error_messages = OTPTokenForm.otp_error_messages | {
        "token_required": _("Enter the code."),
        "device_required": _("Choose the device that displays the code."),
        "invalid_token": _("This code is wrong or was used already. Enter the code that the device displays now."),
        "n_failed_attempts": _("You entered too many wrong codes. Wait a few seconds, then try again."),
        "verification_not_allowed": _("You entered too many wrong codes. Wait a few seconds, then try again."),
    }

    @staticmethod
    def device_choices(user: Any) -> list[tuple[str, str]]:
        """Return the choices of the field for the device: the key and the name of each confirmed device of the user. If
        there are several, an empty choice precedes them, because a code for one device counts as a failure of another.
        """
        devices = [(device.persistent_id, device.name) for device in devices_for_user(user)]
        return devices if len(devices) < 2 else [("", "—"), *devices]
