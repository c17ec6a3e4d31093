# Installs packages of PyPI for the suites; sourced by those of this folder that need one, from the repository's root.
#
#   folder=$(venv NAME VERSION PACKAGE==VERSION …)       the environment in tests/.cache that has these packages
#
# NAME and VERSION say what it is for and which one it is: another version is another environment.
venv() {
    local name=$1 version=$2 folder="$PWD/tests/.cache/$1-$2"
    shift 2
    if [ ! -x "$folder/bin/python" ]; then
        echo "installing $name $version" >&2
        # A name of its own until it is complete: two suites may begin at once, and a half-made one must not be found.
        local building="$folder.$$"
        python3 -m venv "$building" >&2 || { echo "python3-venv is missing: apt-get install python3-venv" >&2; return 1; }
        "$building/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2 || { rm -r "$building"; return 1; }
        mv -T "$building" "$folder" 2>/dev/null || rm -r "$building"
    fi
    echo "$folder"
}
