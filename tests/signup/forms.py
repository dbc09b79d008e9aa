from allauth.account.forms import SignupForm

from agreement.forms import AcceptanceFormMixin


class SignUp(AcceptanceFormMixin, SignupForm):
    pass
