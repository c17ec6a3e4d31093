# Installs the reader of metrics that Prometheus' own Python client has (PyPI package prometheus-client) into tests/.cache;
# run by tests/health on first use, from the repository's root. Prints which Python has it.
prometheus_version=0.26.0
python="$PWD/tests/.cache/prometheus-$prometheus_version/bin/python"
if [ ! -x "$python" ]; then
    echo "installing prometheus-client $prometheus_version" >&2
    building="${python%/bin/python}.$$"
    python3 -m venv "$building" || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
    "$building/bin/python" -m pip install --quiet --disable-pip-version-check "prometheus-client==$prometheus_version" >&2
    mv -T "$building" "${python%/bin/python}" 2>/dev/null || rm -r "$building"
fi
echo "$python"
