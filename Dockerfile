# The hub and what runs it: Python, bun, tini. Modules are installed at run time, onto the disk at /parachute.
ARG DEBIAN=debian:trixie-20260918-slim
ARG BUN=oven/bun:1.4.4-debian

FROM ${BUN} AS bun

FROM bun AS web
WORKDIR /src/web
COPY web/package.json web/bun.lock ./
RUN bun install --production --frozen-lockfile --ignore-scripts
COPY web ./
RUN bun run build

FROM ${DEBIAN} AS python
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*

FROM python AS dependencies
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-pip python3-setuptools python3-venv python3-wheel
WORKDIR /src
RUN python3 -m venv --without-pip /opt/parachute
COPY requirements.lock ./
# Twisted's own tests are a quarter of what would be installed; nothing imports them.
RUN pip --python /opt/parachute/bin/python install --no-cache-dir --no-deps --requirement requirements.lock \
 && find /opt/parachute -type d -path '*/twisted/*/test' -prune -exec rm -r {} + \
 && rm -r /opt/parachute/lib/python3*/site-packages/twisted/test

FROM dependencies AS hub
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY tools/backend tools/backend
COPY docs/parachute.1 docs/
COPY twisted twisted
COPY parachute_hub parachute_hub
COPY --from=web /src/parachute_hub/static parachute_hub/static
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && pip --python /opt/parachute/bin/python install --no-deps --no-index --prefix /opt/hub /wheels/*.whl

# Layers from the one that changes least to the one that changes with every commit.
FROM python
LABEL org.opencontainers.image.title="Parachute Hub" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --uid 1000 --user-group --home-dir /parachute --no-create-home --shell /usr/sbin/nologin parachute \
 && install --directory --owner=parachute --group=parachute --mode=0700 /parachute
COPY --from=bun /usr/local/bin/bun /usr/local/bin/bun
COPY --from=dependencies /opt/parachute /opt/parachute
# The modules' own commands come last on the PATH: the entrypoint runs as root, and a module can write there.
# A fixed threshold makes glibc give back the 19 MB of a password's hashing; it keeps them by default.
ENV PATH=/opt/parachute/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/parachute/modules/bin \
    PARACHUTE_HOME=/parachute \
    PARACHUTE_BIND_HOST=0.0.0.0 \
    PARACHUTE_BUN=/usr/local/bin/bun \
    PARACHUTE_LOCK_WAIT=30 \
    BUN_INSTALL=/parachute/modules \
    BUN_INSTALL_BIN=/parachute/modules/bin \
    TMPDIR=/parachute/tmp \
    NODE_ENV=production \
    MALLOC_MMAP_THRESHOLD_=1048576
COPY docker-entrypoint.sh /usr/local/bin/
COPY --from=hub /opt/hub /opt/parachute
# Twisted's list of plugins; a root that is mounted read-only cannot take it later.
RUN twistd --help >/dev/null

# Not the home: twistd imports from the folder it is started in, and modules write to the home.
WORKDIR /opt/parachute
VOLUME /parachute
EXPOSE 1939
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["docker-entrypoint.sh", "healthcheck"]
# -g: the signal goes to the whole group, also after the entrypoint changed its user. -s: where PID 1 is the platform's.
# -e: the hub ends by the SIGTERM that it was stopped with; that is a good end.
ENTRYPOINT ["tini", "-g", "-s", "-e", "143", "--", "docker-entrypoint.sh"]
CMD ["python", "-P", "-m", "parachute_hub"]
