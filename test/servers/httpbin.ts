import { startServerProgram, type ServerProgram } from './server-program.ts'

/** Debian's httpbin (Flask) under gunicorn: an application that answers with what it was asked. Plain HTTP/1.1. */
export function startHttpbin(): Promise<ServerProgram> {
  return startServerProgram({
    name: 'httpbin',
    // Debian's Python has the module, whichever comes first on PATH.
    command: '/usr/bin/python3',
    args: ({ port, folder }) => [
      ...['-m', 'gunicorn', '--bind', `127.0.0.1:${port}`, '--worker-tmp-dir', folder],
      ...[
        '--workers',
        '1',
        '--worker-class',
        'gthread',
        '--threads',
        '8',
        '--keep-alive',
        '60',
        '--graceful-timeout',
        '1',
      ],
      'httpbin:app',
    ],
  })
}
