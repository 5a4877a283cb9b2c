#!/usr/bin/env bash
# Pins the extras of pyproject.toml, with hashes. `make lock` calls it with the path of uv.
set -eu
cd "$(dirname "$0")/.."
compile() {  # OUTPUT PYTHON EXTRA...
    output=requirements/$1 python=$2
    shift 2
    "$uv" pip compile pyproject.toml --quiet --upgrade --universal --python-version "$python" --generate-hashes \
        --constraint requirements/constraints.in --no-emit-index-url --no-emit-find-links --output-file "$output" $(printf -- '--extra %s ' "$@")
}
uv=$1
compile device.txt 3.10 device
compile dev.txt 3.10 device report train deploy dev
compile device-py38.txt 3.8 device  # Jetson Nano
"$uv" pip compile tests/fakepi/requirements.in --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
    --no-deps --no-emit-index-url --no-emit-find-links --output-file requirements/fakepi.txt
