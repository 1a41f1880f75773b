"""Who may open the pages, by which link did they get in, and where are they signed in?

Secrets are kept as hashes only. A password gets argon2; a link's and a key's token have 256 random bits, so that one
round of SHA-256 hides them and a look-up stays one indexed query.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from fabgate.collector.base.disk_full import unless_full

#: How long a one-time link opens the door.
LINK_LASTS: Final = {"first": timedelta(days=1), "invite": timedelta(days=7), "reset": timedelta(hours=2)}
#: Failed sign-ins are counted over this time; more than so many, of a name or from an address, and nobody gets in.
FAILURES_WITHIN: Final = timedelta(minutes=15)
MAX_FAILURES_OF_NAME: Final = 10
MAX_FAILURES_FROM_ADDRESS: Final = 30
#: How exactly `seen_at` is kept: a write for every page would be one too many.
SEEN_EVERY: Final = timedelta(minutes=1)


class AccountManager(BaseUserManager["Account"]):
    """Finds accounts by the name that a person types."""

    def get_by_natural_key(self, username: str | None) -> Account:
        """Return the account of that log-in name, however it is capitalised."""
        return self.get(name=Account.as_name(username or ""))


class Account(AbstractBaseUser):
    """Somebody who signs in to the pages. Never deleted, only made inactive: what they did keeps their name."""

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

    #: What is typed to sign in; lower case.
    name = models.CharField(max_length=63, unique=True)
    #: What others read.
    display_name = models.CharField(max_length=120, blank=True)
    email = models.EmailField(blank=True)
    role = models.CharField(max_length=16, choices=ROLES)
    #: The member whose minutes these are; for role `member`, and for volunteers who are members too.
    member = models.ForeignKey(
        "collector.Member", null=True, blank=True, on_delete=models.PROTECT, related_name="accounts"
    )
    #: Empty: as the browser asks.
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
        """Return a log-in name as it is kept."""
        return typed.strip().lower()

    @classmethod
    def has_manager(cls) -> bool:
        """Return whether somebody can sign in as manager."""
        # Django marks a password that nobody can type with a leading '!'.
        managers = cls.objects.filter(role=cls.MANAGER, is_active=True)
        return managers.exclude(Q(password="") | Q(password__startswith="!")).exists()  # noqa: S106 (no password)


class OneTimeLink(models.Model):
    """A link that sets a password once. A `first` one has no account yet: whoever opens it becomes the manager."""

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
    def make(cls, purpose: str, account: Account | None, made_by: str) -> str:
        """Make a link and return its token. The links that `account` had before open nothing any more."""
        now = timezone.now()
        cls.close(account)
        token = secrets.token_urlsafe(32)
        cls.objects.create(
            token_hash=hash_of(token),
            purpose=purpose,
            account=account,
            made_by=made_by,
            created_at=now,
            expires_at=now + LINK_LASTS[purpose],
        )
        return token

    @classmethod
    def close(cls, account: Account | None) -> None:
        """Let no link of `account` (none: of the first manager) open anything any more."""
        now = timezone.now()
        cls.objects.filter(account=account, used_at=None, expires_at__gt=now).update(expires_at=now)

    @classmethod
    def open(cls, token: str) -> OneTimeLink | None:
        """Return the link of `token` if it still opens."""
        found = cls.objects.filter(token_hash=hash_of(token), used_at=None, expires_at__gt=timezone.now())
        link = found.select_related("account").first()
        if link is None or (link.account is not None and not link.account.is_active):
            return None
        # A first link that lies about must not make a second manager.
        return None if link.purpose == cls.FIRST and Account.has_manager() else link

    def use(self) -> bool:
        """Mark it used; False when somebody else was quicker."""
        return bool(type(self).objects.filter(pk=self.pk, used_at=None).update(used_at=timezone.now()))


class SignIn(models.Model):
    """One browser in which an account is signed in. Its session names this row, so that a revoked one ends at once."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="sign_ins")
    at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """What holds is looked up by account."""

        indexes = [models.Index(fields=["account", "-seen_at"], name="sign_in_of_account")]

    def __str__(self) -> str:
        return f"{self.account_id} from {self.address}"

    @classmethod
    def holds(cls, pk: int) -> bool:
        """Return whether this sign-in still counts: neither revoked nor its account made inactive."""
        return cls.objects.filter(pk=pk, revoked_at=None, account__is_active=True).exists()

    @classmethod
    def revoke(cls, account: Account, *, but: int | None = None, only: int | None = None) -> int:
        """End the sign-ins of `account`: all, all `but` one, or `only` one. Returns how many ended."""
        found = cls.objects.filter(account=account, revoked_at=None)
        if only is not None:
            found = found.filter(pk=only)
        return found.exclude(pk=but).update(revoked_at=timezone.now())

    def seen(self) -> None:
        """Keep when it was last used, to the minute."""
        now = timezone.now()
        if now - self.seen_at >= SEEN_EVERY:
            with unless_full():
                type(self).objects.filter(pk=self.pk).update(seen_at=now)


class FailedSignIn(models.Model):
    """Somebody typed a wrong name or password: counted, so that guessing takes for ever."""

    #: The name that was typed; or a browser in which that account had signed in before (accounts/known_browsers.py).
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
        """Return whether to look at no more passwords for `name`, or from `address`, for now."""
        recent = cls.objects.filter(at__gt=timezone.now() - FAILURES_WITHIN)
        return recent.filter(name=name[:63]).count() >= MAX_FAILURES_OF_NAME or (
            address is not None and recent.filter(address=address[:45]).count() >= MAX_FAILURES_FROM_ADDRESS
        )

    @classmethod
    def note(cls, name: str, address: str) -> None:
        """Count one, and forget those that count no more."""
        cls.objects.filter(at__lt=timezone.now() - FAILURES_WITHIN).delete()
        cls.objects.create(name=name[:63], address=address[:45])

    @classmethod
    def forget(cls, name: str) -> None:
        """Count no more against `name`: its owner just signed in."""
        cls.objects.filter(name=name[:63]).delete()


class ApiKey(models.Model):
    """A key of a program: what it may do (`scopes`), until when, and when it last did."""

    name = models.CharField(max_length=120)
    #: The first letters of the token, so that a person can tell keys apart.
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
        """Make a key and return it with its token, which is never seen again."""
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
    def living(cls) -> models.QuerySet[ApiKey]:
        """Return the keys that open something now; also those whose maker's account is switched off."""
        return cls.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)

    @classmethod
    def by_token(cls, token: str) -> ApiKey | None:
        """Return the key of `token` if it counts now, and keep when it was used, to the minute."""
        now = timezone.now()
        key = cls.living().filter(token_hash=hash_of(token)).first()
        if key is not None and (key.last_used_at is None or now - key.last_used_at >= SEEN_EVERY):
            with unless_full():
                cls.objects.filter(pk=key.pk).update(last_used_at=now)
        return key


def hash_of(token: str) -> str:
    """Return what is kept of a random token."""
    return hashlib.sha256(token.encode()).hexdigest()
