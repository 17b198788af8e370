# Two stages: the first builds the environment from the hashed lock, the second only carries it.
# BASE_IMAGE may be any Debian image with python3 (3.11 or newer) and its venv module.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build

WORKDIR /build
COPY requirements.lock requirements-build.lock ./
# Made where it will live, because an environment's scripts name their interpreter by its full path.
# pip compiles as it installs: a read-only root could not do it later.
RUN python3 -m venv /opt/justtrades \
 && /opt/justtrades/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
 && python3 -m venv /opt/builder \
 && /opt/builder/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-build.lock

COPY pyproject.toml LICENSE ./
COPY alembic ./alembic
COPY src ./src
RUN /opt/builder/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/justtrades/bin/pip install --no-cache-dir --no-index --no-deps dist/*.whl


FROM ${BASE_IMAGE}

# A fixed number, so that volumes and `runAsNonRoot` agree on it. /data is the only place ever written.
RUN groupadd --gid 10001 justtrades \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin justtrades \
 && install -d -o 10001 -g 10001 -m 0750 /data
COPY --from=build /opt/justtrades /opt/justtrades

ENV PATH=/opt/justtrades/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    JUSTTRADES_HOST=0.0.0.0 \
    JUSTTRADES_PORT=8000 \
    JUSTTRADES_DATABASE_URL=sqlite+aiosqlite:////data/justtrades.db

USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["/opt/justtrades/bin/python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['JUSTTRADES_PORT']), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]

CMD ["justtrades", "serve"]
