#!/usr/bin/env bash
# Makes again what src/wantong/portal/static/wantong/vendor holds (and axe-core for the tests) from npm.
# For maintainers who raise a version; needs node and npm. Users and CI need neither.
set -euo pipefail
GOVUK=5.14.0 HTMX=2.0.11 AXE=4.14.1 SASS=1.108.2 ECHARTS=6.1.0
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
vendor=$root/src/wantong/portal/static/wantong/vendor
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cd "$build"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts \
    "govuk-frontend@$GOVUK" "htmx.org@$HTMX" "axe-core@$AXE" "sass@$SASS" "echarts@$ECHARTS"
mkdir -p "$vendor" "$root/tests/portal/vendor"
npx sass --quiet-deps --silence-deprecation=import --style=compressed --no-source-map \
    --load-path=node_modules/govuk-frontend/dist "$here/govuk.scss" "$vendor/govuk-frontend.css"
cp node_modules/htmx.org/dist/htmx.min.js "$vendor/htmx.min.js"
cp node_modules/htmx.org/LICENSE "$vendor/htmx.LICENSE"
cp node_modules/axe-core/axe.min.js "$root/tests/portal/vendor/axe.min.js"
cp node_modules/axe-core/LICENSE "$root/tests/portal/vendor/axe-core.LICENSE"
cp node_modules/axe-core/LICENSE-3RD-PARTY.txt "$root/tests/portal/vendor/axe-core.LICENSE-3RD-PARTY.txt"
charts=$root/src/wantong/border/exchange/opendata/static/opendata
cp node_modules/echarts/dist/echarts.common.min.js "$charts/echarts.common.min.js"
cp node_modules/echarts/LICENSE "$charts/echarts.LICENSE"
cp node_modules/echarts/NOTICE "$charts/echarts.NOTICE"
