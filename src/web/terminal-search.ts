import { setImmediate } from 'node:timers/promises'
import type { RecordedEvent } from '../recording/format.ts'
import { PlainLines } from '../recording/terminal-text.ts'
import { momentsOf } from './replay-moments.ts'
import { OutputText } from './replay-part.ts'

/** Where something was shown, with what stood around it. */
export interface Place {
  readonly seconds: number
  readonly before: string
  readonly match: string
  readonly after: string
}

export interface Places {
  readonly places: readonly Place[]
  /** Seconds where looking goes on; undefined at the end. */
  readonly next: number | undefined
}

const placesMax = 100
/** Output looked at for one page. */
const lookedAtBytesMax = 16 * 1024 * 1024
const breathEveryBytes = 64 * 1024
const aroundChars = 60

/**
 * Looks for words in what one channel showed, upper and lower case alike.
 * @param events from the beginning, or with `begun` from somewhere in the middle.
 * @param text lower-case, not empty.
 */
export async function findPlaces(
  events: AsyncIterable<RecordedEvent>,
  { channel, text, begun }: { readonly channel: number; readonly text: string; readonly begun: boolean },
): Promise<Places> {
  const searcher = new Searcher(text)
  let lookedAtBytes = 0
  for await (const moment of momentsOf(events, channel, begun)) {
    if (moment.kind !== 'output') continue
    const full = searcher.places.length >= placesMax || lookedAtBytes >= lookedAtBytesMax
    if (full && moment.us > searcher.lastUs) return { places: searcher.end(), next: moment.us / 1e6 }
    searcher.add(moment)
    const before = lookedAtBytes
    lookedAtBytes += moment.bytes.length
    // Sessions are cut off on this thread, too: it is not kept for long.
    if (crosses(before, lookedAtBytes, breathEveryBytes)) await setImmediate()
  }
  return { places: searcher.end(), next: undefined }
}

function crosses(before: number, after: number, every: number): boolean {
  return Math.floor(before / every) !== Math.floor(after / every)
}

class Searcher {
  readonly places: Place[] = []
  lastUs = 0
  #inLine = false
  readonly #text: string
  readonly #lines = new PlainLines()
  readonly #output = new OutputText(true)

  constructor(text: string) {
    this.#text = text
  }

  add({ us, bytes, stream }: { readonly us: number; readonly bytes: Buffer; readonly stream: string }): void {
    const output = this.#output.decode({ bytes, stream })
    // A line that is left before anything is added was whole already, and may be wiped away now.
    let shownUs = this.#inLine && leavesAtOnce(output) ? this.lastUs : us
    for (const line of this.#lines.take(output)) {
      this.#look(line, shownUs)
      shownUs = us
    }
    this.lastUs = us
    this.#inLine = !output.endsWith('\n')
  }

  end(): readonly Place[] {
    for (const line of this.#lines.rest()) this.#look(line, this.lastUs)
    return this.places
  }

  #look(line: string, us: number): void {
    const at = line.toLowerCase().indexOf(this.#text)
    if (at === -1) return
    const end = at + this.#text.length
    const before = line.slice(Math.max(0, at - aroundChars), at).trimStart()
    const after = line.slice(end, end + aroundChars).trimEnd()
    this.places.push({
      seconds: us / 1e6,
      before: at > aroundChars ? `…${before}` : before,
      match: line.slice(at, end),
      after: line.length > end + aroundChars + 1 ? `${after}…` : after,
    })
  }
}

/* oxlint-disable no-control-regex -- control characters and sequences are what is looked for */
const beforeText = /^(?:\u001B\[[0-?]*[ -/]*[@-~]|[\u0000-\u001A])*/
const leaving = /\n|\u001B\[[0-?]*[ABEFHdf]/
/* oxlint-enable no-control-regex */

function leavesAtOnce(output: string): boolean {
  return leaving.test(beforeText.exec(output)?.[0] ?? '')
}
