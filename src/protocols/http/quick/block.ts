import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Basis } from './basis.ts'
import { readPlainFields, type PlainFields, type PlainHead } from './plain-head.ts'

/** Different ones that a client sends in turn over one connection. */
const blocksMax = 8

/** A block of header lines that was read, and what it was found to mean. */
export class Block {
  readonly text: string
  readonly fields: PlainFields
  /** Without its port. */
  readonly hostName: string
  /** Null: requests with it never go the quick way. Undefined: nobody has looked yet. */
  basis: Basis | null | undefined = undefined

  constructor(text: string, fields: PlainFields) {
    this.text = text
    this.fields = fields
    this.hostName = fields.host.split(':', 1)[0]!
  }
}

/** The blocks of requests that went the quick way lately over one connection. */
export class Blocks {
  /** Used last comes first. */
  #known: readonly Block[] = []

  /** It is not kept by that. @returns undefined when it is not a plain one. */
  find(text: string): Block | undefined {
    const first = this.#known[0]
    if (first?.text === text) return first
    return this.#known.find((known) => known.text === text) ?? read(text)
  }

  /** For what went the quick way: whoever is nobody, and may hold thousands of connections, has nothing kept. */
  keep(block: Block): void {
    if (this.#known[0] === block) return
    this.#known = [block, ...this.#known.filter((known) => known !== block)].slice(0, blocksMax)
  }
}

function read(text: string): Block | undefined {
  // A copy, as the text is a part of a longer one, which would be kept with it and with each of its fields.
  const own = Buffer.from(text, 'latin1').toString('latin1')
  const fields = readPlainFields(own)
  return fields === undefined ? undefined : new Block(own, fields)
}

/** The request as Node's parser would have made it. */
export function requestOf({ method, path }: PlainHead, { fields }: Block, socket: Socket): IncomingMessage {
  const request = new IncomingMessage(socket)
  request.httpVersion = '1.1'
  request.httpVersionMajor = 1
  request.httpVersionMinor = 1
  request.method = method
  request.url = path
  request.rawHeaders = [...fields.rawHeaders]
  request.headers = { ...fields.byName }
  request.complete = true
  request.push(null)
  return request
}
