# The images of both planes, and of the examples: `make images`. By hand, after `make image-inputs`:
#   docker build --target sidecar --tag pointsman-sidecar:dev .
#
# BASE is a Debian, from which only Python and what it needs are taken. Where it lacks them they are installed by apt.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS base
RUN python3 -m pip --version >/dev/null 2>&1 \
 || { apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3 python3-pip; }

# Bytecode is the same whenever it is made.
ENV PYTHONHASHSEED=0
COPY images/runtime.py images/install.py /build/

FROM base AS python
RUN python3 /build/runtime.py /out

FROM base AS operator-libraries
COPY dist/inputs/operator/ /wheels/
RUN python3 /build/install.py /wheels /out

FROM base AS sidecar-libraries
COPY dist/inputs/sidecar/ /wheels/
RUN python3 /build/install.py /wheels /out

FROM base AS examples-libraries
COPY dist/inputs/examples/ /wheels/
RUN python3 /build/install.py /wheels /out

FROM base AS own
COPY dist/inputs/own/ /wheels/
RUN python3 /build/install.py /wheels /out

FROM base AS own-operator
COPY dist/inputs/own/ /wheels/
RUN python3 /build/install.py /wheels /out pointsman pointsman_sidecar pointsman_stub

FROM scratch AS runtime
COPY --from=python /out/ /
# gRPC's own lines on standard error are no JSON; it looks at this once, when it is imported.
ENV GRPC_VERBOSITY=NONE LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
WORKDIR /
USER 65532:65532
ARG VERSION=unknown
LABEL org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.vendor=Pointsman

FROM runtime AS operator
LABEL org.opencontainers.image.title=pointsman-operator \
      org.opencontainers.image.description="Pointsman's operator: turns policies into snapshots and pushes them to the sidecars"
COPY --from=operator-libraries /out/ /
COPY --from=own-operator /out/ /
ENTRYPOINT ["python3", "-m", "pointsman_operator"]

FROM runtime AS sidecar
LABEL org.opencontainers.image.title=pointsman-sidecar \
      org.opencontainers.image.description="Pointsman's sidecar: routes each completion of the app beside it"
COPY --from=sidecar-libraries /out/ /
COPY --from=own /out/ /
ENTRYPOINT ["python3", "-m", "pointsman_sidecar"]

FROM runtime AS examples
LABEL org.opencontainers.image.title=pointsman-examples \
      org.opencontainers.image.description="What Pointsman is tried with: an app's openai SDK, and a provider with canned answers"
COPY --from=examples-libraries /out/ /
COPY --from=own /out/ /
ENTRYPOINT ["python3"]
