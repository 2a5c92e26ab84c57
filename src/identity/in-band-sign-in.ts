import { auditEvent } from '../audit/event.ts'
import type { Change } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import type { SignInId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import { later } from '../kernel/time.ts'
import type { Identified } from '../sessions/session.ts'
import { plainAddress } from './address.ts'
import { newCode, readCode } from './code.ts'
import type { IdentityDeps } from './deps.ts'
import { actorOf, isLive } from './endings.ts'
import { FailureLimit } from './failure-limit.ts'
import type { InBandSignIn, Visitor } from './identity.ts'
import { identityPaths } from './paths.ts'
import { displayName } from './person.ts'
import type { Mark, Remembered } from './remembered.ts'
import type { Binding, IdentityTx, SignIn } from './store.ts'
import { Waiting } from './waiting.ts'

const textLengthMax = 64
const timerMsMax = 2 ** 31 - 1
/** Each leaves a row in the state, and whoever begins one is not known yet. */
const begunPerMinuteMax = 120

type Unanswered = Pick<SignIn, 'state' | 'person' | 'browserSession' | 'answeredAt'>
const unanswered: Unanswered = { state: 'waiting', person: null, browserSession: null, answeredAt: null }

export function createInBandSignIn(deps: IdentityDeps, remembered: Remembered): InBandSignIn {
  const { settings, store, clock, random, publicUrl, changes, metrics } = deps
  const waiting = new Waiting(clock)
  const begun = new FailureLimit(clock, begunPerMinuteMax, 60_000)

  return {
    rememberMs: settings.rememberMs,

    recognise: ({ address }) => remembered.recognise('address', plainAddress(address)),

    async begin(ask) {
      const at = clock.now()
      const address = plainAddress(ask.address)
      const expiresAt = later(at, settings.signInMs)
      const id = random.id('signin')
      if (!begun.count(address)) throw new Fault('RATE_LIMITED', `Too many sign-ins were begun from ${address}`)
      waiting.enter(id, address, expiresAt)
      const application = shown(ask.application)
      const open = { keyFingerprint: null, ...ask, id, address, application, createdAt: at, expiresAt }
      try {
        return await store.transact((tx) => insert(tx, open))
      } catch (error) {
        waiting.leave(id)
        throw error
      }
    },

    link: (signIn) => new URL(`${identityPaths.signIn}${signIn.code}`, publicUrl),

    async answered(signIn, signal) {
      try {
        const answer = await answerTo(signIn, signal)
        return 'credential' in answer ? answer : await identified(answer)
      } catch (error) {
        const outcome = error instanceof Fault ? error.code : 'gone'
        metrics.add('curfew_sign_ins_total', { way: 'in-band', outcome })
        throw error
      } finally {
        waiting.leave(signIn.id)
      }
    },

    async byCode(typed) {
      const code = readCode(typed)
      return present(code === undefined ? undefined : await store.signInByCode(code))
    },

    byId: async (id) => present(await store.signIn(id)),

    async confirm(signIn, visitor, from, remember) {
      if (settings.sameAddress && plainAddress(from.address) !== signIn.address) {
        throw new Fault(
          'SIGN_IN_OTHER_ADDRESS',
          `The connection comes from ${signIn.address}, this page from elsewhere`,
        )
      }
      await store.transact(async (tx) => {
        const at = clock.now()
        const confirmed = await settle(tx, signIn.id, visitor, 'confirmed', at)
        const { keyFingerprint } = confirmed
        if (keyFingerprint !== null) await remembered.expectFree(tx, keyFingerprint, visitor.person, at)
        const mark = remember ? markOf(confirmed) : undefined
        if (mark !== undefined) await remembered.bind(tx, mark, visitor, at)
      })
      waiting.leave(signIn.id)
    },

    async refuse(signIn, visitor) {
      await store.transact((tx) => settle(tx, signIn.id, visitor, 'refused', clock.now()))
      waiting.leave(signIn.id)
    },
  }

  async function insert(tx: IdentityTx, open: Omit<SignIn, 'code' | keyof Unanswered>): Promise<SignIn> {
    const signIn = { ...open, ...unanswered, code: await freeCode(tx) }
    await tx.insertSignIn(signIn)
    return signIn
  }

  async function freeCode(tx: IdentityTx): Promise<string> {
    for (;;) {
      const code = newCode(random)
      if ((await tx.signInByCode(code)) === undefined) return code
    }
  }

  function present(signIn: SignIn | undefined): SignIn | undefined {
    return signIn !== undefined && clock.now() < signIn.expiresAt ? signIn : undefined
  }

  /** Listens first and looks then, so that no answer is missed. */
  async function answerTo(signIn: SignIn, signal: AbortSignal): Promise<SignIn | Identified> {
    let next = Promise.withResolvers<void>()
    let isOver = false
    const wake = () => next.resolve()
    using _listening = changes.subscribe((change) => void (concerns(change, signIn) && wake()))
    const timer = clock.after(Math.min(Math.max(0, signIn.expiresAt - clock.now()), timerMsMax), () => {
      isOver = true
      wake()
    })
    signal.addEventListener('abort', wake, { once: true })
    try {
      for (;;) {
        signal.throwIfAborted()
        next = Promise.withResolvers<void>()
        const answer = await lookFor(signIn)
        if (answer !== undefined) return answer
        if (isOver) return signIn
        await next.promise
      }
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', wake)
    }
  }

  /** Tools connect several times at once: when one connection's key is remembered, the others go on with it. */
  async function lookFor({ id, keyFingerprint }: SignIn): Promise<SignIn | Identified | undefined> {
    const signIn = await store.signIn(id)
    if (signIn !== undefined && signIn.state !== 'waiting') return signIn
    return keyFingerprint === null ? undefined : remembered.recognise('ssh-key', keyFingerprint)
  }

  async function identified(signIn: SignIn): Promise<Identified> {
    if (signIn.state === 'waiting') {
      throw new Fault('SIGN_IN_TIMED_OUT', `Nobody signed in with the code ${signIn.code} in time`)
    }
    if (signIn.state === 'refused') throw new Fault('SIGN_IN_REFUSED', 'The sign-in was refused on the page')
    const person = signIn.person === null ? undefined : await store.person(signIn.person)
    const session = signIn.browserSession === null ? undefined : await store.browserSession(signIn.browserSession)
    if (person === undefined || session === undefined || !isLive(session, clock.now())) {
      throw new Fault('SIGNED_OUT', 'The person who confirmed has signed out since')
    }
    metrics.add('curfew_sign_ins_total', { way: 'in-band', outcome: 'ok' })
    const binding = (await store.bindingsOf(person.id)).find((one) => madeBy(one, signIn))
    const credential = binding?.id ?? session.id
    return { person: person.id, personName: displayName(person), credential, browserSession: session.id }
  }

  async function settle(
    tx: IdentityTx,
    id: SignInId,
    { person, browserSession }: Visitor,
    state: 'confirmed' | 'refused',
    at: Instant,
  ): Promise<SignIn> {
    const signIn = await tx.signIn(id)
    if (signIn?.state === 'waiting' && at >= signIn.expiresAt) {
      throw new Fault('SIGN_IN_TIMED_OUT', `The code ${signIn.code} is over`)
    }
    const session = await tx.browserSession(browserSession.id)
    if (session === undefined || !isLive(session, at)) throw new Fault('SIGNED_OUT', 'You have signed out since')
    const answered = { state, person: person.id, browserSession: session.id, answeredAt: at } as const
    if (signIn === undefined || !(await tx.answerSignIn({ ...signIn, ...answered }))) {
      throw new Fault('ALREADY_DECIDED', 'This sign-in was answered before')
    }
    const { code, address, purpose, application, resource, role } = signIn
    const key = signIn.keyFingerprint ?? undefined
    const data = { signIn: id, code, address, purpose, application, key, resource, role, browserSession: session.id }
    await tx.record(auditEvent(`sign-in.${state}`, at, actorOf(person), data))
    await tx.announce({ kind: 'sign-in-answered', signIn: id, state })
    return signIn
  }
}

function concerns(change: Change, { id, keyFingerprint }: SignIn): boolean {
  if (change.kind !== 'sign-in-answered') return false
  return change.signIn === id || (keyFingerprint !== null && change.state === 'confirmed')
}

/** What remembering this sign-in would recognise; undefined when there is nothing that is the program's own. */
function markOf({ purpose, address, keyFingerprint }: SignIn): Mark | undefined {
  if (purpose === 'postgres') return { kind: 'address', value: address }
  return keyFingerprint === null ? undefined : { kind: 'ssh-key', value: keyFingerprint }
}

function madeBy(binding: Binding, signIn: SignIn): boolean {
  const mark = markOf(signIn)
  const sameMark = binding.kind === mark?.kind && binding.value === mark.value
  const sameSession = binding.browserSession === signIn.browserSession && binding.createdAt === signIn.answeredAt
  return sameMark && sameSession && binding.endedAt === null
}

/** What a client says about itself is only shown, never trusted. */
function shown(text: string): string {
  return text.replace(/[\p{C}]/gu, ' ').slice(0, textLengthMax)
}
