import { join } from 'node:path'
import { asFault } from '../kernel/fault.ts'
import { openRecording } from '../recording/reading.ts'
import type { Client, SessionRow } from '../sessions/session.ts'
import { Kept } from './kept.ts'

/** How much was done in a session. */
export interface Done {
  /** Statements, commands or requests, by the session's protocol. */
  readonly count: number
  /** Only the beginning was looked at. */
  readonly isMore: boolean
}

/** Events looked at in one recording: what matters to whoever decides is "a few" or "very many". */
const eventsMax = 2000
const keptMax = 5000

/** Codes of events that each stand for one thing done: see docs/recording-format.md. */
const deeds: Readonly<Record<Client['protocol'], readonly string[]>> = {
  postgres: ['q', 'x', 'f'],
  ssh: ['run'],
  http: ['q'],
}

/** Counts what was done, and says nothing of what it was: that is read where reading is written down. */
export function createDoneInShort(recordingsFolder: string): (row: SessionRow) => Promise<Done | undefined> {
  const kept = new Kept<Done>(keptMax)

  return async ({ session, recording, end }) => {
    if (recording === null) return undefined
    const known = kept.get(session.id)
    if (known !== undefined) return known
    const done = await count(join(recordingsFolder, recording), deeds[session.client.protocol])
    if (end !== null && done !== undefined) kept.set(session.id, done)
    return done
  }
}

async function count(file: string, codes: readonly string[]): Promise<Done | undefined> {
  try {
    await using recording = await openRecording(file)
    let [done, events] = [0, 0]
    for await (const { code } of recording.events()) {
      if (++events > eventsMax) return { count: done, isMore: true }
      if (codes.includes(code)) done++
    }
    return { count: done, isMore: false }
  } catch (error) {
    if (asFault(error) === undefined) throw error
    return undefined // moved away or damaged: the page stands, and the recording's own page says so
  }
}
