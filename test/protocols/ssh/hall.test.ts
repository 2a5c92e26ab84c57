// Goal: one person cannot fill the gateway with connections that never become sessions.
// Method: the real ssh, in the menu of the whole gateway, with a small limit. Needs root, as sshd does.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PersonId } from '../../../src/kernel/ids.ts'
import { Hall } from '../../../src/protocols/ssh/hall.ts'
import { Program } from '../../clients/program.ts'
import { startSshTestGateway, type SshTestGateway } from '../../servers/ssh-gateway.ts'

const isRoot = process.getuid?.() === 0

test('counts each person alone, and each leaving once', () => {
  const [alice, bob] = ['person-a', 'person-b'] as unknown as [PersonId, PersonId]
  const hall = new Hall(2)
  const first = hall.enter(alice)
  hall.enter(alice)
  expect(() => hall.enter(alice)).toThrow('2 connections of yours')
  hall.enter(bob)
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  hall.enter(alice)
  expect(() => hall.enter(alice)).toThrow('2 connections of yours')
})

describe.runIf(isRoot)('in the menu (needs root, as sshd does)', () => {
  const stack = new AsyncDisposableStack()
  let gateway: SshTestGateway
  beforeAll(async () => {
    const configure = (config: { limits?: unknown }) => void (config.limits = { sessionsPerPerson: 3 })
    gateway = stack.use(await startSshTestGateway({ configure }))
  }, 60_000)
  afterAll(() => stack.disposeAsync())

  const visit = async (...words: readonly string[]) =>
    new Program('ssh', [...(await gateway.sshOptions()), '-p', `${gateway.sshPort}`, '-v', 'menu@localhost', ...words])

  test('one person has so many connections as may have sessions, and sessions are counted apart', async () => {
    await using stay = new AsyncDisposableStack()
    const inside = await Promise.all([visit('-N'), visit('-N'), visit('-N')])
    for (const program of inside) stay.use(program)
    await Promise.all(inside.map((program) => program.until(/Entering interactive session/)))
    await using late = await visit('whoami')
    const { status, stderr } = await late.exited()
    expect(status).toBe(255)
    expect(stderr).toContain('3 connections of yours have no session yet')
    inside[0].kill('SIGTERM')
    await inside[0].exited()
    await gateway.sshGrant('alice', 'open')
    for (let count = 0; count < 4; count++) {
      await using session = await gateway.ssh('open', ['true'])
      expect((await session.exited()).status).toBe(0)
    }
  })
})
