# loadgen and analyzer without a lab: bursts, watches and reports (docs/install.md, "In a container").
#   docker build -t loadgen --build-arg UID="$(id -u)" .

FROM debian:12-slim AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3-venv \
    && rm -rf /var/lib/apt/lists/*
# Wheels of all that the lock file pins, checked against its hashes; the image takes what it needs.
COPY requirements.lock /src/
RUN python3 -m venv /tools \
    && /tools/bin/pip wheel --quiet --no-cache-dir --require-hashes --wheel-dir /wheels \
        --requirement /src/requirements.lock
COPY pyproject.toml README.md LICENSE /src/
COPY analyzer /src/analyzer
COPY loadgen /src/loadgen
COPY reports /src/reports
# hadolint ignore=DL3013
RUN /tools/bin/pip install --quiet --no-cache-dir --no-index --find-links /wheels hatchling \
    && /tools/bin/pip wheel --quiet --no-cache-dir --no-index --no-deps --no-build-isolation \
        --wheel-dir /wheels /src \
    && python3 -m venv /opt/loadgen \
    && /opt/loadgen/bin/pip install --quiet --no-cache-dir --no-index --find-links /wheels \
        ipvs-loadgen \
    && /opt/loadgen/bin/pip uninstall --quiet --yes pip setuptools

FROM debian:12-slim
# ssh for directors; ip, ipvsadm and libpcap for this machine's own IPVS and captures.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates iproute2 ipvsadm libpcap0.8 openssh-client python3 \
    && rm -rf /var/lib/apt/lists/*
ARG UID=1000
RUN useradd --uid "$UID" --create-home --shell /bin/sh loadgen \
    && install --directory --owner loadgen /work /work/runs
COPY --from=build /opt/loadgen /opt/loadgen
ENV PATH=/opt/loadgen/bin:$PATH
USER $UID
WORKDIR /work
ENTRYPOINT ["loadgen"]
CMD ["--help"]
