#!/bin/sh
# Install what the tests of other languages, of the contract and of the pages need and this machine lacks: Debian's packages
# (as root), and the pinned tools of openapi/package-lock.json and tests/page. Run: sh tests/languages/install.sh
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
packages=

command_of() { # command_of COMMAND PACKAGE...: any command of that name will do, wherever it is from
    name=$1
    shift
    command -v "$name" >/dev/null || packages="$packages $*"
}
package() { # package NAME...: libraries, which only the package manager knows
    for name in "$@"; do
        dpkg-query --show --showformat='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || packages="$packages $name"
    done
}

command_of curl curl
command_of node nodejs
command_of npm npm
command_of javac default-jdk-headless
command_of go golang-go
command_of cc gcc libc6-dev
command_of Rscript r-base-core
command_of chromium chromium
command_of chromedriver chromium-driver
package r-cran-curl r-cran-jsonlite libcurl4-openssl-dev libcjson-dev perl

if [ -n "$packages" ]; then
    apt-get update -qq
    # shellcheck disable=SC2086 # one word per package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
fi
for tools in openapi tests/page; do
    npm ci --prefix "$root/$tools" --no-audit --no-fund --ignore-scripts --loglevel=error
done
