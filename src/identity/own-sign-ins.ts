import { Fault } from '../kernel/fault.ts'
import type { BindingId, BrowserSessionId, TokenId } from '../kernel/ids.ts'
import type { IdentityDeps } from './deps.ts'
import type { Instant } from '../kernel/time.ts'
import { endBinding, endBrowserSession, endToken, isLive } from './endings.ts'
import type { OwnSignIns } from './identity.ts'
import type { Person } from './person.ts'
import type { Binding, IdentityTx } from './store.ts'

type OwnId = BrowserSessionId | BindingId | TokenId

export function createOwnSignIns({ store, clock }: IdentityDeps): OwnSignIns {
  return {
    async list(person) {
      const at = clock.now()
      const [browserSessions, bindings, tokens] = await Promise.all([
        store.browserSessionsOf(person),
        store.bindingsOf(person),
        store.tokensOf(person),
      ])
      return {
        browserSessions: browserSessions.filter((one) => isLive(one, at)),
        bindings: bindings.filter((one) => isLive(one, at)),
        tokens: tokens.filter((one) => isLive(one, at)),
      }
    },

    async revoke(person, id) {
      const ended = await store.transact((tx) => end(tx, person, id))
      if (!ended) throw new Fault('NOT_FOUND', 'This is not yours, or it has ended already')
    },
  }

  /** Looks only among the person's own. */
  async function end(tx: IdentityTx, person: Person, id: OwnId): Promise<boolean> {
    const at = clock.now()
    const cause = 'revoked by its owner'
    const session = (await tx.browserSessionsOf(person.id)).find((one) => one.id === id)
    if (session !== undefined) return endBrowserSession(tx, person, session, at, cause)
    const binding = (await tx.bindingsOf(person.id)).find((one) => one.id === id)
    if (binding !== undefined) return forget(tx, person, binding, at)
    // Of machines there are many.
    const token = id.startsWith('token-') ? await tx.token(id as TokenId) : undefined
    return token?.person === person.id && endToken(tx, person, token, at, cause)
  }

  /** The same address or key may be remembered more than once; forgotten is forgotten. */
  async function forget(tx: IdentityTx, person: Person, binding: Binding, at: Instant): Promise<boolean> {
    if (binding.endedAt !== null) return false
    for (const one of await tx.bindingsOf(person.id)) {
      const isSame = one.kind === binding.kind && one.value === binding.value
      if (isSame && (one.id === binding.id || isLive(one, at))) {
        await endBinding(tx, person, one, at, 'revoked by its owner')
      }
    }
    return true
  }
}
