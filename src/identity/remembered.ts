import { auditEvent } from '../audit/event.ts'
import { Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import { isoTime, later } from '../kernel/time.ts'
import type { Identified } from '../sessions/session.ts'
import type { IdentityDeps } from './deps.ts'
import { actorOf, bindingValue, isLive } from './endings.ts'
import type { Visitor } from './identity.ts'
import { displayName } from './person.ts'
import type { Person } from './person.ts'
import type { Binding, IdentityTx } from './store.ts'

/** What a connection can be recognised by. */
export type Mark = Pick<Binding, 'kind' | 'value'>

/** Sign-ins that need no browser for a while. */
export interface Remembered {
  /** Whose it is; undefined when nobody's, or when more than one person matches. */
  recognise(kind: Binding['kind'], value: string): Promise<Identified | undefined>
  /** @throws Fault KEY_TAKEN when the SSH key is bound to somebody else. */
  expectFree(tx: IdentityTx, keyFingerprint: string, person: Person, at: Instant): Promise<void>
  /** For `identity.rememberFor`, and no longer than the browser's own sign-in. */
  bind(tx: IdentityTx, mark: Mark, visitor: Visitor, at: Instant): Promise<void>
}

export function createRemembered({ settings, store, clock, random, metrics }: IdentityDeps): Remembered {
  return {
    async recognise(kind, value) {
      const binding = await onlyBinding(kind, value)
      if (binding === undefined) return undefined
      const [session, person] = await Promise.all([
        store.browserSession(binding.browserSession),
        store.person(binding.person),
      ])
      if (person === undefined || session === undefined || session.endedAt !== null) return undefined
      metrics.add('curfew_sign_ins_total', { way: 'remembered', outcome: 'ok' })
      const personName = displayName(person)
      return { person: person.id, personName, credential: binding.id, browserSession: session.id }
    },

    async expectFree(tx, keyFingerprint, person, at) {
      const others = (await tx.bindingsFor('ssh-key', keyFingerprint, at)).some((one) => one.person !== person.id)
      if (others) throw new Fault('KEY_TAKEN', 'Somebody else is signed in with this key')
    },

    async bind(tx, mark, { person, browserSession }, at) {
      const expiresAt = Math.min(later(at, settings.rememberMs), browserSession.expiresAt) as Instant
      if (expiresAt <= at) return
      const id = random.id('binding')
      const of = { person: person.id, browserSession: browserSession.id }
      await tx.insertBinding({ id, ...of, ...mark, createdAt: at, expiresAt, endedAt: null })
      const until = isoTime(expiresAt)
      const data = { binding: id, ...bindingValue(mark), until, browserSession: browserSession.id }
      await tx.record(auditEvent('binding.made', at, actorOf(person), data))
    },
  }

  /** Of one person only: behind one address there may be several. A shorter `rememberFor` counts for old ones, too. */
  async function onlyBinding(kind: Binding['kind'], value: string): Promise<Binding | undefined> {
    const at = clock.now()
    const bindings = (await store.bindingsFor(kind, value, at)).filter(
      (binding) => isLive(binding, at) && at < later(binding.createdAt, settings.rememberMs),
    )
    if (new Set(bindings.map(({ person }) => person)).size !== 1) return undefined
    return bindings.reduce((last, binding) => (binding.expiresAt > last.expiresAt ? binding : last))
  }
}
