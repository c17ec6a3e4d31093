# Installs the mail server of the tests (PyPI package aiosmtpd) into tests/.cache; sourced by tests/run, and run by
# tests/harness/smtp.mjs on first use, from the repository's root. Sets AIOSMTPD_PYTHON.
aiosmtpd_version=1.4.6
export AIOSMTPD_PYTHON="$PWD/tests/.cache/aiosmtpd-$aiosmtpd_version/bin/python"
if [ ! -x "$AIOSMTPD_PYTHON" ]; then
    echo "installing aiosmtpd $aiosmtpd_version" >&2
    # A name of its own until it is complete: two suites may begin at once, and a half-made one must not be found.
    building="${AIOSMTPD_PYTHON%/bin/python}.$$"
    python3 -m venv "$building" || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
    "$building/bin/python" -m pip install --quiet --disable-pip-version-check \
        "aiosmtpd==$aiosmtpd_version" "atpublic==7.0.0" "attrs==25.4.0"
    mv -T "$building" "${AIOSMTPD_PYTHON%/bin/python}" 2>/dev/null || rm -r "$building"
fi
