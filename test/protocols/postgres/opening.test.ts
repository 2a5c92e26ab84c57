/** The target is reached while a session's start is still being written. Nothing passes before it is. */
import { connect as connectTls } from 'node:tls'
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { Fault } from '../../../src/kernel/fault.ts'
import { query } from '../../../src/protocols/postgres/messages.ts'
import { startupMessage } from '../../../src/protocols/postgres/startup.ts'
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts'
import { openStage, type Stage } from './stage.ts'

let postgres: TestPostgres
let stage: Stage
let held: PromiseWithResolvers<void>
beforeAll(async () => {
  postgres = await startPostgres()
  stage = await openStage(postgres)
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})
beforeEach(() => {
  stage.gate.held = held = Promise.withResolvers<void>()
})
afterEach(() => {
  held.resolve()
  stage.gate.held = undefined
})

const atTarget = (count: number) => postgres.untilSessions({ usename: 'shop_readonly' }, count)

test('a statement waits until the start is written, and passes then', async () => {
  const psql = stage.psql(['-At', '-c', 'select 42'])
  await atTarget(1)
  expect(psql.out).toBe('')
  expect(stage.gate.last.recorder.of('q')).toEqual([])
  held.resolve()
  await psql.exited
  expect(psql.out).toBe('42\n')
  expect(await stage.gate.last.ended.promise).toMatchObject({ by: 'client' })
  await atTarget(0)
})

test('a client that does not wait for "ready" is not heard before', async () => {
  const options = { ALPNProtocols: ['postgresql'], ca: stage.ca, servername: 'localhost' }
  const socket = connectTls({ host: '127.0.0.1', port: stage.port, ...options })
  await once(socket, 'secureConnect')
  const startup = startupMessage([
    ['user', 'admin'],
    ['database', 'shop'],
  ])
  socket.write(Buffer.concat([startup, query('create table heard_too_early ()')]))
  await postgres.untilSessions({ usename: 'shop_admin' }, 1)
  socket.destroy()
  await postgres.untilSessions({ usename: 'shop_admin' }, 0)
  held.resolve()
  expect(await stage.gate.last.ended.promise).toMatchObject({ by: 'client', bytesFromClient: 0 })
  const shop = await postgres.connect('shop')
  const { rows } = await shop.query("select count(*)::int from pg_class where relname = 'heard_too_early'")
  await shop.end()
  expect(rows).toEqual([{ count: 0 }])
})

test('when the recording fails, the client reads why and the target is left again', async () => {
  const psql = stage.psql(['-c', 'select 42'])
  await atTarget(1)
  const fault = new Fault('RECORDING_FAILED', 'The recording cannot be written.')
  stage.gate.last.controller.abort(fault)
  held.reject(fault)
  expect(await psql.exited).toBe(2)
  expect(psql.err).toContain('The recording cannot be written.')
  await atTarget(0)
  expect(stage.gate.last.ends).toEqual([])
})

test('a cut is told before the start is written', async () => {
  const psql = stage.psql(['-c', 'select 42'])
  await atTarget(1)
  stage.gate.last.cut('GRANT_REVOKED')
  expect(await psql.exited).toBe(2)
  expect(psql.err).toContain('Your access to shop has ended.')
  expect(stage.gate.last.toldAfterMs).toBeGreaterThanOrEqual(0)
  await atTarget(0)
  const { cutOff } = stage.gate.last
  held.reject(cutOff.reason)
})

test('a target that refuses is told at once, and is a session all the same', async () => {
  const psql = stage.psql(['-c', 'select 42'], 'readonly', "options='-c no_such_setting=1'")
  expect(await psql.exited).toBe(2)
  expect(psql.err).toContain('no_such_setting')
  expect(stage.gate.last.ends).toEqual([])
  held.resolve()
  expect(await stage.gate.last.ended.promise).toMatchObject({ by: 'target', error: { code: 'UPSTREAM_REFUSED' } })
  await atTarget(0)
})

test('a client that hangs up meanwhile leaves nothing', async () => {
  const psql = stage.psql(['-c', 'select 42'])
  await atTarget(1)
  psql.process.kill('SIGKILL')
  await atTarget(0)
  held.resolve()
  expect(await stage.gate.last.ended.promise).toMatchObject({ by: 'client' })
})
