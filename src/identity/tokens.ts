import { auditEvent, theGateway } from '../audit/event.ts'
import { Fault } from '../kernel/fault.ts'
import { formatDuration } from '../kernel/durations.ts'
import type { Instant } from '../kernel/time.ts'
import { isoTime, later } from '../kernel/time.ts'
import { plainAddress } from './address.ts'
import type { IdentityDeps } from './deps.ts'
import { actorOf, isLive } from './endings.ts'
import { FailureLimit } from './failure-limit.ts'
import { secretHash } from './hash.ts'
import { SeenOnce } from './seen-once.ts'
import type { Tokens, TokenUse } from './identity.ts'
import { isMachinePerson } from './person.ts'
import type { Person } from './person.ts'
import { hasScope, inOrder, tooNarrow, usualScopes, writeScopes, type Scope } from './scopes.ts'
import { stands } from './standing.ts'
import type { IdentityReads, IdentityStore, Token } from './store.ts'

type TokenWish = Parameters<Tokens['make']>[1]

const labelLengthMax = 80
const livePerPersonMax = 100
const textLengthMax = 1024
const touchEveryMs = 60_000
const failuresPerMinuteMax = 10

/** Programs show a token to open sessions with it. */
export const toOpenSessions: TokenUse = { way: 'session', scope: 'sessions' }

export function createTokens(deps: IdentityDeps): Tokens {
  const { settings, store, clock, random, metrics, publicUrl } = deps
  const failures = new FailureLimit(clock, failuresPerMinuteMax, 60_000)
  // A program that goes on with a dead token guesses nothing: it must not lock its neighbours out.
  const refused = new SeenOnce(clock, 60_000)

  return {
    lengthMsMax: settings.tokenMsMax,

    async make(person, wish) {
      if (isMachinePerson(person)) throw new Fault('NOT_ALLOWED', 'Machines exchange tokens; they make none')
      const label = readLabel(wish.label)
      checkLength(wish.lengthMs, settings.tokenMsMax)
      const scopes = checkScopes(wish.scopes ?? (wish.kind === 'cli' ? ['all'] : usualScopes))
      const text = `curfew_${Buffer.from(random.bytes(32)).toString('base64url')}`
      const at = clock.now()
      const expiresAt = later(at, wish.lengthMs)
      const token: Token = {
        ...{ id: random.id('token'), person: person.id, label, kind: wish.kind, secretHash: secretHash(text), scopes },
        ...{ createdAt: at, expiresAt, lastUsedAt: null, endedAt: null },
      }
      await store.transact(async (tx) => {
        await expectStanding(tx, person, wish.by, at)
        const live = (await tx.tokensOf(person.id)).filter((one) => isLive(one, at)).length
        if (live >= livePerPersonMax) {
          throw new Fault('INPUT_INVALID', `You have ${live} tokens`, { hint: 'Revoke those you do not need.' })
        }
        await tx.insertToken(token)
        const data = {
          token: token.id,
          label,
          kind: token.kind,
          scopes: writeScopes(scopes),
          until: isoTime(expiresAt),
        }
        await tx.record(auditEvent('token.made', at, actorOf(person), data))
      })
      return { text, token }
    },

    async verify(text, use, from) {
      const address = plainAddress(from.address)
      if (failures.reached(address)) {
        metrics.add('curfew_sign_ins_total', { way: 'token', outcome: 'RATE_LIMITED' })
        throw new Fault('RATE_LIMITED', 'Too many tokens were refused for this address')
      }
      const at = clock.now()
      const { token, person, problem } = await judge(text, use, at)
      if (token === undefined || person === undefined || problem !== null) {
        return refuse(text, address, token, person, problem ?? 'unknown', at)
      }
      if (use.scope !== null && !hasScope(token.scopes, use.scope)) {
        return refuseNarrow(token, use.scope, person, address, at)
      }
      await noteUse(store, token, at)
      metrics.add('curfew_sign_ins_total', { way: 'token', outcome: 'ok' })
      return { person, token }
    },
  }

  /** Does the same work whatever is wrong: one hash, one look-up by it. */
  async function judge(text: string, use: TokenUse, at: Instant) {
    const token = await store.tokenBySecret(secretHash(text.slice(0, textLengthMax)))
    const person = token === undefined ? undefined : await store.person(token.person)
    return { token, person, problem: token === undefined ? 'unknown' : problemOf(token, use, at) }
  }

  /** The client reads the same sentence for every reason; the audit log knows which it was. */
  async function refuse(
    text: string,
    address: string,
    token: Token | undefined,
    person: Person | undefined,
    reason: string,
    at: Instant,
  ): Promise<never> {
    metrics.add('curfew_sign_ins_total', { way: 'token', outcome: 'TOKEN_REFUSED' })
    if (refused.first(`${address} ${secretHash(text.slice(0, textLengthMax))}`) && failures.count(address)) {
      const actor = person === undefined ? theGateway : actorOf(person)
      const event = auditEvent('token.refused', at, actor, { address, reason, token: token?.id, label: token?.label })
      await store.transact((tx) => tx.record(event))
    }
    throw new Fault('TOKEN_REFUSED', 'The token was refused', {
      hint: `Make a new one at ${new URL('/sign-ins', publicUrl)}, or with: curfew token create`,
    })
  }

  /** Whoever shows it holds a good token, so this is no guessing; and people have few, so the log does not fill. */
  async function refuseNarrow(
    token: Token,
    scope: Scope,
    person: Person,
    address: string,
    at: Instant,
  ): Promise<never> {
    metrics.add('curfew_sign_ins_total', { way: 'token', outcome: 'INSUFFICIENT_SCOPE' })
    if (refused.first(`${token.id} ${scope}`)) {
      const data = { address, reason: `without scope ${scope}`, token: token.id, label: token.label }
      await store.transact((tx) => tx.record(auditEvent('token.refused', at, actorOf(person), data)))
    }
    throw tooNarrow(scope)
  }
}

/** Writes down that a token was used, not more than once a minute. */
export async function noteUse(store: IdentityStore, token: Token, at: Instant): Promise<void> {
  if (token.lastUsedAt !== null && at - token.lastUsedAt < touchEveryMs) return
  await store.transact((tx) => tx.touchToken(token.id, at))
}

/** Whoever is signed out while they make a token would go on with it. */
async function expectStanding(tx: IdentityReads, { id }: Person, by: TokenWish['by'], at: Instant): Promise<void> {
  if (by === undefined || (await stands(tx, { ...by, person: id, personName: '' }, at))) return
  throw new Fault('SIGNED_OUT', 'You were signed out meanwhile; no token was made.')
}

function problemOf(token: Token, { way }: TokenUse, at: Instant): string | null {
  if (token.endedAt !== null) return 'revoked'
  if (at >= token.expiresAt) return 'over'
  return way === 'session' && token.kind === 'cli' ? `of kind ${token.kind}` : null
}

function checkScopes(wanted: readonly Scope[]): readonly Scope[] {
  if (wanted.length === 0) throw new Fault('INPUT_INVALID', 'A token needs at least one scope.')
  return inOrder(wanted)
}

function readLabel(label: string): string {
  const text = label.trim()
  if (text === '' || text.length > labelLengthMax || /\p{C}/u.test(text)) {
    throw new Fault('INPUT_INVALID', `A token needs a label of 1 to ${labelLengthMax} characters`)
  }
  return text
}

function checkLength(lengthMs: number, lengthMsMax: number): void {
  if (!Number.isSafeInteger(lengthMs) || lengthMs <= 0 || lengthMs > lengthMsMax) {
    throw new Fault('INPUT_INVALID', `A token may last at most ${formatDuration(lengthMsMax)}`)
  }
}
