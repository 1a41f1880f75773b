"""The authority of the workshop, and the certificates of broker and pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fabgate.collector.setup import paths
from fabgate.collector.setup.authority import authority
from fabgate.collector.setup.authority.authority import Authority, Use
from fabgate.collector.setup.authority.files import Files
from fabgate.collector.setup.site import Site
from fabgate.computer import Computer
from fabgate.errors import UsageError


@dataclass(frozen=True, slots=True)
class Certificates:
    """Makes the authority, and issues what is missing or ends soon.

    `taken` is a folder with ca.crt and ca.key of an authority that was made by hand. With `is_new` an authority is made
    although the certificate of another one is here, without its key.
    """

    computer: Computer
    site: Site
    taken: Path | None = None
    is_new: bool = False

    def plan(self) -> list[str]:
        """Say whether the authority is missing, and which certificates are due and why."""
        files, now = self.files(), self.computer.now()
        made = files.load(now)
        if made is None:
            if self.taken:
                self._take(self.taken)
                return [f"take the authority in {self.taken}, and issue the certificates of broker and pages"]
            if self.computer.is_there(paths.CA) and not self.is_new:
                raise UsageError(
                    f"found the certificate of an authority, {paths.CA}, and not its key. If you have ca.crt and ca.key, on a"
                    " stick for example, give their folder: --authority /media/stick. With --new-authority a new one is made,"
                    " whose certificate all gates and phones then need"
                )
            names = ", ".join(self.site.names.hosts)
            return [
                f"make the authority of the workshop, which can sign for {names} and the local network only",
                "issue the certificates of broker and pages",
            ]
        authority.check_names(made, self.site.names)
        if self.taken and self._take(self.taken).certificate != made.certificate:
            raise UsageError(
                f"found an authority in {paths.ETC}/authority, and another one in {self.taken}: gates and phones trust the"
                " first; leave out --authority"
            )
        due = files.due(made, self.site.names, now)
        lines = [f"renew the certificate of the {use.value}, because {why}" for use, why in due.items()]
        if files.is_over(now):
            lines.append("drop the authority that signed before the one of now")
        return lines if files.is_published(made) else [*lines, f"publish the authority's certificate as {paths.CA}"]

    def do(self) -> None:
        """Make, publish, issue, and drop the authority before."""
        files, now = self.files(), self.computer.now()
        made = files.load(now)
        if made is None:
            made = self._take(self.taken) if self.taken else authority.make(self.site.name, self.site.names, now)
            files.store(made)
        files.settle(now)
        files.publish(made)
        files.renew(made, self.site.names, now)
        if files.is_over(now):  # only now: nothing may show a certificate of an authority that is not published
            files.drop()
            files.publish(made)

    def fingerprint(self) -> str:
        """Return by what a person compares the authority's certificate, "" before it is made."""
        made = self.files().load(self.computer.now())
        return authority.fingerprint(made.certificate) if made else ""

    def _take(self, folder: Path) -> Authority:
        try:
            certificate, key = (folder / "ca.crt").read_bytes(), (folder / "ca.key").read_bytes()
        except OSError as error:
            raise UsageError(f"{folder}: {error.strerror}: {error.filename}; wanted ca.crt and ca.key there") from error
        return authority.load(certificate, key, whose=str(folder), now=self.computer.now())

    def files(self) -> Files:
        """Return the folder of authority and certificates."""
        # systemd reads the broker's as root and passes it on (LoadCredential).
        readers = {Use.BROKER: self.computer.group("root"), Use.PAGES: self.computer.group(paths.ACCOUNT)}
        return Files(self.computer.path(paths.ETC), readers)
