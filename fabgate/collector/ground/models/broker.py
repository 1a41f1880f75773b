"""The accounts that gates have at the collector's own broker."""

from __future__ import annotations

from django.db import models

from fabgate.collector.ground.models.machines import Gate


class BrokerAccount(models.Model):
    """The account that a gate shall have at the broker, as Mosquitto's plugin stores one; without `digest`, none.

    A gate without a row has never had one. The password itself is a file in the gate's folder, beside its token.
    """

    gate = models.OneToOneField(Gate, primary_key=True, on_delete=models.CASCADE, related_name="broker_account")
    #: In base64. Each password has another one, so it also names the password.
    salt = models.CharField(max_length=24, blank=True)
    #: PBKDF2 of the password with SHA-512, in base64.
    digest = models.CharField(max_length=88, blank=True)
    iterations = models.PositiveIntegerField(default=0)
    #: When this was decided, and when the broker confirmed it: from then on a gate without account is cut off.
    asked_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.gate}: {'an account' if self.digest else 'no account'}"
