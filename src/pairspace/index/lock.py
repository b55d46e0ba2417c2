"""A lock on a folder that the system releases when its process ends, however it ends.

The engine has a lock of its own, but looks at it too late: a second process that it turns away has by then cut short a
journal of the first, whose next write fails. So ours is taken before the engine touches anything.
"""

from __future__ import annotations

import os
from pathlib import Path

from pairspace.errors import IndexingError, StorageError

__all__ = ["Lock"]

if os.name == "nt":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """Holds the file `path` for one owner, in this process or another, until `release`.

    Raises:
        IndexingError: somebody else holds it.
        StorageError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"{path} cannot be opened for writing: {error.strerror}") from error
        try:
            _take(self._descriptor)
        except OSError as error:
            self.release()
            raise IndexingError(
                f"{path.parent} is held by another process, or by another Index in this one; one at a time may hold an "
                "index: close it there first"
            ) from error

    def release(self) -> None:
        """Let others have it; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.release()
