# Each part of the system as an image of its own: docker build --build-arg SERVICE=auth --tag attendara/auth .
# SERVICE: auth, renewer, settings-web, sync-worker or webhook-gateway; cli, which is `attendara`; sandbox.
#
# Where packages come from a mirror, its settings are a file of lines for the shell (PIP_INDEX_URL=…, UV_DEFAULT_INDEX=…,
# SSL_CERT_FILE=/run/secrets/authority) and leave no trace: --secret id=packages,src=… --secret id=authority,src=…
ARG PYTHON_IMAGE=python:3.13-slim
ARG SERVICE

# What says which packages are needed, alone: the next stage is built anew only when this changes.
FROM ${PYTHON_IMAGE} AS declared
COPY . /src
RUN find /src -type f ! -name pyproject.toml ! -name requirements.lock -delete && find /src -type d -empty -delete

# Other people's packages: those that this part needs, each as the lock has it, with its hash.
FROM ${PYTHON_IMAGE} AS packages
ARG SERVICE
ENV UV_LINK_MODE=copy VIRTUAL_ENV=/app
WORKDIR /src
COPY --from=declared /src .
RUN --mount=type=secret,id=packages --mount=type=secret,id=authority --mount=type=cache,target=/root/.cache \
    set -ea; test ! -f /run/secrets/packages || . /run/secrets/packages; \
    sed -n '/^uv==/,/#/p' requirements.lock > /tmp/uv.txt; \
    pip install --quiet --root-user-action=ignore --require-hashes --requirement /tmp/uv.txt; \
    part=$(find . -maxdepth 2 -name "$SERVICE"); \
    uv venv --quiet --python "$(command -v python)" /app; \
    uv pip compile --quiet --no-header --no-annotate --constraint requirements.lock "$part/pyproject.toml" --output-file /tmp/all.txt; \
    grep == /tmp/all.txt > /tmp/others.txt; \
    uv pip install --quiet --compile-bytecode --require-hashes --constraint requirements.lock --requirement /tmp/others.txt; \
    { echo "$part"; grep -v == /tmp/all.txt | sed 's/^-e //'; } > /ours.txt

# Our own packages, from the sources.
FROM packages AS sources
COPY . .
RUN uv pip install --quiet --offline --no-deps --compile-bytecode --prefix /ours --requirement /ours.txt

FROM ${PYTHON_IMAGE} AS runtime
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 \
    UVICORN_HOST=0.0.0.0 UVICORN_ACCESS_LOG=false UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN=20 UVICORN_TIMEOUT_KEEP_ALIVE=120
COPY --from=packages /app /app
COPY --from=sources /ours /app
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-ISc", "\
import os, http.client as http; \
asked = http.HTTPConnection('localhost', int(os.environ['UVICORN_PORT']), timeout=2); \
asked.request('GET', '/readyz'); \
raise SystemExit(asked.getresponse().status != 200)"]
CMD ["uvicorn", "--factory"]

FROM runtime AS settings-web
ENV UVICORN_APP=settings_web.app:make_app UVICORN_PORT=8400
EXPOSE 8400

FROM runtime AS webhook-gateway
ENV UVICORN_HTTP=webhook_gateway.protocol:Http UVICORN_WS=none
ENV UVICORN_APP=webhook_gateway.app:make_app UVICORN_PORT=8401
EXPOSE 8401

FROM runtime AS auth
ENV UVICORN_APP=auth.app:make_app UVICORN_PORT=8402
EXPOSE 8402

FROM runtime AS sync-worker
ENV UVICORN_APP=sync_worker.app:make_app UVICORN_PORT=8403
EXPOSE 8403

FROM runtime AS renewer
ENV UVICORN_APP=renewer.app:make_app UVICORN_PORT=8404
EXPOSE 8404

FROM runtime AS cli
HEALTHCHECK NONE
ENTRYPOINT ["attendara"]
CMD ["--help"]

# The same variables as elsewhere; UVICORN_PORT is for the health check alone.
FROM runtime AS sandbox
USER root
RUN install --directory --owner=10001 --group=10001 /data
USER 10001:10001
VOLUME /data
ENV SANDBOX_HOST=0.0.0.0 SANDBOX_ALLOW_OTHER_HOSTS=true SANDBOX_DATA=/data SANDBOX_HTTP_PORT=8410 SANDBOX_HTTPS_PORT=8411 UVICORN_PORT=8410
EXPOSE 8410 8411
CMD ["outlook-sandbox"]

FROM ${SERVICE}
ARG SERVICE
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="attendara-${SERVICE}" \
    org.opencontainers.image.description="Attendara's Outlook integration: ${SERVICE}" \
    org.opencontainers.image.vendor="Attendara" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
