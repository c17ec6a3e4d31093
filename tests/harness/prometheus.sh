# Installs the reader of metrics that Prometheus' own Python client has (PyPI package prometheus-client) into tests/.cache;
# run by tests/health on first use, from the repository's root. Prints which Python has it.
. tests/harness/venv.sh
prometheus=$(venv prometheus 0.26.0 prometheus-client==0.26.0) || exit 1
echo "$prometheus/bin/python"
