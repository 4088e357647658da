"""Weights files: here already, behind a URL, or on a hub. Nothing here imports torch before it is needed."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from u1core.common.errors import U1Error


class WeightsFile(Protocol):
    """A file of weights, wherever it is."""

    def find(self) -> Path | None:
        """Return where it lies on this machine, or None where it is yet to be fetched.

        Raises:
            U1Error: It can't be had.
        """

    def fetch(self) -> Path:
        """Return where it lies on this machine, once it has been fetched.

        Raises:
            U1Error: It can't be had.
        """


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine."""

    path: Path

    def find(self) -> Path:
        """Return the path."""
        return self.fetch()

    def fetch(self) -> Path:
        """Return the path."""
        if not self.path.is_file():
            raise U1Error(f"the weights file {self.path.name}", f"none in {self.path.parent}", "put it there")
        return self.path


@dataclass(frozen=True)
class UrlFile:
    """A file behind a URL, kept in torch's hub folder.

    Attributes:
        url: Where it is.
        sha256: The leading digits that a download is checked against.
    """

    url: str
    sha256: str = ""

    def find(self) -> Path | None:
        """Look into torch's hub folder."""
        return self._path if self._path.is_file() else None

    def fetch(self) -> Path:
        """Download the file unless it is there; a download that breaks leaves nothing behind."""
        from torch import hub

        path = self._path
        if not path.is_file():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                hub.download_url_to_file(self.url, str(path), hash_prefix=self.sha256, progress=False)
            except (OSError, RuntimeError) as error:
                reason = f"its download failed: {getattr(error, 'reason', error)}"
                todo = f"connect this machine to the internet, or put the file into {path.parent}"
                raise U1Error(f"the weights file {path.name}", reason, todo) from error
        return path

    @property
    def _path(self) -> Path:
        from torch import hub

        return Path(hub.get_dir()) / "checkpoints" / Path(urllib.parse.urlparse(self.url).path).name


@dataclass(frozen=True)
class HubFile:
    """The weights of a repository on the Hugging Face hub, kept in its own cache.

    Attributes:
        repository: '<owner>/<name>'.
    """

    repository: str

    NAMES = ("model.safetensors", "pytorch_model.bin")

    def find(self) -> Path | None:
        """Look into the hub's cache."""
        import huggingface_hub as hub

        for name in self.NAMES:
            if isinstance(found := hub.try_to_load_from_cache(self.repository, name), str):
                return Path(found)
        if hub.constants.HF_HUB_OFFLINE:
            raise self._unreachable("not in its cache, and HF_HUB_OFFLINE is set")
        return None

    def fetch(self) -> Path:
        """Download the file unless it is in the cache."""
        import huggingface_hub as hub
        from huggingface_hub.errors import RemoteEntryNotFoundError

        if found := self.find():
            return found
        for name in self.NAMES:
            try:
                # Answers at once where the download would knock for half a minute at a closed door.
                hub.get_hf_file_metadata(hub.hf_hub_url(self.repository, name))
                return Path(hub.hf_hub_download(self.repository, name))
            except RemoteEntryNotFoundError:
                continue
            except Exception as error:  # of many libraries; all mean the same to the user
                lines = str(error).splitlines() or [type(error).__name__]
                raise self._unreachable(lines[0]) from error
        raise self._unreachable(f"neither {' nor '.join(self.NAMES)} there")

    def _unreachable(self, reason: str) -> U1Error:
        todo = "connect this machine to the internet, or name a file on it: 'file:<path>'"
        return U1Error(f"the weights of {self.repository} from the model hub", reason, todo)
