#!/usr/bin/env bash
# Install what tests need beyond Python: a PostgreSQL server, a browser, Java. Only in CI, only on Debian and Ubuntu as
# root, and never an error: a test whose program is missing skips and says so.
set -uo pipefail
[ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
wanted=()
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || wanted+=(postgresql)
command -v chromium >/dev/null && command -v chromedriver >/dev/null || wanted+=(chromium chromium-driver)
command -v java >/dev/null || wanted+=(default-jre-headless)
[ ${#wanted[@]} -gt 0 ] || exit 0
export DEBIAN_FRONTEND=noninteractive
echo "installing ${wanted[*]}"
if ! { apt-get -q update && apt-get -q install --yes --no-install-recommends "${wanted[@]}"; } >/tmp/leadlight-apt.log 2>&1; then
	echo "could not install ${wanted[*]}; the tests that need them will skip" >&2
	tail -3 /tmp/leadlight-apt.log >&2
fi
exit 0
