#!/bin/sh
# Prints the local overlay's Secrets with new random keys: ./secrets.sh | kubectl apply -f -   (once; a second time makes new keys)
set -eu
secret() { # <name> <setting=value>...
  printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: attendara}\nstringData:\n' "$1"
  shift
  for setting in "$@"; do printf '  %s: "%s"\n' "${setting%%=*}" "${setting#*=}"; done
}
random() { head -c 32 /dev/urandom | base64 | tr -d '\n'; }

web=settings-web:$(random) worker=sync-worker:$(random) renewer=renewer:$(random) cli=cli:$(random)
client_state=k1:$(random)
secret auth "TOKEN_KEYS=k1:$(random)" MICROSOFT_CLIENT_SECRET=sandbox-app-secret "SERVICE_CREDENTIALS=$web,$worker,$renewer,$cli"
secret webhook-gateway "CLIENT_STATE_KEYS=$client_state"
secret sync-worker "SERVICE_CREDENTIAL=$worker" "SERVICE_CREDENTIALS=$cli"
secret renewer "SERVICE_CREDENTIAL=$renewer" "CLIENT_STATE_KEYS=$client_state"
secret settings-web "SERVICE_CREDENTIAL=$web" "SERVICE_CREDENTIALS=$cli" OIDC_CLIENT_SECRET=sandbox-oidc-secret
secret cli "SERVICE_CREDENTIAL=$cli"
