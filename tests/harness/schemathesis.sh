# Installs what tests APIs and runs tests of Python (PyPI packages schemathesis and pytest) into tests/.cache; sourced by
# tests/run, and by tests/harness/python.mjs on first use, from the repository's root. Sets SCHEMATHESIS_PYTHON.
schemathesis_version=4.32.5
export SCHEMATHESIS_PYTHON="$PWD/tests/.cache/schemathesis-$schemathesis_version/bin/python"
if [ ! -x "$SCHEMATHESIS_PYTHON" ]; then
    echo "installing schemathesis $schemathesis_version" >&2
    # A name of its own until it is complete: two suites may begin at once, and a half-made one must not be found.
    building="${SCHEMATHESIS_PYTHON%/bin/python}.$$"
    python3 -m venv "$building" || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
    "$building/bin/python" -m pip install --quiet --disable-pip-version-check \
        "schemathesis==$schemathesis_version" "pytest==9.2.0" "hypothesis==6.170.15" "hypothesis-graphql==0.13.5" \
        "jsonschema_rs==0.60.3" "requests==2.34.2" "pyrate-limiter==4.5.1" "werkzeug==3.1.9" "click==8.5.1" "rich==15.0.0" >&2
    mv -T "$building" "${SCHEMATHESIS_PYTHON%/bin/python}" 2>/dev/null || rm -r "$building"
fi
