#!/bin/sh
# Makes a key, a self-signed certificate and the SSLConfig that --ssl_config_file takes.
# Usage: make_tls.sh FOLDER [HOST], for trying out; in production use your own authority's files.
set -eu
folder=$1
host=${2:-localhost}
umask 077
mkdir -p "$folder"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
    -subj "/CN=$host" -addext "subjectAltName=DNS:$host" \
    -keyout "$folder/server.key" -out "$folder/server.crt" 2>/dev/null
quote() { awk '{ printf "%s\\n", $0 }' "$1"; }
cat >"$folder/ssl.config" <<EOF
server_key: "$(quote "$folder/server.key")"
server_cert: "$(quote "$folder/server.crt")"
client_verify: false
EOF
