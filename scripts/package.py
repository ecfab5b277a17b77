"""Builds what is deployed to Lambda and prints its digests and sizes: `python -m scripts.package`."""

import hashlib

from infra import packaging

if __name__ == "__main__":
    for path in (packaging.code(), packaging.layer()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"{digest}  build/{path.name}  {path.stat().st_size / 1e6:.1f} MB")
