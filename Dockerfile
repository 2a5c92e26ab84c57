# Builds the compiled package, then an image with nothing but Node, production dependencies and dist/.
#   docker build -t curfew .
#   docker run -p 443:443 -p 5432:5432 -p 2222:2222 -v ./curfew.yaml:/etc/curfew/curfew.yaml:ro -v curfew-data:/var/lib/curfew curfew

FROM node:26-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/bootstrap.mjs scripts/build.ts scripts/
COPY src src
RUN npm run build

FROM node:26-slim AS dependencies
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:26-slim
ENV NODE_ENV=production
WORKDIR /opt/curfew
COPY --from=dependencies /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE README.md ./
COPY config config
RUN useradd --system --home-dir /var/lib/curfew --create-home --shell /usr/sbin/nologin curfew \
 && chmod 700 /var/lib/curfew && ln -s /opt/curfew/dist/main.js /usr/local/bin/curfew
USER curfew
VOLUME /var/lib/curfew
EXPOSE 443 5432 2222
ENTRYPOINT ["curfew"]
CMD ["serve", "--config", "/etc/curfew/curfew.yaml"]
