"""Accounts, the one-time links that set their passwords, where they are signed in, and API keys.

Only hashes of secrets are stored. A password is hashed with argon2. The token of a link or an API key has 256 random
bits, so one round of SHA-256 is enough, and a look-up stays one indexed query.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.contrib.auth import hashers
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from fabgate.collector.ground.base.disk_full import unless_full

#: How long a one-time link is valid, by purpose.
LINK_LASTS: Final = {"first": timedelta(days=1), "invite": timedelta(days=7), "reset": timedelta(hours=2)}
#: Failed sign-ins count for this long. Sign-in is refused for a name, or from an address, with more than this.
FAILURES_WITHIN: Final = timedelta(minutes=15)
MAX_FAILURES_OF_NAME: Final = 10
MAX_FAILURES_FROM_ADDRESS: Final = 30
#: `seen_at` and `last_used_at` are updated at most this often, so that most page views write nothing.
SEEN_EVERY: Final = timedelta(minutes=1)


class AccountManager(BaseUserManager["Account"]):
    """Finds accounts by the username that a person types."""

    def get_by_natural_key(self, username: str | None) -> Account:
        """Return the account with that username, in upper or lower case."""
        return self.get(name=Account.as_name(username or ""))


class Account(AbstractBaseUser):
    """A person who signs in to the pages. Never deleted, only made inactive, so that past changes keep their author."""

    MANAGER, DESK, TRAINER, MAINTAINER = "manager", "desk", "trainer", "maintainer"
    ACCOUNTANT, AUDITOR, MEMBER = "accountant", "auditor", "member"
    ROLES: ClassVar = [
        (MANAGER, _("Manager")),
        (DESK, _("Desk")),
        (TRAINER, _("Trainer")),
        (MAINTAINER, _("Maintainer")),
        (ACCOUNTANT, _("Accountant")),
        (AUDITOR, _("Auditor")),
        (MEMBER, _("Member")),
    ]

    #: The username, in lower case.
    name = models.CharField(max_length=63, unique=True)
    #: The name that other people see.
    display_name = models.CharField(max_length=120, blank=True)
    email = models.EmailField(blank=True)
    role = models.CharField(max_length=16, choices=ROLES)
    #: The member whose sessions this account sees; for the role `member`, and for volunteers who are also members.
    member = models.ForeignKey(
        "collector.Member", null=True, blank=True, on_delete=models.PROTECT, related_name="accounts"
    )
    #: Empty: the language that the browser asks for.
    lang = models.CharField(max_length=8, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = AccountManager()
    USERNAME_FIELD = "name"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["role"]

    def __str__(self) -> str:
        return self.display_name or self.name

    @staticmethod
    def as_name(typed: str) -> str:
        """Return a typed username as it is stored."""
        return typed.strip().lower()

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether it is the password. A hash of an older kind stays: members/accounts/manage.py replaces it, and logs that."""
        return hashers.check_password(raw_password, self.password)

    @classmethod
    def has_manager(cls) -> bool:
        """Return whether at least one manager can sign in."""
        # Django marks an unusable password with a leading '!'.
        managers = cls.objects.filter(role=cls.MANAGER, is_active=True)
        return managers.exclude(Q(password="") | Q(password__startswith="!")).exists()  # noqa: S106 (no password)


class OneTimeLink(models.Model):
    """A link that sets a password once. A `first` link has no account yet: it creates the first manager."""

    FIRST, INVITE, RESET = "first", "invite", "reset"

    token_hash = models.CharField(max_length=64, unique=True)
    purpose = models.CharField(max_length=8, choices=[(purpose, purpose) for purpose in LINK_LASTS])
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.PROTECT, related_name="links")
    made_by = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.purpose} link of {self.account_id or 'the first manager'}"

    @classmethod
    def open(cls, token: str) -> OneTimeLink | None:
        """Return the link with this token, if it is still valid."""
        found = cls.objects.filter(token_hash=hash_of(token), used_at=None, expires_at__gt=timezone.now())
        link = found.select_related("account").first()
        if link is None or (link.account is not None and not link.account.is_active):
            return None
        # An unused first link must not create a second manager.
        return None if link.purpose == cls.FIRST and Account.has_manager() else link


class SignIn(models.Model):
    """One browser in which an account is signed in.

    Its session stores the id of this row, so revoking it works at once.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="sign_ins")
    at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Looked up by account."""

        indexes = [models.Index(fields=["account", "-seen_at"], name="sign_in_of_account")]

    def __str__(self) -> str:
        return f"{self.account_id} from {self.address}"

    @classmethod
    def is_valid(cls, pk: int) -> bool:
        """Return whether the sign-in with this id is valid: not revoked, and its account active."""
        return cls.objects.filter(pk=pk, revoked_at=None, account__is_active=True).exists()

    @classmethod
    def revoke(cls, account: Account, *, but: int | None = None, only: int | None = None) -> int:
        """End sign-ins of `account`: all of them, all but `but`, or `only` one; return how many ended."""
        found = cls.objects.filter(account=account, revoked_at=None)
        if only is not None:
            found = found.filter(pk=only)
        return found.exclude(pk=but).update(revoked_at=timezone.now())

    def seen(self) -> None:
        """Update when the account was last seen, at most once a minute."""
        now = timezone.now()
        if now - self.seen_at >= SEEN_EVERY:
            with unless_full():
                type(self).objects.filter(pk=self.pk).update(seen_at=now)


class FailedSignIn(models.Model):
    """A failed sign-in, counted to stop password guessing."""

    #: The typed name, or the id of a browser in which that account has signed in before
    #: (members/accounts/known_browsers.py).
    name = models.CharField(max_length=63)
    address = models.CharField(max_length=45)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        """Counted by name, and by address."""

        indexes = [
            models.Index(fields=["name", "at"], name="failed_sign_in_name"),
            models.Index(fields=["address", "at"], name="failed_sign_in_address"),
        ]

    def __str__(self) -> str:
        return f"{self.name} from {self.address}"

    @classmethod
    def is_too_many(cls, name: str, address: str | None) -> bool:
        """Return whether to refuse sign-ins for `name`, or from `address`, without checking the password."""
        recent = cls.objects.filter(at__gt=timezone.now() - FAILURES_WITHIN)
        return recent.filter(name=name[:63]).count() >= MAX_FAILURES_OF_NAME or (
            address is not None and recent.filter(address=address[:45]).count() >= MAX_FAILURES_FROM_ADDRESS
        )

    @classmethod
    def record(cls, name: str, address: str) -> None:
        """Record a failure, and delete those that no longer count."""
        cls.objects.filter(at__lt=timezone.now() - FAILURES_WITHIN).delete()
        cls.objects.create(name=name[:63], address=address[:45])

    @classmethod
    def clear(cls, name: str) -> None:
        """Delete the failures of `name`, once its owner has signed in."""
        cls.objects.filter(name=name[:63]).delete()


class ApiKey(models.Model):
    """An API key of a program: its `scopes`, when it expires and when it was last used.

    The link of a big display contains the token of a key that has only the scopes of `DISPLAY` (docs/decisions/0138).
    """

    #: What a big display shows: the machines, and also first names.
    MACHINES, FIRST_NAMES = "display:machines", "display:names"
    DISPLAY: ClassVar = (MACHINES, FIRST_NAMES)

    name = models.CharField(max_length=120)
    #: The start of the token, so that people can tell keys apart.
    prefix = models.CharField(max_length=12)
    token_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    made_by = models.ForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="api_keys")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def make(
        cls, name: str, scopes: list[str], *, made_by: Account | None, expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        """Make a key and return it with its token, which cannot be shown again."""
        token = f"fg_{secrets.token_urlsafe(32)}"
        key = cls.objects.create(
            name=name,
            prefix=token[:9],
            token_hash=hash_of(token),
            scopes=sorted(scopes),
            made_by=made_by,
            expires_at=expires_at,
        )
        return key, token

    @classmethod
    def valid(cls) -> models.QuerySet[ApiKey]:
        """Return the keys that have not expired or been revoked, even if the account that made them is inactive."""
        return cls.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)

    @property
    def is_display(self) -> bool:
        """Return whether it is the link of a big display."""
        return self.MACHINES in self.scopes

    @classmethod
    def by_token(cls, token: str) -> ApiKey | None:
        """Return the valid key of `token`, and update when it was last used."""
        now = timezone.now()
        key = cls.valid().filter(token_hash=hash_of(token)).first()
        if key is not None and (key.last_used_at is None or now - key.last_used_at >= SEEN_EVERY):
            with unless_full():
                cls.objects.filter(pk=key.pk).update(last_used_at=now)
        return key


def hash_of(token: str) -> str:
    """Return the hash that is stored for a random token."""
    return hashlib.sha256(token.encode()).hexdigest()
