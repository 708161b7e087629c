# The image: the gate, the shared libraries that it needs, authorities to trust, and nothing else; no shell.
# docs/image.md says how it is built, what is in it, and how to list it.
FROM rust:1.95.0-slim-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# LuaJIT is built with make.
RUN apt-get update \
    && apt-get install -y --no-install-recommends make=4.3-4.1 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin callgate \
    && scripts/image-root /image target/release/callgate

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="callgate" \
    org.opencontainers.image.description="May this business call this customer on WhatsApp, right now?" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/ /
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 50051 8080 9901
ENTRYPOINT ["/callgate"]
CMD ["serve"]
