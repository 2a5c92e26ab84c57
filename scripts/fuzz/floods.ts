import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { cstring, int32, query } from '../../src/protocols/postgres/messages.ts'
import { sslRequest, startupMessage } from '../../src/protocols/postgres/startup.ts'
import { Answers } from './answers.ts'
import type { Scene } from './cases.ts'
import { honest } from './mutate.ts'

/** Much of one kind, by somebody who has signed in. Each ends when the target has answered all of it, or hung up. */
export const floods: Readonly<Record<string, () => Iterable<Buffer>>> = {
  'a million Syncs': () => times(250, Buffer.concat(Array<Buffer>(4000).fill(sync))),
  'queries of nothing': () => times(50, Buffer.concat(Array<Buffer>(2000).fill(query('')))),
  'a statement in single bytes': () => pieces(query(`select '${'x'.repeat(200_000)}'`), 1),
  'a statement of a megabyte': () => times(8, query(`select '${'password '.repeat(100_000)}'`)),
  'a megabyte of strings': () => times(8, query(`select password, ${"'a',".repeat(250_000)}1`)),
  'a megabyte of addresses': () => times(8, query(`select '${'://a:'.repeat(200_000)}'`)),
  'formats without end': () => [parse('selec'), ...times(1500, Buffer.concat([boundTo(0x7000), execute])), sync],
  'executions without an answer': () => [...times(20, Buffer.concat(Array<Buffer>(5000).fill(execute))), sync],
  'COPY data that nobody wants': () => times(50, Buffer.concat(Array<Buffer>(2000).fill(honest(0x64, cstring('x'))))),
  'names that change': () => [...named(20_000), sync],
  'the beginning of a gigabyte': () => [Buffer.from('510fffffff', 'hex'), ...times(200, Buffer.alloc(65_536, 'x'))],
}

const none = Buffer.alloc(0)
const sync = honest(0x53, none)
const execute = honest(0x45, Buffer.concat([cstring(''), int32(0)]))
const int16 = (value: number) => Buffer.from([(value >> 8) & 255, value & 255])
const parse = (sql: string, name = '') => honest(0x50, Buffer.concat([cstring(name), cstring(sql), int16(0)]))
const boundTo = (formats: number) =>
  honest(0x42, Buffer.concat([Buffer.alloc(6), int16(formats), Buffer.alloc(2 * formats)]))

function* times(count: number, bytes: Buffer): Generator<Buffer> {
  for (let done = 0; done < count; done++) yield bytes
}

function* pieces(bytes: Buffer, lengthBytes: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += lengthBytes) yield bytes.subarray(at, at + lengthBytes)
}

function* named(count: number): Generator<Buffer> {
  for (let index = 0; index < count; index += 100) {
    yield Buffer.concat(
      Array.from({ length: 100 }, (_, offset) => parse('select $1::int, $2::text', `name-${index + offset}`)),
    )
  }
}

const longestMs = 20_000

/** @returns how long it took. @throws Error when it was not let in: then nothing was tried. */
export async function flood(
  { ports, tokens }: Scene,
  chunks: Iterable<Buffer>,
  role: 'reporting' | 'guarded',
): Promise<number> {
  const begunMs = performance.now()
  const socket = connect({ port: ports.plaintext, host: '127.0.0.1', noDelay: true })
  const gone = once(socket, 'close')
  socket.on('error', () => undefined)
  const answers = new Answers(socket)
  const timer = setTimeout(() => socket.destroy(), longestMs)
  socket.write(
    startupMessage([
      ['user', `${role}.token`],
      ['database', 'prod-db'],
    ]),
  )
  socket.write(honest(0x70, cstring(tokens[role])))
  // Whoever floods before is refused at the door, and nothing of it is read.
  if (!(await answers.untilReady())) throw new Error('a flood was not let in')
  for (const chunk of chunks) {
    if (!socket.writable) break
    if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), gone]).catch(() => undefined)
  }
  socket.end(honest(0x58, none))
  await gone
  clearTimeout(timer)
  return performance.now() - begunMs
}

/** Connections that say one byte and nothing more (with none, those that the system had no room for would not notice), from many addresses of this machine, all there at once. @returns what the gateway said to them. */
export async function crowd(
  port: number,
  count: number,
  addresses: number,
): Promise<{ readonly fatal: number; readonly bare: number }> {
  const answers = await Promise.all(Array.from({ length: count }, (_, index) => silent(port, 2 + (index % addresses))))
  const fatal = answers.filter((answer) => answer[0] === 0x45).length
  return { fatal, bare: count - fatal }
}

async function silent(port: number, address: number): Promise<Buffer> {
  const socket: Socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${address}` })
  const chunks: Buffer[] = []
  socket.write(sslRequest.subarray(0, 1))
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined)
  await new Promise<void>((resolve) => socket.once('close', () => resolve()))
  return Buffer.concat(chunks)
}
