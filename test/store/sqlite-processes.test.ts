import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Change } from '../../src/kernel/change.ts'
import type { SessionId } from '../../src/kernel/ids.ts'
import { everyEvent, firstBroken } from '../contracts/chain.ts'
import { storeGrant, storePerson, storeRequest } from '../contracts/samples.ts'
import { makeSqlitePlace } from './place.ts'

type Child = ChildProcessByStdio<Writable, Readable, null>

// Goal: two processes on one file cannot both approve. Method: each wants all the requests at the same moment.
test('of two processes that approve at once, one wins each request', async () => {
  await using place = await makeSqlitePlace()
  const state = await place.open()
  const heard: Change[] = []
  using _listening = state.changes.subscribe((change) => heard.push(change))
  const erin = await storePerson(state)
  const approvers = [await storePerson(state), await storePerson(state)]
  const requests = await Promise.all(Array.from({ length: 20 }, () => storeRequest(state, erin.id)))
  const ids = requests.map(({ id }) => id)
  const children = approvers.map(({ id }) =>
    start(new URL('./approving-process.ts', import.meta.url), place.folder, id, ...ids),
  )
  const outputs = children.map(linesOf)
  for (const output of outputs) expect((await output.next()).value).toBe('ready')
  for (const child of children) child.stdin.write('go\n')
  const outcomes = await Promise.all(outputs.map((output) => Array.fromAsync(output)))
  const lines = outcomes.flat()
  expect(lines).toHaveLength(40)
  const won = lines.filter((line) => line.endsWith(' won')).map((line) => line.split(' ')[0])
  expect(won).toHaveLength(20)
  expect(new Set(won)).toEqual(new Set(ids))
  expect(await state.access.livingGrants()).toHaveLength(20)
  for (const { id } of requests) expect(await state.access.decisionsOn(id)).toHaveLength(1)
  const events = await everyEvent(state.audit)
  expect(events).toHaveLength(20)
  expect(firstBroken(events)).toBeUndefined()
  await expect.poll(() => (place.clock.pass(1000), heard.length)).toBe(20)
})

// Goal: acknowledged is durable. Method: a process says what was acknowledged, and is
// killed right behind such a word, in the middle of many transactions; again and again.
test('kill -9 loses nothing that was acknowledged, and the audit chain holds', async () => {
  await using place = await makeSqlitePlace()
  const first = await place.open()
  const grant = await storeGrant(first, (await storePerson(first)).id)
  await first[Symbol.asyncDispose]()
  const acknowledged: SessionId[] = []
  for (const count of [1, 40, 300, 1000]) {
    acknowledged.push(...(await writeUntilKilled(place.folder, grant.id, count)))
    const state = await place.open()
    const events = await everyEvent(state.audit)
    expect(firstBroken(events)).toBeUndefined()
    const recorded = new Set(events.map(({ json }) => (JSON.parse(json) as { data: { session: string } }).data.session))
    const rows = await state.sessions.sessions({ limit: 1_000_000 })
    const stored = new Set(rows.map(({ session }) => session.id))
    expect(acknowledged.filter((id) => !stored.has(id) || !recorded.has(id))).toEqual([])
    expect(recorded).toEqual(stored)
    await state[Symbol.asyncDispose]()
  }
})

async function writeUntilKilled(folder: string, grant: string, count: number): Promise<SessionId[]> {
  const child = start(new URL('./writing-process.ts', import.meta.url), folder, grant, `${count}`)
  const ids = await Array.fromAsync(linesOf(child), (line) => line as SessionId)
  if (child.signalCode === null && child.exitCode === null) await once(child, 'exit')
  expect(child.signalCode).toBe('SIGKILL')
  expect(ids).toHaveLength(count)
  return ids
}

function start(script: URL, ...words: readonly string[]): Child {
  return spawn(process.execPath, [fileURLToPath(script), ...words], { stdio: ['pipe', 'pipe', 'inherit'] })
}

/** Whole lines only; one that a kill cut short was not acknowledged. */
async function* linesOf({ stdout }: Child): AsyncGenerator<string, undefined> {
  for await (const line of createInterface({ input: stdout })) {
    if (/^(?:ready|request-\S+ .+|session-[a-z2-7]{16})$/.test(line)) yield line
  }
  return undefined
}
