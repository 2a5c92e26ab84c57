import type { RecordedEvent } from '../../src/recording/format.ts'
import type { SshBytesCode, SshCode, SshEvents } from '../../src/recording/ssh-events.ts'

export function at<Code extends SshCode>(seconds: number, code: Code, data: SshEvents[Code]): RecordedEvent {
  return { seconds, code, data }
}

export function bytesAt(seconds: number, code: SshBytesCode, ch: number, content: string | Buffer): RecordedEvent {
  const bytes = Buffer.from(content as string)
  return { seconds, code, data: { ch, bytes: bytes.length }, bytes }
}

export const sshHeader = {
  startedAt: '2026-11-22T14:48:07.120Z',
  session: 'session-1',
  personName: 'ada@example.com',
  resource: 'web-1',
  role: 'deploy',
  client: { protocol: 'ssh', address: '192.0.2.7', port: 50022, application: 'OpenSSH_9.2', tls: false },
}

const euro = Buffer.from('€')

/** A shell, an SFTP channel, a command without a terminal, forwards, and the end by the gate. */
export const sshSession: RecordedEvent[] = [
  at(0.1, 'ch', { ch: 1, kind: 'session' }),
  at(0.11, 'pty', { ch: 1, term: 'xterm-256color', cols: 100, rows: 30 }),
  at(0.12, 'env', { ch: 1, name: 'LANG', value: 'C.UTF-8' }),
  at(0.25, 'run', { ch: 1, what: 'shell' }),
  bytesAt(0.5, '=o', 1, '\u001b]0;web-1: ~\u0007\u001b[?2004h\u001b[32mweb-1$\u001b[0m '),
  bytesAt(1.5, '=o', 1, 'ecgo\b\u001b[K\b\u001b[Kho 5'),
  bytesAt(2, '=o', 1, euro.subarray(0, 2)),
  bytesAt(2.25, '=o', 1, Buffer.concat([euro.subarray(2), Buffer.from([0xff]), Buffer.from('\r\n')])),
  at(3, 'r', { ch: 1, cols: 120, rows: 40 }),
  at(3.1, 'ch', { ch: 2, kind: 'session' }),
  at(3.2, 'run', { ch: 2, what: 'subsystem', command: 'sftp' }),
  at(3.5, 'f', {
    ch: 2,
    op: 'write',
    path: '/srv/app \u001b[31m.tar',
    direction: 'up',
    bytes: 12_288,
    sha256: 'ab'.repeat(32),
    result: 'ok',
    ms: 35,
  }),
  at(3.6, 'f', { ch: 2, op: 'remove', path: '/etc/passwd', result: 'permission denied', ms: 1.5 }),
  at(3.7, 'end', { ch: 2, bytesUp: 13_000, bytesDown: 400 }),
  at(4, 'ch', { ch: 3, kind: 'session' }),
  at(4.1, 'run', { ch: 3, what: 'exec', command: 'make deploy' }),
  bytesAt(4.2, '=o', 3, 'one\ntwo\r'),
  bytesAt(4.3, '=e', 3, '\nerror: three\n'),
  at(4.4, 'x', { ch: 3, status: 2 }),
  at(4.5, 'end', { ch: 3, bytesUp: 0, bytesDown: 23 }),
  at(5, 'ch', { ch: 4, kind: 'forward-local', to: 'db:5432', from: '127.0.0.1:4711' }),
  at(5.5, 'end', { ch: 4, bytesUp: 100, bytesDown: 2048 }),
  at(6, 'fw', { address: '127.0.0.1:8080', action: 'listen', ok: true }),
  at(6.5, 'no', { what: 'agent forwarding', why: 'the role does not allow it' }),
  at(7, 'm', { kind: 'warning', text: 'Your access to web-1 ends in 1 min.' }),
  bytesAt(8, '=o', 1, '5€\r\n\u001b[6n\u001b[32mweb-1$\u001b[0m '),
  at(67, 'm', { kind: 'cut', text: 'Your access has ended.', code: 'GRANT_EXPIRED' }),
  at(67.01, 'x', { ch: 1, signal: 'HUP' }),
  at(67.02, 'end', { ch: 1, bytesUp: 9, bytesDown: 150 }),
]
