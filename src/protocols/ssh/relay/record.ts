import { createHash } from 'node:crypto'
import type { Recorder } from '../../../recording/recorder.ts'
import type { SshCode, SshEvents } from '../../../recording/ssh-events.ts'

/** A longer command is recorded by its beginning, its length and its hash. */
const commandBytesMax = 1024 * 1024

/** The one way into a recorder from here, so that no line has another shape. */
export function record<Code extends SshCode>(recorder: Recorder, code: Code, data: SshEvents[Code]): void {
  if (recorder.active) recorder.event(code, data)
}

/** A command as the recording tells it; text that is not UTF-8 shows replacement characters, and the hash is exact. */
export function commandFacts(bytes: Buffer): Pick<SshEvents['run'], 'command' | 'bytes' | 'sha256'> {
  const text = bytes.toString('utf8', 0, commandBytesMax)
  if (bytes.length <= commandBytesMax && Buffer.from(text, 'utf8').equals(bytes)) return { command: text }
  return { command: text, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}
