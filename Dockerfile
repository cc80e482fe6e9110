# One image for every process of the product: `api` (the default), `worker`, `db upgrade`, and the command line.
FROM python:3.11.14-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/flowgraft && python -m venv /opt/build
COPY requirements/base.txt requirements/build.txt requirements/
RUN /opt/flowgraft/bin/pip install --require-hashes -r requirements/base.txt \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY domain domain/
COPY components components/
COPY store store/
COPY runtime runtime/
COPY activities activities/
COPY workflows workflows/
COPY api api/
COPY cli cli/
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/flowgraft/bin/pip install --no-deps dist/*.whl

FROM python:3.11.14-slim-bookworm

# /keys is where docker-compose.yml mounts the volume of the keys; a new volume takes owner and mode from here.
RUN useradd --system --uid 10001 --no-create-home flowgraft \
    && install --directory --owner flowgraft --mode 0700 /keys
COPY --from=build /opt/flowgraft /opt/flowgraft
COPY worker.py /app/
ARG COMMIT=unknown
ENV PATH=/opt/flowgraft/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 FLOWGRAFT_COMMIT=$COMMIT
WORKDIR /app
USER flowgraft
EXPOSE 8700
ENTRYPOINT ["flowgraft"]
CMD ["api", "--host", "0.0.0.0", "--port", "8700"]
