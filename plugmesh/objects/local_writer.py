"""Writing into a local store: a locked temporary file, then one link."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from plugmesh.errors import Conflict, ObjectMissing, StoreFull
from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime

_CHECK_ROOM_EVERY_BYTES = 16 * 1024 * 1024
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class LocalFolder:
    """Where a local store's files are, how much room is left there, and whether what is committed is on the disk."""

    def __init__(self, root: Path, keep_free_bytes: int, *, durable: bool = False) -> None:
        self.root, self.keep_free_bytes, self.durable = root, keep_free_bytes, durable
        self.objects, self.tmp = str(root / "objects"), str(root / "tmp")

    def path(self, key: str) -> str:
        """The file of an object."""
        return f"{self.objects}/{key}"

    def check_room(self, more_bytes: int) -> None:
        """Raises `StoreFull` if `more_bytes` would leave less than the watermark, `ObjectMissing` if the store is gone."""
        try:
            status = os.statvfs(self.root)
        except FileNotFoundError:
            raise ObjectMissing(
                f"the object store {self.root} was removed while it is in use: put the folder back where it was, or start "
                "the server again"
            ) from None
        free = status.f_bavail * status.f_frsize
        if free - more_bytes < self.keep_free_bytes:
            raise StoreFull(
                f"no room in {self.root}: {free:,} bytes are free there, and {self.keep_free_bytes:,} must stay free "
                "(keep_free_bytes of the object store): make room on that disk"
            )

    def explain(self, error: OSError, key: str) -> Exception:
        """What to raise for `error`, met while `key` was being written."""
        if error.errno in _NO_ROOM:
            return StoreFull(f"object {key}: {error.strerror} in {self.root}: make room on that disk")
        if isinstance(error, FileNotFoundError):
            return ObjectMissing(
                f"object {key}: its file in {self.tmp} vanished; was the folder emptied? Write it again"
            )
        return error


class LocalWriter:
    """`Writer` of the temporary file `path`, open and locked as `fd`."""

    def __init__(self, folder: LocalFolder, runtime: Runtime, key: str, path: str, fd: int) -> None:
        self._folder, self._runtime = folder, runtime
        self._key, self._path, self._target = key, path, folder.path(key)
        self._fd: int | None = fd
        self._room = _CHECK_ROOM_EVERY_BYTES

    def write(self, data: bytes | memoryview) -> int:
        fd = self._open_fd()
        view = memoryview(data).cast("B") if isinstance(data, memoryview) else memoryview(data)
        try:
            self._room -= len(view)
            if self._room < 0:
                self._folder.check_room(len(view))
                self._room = _CHECK_ROOM_EVERY_BYTES
            written = os.write(fd, view) if view else 0
            while written < len(view):
                written += os.write(fd, view[written:])
        except BaseException as error:
            self.abort()
            if isinstance(error, OSError):
                raise self._folder.explain(error, self._key) from error
            raise
        return written

    def commit(self) -> Stored:
        fd = self._open_fd()
        try:
            self._runtime.point("objects.commit.before_rename")
            if self._folder.durable:
                os.fsync(fd)  # first the bytes, then the name: a name without its bytes must not be found
            self._link()
            if self._folder.durable:
                self._flush_folders()
            status = os.fstat(fd)
        except OSError as error:
            raise self._folder.explain(error, self._key) from error
        finally:
            self.abort()
        self._runtime.point("objects.commit.after_rename")
        return Stored(self._key, status.st_size, status.st_mtime)

    def abort(self) -> None:
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        try:
            os.unlink(self._path)
        except FileNotFoundError:  # somebody emptied the folder: nothing left to drop
            pass
        finally:
            os.close(fd)  # after the unlink: the lock must outlive the name

    def _open_fd(self) -> int:
        if self._fd is None:
            raise Conflict(f"object {self._key} was committed or aborted already: create it again under another key")
        return self._fd

    def _link(self) -> None:
        while True:
            try:
                return os.link(self._path, self._target)
            except FileNotFoundError:  # no folder yet, or a delete pruned it just now
                if not os.path.exists(self._path):
                    raise
                self._make_folder()
            except FileExistsError:
                self._remove_empty_folder()
            except NotADirectoryError:
                raise self._blocked() from None

    def _make_folder(self) -> None:
        try:
            os.makedirs(os.path.dirname(self._target), exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise self._blocked() from None

    def _remove_empty_folder(self) -> None:
        """A folder whose keys were all deleted is no object and gives way."""
        try:
            os.rmdir(self._target)
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise Conflict(f"object {self._key} exists: a key is never written twice") from None
        except OSError:
            raise Conflict(f"object {self._key}: there are keys below it; choose another key") from None

    def _flush_folders(self) -> None:
        """Bring the object's name to the disk, and those of the folders above it, which may be new."""
        folder = os.path.dirname(self._target)
        while len(folder) >= len(self._folder.objects):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            folder = os.path.dirname(folder)

    def _blocked(self) -> Conflict:
        return Conflict(f"object {self._key}: the first words of this key are an object; choose another key")
