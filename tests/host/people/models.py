"""Users as no default expects them: a UUID for a key, no username, address and language in another table."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Person(AbstractBaseUser):
    key = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    phone = models.CharField(max_length=20, unique=True)

    objects = BaseUserManager()

    USERNAME_FIELD = "phone"


class Profile(models.Model):
    person = models.OneToOneField(Person, models.CASCADE, related_name="profile")
    address = models.EmailField()
    language = models.CharField(max_length=10, null=True)

    def __str__(self) -> str:
        return self.address
