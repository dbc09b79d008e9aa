import os

from django.core.wsgi import get_wsgi_application

from agreement.charsets import guard_wsgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal_site.settings")
application = guard_wsgi(get_wsgi_application())
