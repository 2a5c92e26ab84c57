import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { canonicalJson, chainInput, chainStart } from '../../src/audit/chain.ts'
import { checkpointType, startCheckpoints } from '../../src/audit/checkpoints.ts'
import { auditEvent, theGateway } from '../../src/audit/event.ts'
import type { AuditStore, ChainedEvent, Checkpoint } from '../../src/audit/store.ts'
import { verifyAudit } from '../../src/audit/verify.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { openSigningKey, type SigningKey } from '../../src/recording/keys.ts'
import { systemClock } from '../../src/system.ts'
import { silentLog, temporaryFolder } from '../recording/support.ts'

let key: SigningKey
beforeAll(async () => {
  await using folder = await temporaryFolder()
  key = await openSigningKey(folder.path)
})

function chainOf(count: number): ChainedEvent[] {
  const chain: ChainedEvent[] = []
  for (let sequence = 1; sequence <= count; sequence++) {
    const previous = chain.at(-1)?.hash ?? chainStart
    const json = canonicalJson(auditEvent('audit.read', sequence as Instant, theGateway, { sequence }))
    chain.push({ sequence, json, previous, hash: hashOf(previous, sequence, json) })
  }
  return chain
}
const hashOf = (previous: string, sequence: number, json: string) =>
  createHash('sha256')
    .update(chainInput(previous, sequence, json))
    .digest('hex')

async function checkpointAt(chain: readonly ChainedEvent[], sequence: number, by = key): Promise<Checkpoint> {
  const { hash } = chain[sequence - 1]!
  return { sequence, jws: await by.sign(checkpointType, { sequence, hash, at: 1 }) }
}
async function* each(chain: readonly ChainedEvent[]) {
  yield* chain
}
const verify = (chain: readonly ChainedEvent[], checkpoints: readonly Checkpoint[] = []) =>
  verifyAudit(each(chain), checkpoints, key.publicKeys())

test('an unchanged log verifies, and says how far it is signed', async () => {
  const chain = chainOf(10)
  const checkpoints = [await checkpointAt(chain, 4), await checkpointAt(chain, 8)]
  expect(await verify(chain, checkpoints)).toMatchObject({ ok: true, events: 10, checkpoints: 2, signedUpTo: 8 })
  expect(await verify([])).toMatchObject({ ok: true, events: 0, head: { sequence: 0, hash: chainStart } })
})

test('any event that is changed, left out or moved is named', async () => {
  const chain = chainOf(12)
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 10 }),
      fc.constantFrom('json', 'hash', 'drop', 'swap'),
      async (index, how) => {
        const changed = [...chain]
        const event = chain[index]!
        if (how === 'json') changed[index] = { ...event, json: event.json.replace('audit', 'Audit') }
        if (how === 'hash') changed[index] = { ...event, hash: hashOf(event.previous, 0, '') }
        if (how === 'drop') changed.splice(index, 1)
        if (how === 'swap') changed.splice(index, 2, chain[index + 1]!, event)
        expect(await verify(changed)).toMatchObject({ ok: false, events: index, broken: { sequence: index + 1 } })
      },
    ),
  )
})

test('a log that was rewritten whole is found out by its checkpoint', async () => {
  const chain = chainOf(6)
  const checkpoint = await checkpointAt(chain, 5)
  const rewritten: ChainedEvent[] = []
  for (const { sequence, json } of chain) {
    const previous = rewritten.at(-1)?.hash ?? chainStart
    const other = json.replace('audit.read', 'lock.lifted')
    rewritten.push({ sequence, json: other, previous, hash: hashOf(previous, sequence, other) })
  }
  expect(await verify(rewritten)).toMatchObject({ ok: true })
  expect(await verify(rewritten, [checkpoint])).toMatchObject({ ok: false, events: 5, broken: { sequence: 5 } })
})

test('a log cut off below a checkpoint, and a checkpoint of a stranger, are broken', async () => {
  const chain = chainOf(6)
  const checkpoint = await checkpointAt(chain, 5)
  expect(await verify(chain.slice(0, 3), [checkpoint])).toMatchObject({ ok: false, events: 3, broken: { sequence: 4 } })
  await using folder = await temporaryFolder()
  const stranger = await openSigningKey(folder.path)
  const forged = await checkpointAt(chain, 5, stranger)
  expect(await verify(chain, [forged])).toMatchObject({ ok: false, broken: { sequence: 5 } })
  const renamed = { ...checkpoint, sequence: 6 }
  expect(await verify(chain, [renamed])).toMatchObject({ ok: false, broken: { sequence: 6 } })
})

test('checkpoints are signed now and then, and at the end, when the head has moved', async () => {
  const chain = chainOf(9)
  const kept: Checkpoint[] = []
  let length = 3
  const audit = {
    head: async () => ({ sequence: length, hash: chain[length - 1]!.hash }),
    events: async (after: number, limit: number) => chain.slice(after, after + limit),
    checkpoints: async () => kept,
    addCheckpoint: async (checkpoint: Checkpoint) => void kept.push(checkpoint),
  } as unknown as AuditStore
  const checkpoints = startCheckpoints({ audit, key, clock: systemClock, log: silentLog, everyMs: 5 })
  await expect.poll(() => kept.length).toBe(1)
  length = 7
  await expect.poll(() => kept.length).toBe(2)
  length = 9
  await checkpoints[Symbol.asyncDispose]()
  await checkpoints[Symbol.asyncDispose]()
  expect(kept.map(({ sequence }) => sequence)).toEqual([3, 7, 9])
  await startCheckpoints({ audit, key, clock: systemClock, log: silentLog })[Symbol.asyncDispose]()
  expect(await verify(chain, kept)).toMatchObject({ ok: true, checkpoints: 3, signedUpTo: 9 })
})
