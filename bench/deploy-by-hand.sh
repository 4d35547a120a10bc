#!/usr/bin/env bash
# The work of a preview as somebody would script it by hand, with the binaries that Bough uses: fetch, check out, install,
# build, copy the data, start the servers, migrate, start the app, wait until it answers. No isolation, no supervision, no
# rows, no comment. Prints "step <name> <microseconds>" and "ready", then runs until standard input ends, and removes
# what it made.
#
# deploy-by-hand.sh prepare | preview
# All of REPOSITORY_URL COMMIT MIRROR WORK GOLDEN STORAGE POSTGRES_PORT REDIS_PORT WEB_PORT must be set, and PATH must
# lead to git, node, npm, postgres, initdb and redis-server.
set -euo pipefail

pids=()
step_name=''
step() {
  local now=${EPOCHREALTIME/[.,]/}
  if [ -n "$step_name" ]; then echo "step $step_name $((now - step_at))"; fi
  step_name=$1
  step_at=$now
}

# PostgreSQL refuses to run as root. In a user namespace root's files stay its own under another id.
as_user=(env)
if [ "$(id -u)" = 0 ]; then as_user=(unshare --user --map-user=1000 --map-group=1000 --); fi

stop() {
  # Last started, first stopped; the database (the first) by a fast shutdown.
  for ((index = ${#pids[@]} - 1; index > 0; index--)); do kill -TERM "${pids[index]}" 2>/dev/null || true; done
  if [ "${#pids[@]}" -gt 1 ]; then wait "${pids[@]:1}" 2>/dev/null || true; fi
  if [ "${#pids[@]}" -gt 0 ]; then
    kill -INT "${pids[0]}" 2>/dev/null || true
    wait "${pids[0]}" 2>/dev/null || true
  fi
  pids=()
}
finish() {
  trap - EXIT INT TERM
  stop
  if [ "$STORAGE" = btrfs ] && [ -d "$WORK/data" ]; then btrfs subvolume delete "$WORK/data" >/dev/null || true; fi
  rm -rf "$WORK"
}
trap finish EXIT
trap 'exit 143' INT TERM

fetch() {
  [ -d "$MIRROR" ] || git init --quiet --bare "$MIRROR"
  git -C "$MIRROR" fetch --quiet "$REPOSITORY_URL" '+refs/heads/*:refs/heads/*'
}

check_out() {
  mkdir -p "$WORK/app"
  git --git-dir="$MIRROR" archive "$COMMIT" | tar -x -C "$WORK/app"
}

start_services() {
  local data=$1
  "${as_user[@]}" postgres -D "$data/pg" -p "$POSTGRES_PORT" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c fsync=off -c synchronous_commit=off -c shared_buffers=32MB \
    >"$WORK/postgres.log" 2>&1 </dev/null &
  pids+=($!)
  redis-server --bind 127.0.0.1 --port "$REDIS_PORT" --save '' --appendonly no --dir "$WORK" \
    >"$WORK/redis.log" 2>&1 </dev/null &
  pids+=($!)
  # The server writes "ready" into its lock file when it takes connections.
  until grep -q '^ready' "$data/pg/postmaster.pid" 2>/dev/null; do
    kill -0 "${pids[0]}" || { cat "$WORK/postgres.log" >&2; exit 1; }
    sleep 0.01
  done
  until (exec 3<>"/dev/tcp/127.0.0.1/$REDIS_PORT") 2>/dev/null; do sleep 0.01; done
  export DATABASE_URL="postgresql://shop@127.0.0.1:$POSTGRES_PORT/shop" QUEUE_URL="redis://127.0.0.1:$REDIS_PORT"
}

deploy_hook() {
  npm run --silent migrate >"$WORK/hook.log" 2>&1 && npm run --silent seed -- --if-empty >>"$WORK/hook.log" 2>&1 ||
    { cat "$WORK/hook.log" >&2; exit 1; }
}

answers() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$WEB_PORT" || exit 1
    printf 'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
    head -1 <&3 | grep -q ' 200 '
  ) 2>/dev/null
}

prepare() {
  fetch
  check_out
  cd "$WORK/app"
  npm ci >/dev/null
  npm run build >/dev/null
  mkdir -p "$(dirname "$GOLDEN")"
  if [ "$STORAGE" = btrfs ]; then btrfs subvolume create "$GOLDEN" >/dev/null; else mkdir "$GOLDEN"; fi
  mkdir "$GOLDEN/uploads"
  "${as_user[@]}" initdb -D "$GOLDEN/pg" -U shop --auth=trust --no-sync --no-instructions -E UTF8 --locale=C >/dev/null
  start_services "$GOLDEN"
  node -e "const { Client } = require('pg');
    const client = new Client({ connectionString: process.argv[1] });
    client.connect().then(() => client.query('create database shop')).then(() => client.end());" \
    "postgresql://shop@127.0.0.1:$POSTGRES_PORT/postgres"
  deploy_hook
  # Cleanly stopped: a copy of it starts without recovery.
  stop
}

preview() {
  mkdir -p "$WORK"
  step fetch
  fetch
  step 'check-out'
  check_out
  cd "$WORK/app"
  step 'npm-ci'
  npm ci >"$WORK/build.log" 2>&1 || { cat "$WORK/build.log" >&2; exit 1; }
  step 'npm-run-build'
  npm run build >>"$WORK/build.log" 2>&1 || { cat "$WORK/build.log" >&2; exit 1; }
  step 'clone-data'
  case $STORAGE in
    btrfs) btrfs subvolume snapshot "$GOLDEN" "$WORK/data" >/dev/null ;;
    reflink) cp -a --reflink=always "$GOLDEN" "$WORK/data" ;;
    *) cp -a "$GOLDEN" "$WORK/data" ;;
  esac
  rmdir "$WORK/app/uploads" 2>/dev/null || true
  ln -s "$WORK/data/uploads" "$WORK/app/uploads"
  step services
  start_services "$WORK/data"
  step 'deploy-hook'
  deploy_hook
  step 'start-and-probe'
  PORT=$WEB_PORT BOUGH_COMMIT=$COMMIT node src/server.js >"$WORK/web.log" 2>&1 </dev/null &
  pids+=($!)
  node src/worker.js >"$WORK/worker.log" 2>&1 </dev/null &
  pids+=($!)
  until answers; do
    kill -0 "${pids[2]}" || { cat "$WORK/web.log" >&2; exit 1; }
    sleep 0.02
  done
  step ''
  echo ready
  read -r _ || true
}

mkdir -p "$WORK"
"$1"
