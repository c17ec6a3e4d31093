# Installs what tests APIs and runs tests of Python (PyPI packages schemathesis and pytest) into tests/.cache; sourced by
# tests/run, and by tests/harness/python.mjs on first use, from the repository's root. Sets SCHEMATHESIS_PYTHON.
. tests/harness/venv.sh
SCHEMATHESIS_PYTHON=$(venv schemathesis 4.32.5 \
    "schemathesis==4.32.5" "pytest==9.2.0" "hypothesis==6.170.15" "hypothesis-graphql==0.13.5" "jsonschema_rs==0.60.3" \
    "requests==2.34.2" "pyrate-limiter==4.5.1" "werkzeug==3.1.9" "click==8.5.1" "rich==15.0.0") || exit 1
export SCHEMATHESIS_PYTHON="$SCHEMATHESIS_PYTHON/bin/python"
