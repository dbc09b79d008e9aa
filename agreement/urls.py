from django.urls import path

app_name = "agreement"
urlpatterns = []
