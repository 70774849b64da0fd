# nginx with its RTMP module, as Debian packages them.
FROM debian:bookworm-slim
RUN apt-get update && \
    apt-get install --yes --no-install-recommends nginx libnginx-mod-rtmp && \
    rm -rf /var/lib/apt/lists/*
COPY nginx.conf /etc/nginx/nginx.conf
# As nobody in particular: the port is above 1024, and nothing is written but the pid, in /tmp.
USER www-data
EXPOSE 1935
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
