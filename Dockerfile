# Debian and not Alpine: LevelDB's prebuilt binaries for 32 bit ARM need glibc.
#
#   docker build -t tidegate .
#   docker run --network host --stop-timeout 30 -v tidegate:/var/lib/tidegate -e TIDEGATE__GATEWAY__ID=site-a tidegate
#
# Give it a gateway.id: the default is the host name, which is another one in every new container.
# Without --network host, let it listen beyond its own loopback and publish the port where only your devices are:
#   -e TIDEGATE__MQTT__LISTENERS__0__HOST=0.0.0.0 -p 127.0.0.1:1883:1883
# A config file: -v "$PWD/tidegate.yaml:/etc/tidegate.yaml:ro" and, behind the image, run --config /etc/tidegate.yaml
# The environment wins over the file, store.path below included.

FROM node:20-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:20-bookworm-slim AS packages
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:20-bookworm-slim
ENV NODE_ENV=production \
    TIDEGATE__STORE__PATH=/var/lib/tidegate/data
WORKDIR /opt/tidegate
COPY --from=packages /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json ./
RUN install -d -o node -g node -m 0700 /var/lib/tidegate
USER node
VOLUME /var/lib/tidegate
EXPOSE 1883
# Alive, not ready: a full disk or a broker that is away is not cured by a restart.
# With admin.port set in a file, set TIDEGATE__ADMIN__PORT too.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.TIDEGATE__ADMIN__PORT ?? 9180}/livez`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/main.js"]
CMD ["run"]
