/**
 * The server lives in a session of its own, so that Ctrl-C reaches only us, and it gets the signal when our end of its
 * standard input closes, however we end.
 */
const script = (signal: string) => `
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
( read -r line <&3; kill -${signal} "$server" ) >/dev/null 2>&1 &
watcher=$!
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"`

/**
 * The words that run a server that must not outlive its starter: spawn them detached, with a pipe as standard input.
 * @param signal what ends the server.
 */
export function supervised(signal: 'INT' | 'TERM', name: string, command: readonly string[]): string[] {
  return ['/bin/sh', '-c', script(signal), name, ...command]
}
