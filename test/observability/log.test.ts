import { execFileSync } from 'node:child_process'
import { constants } from 'node:fs'
import { mkdtempDisposable, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Fault } from '../../src/kernel/fault.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { createLog } from '../../src/observability/log.ts'
import { LogSink } from '../../src/observability/log-sink.ts'

function listen(level: 'debug' | 'info' | 'warn' | 'error' = 'debug') {
  const lines: string[] = []
  const log = createLog({ level, destination: { write: (line) => void lines.push(line) } })
  return { log, lines, last: () => JSON.parse(lines.at(-1)!) as Record<string, unknown> }
}

test('a line carries level, ISO time, fields of its parents and the message', () => {
  const { log, lines, last } = listen()
  log.child({ session: 'session-1' }).child({ requestId: 'r1' }).info({ port: 5432 }, 'connected')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/\n$/)
  expect(last()).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    session: 'session-1',
    requestId: 'r1',
    port: 5432,
    message: 'connected',
  })
})

test('lines below the level are not written', () => {
  const { log, lines } = listen('warn')
  log.info({}, 'quiet')
  log.warn({}, 'loud')
  expect(lines).toHaveLength(1)
})

// Goal: no way to hand a secret to the log prints it. Method: one value in every hiding place that we know.
test('secrets do not reach the log at any depth, nor through a child', () => {
  const { log, lines } = listen()
  const secret = 'hunter2'
  log.child({ clientSecret: secret }).error(
    {
      password: secret,
      headers: { Authorization: secret, cookie: secret, 'set-cookie': [secret] },
      a: { b: { c: [{ access_token: secret, refreshToken: secret }] } },
      wrapped: new Secret(secret),
      map: new Map([['token', secret]]),
      error: new Error('outer', { cause: Object.assign(new Error('inner'), { token: secret }) }),
    },
    'oops',
  )
  expect(lines.join('')).not.toContain(secret)
  expect(lines.join('')).toContain('[redacted]')
})

test('ids and counts with such names stay readable', () => {
  const { log, last } = listen()
  log.info({ tokenId: 'token-abc', tokens: 3, token: null }, 'made')
  expect(last()).toMatchObject({ tokenId: 'token-abc', tokens: 3, token: null })
})

test('errors carry name, code and causes; bugs their stack, faults not', () => {
  const { log, last } = listen()
  const cause = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' })
  log.error({ error: new Fault('UPSTREAM_UNREACHABLE', 'No answer.', { cause }) }, 'target')
  const { error } = last() as { error: Record<string, unknown> & { cause: Record<string, unknown> } }
  expect(error).toMatchObject({ name: 'Fault', code: 'UPSTREAM_UNREACHABLE', message: 'No answer.' })
  expect(error).not.toHaveProperty('stack')
  expect(error.cause).toMatchObject({ code: 'ECONNREFUSED', stack: expect.stringContaining('log.test.ts') })
})

test('what refers to itself, is huge or is binary is cut short', () => {
  const { log, lines, last } = listen()
  const loop: Record<string, unknown> = { bytes: new Uint8Array(9), many: Array.from({ length: 5000 }, () => 1) }
  loop['self'] = loop
  log.warn({ loop }, 'odd')
  expect(lines[0]!.length).toBeLessThan(5000)
  expect(last()).toMatchObject({ loop: { bytes: '[9 bytes]' } })
})

// A pipe that nobody reads stands for every log that cannot be written just now.
test('a log that is not read costs bounded memory, and says later how many lines are missing', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'curfew-log-'))
  const path = join(folder.path, 'pipe')
  execFileSync('mkfifo', [path])
  await using pipe = await open(path, constants.O_RDWR | constants.O_NONBLOCK)
  const sink = new LogSink(pipe.fd, (lines) => `missing ${lines}\n`, 1024 * 1024)
  const filler = 'x'.repeat(16 * 1024)
  for (let at = 0; at < 100; at += 1) sink.write(`${at} ${filler}\n`)
  // Its stream closes it.
  const read = (await open(path, constants.O_RDONLY)).createReadStream({ encoding: 'utf8' })
  let text = ''
  for await (const some of read as AsyncIterable<string>) if (/missing \d+\n/.test((text += some).slice(-100))) break
  const [missing] = /(?<=missing )\d+/.exec(text.slice(-100))!
  const heads = text.split('\n').map((line) => line.split(' ', 1)[0])
  const kept = 100 - Number(missing)
  expect(kept).toBeGreaterThan(60)
  expect(kept).toBeLessThan(75)
  expect(heads.slice(0, kept)).toEqual(Array.from({ length: kept }, (_, at) => String(at)))
  expect(heads[kept]).toBe('missing')
})
