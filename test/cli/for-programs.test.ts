// Goal: what the CLI prints for programs is whole and harmless, whatever a gateway answers. Method: the real CLI, and in
// place of the gateway a server that answers what a gateway answers seldom.
import { once } from 'node:events'
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Program } from '../clients/program.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

interface Ran {
  readonly status: number | null
  readonly stdout: string
}

async function ask(answer: (path: string) => object, ...words: string[]): Promise<Ran> {
  const server = createServer(({ url = '' }, response) => response.end(JSON.stringify(answer(url))))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  await using home = await mkdtempDisposable(join(tmpdir(), 'curfew-cli-'))
  const gateway = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const session = { gateway, ca: null, token: 'x', person: 'sam', expiresAt: '2999-01-01T00:00:00Z' }
  await mkdir(join(home.path, 'curfew'))
  await writeFile(join(home.path, 'curfew/session.json'), JSON.stringify(session), { mode: 0o600 })
  await using program = new Program(process.execPath, [main, ...words], { env: { XDG_CONFIG_HOME: home.path } })
  const ran = await program.exited()
  server.close()
  return ran
}

const event = { sequence: 1, json: '{}', previous: '', hash: 'h' }
const head = { sequence: 1, hash: 'h' }

// A checkpoint is signed for an event that came between the last page and the question for checkpoints.
test('an export ends with the checkpoints of the events that it holds', async () => {
  const checkpoints = [1, 2].map((sequence) => ({ sequence, jws: 'a.b.c' }))
  const answer = (path: string) => {
    if (path.endsWith('/checkpoints')) return { checkpoints }
    return { events: path.includes('after=1') ? [] : [event], head }
  }
  const { status, stdout } = await ask(answer, 'audit', 'tail', '--lines', '0', '--json')
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object)
  expect([status, lines]).toEqual([0, [event, checkpoints[0]]])
})

// Terminals take U+009B for the beginning of a sequence, and JSON leaves it as it is.
test('a report in JSON brings nothing to the terminal', async () => {
  const rows = [{ what: 'a\u009b2J\u202e' }]
  const columns = [{ key: 'what', head: 'What', kind: 'text' }]
  const head = { name: 'x', title: 'X', says: 'x', days: 1, madeAt: '2026-11-23T00:00:00.000Z', isCut: false }
  const { status, stdout } = await ask(() => ({ ...head, columns, rows }), 'report', 'x', '--json')
  expect([status, JSON.parse(stdout)]).toMatchObject([0, { rows }])
  expect(stdout).toMatch(/^[ -~]*\n$/)
})
