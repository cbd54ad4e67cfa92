"""Makes the package's wheel: a build backend (PEP 517) of our own.

The package is a few files of pure Python. With this in the tree, pip needs nothing from elsewhere to
install it, which a training machine without a network could not get.
"""

import base64
import hashlib
import os
import zipfile

NAME, VERSION = "stokefs", "0.1.0"
INFO = f"{NAME}-{VERSION}.dist-info"
METADATA = (f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
            "Summary: What a training job tells a stokefs mount\nRequires-Python: >=3.9\n")
WHEEL = "Wheel-Version: 1.0\nGenerator: stokefs\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Called by pip, in this folder. Returns the wheel's name."""
    files = {}
    for name in sorted(os.listdir(NAME)):
        if name.endswith(".py"):
            with open(os.path.join(NAME, name), "rb") as file:
                files[f"{NAME}/{name}"] = file.read()
    files[f"{INFO}/METADATA"] = METADATA.encode()
    files[f"{INFO}/WHEEL"] = WHEEL.encode()
    record = f"{INFO}/RECORD"
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    wheel = f"{NAME}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content)
    return wheel


def _digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
