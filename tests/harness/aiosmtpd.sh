# Installs the mail server of the tests (PyPI package aiosmtpd) into tests/.cache; sourced by tests/run, and run by
# tests/harness/smtp.mjs on first use, from the repository's root. Sets AIOSMTPD_PYTHON.
. tests/harness/venv.sh
AIOSMTPD_PYTHON=$(venv aiosmtpd 1.4.6 "aiosmtpd==1.4.6" "atpublic==7.0.0" "attrs==25.4.0") || exit 1
export AIOSMTPD_PYTHON="$AIOSMTPD_PYTHON/bin/python"
