import type { SshKeyPair } from '../../identity/ssh/keys.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Random } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Catalogue } from '../../resources/catalogue.ts'
import type { Admission } from '../../sessions/admission.ts'
import { eitherAborts } from '../either-aborts.ts'
import type { AdoptedChannel } from './conversation.ts'
import { Relay, type RelayEnd } from './relay/relay.ts'
import { chooseTap } from './taps/choose-tap.ts'
import { connectTarget, type Target, type TargetWish } from './target.ts'
import type { Transport } from './transport.ts'

export interface SessionDeps {
  readonly catalogue: Catalogue
  /** Signs the ephemeral certificates that targets trust. */
  readonly targetAuthority: SshKeyPair
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

/** How the client is spoken to until its channels go to the target: as it is being let in, or from a menu. */
export interface Doorway {
  /** Lines that the target wants read before. */
  say(text: string): void
  /** From here on its messages are the relay's. */
  enter(): void
  /** Says why not, in words, and ends the connection. */
  refuse(fault: Fault): void
  readonly adopted: AdoptedChannel | null
}

const nothingPassed = { bytesFromClient: 0, bytesFromTarget: 0 } as const

/**
 * From an admission to its end: connects to the target, relays, and gives the admission back exactly once.
 * Resolves when nothing of it goes on at the target.
 */
export async function runSession(
  client: Transport,
  doorway: Doorway,
  admission: Admission,
  deps: SessionDeps,
): Promise<void> {
  const { session } = admission
  const log = deps.log.child({ session: session.id, resource: session.resource })
  const opened = await open(client, doorway, admission, { ...deps, log })
  if ('end' in opened) {
    await admission.end(opened.end)
    return
  }
  const { target, wish } = opened
  for (const banner of target.banners) doorway.say(banner)
  doorway.enter()
  const { recordInput } = wish.role
  const relay = new Relay({
    client,
    target: target.transport,
    admission,
    role: wish.role,
    clock: deps.clock,
    log,
    adopted: doorway.adopted,
    newTap: (tap) => chooseTap({ ...tap, recordInput, recorder: admission.recorder, clock: deps.clock }),
  })
  const end = await relay.run()
  if (end.error !== undefined && asFault(end.error) === undefined) {
    log.info({ by: end.by, error: end.error }, 'a session ended out of order')
  }
  await admission.end(end)
  await relay.dismissed
}

interface Opened {
  readonly wish: TargetWish
  readonly target: Target
}

/** The upstream; or how the session ended without one, with the client told. */
async function open(
  client: Transport,
  doorway: Doorway,
  admission: Admission,
  deps: SessionDeps,
): Promise<Opened | { readonly end: RelayEnd }> {
  using either = eitherAborts(admission.cutOff, client.gone)
  try {
    const wish = wishOf(admission, deps.catalogue)
    const target = await connectTarget(wish, either.signal, { ...deps, authority: deps.targetAuthority })
    if (!either.signal.aborted) return { wish, target }
    target.transport.destroy()
    throw either.signal.reason
  } catch (error) {
    return { end: failed(client, doorway, admission, error, deps) }
  }
}

function failed(
  client: Transport,
  doorway: Doorway,
  admission: Admission,
  error: unknown,
  { log, metrics }: SessionDeps,
): RelayEnd {
  const { cutOff, session } = admission
  if (cutOff.aborted) {
    const fault = asFault(cutOff.reason) ?? new Fault('KILLED', 'The session was ended.')
    doorway.refuse(fault)
    admission.told()
    return { by: 'gate', error: fault, ...nothingPassed }
  }
  if (client.gone.aborted) return { by: 'client', ...nothingPassed }
  const fault = asFault(error) ?? new Fault('UPSTREAM_UNREACHABLE', `${session.resource} cannot be used now.`)
  log.warn({ code: fault.code, error }, 'the target could not be used')
  metrics.add('curfew_upstream_failures_total', { resource: session.resource, code: fault.code })
  doorway.refuse(fault)
  return { by: 'target', error: fault, ...nothingPassed }
}

function wishOf({ session, deadline }: Admission, catalogue: Catalogue): TargetWish {
  const resource = catalogue.resource(session.resource)
  const role = catalogue.role(session.resource, session.role)
  if (resource?.kind !== 'ssh' || role?.kind !== 'ssh') {
    throw new Fault('RESOURCE_UNKNOWN', 'What this session is for does not exist any more.')
  }
  return { resource, role, session, until: deadline.value }
}
