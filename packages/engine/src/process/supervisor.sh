# Keeps one workload running: starts it in its sandbox, starts it again when it exits, bounds its log.
#
# It is a shell script so that it costs next to nothing, survives the worker that started it, and shows in `ps` what it
# is. All of it is a function that is read before anything runs: replacing this file does no harm to what is running.
#
# SIGTERM means: do not start it again. So does a state directory that is gone when the workload ends. Killing it kills the workload (bwrap --die-with-parent).
# In its environment: the labels (see labels.ts) and BOUGH_STATE, BOUGH_BWRAP, BOUGH_BWRAP_LIBRARIES, BOUGH_GROUPS,
# BOUGH_OOM_FILE, BOUGH_LOG_BYTES, BOUGH_STARTED_AT (seconds), and for a network of its own what door.ts says. In BOUGH_STATE: `args` (for bwrap, with secrets), `status`, `output.log`.

launch() {
  trap - TERM
  trap - HUP INT PIPE
  for group in $BOUGH_GROUPS; do
    if ! echo 0 >"$group/cgroup.procs"; then
      echo "[bough] the resource limits could not be applied: $group"
      exit 125
    fi
  done
  [ -z "$BOUGH_BWRAP_LIBRARIES" ] || export LD_LIBRARY_PATH="$BOUGH_BWRAP_LIBRARIES"
  [ -z "$BOUGH_DOOR" ] || set -- "$BOUGH_NODE" --max-old-space-size=48 "$BOUGH_DOOR_SCRIPT" "$BOUGH_DOOR"
  exec "$@" "$BOUGH_BWRAP" --args 3 -- ${BOUGH_INSIDE:-/bin/sh /run/bough/command} 3<"$BOUGH_STATE/args"
}

# Reads what the workload says into output.log and, when that is full, goes on in a new one; the one before is kept.
# When the disk is full, lines are dropped rather than the workload stopped.
keep_log() {
  trap '' TERM HUP INT
  log="$BOUGH_STATE/output.log"
  while :; do
    size=$(log_size)
    if [ "$size" -ge "$BOUGH_LOG_BYTES" ]; then
      mv -f "$log" "$log.1" || : >"$log"
      size=0
    fi
    # A read gives what is there, up to one block: so many reads never write more than the bound, and often less.
    if dd bs=4096 count=$(((BOUGH_LOG_BYTES - size) / 4096 + 1)) oflag=append conv=notrunc status=none of="$log" 2>/dev/null; then
      # It waits for something to read; when there was nothing, nobody writes any more.
      [ "$(log_size)" -gt "$size" ] || break
    else
      [ -d "$BOUGH_STATE" ] || exec cat >/dev/null
      dd bs=4096 count=256 of=/dev/null status=none 2>/dev/null
      sleep 1
    fi
  done
}

log_size() {
  [ -s "$log" ] || {
    echo 0
    return
  }
  stat -c %s "$log" 2>/dev/null || echo 0
}

# The first time nobody has read it yet: it is written where it stays, which spares a process.
report() {
  if [ -n "$first" ]; then
    echo "$1 $restarts ${code:--} ${started:--}" >"$BOUGH_STATE/status" 2>/dev/null
    return
  fi
  echo "$1 $restarts ${code:--} ${started:--}" >"$BOUGH_STATE/status.new" 2>/dev/null &&
    mv -f "$BOUGH_STATE/status.new" "$BOUGH_STATE/status" 2>/dev/null
}

# Somebody listens on our port although our workload does not run.
port_taken() {
  [ -n "$BOUGH_PORT" ] || return 1
  grep -qE "^ *[0-9]+: [0-9A-F]+:$(printf %04X "$BOUGH_PORT") [0-9A-F]+:0000 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Into `kills`. Without a process of its own: a visitor may be waiting.
count_memory_kills() {
  kills=
  [ -r "$BOUGH_OOM_FILE" ] || return 0
  while read -r name count; do
    [ "$name" != oom_kill ] || kills=$count
  done <"$BOUGH_OOM_FILE"
}

pause() {
  sleep "$1" &
  nap=$!
  wait "$nap"
  kill "$nap" 2>/dev/null
}

run_once() {
  [ -n "$first" ] || started=$(date +%s)
  count_memory_kills
  kills_before=$kills
  report running
  first=
  # In the foreground: a shell lets what it runs in the background ignore SIGINT and SIGQUIT. The trap on SIGTERM acts
  # when it has ended, which is soon enough.
  (launch)
  code=$?
  [ -z "$stopping" ] || return 0
  why="exited with code $code"
  count_memory_kills
  [ "$kills" = "$kills_before" ] || why="was killed because it used more memory than its limit"
  restarts=$((restarts + 1))
  [ $(($(date +%s) - started)) -lt 60 ] || delay=1
  report restarting
  echo "[bough] $BOUGH_NAME $why, starting it again in $delay s (restart $restarts)"
}

main() {
  # Whoever starts it has looked at the port and at the clock just before: a visitor may be waiting.
  first=1 started=$BOUGH_STARTED_AT
  stopping= code= restarts=0 delay=1
  trap 'stopping=1' TERM
  trap '' HUP INT PIPE
  cd / || exit 1
  [ ! -e "$BOUGH_STATE/pipe" ] || rm -f "$BOUGH_STATE/pipe"
  mkfifo -m 600 "$BOUGH_STATE/pipe" || exit 1
  keep_log <"$BOUGH_STATE/pipe" >/dev/null 2>&1 &
  exec >"$BOUGH_STATE/pipe" 2>&1
  # Without its directory there is nothing to start, and nobody who would ask for it.
  while [ -z "$stopping" ] && [ -d "$BOUGH_STATE" ]; do
    if [ -z "$first" ] && port_taken; then
      report port-taken
      echo "[bough] port $BOUGH_PORT is taken by another process on this machine, trying again in $delay s"
    else
      run_once
    fi
    [ -z "$stopping" ] || break
    pause "$delay"
    delay=$((delay * 2))
    [ "$delay" -le 30 ] || delay=30
  done
  report stopped
}

main
exit
