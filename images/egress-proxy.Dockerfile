# The egress proxy of examples/k8s: Squid, and nothing else. What it allows is mounted (examples/k8s/egress-proxy.yaml).
FROM debian:bookworm-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends squid \
    && rm -rf /var/lib/apt/lists/*
# Debian's user `proxy`, by number: the kubelet cannot tell from a name that it is not root (runAsNonRoot).
USER 13:13
EXPOSE 3128
# -N: one process in the foreground, so it is PID 1 and takes SIGTERM itself.
ENTRYPOINT ["/usr/sbin/squid", "-N", "-f", "/etc/egress-proxy/squid.conf"]
