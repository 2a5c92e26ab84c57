/** A gate, an identity and an access room made by hand, which keep their interfaces' promises and are driven by tests. */
import { generateKeyPairSync } from 'node:crypto'
import type { GuardFact } from '../../../src/access/question-events.ts'
import type { QuestionAnswer, QuestionWish } from '../../../src/access/put-question.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import type { Person } from '../../../src/identity/person.ts'
import type { SignIn } from '../../../src/identity/store.ts'
import { clientAuthority } from '../../../src/identity/x509/authority.ts'
import { Fault, type FaultCode } from '../../../src/kernel/fault.ts'
import type { Log } from '../../../src/kernel/log.ts'
import type { Metrics } from '../../../src/kernel/metrics.ts'
import { Subject } from '../../../src/kernel/observable.ts'
import type { Instant } from '../../../src/kernel/time.ts'
import type { ConnectionDeps } from '../../../src/protocols/postgres/connection.ts'
import type { PostgresCode, PostgresEvents } from '../../../src/recording/postgres-events.ts'
import { readPostgresEvent } from '../../../src/recording/postgres-event-shapes.ts'
import type { Recorder } from '../../../src/recording/recorder.ts'
import type { Admission, Ask, Gate, Opening, WarningCause } from '../../../src/sessions/admission.ts'
import type { Identified } from '../../../src/sessions/session.ts'
import { systemClock, systemRandom } from '../../../src/system.ts'

export const ada: Person = {
  id: 'person-ada',
  issuer: 'https://login.example.com',
  subject: 'ada',
  email: 'ada@example.com',
  name: 'Ada',
  groups: ['engineers'],
  seenAt: 0 as Instant,
}
const identifiedAda: Identified = {
  person: ada.id,
  personName: 'ada@example.com',
  credential: 'browser-1',
  browserSession: 'browser-1',
}

/** Keeps events in memory; `full` and its end are set by the test. */
export class ListRecorder implements Recorder {
  active = true
  readonly events: { [Code in PostgresCode]: { code: Code; data: PostgresEvents[Code] } }[PostgresCode][] = []
  readonly sizes: number[] = []
  #draining: PromiseWithResolvers<void> | undefined

  event(code: string, data: unknown): void {
    const event = readPostgresEvent(code, JSON.parse(JSON.stringify(data)))
    if (event === undefined) throw new Error(`no such event: ${code} ${JSON.stringify(data)}`)
    this.sizes.push(JSON.stringify(data).length)
    this.events.push(event)
  }

  encoded(tail: Buffer, tailBytes: number): void {
    const [code, data] = JSON.parse(`[${tail.toString('utf8', 0, tailBytes)}]`) as [string, unknown]
    this.event(code, data)
  }

  bytes(code: string): void {
    throw new Error(`no such event: ${code}`)
  }

  isFullAt(): boolean {
    return this.full
  }

  get full(): boolean {
    return this.#draining !== undefined
  }

  fill(): void {
    this.#draining ??= Promise.withResolvers()
    this.#draining.promise.catch(() => undefined)
  }

  drain(): void {
    this.#draining?.resolve()
    this.#draining = undefined
  }

  breakDown(): void {
    this.#draining?.reject(new Fault('RECORDING_FAILED', 'The recording cannot be written.'))
  }

  drained(): Promise<void> {
    return this.#draining?.promise ?? Promise.resolve()
  }

  seal(): Promise<void> {
    return Promise.resolve()
  }

  of<Code extends PostgresCode>(code: Code): PostgresEvents[Code][] {
    return this.events.filter((event) => event.code === code).map((event) => event.data as PostgresEvents[Code])
  }
}

export class HandAdmission implements Admission {
  readonly session
  readonly recorder = new ListRecorder()
  readonly deadline = new Subject((Date.now() + 3_600_000) as Instant)
  readonly controller = new AbortController()
  readonly cutOff = this.controller.signal
  readonly ends: Parameters<Admission['end']>[0][] = []
  readonly ended = Promise.withResolvers<Parameters<Admission['end']>[0]>()
  readonly listeners = new Set<(leftMs: number, cause: WarningCause) => void>()
  cutAtMs = 0
  toldAfterMs: number | undefined

  constructor(ask: Ask) {
    const { identified, resource, role, database, client } = ask
    const startedAt = Date.now() as Instant
    const id = systemRandom.id('session')
    this.session = {
      id,
      ...identified,
      grant: 'grant-1',
      resource,
      role,
      database,
      client,
      node: 'gw-1',
      startedAt,
    } as const
  }

  onWarning(listener: (leftMs: number, cause: WarningCause) => void): Disposable {
    this.listeners.add(listener)
    return { [Symbol.dispose]: () => void this.listeners.delete(listener) }
  }

  warn(leftMs: number): void {
    for (const listener of this.listeners) listener(leftMs, 'deadline')
  }

  cut(code: FaultCode = 'GRANT_EXPIRED'): void {
    this.cutAtMs = performance.now()
    this.controller.abort(new Fault(code, `Your access to ${this.session.resource} has ended.`))
  }

  refusalFrom(): undefined {
    return undefined
  }

  told(): void {
    this.toldAfterMs ??= performance.now() - this.cutAtMs
  }

  afterTold(teardown: () => void): void {
    setImmediate(teardown)
  }

  end(how: Parameters<Admission['end']>[0]): Promise<void> {
    this.ends.push(how)
    this.ended.resolve(how)
    return Promise.resolve()
  }
}

/** Grants are `resource/role`; names in `known` are not secret. */
export class HandGate implements Gate {
  readonly grants = new Set<string>()
  readonly admissions: HandAdmission[] = []
  readonly asks: Ask[] = []
  onAdmit: (admission: HandAdmission) => void = () => undefined
  /** While it is set and has not resolved, nobody's start is written down. */
  held: PromiseWithResolvers<void> | undefined

  async admit(ask: Ask): Promise<Admission> {
    return (await this.open(ask)).admitted
  }

  open(ask: Ask): Promise<Opening> {
    this.asks.push(ask)
    if (!this.grants.has(`${ask.resource}/${ask.role}`)) {
      const hint = 'Ask for it: https://gw.example.com/ask'
      return Promise.reject(new Fault('NO_GRANT', `You have no access to ${ask.resource} now.`, { hint }))
    }
    const admission = new HandAdmission(ask)
    this.admissions.push(admission)
    this.onAdmit(admission)
    const { session, cutOff } = admission
    const admitted = Promise.resolve(this.held?.promise).then(() => admission)
    admitted.catch(() => undefined)
    return Promise.resolve({ session, cutOff, told: () => admission.told(), admitted })
  }

  get last(): HandAdmission {
    const last = this.admissions.at(-1)
    if (last === undefined) throw new Error('nobody was admitted')
    return last
  }
}

/** One waiting sign-in at a time; `answer` confirms or refuses it. */
export class HandIdentity {
  remembered = false
  readonly begun: Pick<SignIn, 'address' | 'application' | 'resource' | 'role'>[] = []
  readonly waiting = Promise.withResolvers<void>()
  waitAborted = Promise.withResolvers<unknown>()
  #answer = Promise.withResolvers<Identified>()

  constructor() {
    this.#answer.promise.catch(() => undefined)
  }

  confirm(): void {
    this.#answer.resolve(identifiedAda)
  }

  refuse(): void {
    this.#answer.reject(new Fault('SIGN_IN_REFUSED', 'The sign-in was refused.'))
  }

  readonly parts: Pick<Identity, 'tokens' | 'inBand' | 'certificates' | 'oauth' | 'person'> = {
    oauth: {
      client: { issuer: 'https://login.example.com', clientId: 'curfew-psql' },
      discovery: {
        configuration: 'https://login.example.com/.well-known/openid-configuration',
        scope: 'openid curfew',
      },
      verify: (text) =>
        text === 'right'
          ? Promise.resolve(identifiedAda)
          : Promise.reject(
              new Fault(text === 'narrow' ? 'INSUFFICIENT_SCOPE' : 'TOKEN_REFUSED', 'The token is not valid.'),
            ),
    },
    certificates: {
      authority: clientAuthority(
        generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
        'gw.example.com',
        systemClock.now(),
      ).certificate.toString(),
      issue: () => Promise.reject(new Error('no certificates are made here')),
      verify: () => Promise.resolve(undefined),
    },
    tokens: {
      lengthMsMax: 1,
      make: () => Promise.reject(new Error('no tokens are made here')),
      verify: (text) =>
        text === 'curfew_right'
          ? Promise.resolve({ person: ada, token: { id: 'token-1' } as never })
          : Promise.reject(new Fault('TOKEN_REFUSED', 'The token is not valid.')),
    },
    inBand: {
      rememberMs: 0,
      recognise: () => Promise.resolve(this.remembered ? identifiedAda : undefined),
      begin: (ask) => {
        this.begun.push(ask)
        return Promise.resolve({ id: 'signin-1', code: 'KF7-XR2', ...ask } as unknown as SignIn)
      },
      link: (signIn) => new URL(`https://gw.example.com/s/${signIn.code}`),
      answered: (_signIn, signal) => {
        this.waiting.resolve()
        return new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => {
            this.waitAborted.resolve(signal.reason)
            reject(signal.reason as Error)
          })
          this.#answer.promise.then(resolve, reject)
        })
      },
      byCode: () => Promise.resolve(undefined),
      byId: () => Promise.resolve(undefined),
      confirm: () => Promise.resolve(),
      refuse: () => Promise.resolve(),
    },
    person: (id) => Promise.resolve(id === ada.id ? ada : undefined),
  }
}

/** Waiting for a grant ends when the test says so. */
/** Whoever asks in-line does so at a real gateway: test/real-clients/postgres-asking.test.ts. */
function notHere(): never {
  throw new Error('nobody asks here')
}

export class HandAccess {
  readonly waiting = Promise.withResolvers<void>()
  readonly verdict = Promise.withResolvers<void>()

  constructor() {
    this.verdict.promise.catch(() => undefined)
  }

  readonly parts: ConnectionDeps['access'] = {
    ...{ offer: notHere, ask: notHere, requestsOf: notHere, requestLink: notHere },
    askLink: (resource, role) => new URL(`https://gw.example.com/ask?resource=${resource}&role=${role}`),
    waitForGrant: (_person, _resource, _role, _waitMs, signal) => {
      this.waiting.resolve()
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
        this.verdict.promise.then(resolve, reject)
      })
    },
  }
}

/** Statements that wait for a word are answered by the test. */
export class HandQuestions {
  readonly asked: {
    readonly wish: QuestionWish
    readonly gaveUp: AbortSignal
    readonly answer: (answer: QuestionAnswer) => void
  }[] = []
  readonly noted: GuardFact[] = []
  #next = Promise.withResolvers<void>()

  /** @returns when so many were asked in all. */
  async untilAsked(count: number): Promise<HandQuestions['asked'][number]> {
    while (this.asked.length < count) await this.#next.promise
    return this.asked[count - 1]!
  }

  readonly parts: ConnectionDeps['questions'] = {
    ask: (wish, gaveUp) => {
      const { promise, resolve } = Promise.withResolvers<QuestionAnswer>()
      gaveUp.addEventListener('abort', () => resolve({ answer: 'given-up' }))
      this.asked.push({ wish, gaveUp, answer: resolve })
      this.#next.resolve()
      this.#next = Promise.withResolvers()
      const id = `question-${this.asked.length}` as const
      const link = new URL(`https://gw.example.com/statements/${id}`)
      return Promise.resolve({ id, link, waitMs: wish.waitMs, answer: promise })
    },
    note: (fact) => {
      this.noted.push(fact)
      return Promise.resolve()
    },
  }
}

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export function listLog(lines: LogLine[] = [], always: Readonly<Record<string, unknown>> = {}): Log {
  const at = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) =>
    void lines.push({ level, message, fields: { ...always, ...fields } })
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => listLog(lines, { ...always, ...fields }),
  }
}

export class CountingMetrics implements Metrics {
  readonly counts = new Map<string, number>()
  add(name: string, labels: Readonly<Record<string, string>>, by = 1): void {
    const key = [name, ...Object.values(labels)].join(' ')
    this.counts.set(key, (this.counts.get(key) ?? 0) + by)
  }
  set(name: string, labels: Readonly<Record<string, string>>, value: number): void {
    this.counts.set([name, ...Object.values(labels)].join(' '), value)
  }
  forget(): void {}
  observe(): void {}
}
