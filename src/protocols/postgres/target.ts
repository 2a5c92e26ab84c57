import type { Socket } from 'node:net'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Random } from '../../kernel/ids.ts'
import type { Clock } from '../../kernel/time.ts'
import type { PostgresResource, PostgresRole } from '../../resources/catalogue.ts'
import { Login, type WantedSession } from './login.ts'
import type { SaltedPasswords } from './salted-passwords.ts'
import type { Scratch } from './scratch.ts'
import { encryptionsOf, openTargetSocket, type TargetAddress } from './target-socket.ts'

/** A connection to a target: what is needed of it as long as it lasts. */
export interface TargetConnection {
  readonly socket: Socket
  readonly processId: number
  /** The target's own cancel key; it never reaches the client. */
  readonly secret: Buffer
  /** The server that it is. */
  readonly address: TargetAddress
  /** How the connection was opened: further ones are opened in the same way. */
  readonly encryption: 'none' | 'offered' | 'required'
}

/** A target that let us in and is ready for queries. Its socket is paused. */
export interface Target extends TargetConnection {
  /** ParameterStatus, in its order. */
  readonly parameters: readonly (readonly [name: string, value: string])[]
  /** Whole NoticeResponse messages that came before it was ready. */
  readonly notices: readonly Buffer[]
  /** Of its ReadyForQuery. */
  readonly status: number
  /** What came behind ReadyForQuery. */
  readonly unread: Buffer
}

export interface TargetWish {
  readonly resource: PostgresResource
  readonly role: PostgresRole
  readonly database: string
  /** The client's own startup parameters (options, application_name, client_encoding, …). */
  readonly parameters: readonly (readonly [name: string, value: string])[]
}

export interface TargetDeps {
  readonly clock: Clock
  readonly random: Random
  /** Without it, each socket reads into buffers of its own. */
  readonly scratch?: Scratch
  /** Without it, each login derives its key anew. */
  readonly salted?: SaltedPasswords
}

/**
 * Connects and logs in as the role's upstream login: to the first server that can be reached and will do.
 * @param signal ends the attempt; its reason is what this rejects with.
 * @throws Fault UPSTREAM_UNREACHABLE, UPSTREAM_TLS, UPSTREAM_REFUSED; the cause tells the operators more.
 */
export async function connectTarget(wish: TargetWish, signal: AbortSignal, deps: TargetDeps): Promise<Target> {
  const { name, host, port, others, targetSession, tls, minTlsVersion, keepalives } = wish.resource
  const failures: unknown[] = []
  for (const wanted of targetSession === 'prefer-standby' ? (['standby', 'any'] as const) : [targetSession]) {
    for (const place of [{ host, port }, ...others]) {
      try {
        return await connectTo(
          { ...place, name, tls, minTlsVersion, keepalives, reachedAt: null },
          wanted,
          wish,
          signal,
          deps,
        )
      } catch (error) {
        signal.throwIfAborted()
        // Whoever answers and refuses us is not passed over: another one would hide what is wrong.
        if (asFault(error)?.code !== 'UPSTREAM_UNREACHABLE') throw error
        failures.push(error)
      }
    }
  }
  if (failures.length === 1) throw failures[0]
  const cause = new AggregateError(failures, failures.map(describe).join('; '))
  throw new Fault('UPSTREAM_UNREACHABLE', `No server of ${name} will do now.`, { cause })
}

function describe(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : ''
  return error instanceof Error ? `${error.message}${cause}` : String(error)
}

/** A second connection to the very server that `target` is. */
export function connectAgain(
  { address, encryption }: TargetConnection,
  wish: TargetWish,
  signal: AbortSignal,
  deps: TargetDeps,
): Promise<Target> {
  return logInWithin(address, encryption, 'any', wish, signal, deps)
}

async function connectTo(
  address: TargetAddress,
  wanted: WantedSession,
  wish: TargetWish,
  signal: AbortSignal,
  deps: TargetDeps,
): Promise<Target> {
  const [first, second] = encryptionsOf(address.tls.mode, address.host)
  try {
    return await logInWithin(address, first!, wanted, wish, signal, deps)
  } catch (error) {
    const code = asFault(error)?.code
    if (second === undefined || (code !== 'UPSTREAM_REFUSED' && code !== 'UPSTREAM_TLS')) throw error
    return await logInWithin(address, second, wanted, wish, signal, deps)
  }
}

async function logInWithin(
  address: TargetAddress,
  encryption: Target['encryption'],
  wanted: WantedSession,
  wish: TargetWish,
  signal: AbortSignal,
  deps: TargetDeps,
): Promise<Target> {
  const late = new AbortController()
  const timer = deps.clock.after(wish.resource.connectMs, () => {
    late.abort(new Fault('UPSTREAM_UNREACHABLE', `${address.name} did not answer in time.`))
  })
  const either = AbortSignal.any([signal, late.signal])
  try {
    const socket = await openTargetSocket(address, encryption, either, deps.scratch?.reads)
    const reached = { ...address, reachedAt: socket.remoteAddress ?? null }
    return await new Login(socket, { address: reached, encryption, wanted, wish }, either, deps).run()
  } finally {
    timer.cancel()
  }
}
