import { NotUnderstood } from '../protocol-tap.ts'
import { shownText } from '../text.ts'
import { errorWords, isErrorMark, Line } from './answers.ts'
import type { Answer } from './answers.ts'

/** What the sending side says. Each but `error` and `content` is answered. */
export interface SenderEvents {
  file(name: string): void
  content(bytes: Buffer): void
  /** Behind the content. @param failure the sender's words, when it could not send it all. */
  fileEnd(failure: string | undefined): void
  folder(name: string): void
  folderEnd(): void
  /** Of something that is not sent. */
  error(words: string): void
}

type Said = 'start' | 'times' | 'file' | 'fileEnd' | 'folder' | 'folderEnd'

/** Bytes that a sender sends without waiting for an answer: as much as OpenSSH's window lets pass, and more. */
const deferredBytesMax = 4_194_304
const filePattern = /^C[0-7]{4,5} (\d{1,15}) ([^]+)$/
const folderPattern = /^D[0-7]{4,5} (\d{1,15}) ([^]+)$/
const timesPattern = /^T\d{1,20} \d{1,6} \d{1,20} \d{1,6}$/

/**
 * Reads what the sending side says: lines, and content behind those of files. Whether content follows depends on the
 * answer to the line, so what comes earlier waits for it.
 * @see OpenSSH's scp.c, source() and sink(); there is no specification
 */
export class Sender {
  readonly #events: SenderEvents
  readonly #line = new Line()
  #place: 'line' | 'content' | 'contentEnd' = 'line'
  #contentBytes = 0
  /** What the receiver must answer before more is read. The receiver speaks first. */
  #said: Said | null = 'start'
  #deferred: Buffer[] = []
  #deferredBytes = 0

  constructor(events: SenderEvents) {
    this.#events = events
  }

  get awaitsAnswer(): boolean {
    return this.#said !== null
  }

  get hasDeferred(): boolean {
    return this.#deferredBytes > 0
  }

  held(): readonly Buffer[] {
    return [...this.#line.parts, ...this.#deferred]
  }

  feed(bytes: Buffer): void {
    const end = this.#said === null && this.#deferredBytes === 0 ? this.#read(bytes) : 0
    if (end < bytes.length) this.#defer(bytes.subarray(end))
  }

  /** Only while `awaitsAnswer`. @returns what was answered. */
  answered(answer: Answer): Said {
    const said = this.#said!
    this.#said = null
    if (said === 'file' && answer.isOk) this.#place = this.#contentBytes > 0 ? 'content' : 'contentEnd'
    return said
  }

  /** After `answered`: reads what waited. */
  resume(): void {
    while (this.#said === null && this.#deferredBytes > 0) {
      const next = this.#deferred[0]!
      const end = this.#read(next)
      if (end < next.length) this.#deferred[0] = next.subarray(end)
      else this.#deferred.shift()
      this.#deferredBytes -= end
    }
  }

  #defer(bytes: Buffer): void {
    this.#deferredBytes += bytes.length
    if (this.#deferredBytes > deferredBytesMax) throw new NotUnderstood('The sender of SCP does not wait for answers.')
    const last = this.#deferred.at(-1)
    // Many small pieces would cost more than their bytes.
    if (last !== undefined && last.length + bytes.length < 4096) {
      this.#deferred[this.#deferred.length - 1] = Buffer.concat([last, bytes])
    } else this.#deferred.push(Buffer.from(bytes))
  }

  /** @returns how far, until an answer is needed. */
  #read(bytes: Buffer): number {
    let at = 0
    while (at < bytes.length && this.#said === null) at = this.#readOne(bytes, at)
    return at
  }

  /** @returns how far it read. */
  #readOne(bytes: Buffer, at: number): number {
    if (this.#place === 'content') return this.#readContent(bytes, at)
    if (this.#place === 'contentEnd' && bytes[at] === 0 && this.#line.parts.length === 0) {
      this.#fileEnd(undefined)
      return at + 1
    }
    const end = this.#line.add(bytes, at)
    if (end < 0) return bytes.length
    this.#readLine(this.#line.take())
    return end
  }

  #readContent(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#contentBytes)
    this.#contentBytes -= end - at
    this.#events.content(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end))
    if (this.#contentBytes === 0) this.#place = 'contentEnd'
    return end
  }

  #readLine(line: Buffer): void {
    const isError = isErrorMark(line[0])
    if (this.#place === 'contentEnd') {
      if (!isError) throw new NotUnderstood('The content of a file does not end as in SCP.')
      return this.#fileEnd(errorWords(line))
    }
    if (isError) return this.#events.error(errorWords(line))
    // latin1 keeps the bytes of names apart.
    const text = line.toString('latin1')
    if (text.startsWith('C')) this.#file(filePattern.exec(text))
    else if (text.startsWith('D')) this.#folder(folderPattern.exec(text))
    else if (text === 'E') this.#folderEnd()
    else if (timesPattern.test(text)) this.#said = 'times'
    else throw new NotUnderstood('This is no line of SCP.')
  }

  #file(match: RegExpExecArray | null): void {
    if (match === null) throw new NotUnderstood('A line of SCP announces no file.')
    this.#contentBytes = Number(match[1])
    this.#said = 'file'
    this.#events.file(nameOf(match))
  }

  #folder(match: RegExpExecArray | null): void {
    if (match === null) throw new NotUnderstood('A line of SCP announces no folder.')
    this.#said = 'folder'
    this.#events.folder(nameOf(match))
  }

  #folderEnd(): void {
    this.#said = 'folderEnd'
    this.#events.folderEnd()
  }

  #fileEnd(failure: string | undefined): void {
    this.#place = 'line'
    this.#said = 'fileEnd'
    this.#events.fileEnd(failure)
  }
}

function nameOf(match: RegExpExecArray): string {
  return shownText(Buffer.from(match[2]!, 'latin1'))
}
