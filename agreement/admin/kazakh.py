"""Messages of Django and django-reversion that the admin displays, and whose Kazakh translation is missing or wrong.

``makemessages`` reads this file and writes the messages into the catalogues of the app. Django prefers the translations
of an installed app to its own, and to those of the apps that come later in ``INSTALLED_APPS``. Nothing imports this
module. Without it, some messages of the Kazakh admin would be in English. The Russian translations are those of the
packages, except where these have mistakes of gender, case, quotes or plurals. If the Kazakh catalogue of Django
translates a message well, remove the message here.
"""

from django.utils.translation import gettext_noop as _
from django.utils.translation import ngettext

DJANGO_MESSAGES = [
    # From Django 6.1 on
    _("- Select an option -"),
    _("Pagination %(name)s"),
    _("Pagination %(name)s entries"),
    _(
        "Are you sure you want to delete the %(object_name)s “%(escaped_object)s”? All of the following "
        "related items will be deleted:"
    ),
    # Up to Django 6.0
    _(
        'Are you sure you want to delete the %(object_name)s "%(escaped_object)s"? All of the following '
        "related items will be deleted:"
    ),
    _("Add %s"),
    _("Change"),
    _("Change %s"),
    _("Change history: %s"),
    _("Date/time"),
    _("Django site admin"),
    _("Filter"),
    _("No fields changed."),
    _("Save and add another"),
    _("Save and continue editing"),
    _("User"),
    _("Administration"),
    _("Django administration"),
    _("Select %s to change"),
    _("Select %s to view"),
    _(
        "Please enter the correct %(username)s and password for a staff account. Note that both fields "
        "may be case-sensitive."
    ),
    _("Addition"),
    _("Deletion"),
    _("Added “%(object)s”."),
    _("Changed “%(object)s” — %(changes)s"),
    _("Deleted “%(object)s.”"),
    _("Added {name} “{object}”."),
    _("Added."),
    _("Changed {fields} for {name} “{object}”."),
    _("Changed {fields}."),
    _("Deleted {name} “{object}”."),
    _("Hold down “Control”, or “Command” on a Mac, to select more than one."),
    _("The {name} “{obj}” was added successfully."),
    _("You may edit it again below."),
    _("The {name} “{obj}” was added successfully. You may add another {name} below."),
    _("The {name} “{obj}” was changed successfully. You may edit it again below."),
    _("The {name} “{obj}” was changed successfully. You may add another {name} below."),
    _("The {name} “{obj}” was changed successfully."),
    _("The %(name)s “%(obj)s” was deleted successfully."),
    _("%(name)s with ID “%(key)s” doesn’t exist. Perhaps it was deleted?"),
    _("View %s"),
    _(
        "Deleting %(class_name)s %(instance)s would require deleting the following protected related "
        "objects: %(related_objects)s"
    ),
    _("%(app)s administration"),
    _("Site administration"),
    _("None available"),
    _(
        "There’s been an error. It’s been reported to the site administrators via email and should be "
        "fixed shortly. Thanks for your patience."
    ),
    _("We’re sorry, but the requested page could not be found."),
    _("View site"),
    _("Remove from sorting"),
    _("Sorting priority: %(priority_number)s"),
    _("Toggle sorting"),
    _("Objects"),
    _("No, take me back"),
    _("View"),
    _("Summary"),
    _("Models in the %(name)s application"),
    _("You don’t have permission to view or edit anything."),
    _("Recent actions"),
    _("My actions"),
    _(
        "You are authenticated as %(username)s, but are not authorized to access this page. Would you "
        "like to login to a different account?"
    ),
    _("Forgotten your login credentials?"),
    _("Popup closing…"),
    _("Save and view"),
    _("Close"),
    _("Change selected %(model)s"),
    _("Add another %(model)s"),
    _("Delete selected %(model)s"),
    _("View selected %(model)s"),
    _("Select %s to view"),
    _("Currently:"),
    _("Change:"),
    _("Empty"),
    _("Not empty"),
    _("Breadcrumbs"),
    _("Model name"),
    _("Add link"),
    _("Change or view list link"),
    _("Error:"),
    _("Skip to main content"),
    _("Hide counts"),
    _("Show counts"),
    _("Clear all filters"),
    _("Toggle theme (current theme: auto)"),
    _("Toggle theme (current theme: light)"),
    _("Toggle theme (current theme: dark)"),
    _("Yes, I’m sure"),
    _("Added:"),
    _("Changed:"),
    _("Deleted:"),
    _("Toggle navigation"),
    _("Sidebar"),
    _("Start typing to filter…"),
    _("Filter navigation items"),
    _("This object doesn’t have a change history. It probably wasn’t added via this admin site."),
    _("Thanks for spending some quality time with the web site today."),
    _(
        "Please enter your old password, for security’s sake, and then enter your new password twice so "
        "we can verify you typed it in correctly."
    ),
    _("Select this object for an action - {}"),
    _("Select all objects on this page for an action"),
    _("Authentication and Authorization"),
    _("Please enter a correct %(username)s and password. Note that both fields may be case-sensitive."),
    _("Enter the same password as before, for verification."),
    _("The two password fields didn’t match."),
    _("This password is too common."),
    _("This password is entirely numeric."),
    _("The password is too similar to the %(verbose_name)s."),
    _("Your password can’t be too similar to your other personal information."),
    _("Your password can’t be a commonly used password."),
    _("Your password can’t be entirely numeric."),
    _("Password change"),
    _("Password change successful"),
    _("Enter a valid integer."),
    _("Enter a valid email address."),
    _("Enter a valid “slug” consisting of letters, numbers, underscores or hyphens."),
    _("Null characters are not allowed."),
    _("%(model_name)s with this %(field_labels)s already exists."),
    _("Value %(value)r is not a valid choice."),
    _("That page number is not an integer"),
    _("That page number is less than 1"),
    _("That page contains no results"),
    _("(Hidden field %(name)s) %(error)s"),
    _("Forbidden"),
    _("CSRF verification failed. Request aborted."),
    _(
        "You are seeing this message because this site requires a CSRF cookie when submitting forms. "
        "This cookie is required for security reasons, to ensure that your browser is not being "
        "hijacked by third parties."
    ),
    _(
        "If you have configured your browser to disable cookies, please re-enable them, at least for "
        "this site, or for “same-origin” requests."
    ),
    _("More information is available with DEBUG=True."),
    _("Recover deleted %(name)s"),
    _("Reverted to previous version, saved on %(datetime)s"),
    _('The %(model)s "%(name)s" was reverted successfully. You may edit it again below.'),
    _("Recover %s"),
    _("Revert %(name)s"),
    _("Recover deleted %(verbose_name)s"),
    _("Recover %(name)s"),
    _("Revert %(verbose_name)s"),
    _("Add %(name)s"),
    _("Could not load %(object_repr)s version - incompatible version data."),
    _("Could not load %(object_repr)s version - not found"),
    _("Initial version."),
    _("Delete selected %(verbose_name_plural)s"),
    _("Successfully deleted %(count)d %(items)s."),
    _("Cannot delete %(name)s"),
    _("Delete multiple objects"),
    _("0 of %(cnt)s selected"),
    _("Items must be selected in order to perform actions on them. No items have been changed."),
    _("Run the selected action"),
    _("Go"),
    _("Click here to select the objects across all pages"),
    _("Select all %(total_count)s %(module_name)s"),
    _("Clear selection"),
    _(
        "Are you sure you want to delete the selected %(objects_name)s? All of the following objects and "
        "their related items will be deleted:"
    ),
    _(
        "Deleting the selected %(objects_name)s would result in deleting related objects, but your account "
        "doesn't have permission to delete the following types of objects:"
    ),
    _("Deleting the selected %(objects_name)s would require deleting the following protected related objects:"),
    _(
        "Deleting the %(object_name)s '%(escaped_object)s' would result in deleting related objects, but your"
        " account doesn't have permission to delete the following types of objects:"
    ),
    _(
        "Deleting the %(object_name)s '%(escaped_object)s' would require deleting the following protected "
        "related objects:"
    ),
    _("Delete"),
    _("Delete?"),
    _("Date:"),
    _("change message"),
    _("log entry"),
    _("log entries"),
    _("object id"),
    _("object repr"),
    _("None"),
    _("After you’ve created a user, you’ll be able to edit more user options."),
    _("Set password"),
    _("Set password: %s"),
    _("This action will <strong>enable</strong> password-based authentication for this user."),
    _("Disable password-based authentication"),
    _("Enable password-based authentication"),
    _("Password-based authentication was disabled."),
    _("Password-based authentication"),
    _("Enabled"),
    _("Disabled"),
    _("Conflicting form data submitted. Please try again."),
    _("Reset password"),
    _("No password set."),
    _("Invalid password format or unknown hashing algorithm."),
    _(
        "Whether the user will be able to authenticate using a password or not. If disabled, they may still "
        "be able to authenticate using other backends, such as Single Sign-On or LDAP."
    ),
    _("Raw passwords are not stored, so there is no way to see the user’s password."),
    _("Enable password-based authentication for this user by setting a password."),
    _("The groups this user belongs to. A user will get all permissions granted to each of their groups."),
    _("Specific permissions for this user."),
    _("Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only."),
    _("Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters."),
    _("A user with that username already exists."),
    _("username"),
    _("email address"),
    _("last name"),
    _("user permissions"),
    _("users"),
    _("superuser status"),
    _("Designates that this user has all permissions without explicitly assigning them."),
    _("Designates whether the user can log into this admin site."),
    _("Designates whether this user should be treated as active. Unselect this instead of deleting accounts."),
    _("date joined"),
    _("Personal info"),
    _("Password confirmation"),
    _("New password confirmation"),
    _("This account is inactive."),
    _("content type"),
]


def plurals(count: int) -> list[str]:
    """Return the messages with a plural, in the form for ``count``. ``makemessages`` only finds them in a call of
    ``ngettext``. Nothing calls this.
    """
    return [
        ngettext(
            "This password is too short. It must contain at least %d character.",
            "This password is too short. It must contain at least %d characters.",
            count,
        ),
        ngettext(
            "Ensure this value has at most %(limit_value)d character (it has %(show_value)d).",
            "Ensure this value has at most %(limit_value)d characters (it has %(show_value)d).",
            count,
        ),
        ngettext(
            "Please correct the error below.",
            "Please correct the errors below.",
            count,
        ),
        ngettext(
            "entry",
            "entries",
            count,
        ),
        ngettext(
            "%(total_count)s selected",
            "All %(total_count)s selected",
            count,
        ),
        ngettext(
            "%(count)s %(name)s was changed successfully.",
            "%(count)s %(name)s were changed successfully.",
            count,
        ),
        ngettext(
            "Your password must contain at least %(min_length)d character.",
            "Your password must contain at least %(min_length)d characters.",
            count,
        ),
    ]
