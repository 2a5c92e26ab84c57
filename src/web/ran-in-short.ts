import { join } from 'node:path'
import { asFault } from '../kernel/fault.ts'
import { openRecording, type Recording } from '../recording/reading.ts'
import type { SessionRow } from '../sessions/session.ts'
import { Kept } from './kept.ts'
import { fieldOf, shortLine } from './replay-moments.ts'

/** Enough for a row of a list: what came first. */
const wordsMax = 3
const eventsMax = 300
const keptMax = 5000

/**
 * Names what ran in SSH sessions: `shell`, `sftp`, a program; of HTTP sessions, how many requests there were. Arguments
 * and addresses are left out: they are read where reading is written down.
 */
export function createRanInShort(recordingsFolder: string): (row: SessionRow) => Promise<string> {
  const kept = new Kept<string>(keptMax)

  return async ({ session, recording, end }) => {
    const { protocol } = session.client
    if (protocol === 'postgres' || recording === null) return ''
    const known = kept.get(session.id)
    if (known !== undefined) return known
    const words = await read(join(recordingsFolder, recording), protocol === 'ssh' ? wordsOf : requestCount)
    if (end !== null) kept.set(session.id, words)
    return words
  }
}

async function read(file: string, words: (recording: Recording) => Promise<string>): Promise<string> {
  try {
    await using recording = await openRecording(file)
    return await words(recording)
  } catch (error) {
    if (asFault(error) === undefined) throw error
    return '' // moved away or damaged: the list stands, and the recording's own page says so
  }
}

async function wordsOf(recording: Recording): Promise<string> {
  const words = new Set<string>()
  let events = 0
  for await (const { code, data } of recording.events()) {
    if (++events > eventsMax || words.size > wordsMax) break
    const word = code === 'run' ? ranWord(data) : code === 'ch' ? forwardWord(data) : undefined
    if (word !== undefined) words.add(word)
  }
  const shown = [...words].slice(0, wordsMax).join(', ')
  return words.size > wordsMax ? `${shown}, …` : shown
}

/** `12 requests`; of many, only that there are. */
async function requestCount(recording: Recording): Promise<string> {
  let requests = 0
  let events = 0
  for await (const { code } of recording.events()) {
    if (++events > eventsMax) return `more than ${requests} requests`
    if (code === 'q') requests++
  }
  return requests === 1 ? '1 request' : `${requests} requests`
}

function ranWord(data: unknown): string | undefined {
  if (fieldOf(data, 'what') === 'shell') return 'shell'
  const command = fieldOf(data, 'command')
  if (typeof command !== 'string') return undefined
  const program = shortLine(command).split(' ', 1)[0]!
  // `PASSWORD=… program` would show what is none of a list's business
  return program.includes('=') ? 'command' : program.split('/').at(-1) || 'command'
}

function forwardWord(data: unknown): string | undefined {
  return String(fieldOf(data, 'kind')).startsWith('forward') ? 'forward' : undefined
}
