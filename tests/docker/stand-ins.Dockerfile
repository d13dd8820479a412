# Images that stand for the official ones where none can be pulled: the same programs, paths, users and start commands.
# Their base is Debian with Python 3.13, which stands for python:3.13-slim itself.
FROM python:3.13-slim AS debian
RUN apt-get -qq update

FROM debian AS kafka
RUN DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends netcat-openbsd openjdk-21-jre-headless >/dev/null \
    && useradd --uid 1000 appuser \
    && install --directory --owner=appuser /opt/kafka/config /opt/kafka/logs /etc/kafka/docker /mnt/shared/config /var/lib/kafka/data
COPY jars /opt/kafka/libs
COPY kafka-run /etc/kafka/docker/run
RUN touch /etc/kafka/docker/server.properties /etc/kafka/docker/log4j2.yaml /etc/kafka/docker/tools-log4j2.yaml
USER appuser
VOLUME /etc/kafka/secrets /var/lib/kafka/data /mnt/shared/config
CMD ["/etc/kafka/docker/run"]

FROM debian AS mongo
RUN DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends libcurl4t64 nodejs >/dev/null \
    && useradd --uid 999 mongodb && install --directory --owner=mongodb /data/db /data/configdb
COPY mongosh /opt/mongosh
COPY mongod /usr/bin/mongod
RUN ln -s /opt/mongosh/node_modules/.bin/mongosh /usr/bin/mongosh
VOLUME /data/db /data/configdb
CMD ["mongod", "--bind_ip_all"]

# The official one is built to answer other hosts as well.
FROM debian AS redis
RUN DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends redis-server >/dev/null \
    && printf '#!/bin/sh\nexec /usr/bin/redis-server "$@" --protected-mode no\n' > /usr/local/bin/redis-server \
    && chmod +x /usr/local/bin/redis-server
WORKDIR /data
CMD ["redis-server"]
