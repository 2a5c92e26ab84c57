import { asFault } from '../kernel/fault.ts'
import type { BrowserSessionId } from '../kernel/ids.ts'
import type { Timer } from '../kernel/time.ts'
import type { IdentityDeps } from './deps.ts'
import { endEverything } from './endings.ts'
import { updatePerson } from './people.ts'
import type { Person } from './person.ts'
import type { Profile } from './profile.ts'
import type { OidcClient } from './provider.ts'
import { NoLongerWelcome } from './provider-answers.ts'
import type { Seal } from './seal.ts'
import type { BrowserSession } from './store.ts'

/** However the file is written, the provider is not asked without a pause. */
const everyMsMin = 1000
/** Timers end here. */
const everyMsMax = 2 ** 31 - 1
/** In a row: then it is down. Fewer may be its trouble with those people only. */
const unansweredMax = 3

type Outcome = 'refreshed' | 'ended' | 'unreachable' | 'failed'

/**
 * Asks the provider again and again about everybody who is signed in and whose refresh token it gave:
 * changed groups reach the policies, people who were disabled there lose their sessions here. A browser's sign-in that
 * has run out is still asked about while a database session hangs on it.
 * Starts at once; dispose to stop.
 */
export class Refresher implements AsyncDisposable {
  readonly #deps: IdentityDeps
  readonly #provider: OidcClient
  readonly #seal: Seal
  #timer: Timer | undefined
  #round: Promise<void> = Promise.resolve()
  #stopped = false
  #lastAsked: BrowserSessionId | undefined

  constructor(deps: IdentityDeps, provider: OidcClient, seal: Seal) {
    this.#deps = deps
    this.#provider = provider
    this.#seal = seal
    this.#arm()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#round
  }

  #arm(): void {
    if (this.#stopped) return
    const { clock, settings } = this.#deps
    const delayMs = Math.min(Math.max(settings.refreshMs, everyMsMin), everyMsMax)
    this.#timer = clock.after(delayMs, () => {
      this.#round = this.#refreshAll()
        .catch((error: unknown) => this.#deps.log.error({ err: error }, 'refreshing sign-ins failed; trying again'))
        .finally(() => this.#arm())
    })
  }

  async #refreshAll(): Promise<void> {
    const { store, clock, log } = this.#deps
    let unanswered = 0
    for (const session of this.#inTurn(await store.browserSessionsToRefresh(clock.now()))) {
      if (this.#stopped) return
      const person = await store.person(session.person)
      if (person === undefined) continue
      unanswered = (await this.#refreshOne(session, person)) === 'unreachable' ? unanswered + 1 : 0
      if (unanswered < unansweredMax) continue
      this.#lastAsked = session.id
      log.warn({}, 'the identity provider does not answer; sign-ins stay as they are until it does')
      return // the others would wait for the same deadline
    }
  }

  /** Behind those that got no answer the last time come first, so that nobody is in the way of the others for ever. */
  #inTurn(sessions: readonly BrowserSession[]): readonly BrowserSession[] {
    const next = sessions.findIndex(({ id }) => id === this.#lastAsked) + 1
    return [...sessions.slice(next), ...sessions.slice(0, next)]
  }

  async #refreshOne(session: BrowserSession, person: Person): Promise<Outcome> {
    const token = this.#seal.open(session.sealedRefreshToken ?? '', session.id)
    if (token === undefined) return this.#forgetToken(session)
    try {
      const refreshed = await this.#provider.refresh(token, person.subject)
      await this.#keep(session, refreshed.refreshToken)
      await this.#apply(person, await refreshed.profile())
      return 'refreshed'
    } catch (error) {
      if (error instanceof NoLongerWelcome) return this.#end(session, person, error)
      const fault = asFault(error)
      if (fault === undefined) throw error
      const { log } = this.#deps
      if (fault.code === 'PROVIDER_UNREACHABLE') {
        log.warn({ person: person.id, reason: fault.message }, 'a refresh got no answer; trying again')
        return 'unreachable'
      }
      log.error({ person: person.id, reason: fault.message }, 'a refresh was refused; trying again')
      return 'failed'
    }
  }

  async #keep({ id }: BrowserSession, refreshToken: string | null): Promise<void> {
    if (refreshToken === null) return
    await this.#deps.store.transact(async (tx) => {
      if ((await tx.browserSession(id))?.endedAt !== null) return
      await tx.updateBrowserSessionTokens(id, this.#seal.close(refreshToken, id))
    })
  }

  async #apply({ id }: Person, profile: Profile | null): Promise<void> {
    if (profile === null) return
    const at = this.#deps.clock.now()
    await this.#deps.store.transact(async (tx) => {
      const person = await tx.person(id)
      if (person !== undefined) await updatePerson(tx, person, profile, at)
    })
  }

  async #end(session: BrowserSession, person: Person, why: NoLongerWelcome): Promise<Outcome> {
    const { store, clock, log } = this.#deps
    const ended = await store.transact(async (tx) => {
      const still = await tx.browserSession(session.id)
      // Another node may have exchanged this very token a moment ago, or the person has signed out.
      if (still?.sealedRefreshToken !== session.sealedRefreshToken || still.endedAt !== null) return false
      await endEverything(tx, person, clock.now(), 'provider refused the refresh')
      return true
    })
    if (ended) log.info({ person: person.id, reason: why.message }, 'signed out: the provider refused the refresh')
    return ended ? 'ended' : 'failed'
  }

  async #forgetToken(session: BrowserSession): Promise<Outcome> {
    this.#deps.log.warn({ browserSession: session.id }, 'a refresh token cannot be unsealed: the data key has changed')
    await this.#deps.store.transact((tx) => tx.updateBrowserSessionTokens(session.id, null))
    return 'failed'
  }
}
