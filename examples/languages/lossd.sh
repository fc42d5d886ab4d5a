#!/bin/sh
# Post a call to a lossd server with curl. Run: LOSSD_URL=http://127.0.0.1:8000 sh lossd.sh
#
# --fail-with-body makes a refused call an error of the script, and still prints the server's reason.
set -eu
url=${LOSSD_URL:-http://127.0.0.1:8000}

# Options may stand in the body, beside the arrays ...
curl --silent --show-error --fail-with-body "$url/v1/losses/huber" \
    --header 'Content-Type: application/json' \
    --data '{"input": [1, 2, 5, 2], "target": [1.5, 2, 2, 4], "delta": 1, "gradient": true}'
echo

# ... or in the query string, which leaves the body to a file: an array of any library saved as JSON,
# or with another Content-Type as .safetensors or .npz.
body=$(mktemp)
trap 'rm -f "$body"' EXIT
echo '{"input": [[0, 0, 0, 0], [1.0986122886681098, 0, 0, 0]], "target": [2, 0]}' > "$body"
curl --silent --show-error --fail-with-body "$url/v1/losses/cross_entropy?gradient=true&reduction=mean" \
    --header 'Content-Type: application/json' \
    --data-binary "@$body"
echo
