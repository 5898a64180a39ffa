"""A Secret's volume as the kubelet makes it and exchanges its content (kubernetes, pkg/volume/util, AtomicWriter)."""

import itertools
import os
import shutil

from job import UID


class SecretVolume:
    """Makes the folder a volume with these files: links to `..data/NAME`, `..data` a link to the folder of a version."""

    def __init__(self, folder, **files):
        self.folder, self.versions = folder, itertools.count(1)
        for path in folder.iterdir():
            path.unlink()
        self.exchange(**files)

    def exchange(self, **files):
        """Puts another version in the place of the present one."""
        former = os.readlink(self.folder / "..data") if (self.folder / "..data").is_symlink() else None
        version = f"..2026_01_02_03_04_05.{next(self.versions)}"
        made = self.folder / version
        made.mkdir()
        for name, text in files.items():
            (made / name).write_text(text)
            (made / name).chmod(0o440)
        os.symlink(version, self.folder / "..data_tmp")
        os.rename(self.folder / "..data_tmp", self.folder / "..data")
        for name in files:
            if not (self.folder / name).is_symlink():
                os.symlink(f"..data/{name}", self.folder / name)
        if os.getuid() == 0:
            for path in [made, *made.iterdir(), self.folder / "..data", *self.folder.iterdir()]:
                os.lchown(path, UID, UID)
        if former:
            shutil.rmtree(self.folder / former)
