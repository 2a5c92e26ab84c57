/** What the gateway has recorded of SSH sessions, read back from its files. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordedEvent } from '../../src/recording/format.ts'
import { openRecording } from '../../src/recording/reading.ts'
import type { SshBytesCode, SshCode, SshEvents } from '../../src/recording/ssh-events.ts'
import type { SessionRow } from '../../src/sessions/session.ts'
import type { TestGateway } from '../servers/gateway.ts'

export interface EndedSession extends SessionRow {
  /** Its recording. */
  readonly file: string
}

/** The last session that began, once it is over and its recording sealed. */
export async function endedSession({ gateway, config }: TestGateway): Promise<EndedSession> {
  for (;;) {
    const [last] = await gateway.state.sessions.sessions({ limit: 1 })
    if (last !== undefined && last.end !== null && last.recording !== null) {
      return { ...last, file: join(config.gateway.dataFolder, 'recordings', last.recording) }
    }
    await sleep(20)
  }
}

export type Recorded = readonly [code: SshCode | SshBytesCode, data: Record<string, unknown>]

/** Codes and what they carry, in order, without times. */
export async function eventsOf(file: string): Promise<Recorded[]> {
  return (await read(file)).map(({ code, data }) => [code as SshCode, data as Record<string, unknown>])
}

/** What one code carries, each time it comes. */
export async function all<Code extends SshCode>(file: string, code: Code): Promise<SshEvents[Code][]> {
  return (await read(file)).filter((event) => event.code === code).map(({ data }) => data as SshEvents[Code])
}

/** The bytes of a channel, put together again. */
export async function bytesOf(file: string, code: SshBytesCode, ch: number): Promise<Buffer> {
  const parts = (await read(file)).filter((event) => event.code === code && (event.data as { ch: number }).ch === ch)
  return Buffer.concat(parts.map(({ bytes }) => bytes!))
}

async function read(file: string): Promise<RecordedEvent[]> {
  await using recording = await openRecording(file)
  return await Array.fromAsync(recording.events())
}
