import { createHash } from 'node:crypto'
import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { CampaignId, LockId, PersonId } from '../kernel/ids.ts'
import { later, type Instant } from '../kernel/time.ts'
import type { AccessTx } from './store.ts'

/** For so long the same key stands for the same thing. */
export const keyMs: number = 24 * 3_600_000

/** What was done under a key of somebody's. */
export type KeptWork = (
  | { readonly kind: 'lock'; readonly subject: LockId }
  | { readonly kind: 'campaign'; readonly subject: CampaignId }
) & {
  /** A hash of all that was wanted. */
  readonly wish: string
}

export interface WorkKeyReads {
  /** What they did under this key after `since`. */
  workByKey(person: PersonId, key: string, since: Instant): Promise<KeptWork | undefined>
}

export interface WorkKeyTx {
  /** Forgets all keys that were kept at `since` or before. */
  keepWorkKey(person: PersonId, key: string, work: KeptWork, at: Instant, since: Instant): Promise<void>
}

/** What somebody wants done, once for each key. */
interface Wanted<Kind extends KeptWork['kind']> {
  readonly person: Person
  readonly kind: Kind
  readonly key: string | undefined
  /** All that would make it another one; JSON. */
  readonly wish: unknown
}

type Subject<Kind extends KeptWork['kind']> = Extract<KeptWork, { kind: Kind }>['subject']

/**
 * @returns what was done before under this key, or the subject of what `work` does now
 * @throws Fault INPUT_INVALID when the key stands for something else
 */
export async function once<Kind extends KeptWork['kind']>(
  tx: AccessTx,
  { person, kind, key, wish }: Wanted<Kind>,
  now: Instant,
  work: () => Promise<Subject<Kind>>,
): Promise<Subject<Kind>> {
  if (key === undefined) return work()
  const since = later(now, -keyMs)
  const hash = createHash('sha256').update(JSON.stringify(wish)).digest('hex')
  const kept = await tx.workByKey(person.id, key, since)
  if (kept !== undefined && (kept.kind !== kind || kept.wish !== hash)) throw otherThing()
  if (kept !== undefined) return kept.subject as Subject<Kind>
  const subject = await work()
  await tx.keepWorkKey(person.id, key, { kind, subject, wish: hash } as KeptWork, now, since)
  return subject
}

export function otherThing(): Fault {
  return new Fault('INPUT_INVALID', 'Something else was asked for under this key.', {
    hint: 'Take another Idempotency-Key for another request.',
  })
}
