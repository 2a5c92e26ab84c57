// Goal: a gateway that is away for a while ends nobody's wait, and a session that it ended, or that cannot be ended there,
// is told plainly. Method: the real CLI against a real gateway that restarts, or stands still.
import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { unreachable } from '../../src/cli/gateway-client.ts'
import { openCurfew, type Curfew } from '../clients/curfew.ts'
import { Program } from '../clients/program.ts'
import { startTestGateway, type Login, type TestGateway } from '../servers/gateway.ts'

let gateway: TestGateway
let curfew: Curfew
beforeAll(async () => {
  gateway = await startTestGateway()
  curfew = await openCurfew(gateway)
}, 60_000)
afterAll(async () => {
  await curfew?.[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

const sessionFile = (who: Login) => join(curfew.folder, who, 'curfew/session.json')
const timeout = 60_000

test('who waits for a decision goes on waiting while the gateway restarts', { timeout }, async () => {
  await using waiting = await curfew.start('alice', 'request', 'prod-db', 'readonly', '--reason', 'why', '--wait')
  const [id] = await waiting.until(/request-\w+/)
  const back = await gateway.away()
  await waiting.until(/curfew: cannot reach .*\n {2}Trying again for 5 min /)
  await back()
  expect(await curfew.run('bob', 'approve', id)).toMatchObject({ status: 0 })
  const { status, stdout } = await waiting.exited()
  expect([status, stdout]).toEqual([0, expect.stringContaining('is approved until 20')])
})

test('so does who follows the audit log; nothing is left out', { timeout }, async () => {
  await using following = await curfew.start('sam', 'audit', 'tail', '--follow', '--lines', '1')
  await following.until(/\d+ 20\d\d-/)
  const back = await gateway.away()
  await following.until(/curfew: cannot reach /)
  await back()
  await following.until(/gateway\.stopped[^]*gateway\.started/)
})

test('and who is on the page of a sign-in', { timeout }, async () => {
  const main = join(import.meta.dirname, '../../src/main.ts')
  const words = ['login', '--gateway', gateway.url.href, '--ca', gateway.caFile]
  const env = { XDG_CONFIG_HOME: join(curfew.folder, 'carol') }
  await using program = new Program(process.execPath, [main, ...words], { env })
  const [link] = await program.until(/https:\/\/\S+\/s\/\S+/)
  const visitor = await gateway.visitor('carol')
  const back = await gateway.away()
  await program.until(/curfew: cannot reach /)
  await back()
  await visitor.open(new URL(link), 'carol')
  await visitor.post(new URL(link), { answer: 'confirm' })
  expect(await program.exited()).toMatchObject({ status: 0, stdout: expect.stringMatching(/^You are carol@/) })
})

test('a session that the gateway ended leads to a new one, and logout forgets it', { timeout }, async () => {
  await curfew.login('dave')
  const text = await readFile(sessionFile('dave'), 'utf8')
  expect(await curfew.run('dave', 'logout')).toMatchObject({ status: 0 })
  await writeFile(sessionFile('dave'), text, { mode: 0o600 })
  const refused = await curfew.run('dave', 'token', 'create')
  expect([refused.status, refused.stderr]).toEqual([
    1,
    `curfew: the gateway takes your session no longer: it was ended there\n  Log in again: curfew login --gateway ${gateway.url.origin}\n`,
  ])
  const { status, stdout } = await curfew.run('dave', 'logout')
  expect([status, stdout]).toEqual([0, expect.stringMatching(/was over; it is forgotten here, too\.\n$/)])
  await expect(readFile(sessionFile('dave'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('logout without the gateway forgets, and says what still stands there', { timeout }, async () => {
  await rm(sessionFile('dave'), { force: true })
  await curfew.login('olga')
  const back = await gateway.away()
  const { status, stderr } = await curfew.run('olga', 'logout')
  await back()
  expect([status, stderr]).toEqual([
    1,
    expect.stringMatching(
      /^curfew: your session is forgotten here, but stands at https:\S+ until 20\S+ \S+ UTC: cannot reach .*\n {2}End it there: https:\S+\/sign-ins\n$/,
    ),
  ])
  await expect(readFile(sessionFile('olga'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('what takes too long is said in words', async () => {
  const signal = AbortSignal.timeout(1)
  await once(signal, 'abort')
  expect(unreachable('https://gw.example.com', signal.reason).message).toBe(
    'cannot reach https://gw.example.com: it does not answer in time',
  )
})
