import type { Access } from '../../access/access.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { RequestId } from '../../kernel/ids.ts'
import type { Ask, Gate, Opening } from '../../sessions/admission.ts'
import { askInline, type AskInlineDeps } from './ask-inline.ts'
import type { Client } from './client.ts'
import { grantedNotice, requestFiledNotice, waitForGrantNotice } from './notices.ts'

export interface AdmitDeps extends AskInlineDeps {
  readonly gate: Gate
  readonly access: AskInlineDeps['access'] & Pick<Access, 'requestLink' | 'waitForGrant'>
  /** How long a connection waits for an approval; 0: not at all. */
  readonly waitMs: number
}

/**
 * Asks the gate. Without a grant it files the request that came with the connection, or says where to ask; waits for the
 * grant, and asks the gate again.
 * @param signal aborts when the client is gone or the listener stops; a session that is let in too late is ended.
 * @throws Fault whatever the gate or the wait throws; rejects with `signal.reason`
 */
export async function admit(client: Client, ask: Ask, signal: AbortSignal, deps: AdmitDeps): Promise<Opening> {
  try {
    return await openOnce(ask, signal, deps.gate)
  } catch (error) {
    if (asFault(error)?.code !== 'NO_GRANT') throw error
    await comeByGrant(client, ask, error, signal, deps)
  }
  const opening = await openOnce(ask, signal, deps.gate)
  const { deadline } = await opening.admitted
  client.say(grantedNotice(nameOf(ask), deadline.value, deps.clock.now()))
  return opening
}

/** @param refusal the gate's, which stays where nobody waits. */
async function comeByGrant(
  client: Client,
  ask: Ask,
  refusal: unknown,
  signal: AbortSignal,
  deps: AdmitDeps,
): Promise<void> {
  signal.throwIfAborted()
  const { wish } = client.startup
  const what = nameOf(ask)
  const { access, waitMs } = deps
  if (wish === null) {
    if (waitMs === 0) throw refusal
    client.say(waitForGrantNotice({ link: access.askLink(ask.resource, ask.role), what, waitMs }))
    return waitForGrant(client, ask, signal, deps)
  }
  const request = await askInline(wish, ask, deps)
  if (request.state === 'approved') return
  const link = access.requestLink(request.id)
  if (waitMs === 0) {
    throw new Fault('NO_GRANT', `Your request for ${what} waits to be decided.`, { hint: `See how it stands: ${link}` })
  }
  client.say(requestFiledNotice({ link, what, waitMs }))
  return waitForGrant(client, ask, signal, deps, request.id)
}

async function waitForGrant(
  client: Client,
  ask: Ask,
  signal: AbortSignal,
  deps: AdmitDeps,
  request?: RequestId,
): Promise<void> {
  try {
    const who = { ...ask.identified, address: ask.client.address, request }
    await deps.access.waitForGrant(who, ask.resource, ask.role, deps.waitMs, signal)
  } catch (error) {
    const fault = asFault(error)
    // When psql connects again by itself, all that it shows of a FATAL is "Failed."; a notice it shows.
    if (fault !== undefined) client.say(fault.message)
    throw error
  }
}

async function openOnce(ask: Ask, signal: AbortSignal, gate: Gate): Promise<Opening> {
  const opening = await gate.open(ask)
  if (!signal.aborted) return opening
  const admission = await opening.admitted
  await admission.end({ by: 'client', bytesFromClient: 0, bytesFromTarget: 0 })
  throw signal.reason
}

function nameOf({ resource, role }: Ask): string {
  return `${resource} as ${role}`
}
