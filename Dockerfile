# One image for every process of Bough; docker-compose.yml starts them. Not built or run by the project's own tests yet:
# see docs/operations.md.
FROM node:22-bookworm-slim

# bubblewrap isolates builds and workloads, git fetches sources, ca-certificates lets git trust the forge, btrfs-progs makes
# clones snapshots where the volume lies on btrfs. What a manifest asks for (other Node and PostgreSQL versions, Redis) is
# fetched when it is first needed.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends bubblewrap btrfs-progs ca-certificates git procps redis-server \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /bough
COPY . .
RUN npm ci --omit=dev && npm cache clean --force

# An ordinary user: sandboxes need user namespaces, not root. A new volume takes over this directory's owner.
RUN install --directory --owner=node --group=node --mode=0700 /var/lib/bough
USER node
ENV BOUGH_HOME=/var/lib/bough NODE_ENV=production
VOLUME /var/lib/bough

ENTRYPOINT ["node", "apps/cli/bin/bough.js"]
CMD ["serve"]
