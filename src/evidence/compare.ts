import type { AuditEvent } from '../audit/event.ts'
import type { ChainedEvent } from '../audit/store.ts'
import type { Facts } from './facts.ts'
import type { BundleManifest } from './manifest.ts'

/** What goes on while a bundle is made is left to the next one. */
const justNowMs = 60_000

/** Facts that the log tells, by what they are called there. */
type Told = Readonly<Record<string, unknown>>

/** What the audit log said, as far as it is compared with. */
export class LogSaid {
  readonly #told = new Map<string, Told>()
  /** Things that must be in the bundle, and when the log says they began. */
  readonly #begun: {
    readonly kind: 'decision' | 'session'
    readonly id: string
    readonly of: string
    readonly at: number
  }[] = []

  take({ json }: ChainedEvent): void {
    const { type, at, person, data } = JSON.parse(json) as AuditEvent
    // Who holds it, where somebody else asked for it or the gateway gave it.
    const told = { ...data, person: data['holder'] ?? person, by: person }
    for (const key of ['request', 'grant', 'session']) {
      if (data[key] !== undefined) this.#told.set(`${type} ${String(data[key])}`, told)
    }
    const verdict = verdicts[type]
    if (data['decision'] !== undefined && verdict !== undefined) {
      this.#told.set(`decision ${String(data['decision'])}`, { person, verdict, request: data['request'] })
      this.#begun.push({ kind: 'decision', id: String(data['decision']), of: String(data['request']), at })
    }
    if (type === 'session.started') {
      this.#begun.push({ kind: 'session', id: String(data['session']), of: String(data['grant']), at })
    }
  }

  /** The event of this type about this id; undefined: there is none. */
  told(type: string, id: string): Told | undefined {
    return this.#told.get(`${type} ${id}`)
  }

  /** What began under one of these, and is not among those that are known. */
  other(kind: 'decision' | 'session', under: readonly string[], known: readonly string[], beforeMs: number) {
    return this.#begun.find(
      (one) => one.kind === kind && under.includes(one.of) && one.at < beforeMs && !known.includes(one.id),
    )?.id
  }
}

/** Events that carry somebody's decision. */
const verdicts: Readonly<Record<string, 'approve' | 'deny'>> = {
  'request.approved': 'approve',
  'request.approval-given': 'approve',
  'request.denied': 'deny',
  'request.refusal-given': 'deny',
}

const ends: Readonly<Record<string, readonly string[]>> = {
  expired: ['grant.expired', 'grant.used-up'],
  revoked: ['grant.revoked'],
  ended: ['grant.handed-back'],
}

/** The state can be changed behind the gateway's back, the log cannot. @returns what the two do not agree on */
export function compareWithLog(facts: Facts, log: LogSaid, { madeAt }: BundleManifest): string | null {
  const beforeMs = Date.parse(madeAt) - justNowMs
  return (
    requestsProblem(facts, log) ??
    decisionsProblem(facts, log, beforeMs) ??
    grantProblem(facts, log) ??
    sessionsProblem(facts, log, beforeMs)
  )
}

function requestsProblem({ request, extensions }: Facts, log: LogSaid): string | null {
  for (const one of [request, ...extensions]) {
    const told = log.told('request.opened', one.id)
    if (told === undefined) return `the audit log does not tell that ${one.id} was asked for`
    const other = differing(one, told, ['person', 'resource', 'role', 'lengthMs', 'reason', 'ticket'])
    if (other !== undefined) return `the audit log tells of another ${other} of ${one.id}`
    if (one.state !== 'requested' && log.told(`request.${one.state}`, one.id) === undefined) {
      return `the audit log does not tell that ${one.id} is ${one.state}`
    }
  }
  return null
}

function decisionsProblem({ request, extensions, decisions }: Facts, log: LogSaid, beforeMs: number): string | null {
  for (const one of decisions) {
    const told = log.told('decision', one.id)
    if (told === undefined) return `the audit log does not tell of ${one.id}`
    const other = differing(one, told, ['person', 'verdict', 'request'])
    if (other !== undefined) return `${one.id} is of another ${other} than the audit log tells`
  }
  const known = decisions.map(({ id }) => id)
  return missing(
    log.other(
      'decision',
      [request, ...extensions].map(({ id }) => id),
      known,
      beforeMs,
    ),
    'decisions',
  )
}

function grantProblem({ grant }: Facts, log: LogSaid): string | null {
  if (grant === null) return null
  const told = log.told('grant.started', grant.id)
  if (told === undefined) return `the audit log does not tell that ${grant.id} began`
  const other = differing(grant, told, ['person', 'resource', 'role', 'request'])
  if (other !== undefined) return `the audit log tells of another ${other} of ${grant.id}`
  const end = ends[grant.state]
  return end === undefined || end.some((type) => log.told(type, grant.id) !== undefined)
    ? null
    : `the audit log does not tell that ${grant.id} is ${grant.state}`
}

function sessionsProblem({ grant, sessions }: Facts, log: LogSaid, beforeMs: number): string | null {
  if (grant === null) return null
  for (const one of sessions) {
    const told = log.told('session.started', one.id)
    if (told === undefined) return `the audit log does not tell that ${one.id} began`
    const other = differing(one, told, ['person', 'resource', 'role', 'grant'])
    if (other !== undefined) return `the audit log tells of another ${other} of ${one.id}`
    const recording = told['recording']
    if (recording !== undefined && one.recorded !== (recording !== null)) {
      return `the audit log tells otherwise whether ${one.id} was recorded`
    }
    const ended = log.told('session.ended', one.id)
    if (ended !== undefined && ended['code'] !== one.end?.code) return `the audit log tells of another end of ${one.id}`
  }
  const known = sessions.map(({ id }) => id)
  return missing(log.other('session', [grant.id], known, beforeMs), 'sessions')
}

function differing(fact: Told, told: Told, names: readonly string[]): string | undefined {
  return names.find((name) => fact[name] !== told[name])
}

function missing(id: string | undefined, kind: 'decisions' | 'sessions'): string | null {
  return id === undefined ? null : `the audit log tells of ${id}, which is not among the ${kind}`
}
