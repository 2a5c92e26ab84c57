import { createHash, createPublicKey, randomBytes, verify as verifySignature } from 'node:crypto'
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import type { JWK } from 'jose'
import { expect, test } from 'vitest'
import { compressLines, decompressLines } from '../../src/recording/compression.ts'
import { decodeLine, decodeLines, encodeLine } from '../../src/recording/format.ts'
import { readHttpEvent } from '../../src/recording/http-event-shapes.ts'
import { httpCodes } from '../../src/recording/http-events.ts'
import { postgresCodes } from '../../src/recording/postgres-events.ts'
import { verifySource } from '../../src/recording/verify.ts'
import { openSigningKey } from '../../src/recording/keys.ts'
import { sshCodes } from '../../src/recording/ssh-events.ts'
import { bytesAt, sshHeader, sshSession } from './ssh-example.ts'
import { memorySource, recordInMemory, temporaryFolder } from './support.ts'

const run = promisify(execFile)

const page = await readFile(path.join(import.meta.dirname, '../../docs/recording-format.md'), 'utf8')
const example = Buffer.from(
  [...page.matchAll(/^[0-9a-f]{4} {2}((?:[0-9a-f]{2} ){0,15}[0-9a-f]{2})/gm)]
    .map(([, hex]) => hex!.replaceAll(' ', ''))
    .join(''),
  'hex',
)
const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()

// Goal: the page alone is enough to write a reader. Method: one that uses nothing of Curfew.
test('the worked example of docs/recording-format.md is what the page says', () => {
  expect(example.toString('latin1', 0, 8)).toBe('CURFEW1\n')
  const headerEnd = 13 + example.readUInt32BE(9)
  expect(JSON.parse(example.toString('utf8', 13, headerEnd))).toMatchObject({ session: 'session-1', format: 1 })
  const chain0 = sha256(example.subarray(0, headerEnd))
  expect(page).toContain(chain0.toString('hex'))

  const segment = example.subarray(headerEnd, headerEnd + 5 + example.readUInt32BE(headerEnd + 1))
  const lines = segment.subarray(97)
  expect(segment.subarray(33, 65)).toEqual(sha256(lines))
  expect(segment.subarray(65, 97)).toEqual(sha256(chain0, segment.subarray(0, 33), sha256(lines)))
  for (const line of zstdDecompressSync(lines).toString().trimEnd().split('\n')) expect(page).toContain(`  ${line}\n`)

  const jwsEnd = example.length - 4
  const [protectedHeader, payload, signature] = example
    .toString('latin1', jwsEnd - example.readUInt32BE(jwsEnd), jwsEnd)
    .split('.') as [string, string, string]
  const { jwk, kid } = JSON.parse(Buffer.from(protectedHeader, 'base64url').toString()) as { jwk: JWK; kid: string }
  expect(page).toContain(kid)
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  const signed = Buffer.from(`${protectedHeader}.${payload}`)
  expect(verifySignature(null, signed, key, Buffer.from(signature, 'base64url'))).toBe(true)
  const { chain } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { chain: string }
  expect(chain).toBe(segment.toString('hex', 65, 97))
})

test('Curfew agrees that the worked example is sealed', async () => {
  expect(await verifySource(memorySource(example), { keys: [] })).toMatchObject({
    state: 'sealed',
    events: 2,
    segments: 1,
  })
})

test.each([
  ['PostgreSQL', postgresCodes],
  ['SSH', sshCodes],
  ['HTTP', httpCodes],
])('docs/recording-format.md lists every code of %s sessions, and no others', (name, codes) => {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${name} sessions\n`)) ?? ''
  const listed = [...section.matchAll(/^\| `(\+|=?\w+)` +\| ([\w ]*\w) +\|/gm)]
  expect(Object.fromEntries(listed.map(([, code, what]) => [code, what]))).toEqual(codes)
})

test('the example of an HTTP session on the page is what Curfew reads', () => {
  const lines = /the gate cuts off:\n\n```\n([^]*?)```/.exec(page)?.[1] ?? ''
  const events = [...decodeLines(Buffer.from(lines), (what) => new Error(what))]
  expect(events.map(({ code }) => code)).toEqual(['q', 's', '=b', 'a', 'q', 'a', 'q', 'u', 'w', 'm', 'a'])
  for (const event of events) expect(readHttpEvent(event), event.code).toMatchObject({ code: event.code })
})

// Goal: the page's reader for other languages reads what Curfew writes. Method: run it.
const python = await whyNoPython()
test(`the Python reader of docs/recording-format.md shows a channel exactly${python}`, async (context) => {
  if (python !== '') return context.skip()
  await using folder = await temporaryFolder()
  const reader = /^```python\n([^]*?)^```/m.exec(page)?.[1] ?? ''
  await writeFile(path.join(folder.path, 'reader.py'), reader)
  const random = randomBytes(200_000)
  const events = [...sshSession, bytesAt(100, '=o', 3, random)]
  const file = await recordInMemory(await openSigningKey(folder.path), events, { header: sshHeader, segmentBytes: 500 })
  await writeFile(path.join(folder.path, 'session.curfew'), file)
  const { stdout } = await run('python3', ['reader.py', 'session.curfew', '3'], {
    cwd: folder.path,
    encoding: 'buffer',
  })
  expect(stdout.equals(Buffer.concat([Buffer.from('one\ntwo\r\nerror: three\n'), random]))).toBe(true)
})

async function whyNoPython(): Promise<string> {
  return run('python3', ['-c', 'import zstandard']).then(
    () => '',
    () => ' (cannot run: needs Python with zstandard)',
  )
}

test('a line is read as it was written, to the microsecond', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 40), fc.string(), fc.jsonValue(), (us, code, value) => {
      const data = JSON.parse(JSON.stringify(value)) as unknown
      const line = encodeLine(us, code, data)
      expect(line.indexOf('\n')).toBe(line.length - 1)
      const event = decodeLine(line)
      expect(event).toEqual({ seconds: us / 1e6, code, data })
      expect(Math.round(event!.seconds * 1e6)).toBe(us)
    }),
  )
})

test('lines that are not events, and lengths that lie, are not taken', () => {
  for (const line of ['', '{}', '[1]', '["1","q",{}]', '[1,2,3]', '[1,"q",{},4]', '[1,"q"']) {
    expect(decodeLine(line)).toBeUndefined()
  }
  const payload = compressLines(Buffer.from('hello'))
  expect(decompressLines(payload, 5)?.toString()).toBe('hello')
  for (const rawBytes of [0, 4, 6, 2 ** 32 - 1]) expect(decompressLines(payload, rawBytes)).toBeUndefined()
  expect(decompressLines(payload.subarray(0, -1), 5)).toBeUndefined()
})
