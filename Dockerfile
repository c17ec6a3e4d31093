# syntax=docker/dockerfile:1
# Conch in a container: one executable over one volume (docs/DEPLOY.md).
#
#   docker build -t conch .
#   docker run -d --name conch -p 127.0.0.1:8090:8090 -v conch:/data conch

FROM rust:1.95-slim-bookworm AS build
# For SQLite and the cryptography, which are C.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /conch
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
COPY assets assets
COPY benches benches
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/conch/target \
    cargo build --profile dist --locked --bin conch && cp target/dist/conch /usr/local/bin/conch && mkdir /empty

# No shell, no package manager: libc and the certificates of authorities.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/conch /usr/local/bin/conch
# A new volume takes its owner from here.
COPY --from=build --chown=65532:65532 /empty /data
ENV CONCH_DIR=/data CONCH_HTTP=0.0.0.0:8090
USER 65532:65532
VOLUME /data
EXPOSE 8090
# The server has ten seconds for what is under way (--shutdown-timeout), and some for the rest.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=12s --start-period=60s --retries=3 CMD ["/usr/local/bin/conch", "health"]
ENTRYPOINT ["/usr/local/bin/conch"]
CMD ["serve"]
