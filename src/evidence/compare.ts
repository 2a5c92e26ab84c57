import type { AuditEvent } from '../audit/event.ts'
import type { ChainedEvent } from '../audit/store.ts'
import type { Facts } from './facts.ts'
import type { BundleManifest } from './manifest.ts'

/** Sessions that begin while a bundle is made are left to the next one. */
const justBeganMs = 60_000

/** What the audit log said, as far as it is compared with. */
export class LogSaid {
  readonly #said = new Set<string>()
  /** Sessions under a grant, and when the log says they began. */
  readonly #sessions: { readonly session: string; readonly grant: string; readonly at: number }[] = []

  take({ json }: ChainedEvent): void {
    const { type, at, data } = JSON.parse(json) as AuditEvent
    for (const key of ['request', 'decision', 'grant', 'session']) {
      if (data[key] === undefined) continue
      this.#said.add(`${type} ${String(data[key])}`)
      if (key === 'decision') this.#said.add(`decision ${String(data[key])}`)
    }
    if (type === 'session.started')
      this.#sessions.push({ session: String(data['session']), grant: String(data['grant']), at })
  }

  /** Whether there was such an event about this id. */
  tells(type: string, id: string): boolean {
    return this.#said.has(`${type} ${id}`)
  }

  /** A session under this grant that is not among these. */
  otherSession(grant: string, known: ReadonlySet<string>, beforeMs: number): string | undefined {
    return this.#sessions.find((one) => one.grant === grant && one.at < beforeMs && !known.has(one.session))?.session
  }
}

const asked = ['request.opened', 'request.break-glass'] as const
const ends: Readonly<Record<string, string>> = {
  expired: 'grant.expired',
  revoked: 'grant.revoked',
  ended: 'grant.handed-back',
}

/** The state can be changed behind the gateway's back, the log cannot. @returns what the two do not agree on */
export function compareWithLog(facts: Facts, log: LogSaid, { madeAt }: BundleManifest): string | null {
  const { request, extensions, decisions, grant, sessions } = facts
  for (const { id } of [request, ...extensions]) {
    if (!asked.some((type) => log.tells(type, id))) return `the audit log does not tell that ${id} was asked for`
  }
  for (const { id } of decisions) {
    if (!log.tells('decision', id)) return `the audit log does not tell of ${id}`
  }
  if (grant === null) return null
  if (!log.tells('grant.started', grant.id)) return `the audit log does not tell that ${grant.id} began`
  const end = ends[grant.state]
  if (end !== undefined && !log.tells(end, grant.id))
    return `the audit log does not tell that ${grant.id} is ${grant.state}`
  for (const { id } of sessions) {
    if (!log.tells('session.started', id)) return `the audit log does not tell that ${id} began`
  }
  const other = log.otherSession(grant.id, new Set(sessions.map(({ id }) => id)), Date.parse(madeAt) - justBeganMs)
  return other === undefined ? null : `the audit log tells of ${other}, which is not among the sessions`
}
