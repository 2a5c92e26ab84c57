import { asFault, Fault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { Client, Identified } from '../../../sessions/session.ts'
import type { Conversation, Wanted } from '../conversation.ts'
import { isMisnamed, readUser, readUserWithin } from '../naming.ts'
import { keyUnknownText, refusalText, signedInText } from '../texts.ts'
import type { Transport } from '../transport.ts'
import { Deadline } from './deadline.ts'
import { Dialogue, type Introduction } from './dialogue.ts'
import { Exchange } from './exchange.ts'
import { turnAway } from './farewell.ts'
import type { AuthRequest, PublicKeyRequest } from './messages.ts'
import { OfferedKeys, type OfferedKeysDeps } from './offered-keys.ts'
import { signInByBrowser, type SignInDeps } from './sign-in.ts'

export interface Caller {
  readonly from: { readonly address: string; readonly port: number }
  /** Within a jump: who the outer connection belongs to, and the resource that it jumped to. */
  readonly within?: { readonly identified: Identified; readonly resource: string }
}

export interface AuthenticateDeps extends Omit<OfferedKeysDeps, 'identity'>, Omit<SignInDeps, 'identity'> {
  readonly identity: OfferedKeysDeps['identity'] & SignInDeps['identity']
  readonly clock: Clock
  /** From the first moment until somebody is asked to sign in. */
  readonly handshakeMs: number
}

const methods = ['publickey', 'keyboard-interactive'] as const

/**
 * Finds out who is at the other end of a transport: by a remembered key, by a certificate, or by a sign-in in the
 * browser. There are no passwords.
 * @param signal aborts when the listener stops.
 * @returns the client, known and still waiting to be let in. Otherwise the client has been told why, and it throws:
 * @throws Fault SIGN_IN_REFUSED, SIGN_IN_TIMED_OUT, PROTOCOL_VIOLATION, DEADLINE_PASSED, …; rejects with
 *   `signal.reason`, or that of `transport.gone`
 * @see RFC 4252, RFC 4256
 */
export async function authenticate(
  transport: Transport,
  caller: Caller,
  signal: AbortSignal,
  deps: AuthenticateDeps,
): Promise<Conversation> {
  const exchange = new Exchange(transport)
  using deadline = new Deadline(deps)
  const stop = AbortSignal.any([signal, transport.gone, deadline.signal])
  try {
    await exchange.acceptService(stop)
    const introduction = await new Reception(transport, exchange, caller, deadline, stop, deps).identify()
    return new Dialogue(transport, exchange, introduction, { clock: deps.clock, answerMs: deps.signInMs })
  } catch (error) {
    turnAway(transport, exchange, error)
    throw error
  }
}

/** One client, from its first request until it is known. */
class Reception {
  readonly #exchange: Exchange
  readonly #caller: Caller
  readonly #client: Client
  readonly #deadline: Deadline
  readonly #stop: AbortSignal
  readonly #deps: AuthenticateDeps
  readonly #keys: OfferedKeys

  constructor(
    transport: Transport,
    exchange: Exchange,
    caller: Caller,
    deadline: Deadline,
    stop: AbortSignal,
    deps: AuthenticateDeps,
  ) {
    this.#exchange = exchange
    this.#caller = caller
    this.#client = { protocol: 'ssh', ...caller.from, application: transport.peerSoftware, tls: false }
    this.#deadline = deadline
    this.#stop = stop
    this.#deps = deps
    this.#keys = new OfferedKeys(transport.sessionId, caller.from, deps)
  }

  async identify(): Promise<Introduction> {
    for (;;) {
      const request = await this.#exchange.request(this.#stop)
      const wanted = this.#wanted(request)
      const pending = request.method === 'keyboard-interactive' ? 'interactive' : 'request'
      const known = this.#caller.within?.identified
      // Whatever a client in a jump begins with: the connection around it has said who it is.
      if (known !== undefined) return this.#introduce(known, wanted, 'request')
      const identified = await this.#answer(request, wanted)
      if (identified !== undefined) return this.#introduce(identified, wanted, pending)
    }
  }

  #introduce(identified: Identified, wanted: Wanted, pending: Introduction['pending']): Introduction {
    return { identified, wanted, pending, client: this.#client }
  }

  #wanted({ user }: AuthRequest): Wanted {
    const { within } = this.#caller
    if (within === undefined) return isMisnamed(user) ? { kind: 'menu', misnamed: asText(user) } : readUser(user)
    const wanted = readUserWithin(user, within.resource)
    if (wanted !== undefined) return wanted
    throw new Fault('ROLE_UNKNOWN', `On the way to ${within.resource} the user name must be one of its roles.`)
  }

  /** Undefined: it was answered, and nobody is known yet. */
  #answer(request: AuthRequest, wanted: Wanted): Promise<Identified | undefined> {
    if (request.method === 'publickey') return this.#byKey(request)
    if (request.method === 'keyboard-interactive') return this.#bySignIn(wanted)
    this.#refuse()
    return Promise.resolve(undefined)
  }

  async #byKey(request: PublicKeyRequest): Promise<Identified | undefined> {
    if (request.signature !== null) return this.#byProof(request)
    if (await this.#keys.wouldDo(request)) {
      this.#exchange.acceptKey(request)
      return undefined
    }
    // A client that cannot ask a person (BatchMode) gives up after this, and would not say why.
    if (this.#keys.isProved(request)) this.#exchange.say(keyUnknownText(this.#keys.proved!))
    this.#refuse()
    return undefined
  }

  async #byProof(request: PublicKeyRequest): Promise<Identified | undefined> {
    const proof = await this.#prove(request)
    if (proof.kind === 'identified') return proof.identified
    if (proof.kind === 'proved') this.#exchange.fail(methods, true)
    else this.#refuse()
    return undefined
  }

  /** A certificate that holds no more is no reason to send somebody away who can sign in. */
  async #prove(request: PublicKeyRequest) {
    try {
      return await this.#keys.prove(request)
    } catch (error) {
      const fault = asFault(error)
      if (fault?.code !== 'CERTIFICATE_REFUSED') throw error
      this.#exchange.say(refusalText(fault))
      return { kind: 'refused' } as const
    }
  }

  async #bySignIn(wanted: Wanted): Promise<Identified | undefined> {
    this.#deadline.arm(this.#deps.signInMs)
    const ask = { client: this.#client, wanted, keyFingerprint: this.#keys.proved }
    const identified = await signInByBrowser(this.#exchange, ask, this.#stop, this.#deps)
    if (identified !== undefined) this.#exchange.say(signedInText(identified.personName))
    else this.#deadline.arm()
    return identified
  }

  /** When an agent has very many keys, it is time to sign in by hand. */
  #refuse(): void {
    this.#exchange.fail(this.#exchange.nearlyExhausted ? methods.slice(1) : methods, false)
  }
}

/** Names stay as their bytes until somebody reads them. */
function asText(user: string): string {
  return Buffer.from(user, 'latin1').toString('utf8')
}
