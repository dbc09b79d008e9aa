from allauth.account.forms import SignupForm

from agreement.forms import JoiningFormMixin


class SignUp(JoiningFormMixin, SignupForm):
    pass
