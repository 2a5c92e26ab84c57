import type { Access } from '../../access/access.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Admission, Ask, Gate } from '../../sessions/admission.ts'
import type { Client } from './client.ts'
import { grantedNotice, waitForGrantNotice } from './notices.ts'

export interface AdmitDeps {
  readonly gate: Gate
  readonly access: Pick<Access, 'askLink' | 'waitForGrant'>
  readonly waitMs: number
  readonly clock: Clock
}

/**
 * Asks the gate. Without a grant it says where to ask for one, waits for it, and asks again.
 * @param signal aborts when the client is gone or the listener stops; an admission that comes too late is given back.
 * @throws Fault whatever the gate or the wait throws; rejects with `signal.reason`
 */
export async function admit(client: Client, ask: Ask, signal: AbortSignal, deps: AdmitDeps): Promise<Admission> {
  try {
    return await admitOnce(ask, signal, deps.gate)
  } catch (error) {
    if (asFault(error)?.code !== 'NO_GRANT' || deps.waitMs === 0) throw error
  }
  await waitForGrant(client, ask, signal, deps)
  const admission = await admitOnce(ask, signal, deps.gate)
  client.say(grantedNotice(nameOf(ask), admission.deadline.value, deps.clock.now()))
  return admission
}

async function waitForGrant(client: Client, ask: Ask, signal: AbortSignal, deps: AdmitDeps): Promise<void> {
  signal.throwIfAborted()
  const link = deps.access.askLink(ask.resource, ask.role)
  client.say(waitForGrantNotice({ link, what: nameOf(ask), waitMs: deps.waitMs }))
  try {
    const who = { ...ask.identified, address: ask.client.address }
    await deps.access.waitForGrant(who, ask.resource, ask.role, deps.waitMs, signal)
  } catch (error) {
    const fault = asFault(error)
    // When psql connects again by itself, all that it shows of a FATAL is "Failed."; a notice it shows.
    if (fault !== undefined) client.say(fault.message)
    throw error
  }
}

async function admitOnce(ask: Ask, signal: AbortSignal, gate: Gate): Promise<Admission> {
  const admission = await gate.admit(ask)
  if (!signal.aborted) return admission
  await admission.end({ by: 'client', bytesFromClient: 0, bytesFromTarget: 0 })
  throw signal.reason
}

function nameOf({ resource, role }: Ask): string {
  return `${resource} as ${role}`
}
