/** SSH recordings as the gateway's taps write them, made with the real recorder through the real gate. */
import { createHash } from 'node:crypto'
import type { SshBytesCode, SshCode, SshEvents } from '../../src/recording/ssh-events.ts'
import type { Admission } from '../../src/sessions/admission.ts'
import type { Pages, SignedIn } from './harness.ts'

export interface SshRecorder {
  readonly id: string
  event<Code extends SshCode>(code: Code, data: SshEvents[Code]): void
  /** Text or bytes on one channel. */
  output(ch: number, content: string | Buffer, code?: SshBytesCode): Promise<void>
  /** Lets time pass, so that events are apart. */
  pause(ms: number): Promise<void>
  seal(): Promise<void>
  readonly admission: Admission
}

export async function startSshRecording(pages: Pages, who: SignedIn): Promise<SshRecorder> {
  await who.post('/ask', { resource: 'web-1', role: 'ops', for: '1h', reason: '' })
  const admission = await pages.openSession(who.person, 'web-1', 'ops')
  const { recorder, session } = admission
  return {
    id: session.id,
    admission,
    event: (code, data) => recorder.event(code, data),
    async output(ch, content, code = '=o') {
      const bytes = Buffer.from(content as string)
      for (let at = 0; at < bytes.length; at += 64 * 1024) {
        recorder.bytes(code, { ch }, bytes.subarray(at, at + 64 * 1024))
        if (recorder.full) await recorder.drained()
      }
    },
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    seal: () => admission.end({ by: 'client', bytesFromClient: 4000, bytesFromTarget: 90_000 }),
  }
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** A shell in a terminal, as OpenSSH asks for it. */
export function openShell(recording: SshRecorder, ch: number, size = { cols: 80, rows: 24 }): void {
  recording.event('ch', { ch, kind: 'session' })
  recording.event('pty', { ch, term: 'xterm-256color', ...size })
  recording.event('env', { ch, name: 'LANG', value: 'en_GB.UTF-8' })
  recording.event('run', { ch, what: 'shell' })
}

/** Somebody looks after a server: shell, a command, files, a forward, a refusal, a warning of the gateway. */
export async function recordUsualWork(recording: SshRecorder): Promise<void> {
  openShell(recording, 1)
  const prompt = '\u001B[01;32mops@web-1\u001B[00m:\u001B[01;34m~\u001B[00m$ '
  await recording.output(1, prompt)
  for (const letter of 'systemctl statuss') await recording.output(1, letter)
  await recording.output(1, '\b\u001B[K nginx\r\n')
  await recording.pause(30)
  await recording.output(1, '\u001B[0;1;32m●\u001B[0m nginx.service - A high performance web server\r\n')
  await recording.output(
    1,
    '     Active: \u001B[0;1;32mactive (running)\u001B[0m since Sun 2026-11-22 14:02:11 CET\r\n',
  )
  await recording.output(1, '   Main PID: 7120 (nginx)   Größe: 12 MiB\r\n')
  recording.event('r', { ch: 1, cols: 100, rows: 30 })
  await recording.output(1, `${prompt}tail -3 /var/log/nginx/error.log\r\n`)
  await recording.output(1, '2026/11/22 14:31:07 [error] 7121#0: upstream timed out (110: Connection timed out)\r\n')
  recording.event('m', { kind: 'warning', text: 'Your access to web-1 as ops ends in 5 minutes.' })
  await recordFiles(recording)
  recording.event('ch', { ch: 3, kind: 'session' })
  recording.event('run', { ch: 3, what: 'exec', command: 'df -h /var && false' })
  await recording.output(
    3,
    'Filesystem      Size  Used Avail Use% Mounted on\n/dev/sda2        80G   61G   15G  81% /var\n',
  )
  await recording.output(3, 'df: something to complain about\n', '=e')
  recording.event('x', { ch: 3, status: 1 })
  recording.event('end', { ch: 3, bytesUp: 0, bytesDown: 125 })
  recording.event('ch', { ch: 4, kind: 'forward-local', to: 'db.internal:5432', from: '127.0.0.1:50112' })
  recording.event('end', { ch: 4, bytesUp: 1200, bytesDown: 88_000 })
  recording.event('no', { what: 'remote forward of 0.0.0.0:8080', why: 'The role ops does not allow forward-remote.' })
  await recording.output(1, `${prompt}exit\r\nlogout\r\n`)
  recording.event('x', { ch: 1, status: 0 })
  recording.event('end', { ch: 1, bytesUp: 64, bytesDown: 2048 })
}

async function recordFiles(recording: SshRecorder): Promise<void> {
  recording.event('ch', { ch: 2, kind: 'session' })
  recording.event('run', { ch: 2, what: 'subsystem', command: 'sftp' })
  const ch = 2
  recording.event('f', { ch, op: 'realpath', path: '.', to: '/home/ops', result: 'ok', ms: 1 })
  recording.event('f', { ch, op: 'list', path: '/home/ops', names: 12, result: 'ok', ms: 2 })
  const content = { bytes: 1_482_113, sha256: sha256('nginx.conf') }
  recording.event('f', {
    ...{ ch, op: 'write', path: '/etc/nginx/sites/shop.conf', direction: 'up' },
    ...content,
    result: 'ok',
    ms: 210,
  })
  recording.event('f', {
    ...{ ch, op: 'read', path: '/var/log/nginx/access.log', direction: 'down' },
    ...content,
    result: 'ok',
    ms: 412,
  })
  recording.event('f', { ch, op: 'remove', path: '/etc/shadow', result: 'Permission denied', ms: 1 })
  recording.event('f', { ch, op: 'rename', path: '/tmp/a', to: '/tmp/b', result: 'ok', ms: 1 })
  recording.event('x', { ch, status: 0 })
  recording.event('end', { ch, bytesUp: 1_490_000, bytesDown: 1_500_000 })
}
