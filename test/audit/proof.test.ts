// Goal: a few events of a long log can be checked by somebody who sees nothing of the rest, and nothing else passes for them.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { canonicalJson, chainInput, chainStart } from '../../src/audit/chain.ts'
import { checkpointType, startCheckpoints } from '../../src/audit/checkpoints.ts'
import { auditEvent, theGateway } from '../../src/audit/event.ts'
import { MerkleTree, rootFrom } from '../../src/audit/merkle.ts'
import { proveSlice, verifySlice, type SliceLine } from '../../src/audit/proof.ts'
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

const sha256 = (...parts: (string | Uint8Array)[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
const hashes = (count: number) => Array.from({ length: count }, (_, index) => sha256(String(index)).toString('hex'))

/** RFC 9162, section 2.1.1, word for word. */
function rootByTheBook(all: readonly string[]): Buffer {
  if (all.length === 1) return sha256(Buffer.of(0), Buffer.from(all[0]!, 'hex'))
  let half = 1
  while (half * 2 < all.length) half *= 2
  return sha256(Buffer.of(1), rootByTheBook(all.slice(0, half)), rootByTheBook(all.slice(half)))
}

test('the tree is that of RFC 9162, and each place leads to its root and to no other', () => {
  for (let size = 1; size <= 40; size++) {
    const all = hashes(size)
    const tree = new MerkleTree(all)
    expect(tree.root).toBe(rootByTheBook(all).toString('hex'))
    for (const [index, hash] of all.entries()) {
      const path = tree.pathOf(index)
      expect(rootFrom(hash, index, size, path)).toBe(tree.root)
      if (size > 1) expect(rootFrom(hash, index ^ 1, size, path)).not.toBe(tree.root)
      expect(rootFrom(hash, index, size, [...path, hash])).not.toBe(tree.root)
      if (path.length > 0) expect(rootFrom(hash, index, size, path.slice(1))).not.toBe(tree.root)
      expect(rootFrom(sha256('else').toString('hex'), index, size, path)).not.toBe(tree.root)
    }
  }
})

/** A log of 50 events with checkpoints at 7, 8, 30 and 50. */
async function someLog() {
  const chain: ChainedEvent[] = []
  const kept: Checkpoint[] = []
  const audit = {
    head: async () => ({ sequence: chain.length, hash: chain.at(-1)?.hash ?? chainStart }),
    events: async (after: number, limit: number) => chain.slice(after, after + limit),
    checkpoints: async () => kept,
    checkpointFrom: async (sequence: number) => kept.find((one) => one.sequence >= sequence),
    addCheckpoint: async (checkpoint: Checkpoint) => void kept.push(checkpoint),
  } as unknown as AuditStore
  const checkpoints = startCheckpoints({ audit, key, clock: systemClock, log: silentLog, everyMs: 3_600_000 })
  for (let sequence = 1; sequence <= 50; sequence++) {
    const previous = chain.at(-1)?.hash ?? chainStart
    const json = canonicalJson(auditEvent('audit.read', sequence as Instant, theGateway, { sequence }))
    chain.push({ sequence, json, previous, hash: sha256(chainInput(previous, sequence, json)).toString('hex') })
    if ([7, 8, 30].includes(sequence)) await checkpoints.sign()
  }
  await checkpoints[Symbol.asyncDispose]()
  return { audit, chain, kept }
}

async function sliceOf(audit: AuditStore, events: readonly ChainedEvent[]): Promise<SliceLine[]> {
  return Array.fromAsync(proveSlice(audit, each(events)))
}
async function* each<T>(all: readonly T[]) {
  yield* all
}
const check = (lines: readonly SliceLine[]) => verifySlice(each(lines), key.publicKeys(), () => undefined)

test('any events of the log are proven by what stands beside them', async () => {
  const { audit, chain, kept } = await someLog()
  expect(kept.map(({ sequence }) => sequence)).toEqual([7, 8, 30, 50])
  expect(await verifyAudit(each(chain), kept, key.publicKeys())).toMatchObject({ ok: true, checkpoints: 4 })
  await fc.assert(
    fc.asyncProperty(fc.subarray(chain, { minLength: 1 }), async (some) => {
      const found = await check(await sliceOf(audit, some))
      expect(found).toMatchObject({ events: some.length, proven: some.length, broken: null })
      expect(found.signedUpTo).toBeGreaterThanOrEqual(some.at(-1)!.sequence)
    }),
    { numRuns: 50 },
  )
})

test('what was changed, made up, moved or left without its checkpoint is named', async () => {
  const { audit, chain } = await someLog()
  const lines = await sliceOf(audit, [chain[2]!, chain[9]!, chain[20]!, chain[40]!])
  expect(lines.map(({ sequence }) => sequence)).toEqual([3, 7, 10, 21, 30, 41, 50])
  const event = lines[2] as ChainedEvent & { path: readonly string[] }
  const json = event.json.replace('audit.read', 'lock.lifted')
  const hash = sha256(chainInput(event.previous, event.sequence, json)).toString('hex')
  const changes: [SliceLine[], number][] = [
    [lines.with(2, { ...event, json }), 10],
    [lines.with(2, { ...event, json, hash }), 10],
    [lines.with(2, { ...event, path: event.path.with(0, hash) }), 10],
    [lines.with(2, { ...event, path: [] }), 10],
    [lines.with(1, { sequence: 7, jws: (lines[4] as Checkpoint).jws }), 7],
    [lines.toSpliced(6, 1), 41],
    [lines.toSpliced(1, 1), 3],
    [lines.with(2, lines[3]!).with(3, lines[2]!), 10],
  ]
  for (const [changed, sequence] of changes) expect((await check(changed)).broken).toMatchObject({ sequence })
  await using folder = await temporaryFolder()
  const stranger = await openSigningKey(folder.path)
  const { broken } = await verifySlice(each(lines), stranger.publicKeys(), () => undefined)
  expect(broken).toMatchObject({ sequence: 7 })
})

test('a root that is not that of the log is found where the whole log is checked', async () => {
  const { chain, kept } = await someLog()
  const content = { sequence: 8, hash: chain[7]!.hash, from: 8, root: chain[7]!.hash, at: 1 }
  const forged = { sequence: 8, jws: await key.sign(checkpointType, content) }
  const found = await verifyAudit(each(chain), [kept[0]!, forged, kept[2]!], key.publicKeys())
  expect(found).toMatchObject({ ok: false, broken: { sequence: 8 } })
})

test('events below a checkpoint of before there were roots are in the slice, unproven', async () => {
  const { chain } = await someLog()
  const old = { sequence: 10, jws: await key.sign(checkpointType, { sequence: 10, hash: chain[9]!.hash, at: 1 }) }
  const audit = { checkpointFrom: async () => old } as unknown as AuditStore
  expect(await check(await sliceOf(audit, chain.slice(2, 5)))).toMatchObject({ events: 3, proven: 0, broken: null })
})
