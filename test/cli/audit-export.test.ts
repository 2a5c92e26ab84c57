// Goal: an export holds together whatever happens while it is made. Method: the real CLI, and in place of the gateway a
// server that signs a checkpoint for an event between the last page and the question for checkpoints.
import { once } from 'node:events'
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Program } from '../clients/program.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const event = { sequence: 1, json: '{}', previous: '', hash: 'h' }
const answers = {
  '/api/v1/audit': { events: [event], head: { sequence: 1, hash: 'h' } },
  '/api/v1/audit/checkpoints': { checkpoints: [1, 2].map((sequence) => ({ sequence, jws: 'a.b.c' })) },
}

test('an export ends with the checkpoints of the events that it holds', async () => {
  const server = createServer(({ url = '' }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://gateway')
    const answer = searchParams.get('after') === '1' ? { ...answers['/api/v1/audit'], events: [] } : undefined
    response.end(JSON.stringify(answer ?? answers[pathname as keyof typeof answers]))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  await using home = await mkdtempDisposable(join(tmpdir(), 'curfew-cli-'))
  const gateway = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const session = { gateway, ca: null, token: 'x', person: 'sam', expiresAt: '2999-01-01T00:00:00Z' }
  await mkdir(join(home.path, 'curfew'))
  await writeFile(join(home.path, 'curfew/session.json'), JSON.stringify(session), { mode: 0o600 })
  await using program = new Program(process.execPath, [main, 'audit', 'tail', '--lines', '0', '--json'], {
    env: { XDG_CONFIG_HOME: home.path },
  })
  const { status, stdout } = await program.exited()
  server.close()
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object)
  expect([status, lines]).toEqual([0, [event, { sequence: 1, jws: 'a.b.c' }]])
})
