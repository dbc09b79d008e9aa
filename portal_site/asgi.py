import os

from django.core.asgi import get_asgi_application

from agreement.charsets import guard_asgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal_site.settings")
application = guard_asgi(get_asgi_application())
