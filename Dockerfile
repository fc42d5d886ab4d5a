# The first stage makes a virtual environment from the hashed lock; the second holds that and nothing else.

# To build from exactly one image, give its digest: --build-arg BASE=python:3.13-slim@sha256:...
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/lossd
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN pip install --no-deps --no-compile --require-hashes -r requirements/build.txt \
 && pip --python /opt/lossd/bin/python install --no-deps --no-compile --require-hashes -r requirements/runtime.txt \
 && find /opt/lossd/lib -type d -name tests -prune -exec rm -r {} +
# What writes the bill of materials has an environment of its own, which stays behind.
COPY requirements/sbom.txt requirements/
RUN python -m venv /opt/sbom \
 && /opt/sbom/bin/pip install --no-deps --no-compile --require-hashes -r requirements/sbom.txt
COPY pyproject.toml README.md LICENSE ./
COPY service service
# Modules are compiled here, since the file system is read-only where they run. They are never edited there either:
# unchecked-hash spares the comparison of times at each import.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/lossd/bin/python install --no-compile --no-deps --no-index dist/*.whl \
 && /opt/lossd/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/lossd/lib \
 && /opt/sbom/bin/cyclonedx-py environment --output-reproducible -o /opt/lossd/sbom.cdx.json /opt/lossd/bin/python

FROM ${BASE}
LABEL org.opencontainers.image.title="lossd" \
      org.opencontainers.image.description="Losses and their gradients over HTTP" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/lossd /opt/lossd
# Everyone who reaches the container may call, which the image itself lets no one do: it publishes no port. LOSSD_AUTH=keys
# and LOSSD_KEYS_FILE admit only callers with a key.
# Huge pages for large arrays save most of the page faults of receiving them; replicas, not BLAS threads, use the cores.
ENV PATH=/opt/lossd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1 \
    OPENBLAS_NUM_THREADS=1 \
    LOSSD_HOST=0.0.0.0 \
    LOSSD_AUTH=none
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s --retries=3 CMD ["lossd", "healthcheck"]
CMD ["lossd", "serve"]
