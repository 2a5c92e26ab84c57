import type { AuditStore } from '../audit/store.ts'
import { auditEvent, type AuditType, type AuditValue } from '../audit/event.ts'
import { displayName, type Person } from '../identity/person.ts'
import type { Token } from '../identity/store.ts'
import type { Clock } from '../kernel/time.ts'
import type { Visit } from './context.ts'
import { createLately } from './rate-limit.ts'

const visitMs = 30 * 60_000

type Data = Readonly<Record<string, AuditValue>>

interface Caller {
  readonly person: Person
  readonly token: Token
}

/** Writes down that somebody looked: before they see it, so that a failing log shows nothing. */
export interface Auditor {
  note(visit: Visit, type: AuditType, data: Data): Promise<void>
  /** Once per browser session and half hour for the same `about`, not once a click. */
  noteVisit(visit: Visit, about: string, type: AuditType, data: Data): Promise<void>
  /** A program reads the audit log: once per token and half hour. */
  noteRead(caller: Caller, address: string): Promise<void>
  /** The same for something else, once for the same `about`. */
  noteCall(caller: Caller, address: string, about: string, type: AuditType, data: Data): Promise<void>
}

export function createAuditor(audit: AuditStore, clock: Clock): Auditor {
  const lately = createLately(clock, visitMs)

  const write = (person: Person, type: AuditType, data: Data) =>
    audit.append([auditEvent(type, clock.now(), { id: person.id, name: displayName(person) }, data)])

  async function once(key: string, person: Person, type: AuditType, data: Data): Promise<void> {
    if (lately.has(key)) return
    await write(person, type, data)
    lately.mark(key)
  }

  return {
    note: ({ person, address }, type, data) => write(person, type, { ...data, address }),
    noteVisit: ({ person, visitor, address }, about, type, data) =>
      once(`${visitor.browserSession.id} ${type} ${about}`, person, type, { ...data, address }),
    noteRead: ({ person, token }, address) =>
      once(`${token.id} audit.read`, person, 'audit.read', { token: token.id, address }),
    noteCall: ({ person, token }, address, about, type, data) =>
      once(`${token.id} ${type} ${about}`, person, type, { ...data, token: token.id, address }),
  }
}
