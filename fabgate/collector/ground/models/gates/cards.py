"""Which devices use the keys of a gate: the boots that fetched its roster, and the tokens that it had before."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import models

from fabgate.collector.ground.models.machines import Gate


class FetchingBoot(models.Model):
    """A boot of a computer that fetched the roster of a gate since the gate got its keys (docs/decisions/0150).

    A computer has one boot at a time, so an earlier one that returns is that of a second computer.
    """

    #: How many are kept of each gate, and as many that returned.
    KEPT: Final = 10
    #: A request of an earlier boot may arrive this long after the first one of the next boot.
    LATE: Final = timedelta(minutes=10)
    #: How often `last_at` and `returned_at` are written.
    SEEN_EVERY: Final = timedelta(minutes=1)

    gate = models.ForeignKey(Gate, on_delete=models.CASCADE, related_name="fetching_boots", db_index=False)
    #: The kernel's id of the boot.
    boot = models.CharField(max_length=64)
    #: From which IP address it last fetched.
    address = models.CharField(max_length=45)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    #: When it last fetched although a later boot had begun.
    returned_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """One row for each boot of a gate."""

        constraints = [models.UniqueConstraint(fields=["gate", "boot"], name="fetching_boot_once")]

    def __str__(self) -> str:
        return f"{self.gate_id}: {self.boot} from {self.address}"


class FormerToken(models.Model):
    """A token that a gate had before it got other keys, or was cut off. Who uses it has an old SD card, or a copy of one."""

    #: How many are kept of each gate.
    KEPT: Final = 10
    #: How often `used_at` is written.
    SEEN_EVERY: Final = timedelta(minutes=1)
    #: How long lists and monitors show that it was used.
    SHOWN: Final = timedelta(days=1)

    gate = models.ForeignKey(Gate, on_delete=models.CASCADE, related_name="former_tokens", db_index=False)
    token_hash = models.CharField(max_length=64)
    ended_at = models.DateTimeField()
    #: When and from which IP address it was last refused.
    used_at = models.DateTimeField(null=True, blank=True)
    address = models.CharField(max_length=45, blank=True)

    class Meta:
        """One row for each token of a gate."""

        constraints = [models.UniqueConstraint(fields=["gate", "token_hash"], name="former_token_once")]

    def __str__(self) -> str:
        return f"{self.gate_id}, until {self.ended_at}"
