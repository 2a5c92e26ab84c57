import type { Recorder } from '../../recording/recorder.ts'
import type { HttpRole } from '../../resources/catalogue.ts'
import { record, recordBytes } from './recording.ts'

export interface BodyFacts {
  readonly recorder: Recorder
  /** Of the exchange. */
  readonly n: number
  readonly direction: 'up' | 'down'
  /** The value of Content-Type; null without one. */
  readonly type: string | null
  /** The value of Content-Encoding; null without one. */
  readonly encoding: string | null
  readonly settings: HttpRole['recordBodies']
}

/** Takes one body as it passes. */
export interface RecordedBody {
  /** The chunk is copied before this returns. */
  take(chunk: Buffer): void
  /** Nothing more comes. @param whole false: the body broke off. Only the first call counts. */
  end(whole?: boolean): void
}

/** What one event of a recording holds. */
const partBytesMax: number = 1024 * 1024
/** Of the header values that are written with the first part. */
const valueCharsMax = 256

/**
 * Writes a body into the recording as it passes (`=b`), where the role says so: of the types that its globs name, so much
 * of each as it says. Encoded ones stay as they are, so readers need the encoding that stands with the first part.
 * Where something is left out, `bx` tells.
 *
 * Nothing within a body is masked. Forms (`application/x-www-form-urlencoded`, `multipart/form-data`) carry passwords,
 * JSON may: a role whose globs cover them has chosen to keep those.
 * @returns null when bodies are not recorded at all.
 */
export function recordBody(facts: BodyFacts): RecordedBody | null {
  const { settings, recorder, type } = facts
  if (settings === null || !recorder.active) return null
  const mediaType = mediaTypeOf(type)
  const wanted = settings.types.some((glob) => fits(glob, mediaType))
  return wanted ? new BodyOnRecord(facts, settings.bytesMax) : new BodyLeftOut(facts)
}

class BodyOnRecord implements RecordedBody {
  readonly #facts: BodyFacts
  #left: number
  #first = true
  #over = false

  constructor(facts: BodyFacts, bytesMax: number) {
    this.#facts = facts
    this.#left = bytesMax
  }

  take(chunk: Buffer): void {
    if (this.#over) return
    const kept = Math.min(chunk.length, this.#left)
    for (let at = 0; at < kept; at += partBytesMax) this.#write(chunk.subarray(at, Math.min(at + partBytesMax, kept)))
    this.#left -= kept
    if (kept < chunk.length) this.#leaveOut('longer')
  }

  end(whole = true): void {
    if (!whole) this.#leaveOut('ended')
    this.#over = true
  }

  #write(bytes: Buffer): void {
    const { recorder, n, direction, type, encoding } = this.#facts
    const head = this.#first && {
      ...(type !== null && { type: type.slice(0, valueCharsMax) }),
      ...(encoding !== null && { encoding: encoding.slice(0, valueCharsMax) }),
    }
    this.#first = false
    recordBytes(recorder, '=b', { n, direction, ...head }, bytes)
  }

  #leaveOut(why: 'longer' | 'ended'): void {
    if (this.#over) return
    this.#over = true
    const { recorder, n, direction } = this.#facts
    record(recorder, 'bx', { n, direction, why })
  }
}

/** Says once that there was a body, of a type that the role did not ask for. */
class BodyLeftOut implements RecordedBody {
  readonly #facts: BodyFacts
  #told = false

  constructor(facts: BodyFacts) {
    this.#facts = facts
  }

  take(chunk: Buffer): void {
    if (this.#told || chunk.length === 0) return
    this.#told = true
    const { recorder, n, direction } = this.#facts
    record(recorder, 'bx', { n, direction, why: 'type' })
  }

  end(): void {
    this.#told = true
  }
}

/** `application/json` of `Application/JSON; charset=utf-8`; empty without one. */
function mediaTypeOf(type: string | null): string {
  return (type ?? '').split(';', 1)[0]!.trim().toLowerCase()
}

/** `*` stands for any characters, also within a part: `text/*`, `application/*+json`. A body without a type fits `*` only. */
function fits(glob: string, mediaType: string): boolean {
  const [first = '', ...rest] = glob.toLowerCase().split('*')
  if (rest.length === 0) return mediaType === first
  if (!mediaType.startsWith(first)) return false
  const last = rest.pop()!
  let at = first.length
  for (const piece of rest) {
    const found = mediaType.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return mediaType.length - at >= last.length && mediaType.endsWith(last)
}
