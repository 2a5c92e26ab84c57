import { isAscii, isUtf8 } from 'node:buffer'
import { fromClient } from '../messages.ts'
import { isAmbiguous, type ReadAs } from './backslashes.ts'
import type { Reading } from './facts.ts'
import { functionByNumber, kindsOfFunction } from './kinds.ts'
import type { StatementReader } from './reader.ts'

/** A message that wants something executed, and what it does. */
export interface ReadMessage {
  /** Its SQL, as far as it has one. */
  readonly text: string
  readonly reading: Reading | Promise<Reading>
}

const headerBytes = 5

/** @param message a whole Query, Parse or FunctionCall. */
export function readMessage(message: Buffer, reader: StatementReader, readAs: ReadAs): ReadMessage {
  if (message[0] === fromClient.functionCall) return readCall(message)
  const from = message[0] === fromClient.parse ? message.indexOf(0, headerBytes) + 1 : headerBytes
  const end = from === 0 ? -1 : message.indexOf(0, from)
  if (end < 0) return { text: '', reading: unreadable('it does not end') }
  const bytes = message.subarray(from, end)
  const text = textOf(bytes)
  if (isAmbiguous(text, isAscii(bytes), readAs)) {
    return {
      text,
      reading: unreadable('a backslash stands before a quote, and it is not sure how the server reads that'),
    }
  }
  return { text, reading: reader.read(text) }
}

/** Of one that is too long to be held. */
export function readLong(beginning: Buffer, bytesMax: number): ReadMessage {
  const text = textOf(beginning.subarray(headerBytes, headerBytes + 4096))
  return { text: text.replaceAll('\0', ' ').trim(), reading: unreadable(`it is longer than ${bytesMax} bytes`) }
}

/** What is not UTF-8 is a client's other encoding: the letters are wrong then, but not what is between them. */
function textOf(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1')
}

/** @see PostgreSQL manual, "Function Call": the number of the function comes first */
function readCall(message: Buffer): ReadMessage {
  const number = message.length >= headerBytes + 4 ? message.readUInt32BE(headerBytes) : 0
  const name = functionByNumber.get(number)
  const text = `call of function ${number}${name === undefined ? '' : ` (${name})`}`
  if (name === undefined) return { text, reading: unreadable('it calls a function by a number that nobody knows here') }
  const doings = (['function-call', ...kindsOfFunction(name)] as const).map((kind) => ({
    ...{ kind, table: null, whereMissing: false },
  }))
  return { text, reading: { statements: [{ doings, functions: [{ schema: 'pg_catalog', name }], attributes: [] }] } }
}

function unreadable(unparsable: string): Reading {
  return { unparsable, isSyntax: false }
}
