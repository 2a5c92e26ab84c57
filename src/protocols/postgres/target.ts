import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { Fault } from '../../kernel/fault.ts'
import type { Random } from '../../kernel/ids.ts'
import type { Clock } from '../../kernel/time.ts'
import type { PostgresResource, PostgresRole } from '../../resources/catalogue.ts'
import { Inbox, PeerGone } from './inbox.ts'
import { Fields, fromServer, passwordMessage, readReport, saslInitialResponse, saslResponse } from './messages.ts'
import { endPointHash, md5Password, ScramClient, type ChannelBinding } from './scram.ts'
import { startupMessage } from './startup.ts'
import { openTargetSocket, targetUnreadBytesMax } from './target-socket.ts'

/** A target that let us in and is ready for queries. Its socket is paused. */
export interface Target {
  readonly socket: Socket
  readonly processId: number
  /** The target's own cancel key; it never reaches the client. */
  readonly secret: Buffer
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
  /** Longest time until the target is ready for queries. */
  readonly connectMsMax?: number
}

const connectMsMaxDefault = 15_000
/** Before it is ready a target sends small messages, and few. */
const messageBytesMax = 64 * 1024
const messagesMax = 1000
/** What all of them may come to; notices among them are kept until the client can have them. */
const messagesBytesMax = 1024 * 1024

/**
 * Connects and logs in as the role's upstream login.
 * @param signal ends the attempt; its reason is what this rejects with.
 * @throws Fault UPSTREAM_UNREACHABLE, UPSTREAM_TLS, UPSTREAM_REFUSED; the cause tells the operators more.
 */
export async function connectTarget(wish: TargetWish, signal: AbortSignal, deps: TargetDeps): Promise<Target> {
  const late = new AbortController()
  const timer = deps.clock.after(deps.connectMsMax ?? connectMsMaxDefault, () => {
    late.abort(new Fault('UPSTREAM_UNREACHABLE', `${wish.resource.name} did not answer in time.`))
  })
  const either = AbortSignal.any([signal, late.signal])
  try {
    const socket = await openTargetSocket(wish.resource, either)
    return await new Login(socket, wish, either, deps.random).run()
  } finally {
    timer.cancel()
  }
}

/** The dialogue from the startup message to ReadyForQuery. */
class Login {
  readonly #socket: Socket
  readonly #wish: TargetWish
  readonly #signal: AbortSignal
  readonly #random: Random
  readonly #inbox: Inbox
  #authenticated = false
  #readBytes = 0

  constructor(socket: Socket, wish: TargetWish, signal: AbortSignal, random: Random) {
    this.#socket = socket
    this.#wish = wish
    this.#signal = signal
    this.#random = random
    this.#inbox = new Inbox(socket, targetUnreadBytesMax)
  }

  async run(): Promise<Target> {
    const { role, database, parameters } = this.#wish
    try {
      this.#socket.write(startupMessage([['user', role.login], ['database', database], ...parameters]))
      await this.#authenticate()
      return await this.#untilReady()
    } catch (error) {
      this.#socket.destroy()
      this.#signal.throwIfAborted()
      if (!(error instanceof PeerGone)) throw error
      throw new Fault('UPSTREAM_UNREACHABLE', `${this.#wish.resource.name} closed the connection.`, { cause: error })
    }
  }

  async #authenticate(): Promise<void> {
    const { name } = this.#wish.resource
    const { type, body } = await this.#next()
    if (type !== fromServer.authentication) throw unexpected(name)
    const fields = new Fields(body)
    switch (fields.int32()) {
      case 0:
        break
      case 3:
        await this.#sayPassword()
        break
      case 5:
        this.#socket.write(passwordMessage(md5Password(this.#wish.role.login, this.#password(), fields.bytes(4))))
        await this.#expectAuthentication(0)
        break
      case 10:
        await this.#scram(fields)
        break
      default:
        throw new Fault('UPSTREAM_REFUSED', `${name} asks for a way to log in that the gateway does not have.`)
    }
    this.#authenticated = true
  }

  async #sayPassword(): Promise<void> {
    const { name } = this.#wish.resource
    if (!(this.#socket instanceof TLSSocket)) {
      throw new Fault('UPSTREAM_REFUSED', `${name} asks for the password in clear text on a connection without TLS.`)
    }
    this.#socket.write(passwordMessage(this.#password()))
    await this.#expectAuthentication(0)
  }

  async #scram(offered: Fields): Promise<void> {
    const mechanisms: string[] = []
    while (offered.left > 1) mechanisms.push(offered.cstring())
    const { mechanism, binding } = this.#chooseScram(mechanisms)
    const nonce = Buffer.from(this.#random.bytes(24)).toString('base64')
    const scram = new ScramClient(this.#password(), nonce, binding)
    this.#socket.write(saslInitialResponse(mechanism, scram.first()))
    const serverFirst = await this.#expectAuthentication(11)
    this.#socket.write(saslResponse(await scram.final(serverFirst.rest().toString())))
    const serverFinal = await this.#expectAuthentication(12)
    scram.verify(serverFinal.rest().toString())
    await this.#expectAuthentication(0)
  }

  #chooseScram(mechanisms: readonly string[]): { mechanism: string; binding: ChannelBinding } {
    const plain = 'SCRAM-SHA-256'
    const certificate = this.#socket instanceof TLSSocket ? this.#socket.getPeerX509Certificate() : undefined
    const hash = certificate && endPointHash(certificate)
    if (hash !== undefined && mechanisms.includes(`${plain}-PLUS`)) {
      return { mechanism: `${plain}-PLUS`, binding: { kind: 'bound', hash } }
    }
    if (!mechanisms.includes(plain)) {
      throw new Fault('UPSTREAM_REFUSED', `${this.#wish.resource.name} offers no SCRAM that the gateway speaks.`)
    }
    return { mechanism: plain, binding: { kind: 'unbound', flag: hash === undefined ? 'n' : 'y' } }
  }

  #password(): string {
    const { password } = this.#wish.role
    if (password !== null) return password.reveal()
    throw new Fault('UPSTREAM_REFUSED', `${this.#wish.resource.name} asks for a password, and the role has none.`)
  }

  async #expectAuthentication(kind: number): Promise<Fields> {
    const { type, body } = await this.#next()
    const fields = new Fields(body)
    if (type !== fromServer.authentication || fields.int32() !== kind) throw unexpected(this.#wish.resource.name)
    return fields
  }

  async #untilReady(): Promise<Target> {
    const parameters: [string, string][] = []
    const notices: Buffer[] = []
    let processId = 0
    let secret: Buffer = Buffer.alloc(0)
    for (let count = 0; count < messagesMax; count++) {
      const { type, body, whole } = await this.#next()
      const fields = new Fields(body)
      if (type === fromServer.parameterStatus) parameters.push([fields.cstring(), fields.cstring()])
      else if (type === fromServer.noticeResponse) notices.push(Buffer.from(whole))
      else if (type === fromServer.backendKeyData) [processId, secret] = [fields.int32(), Buffer.from(fields.rest())]
      else if (type === fromServer.readyForQuery) {
        const unread = this.#inbox.detach()
        return { socket: this.#socket, processId, secret, parameters, notices, status: fields.uint8(), unread }
      } else throw unexpected(this.#wish.resource.name)
    }
    throw unexpected(this.#wish.resource.name)
  }

  /** The next message. An ErrorResponse is a Fault here. */
  async #next(): Promise<{ type: number; body: Buffer; whole: Buffer }> {
    const head = Buffer.from(await this.#inbox.take(5, this.#signal))
    const bodyBytes = head.readInt32BE(1) - 4
    this.#readBytes += Math.max(0, bodyBytes)
    const tooMuch = bodyBytes > messageBytesMax || this.#readBytes > messagesBytesMax
    if (bodyBytes < 0 || tooMuch) throw unexpected(this.#wish.resource.name)
    const body = await this.#inbox.take(bodyBytes, this.#signal)
    if (head[0] === fromServer.errorResponse) throw this.#refusal(body)
    return { type: head[0]!, body, whole: Buffer.concat([head, body]) }
  }

  #refusal(body: Buffer): Fault {
    const report = readReport(body)
    const cause = new Error(`${report.sqlstate} ${report.message}`)
    const { name } = this.#wish.resource
    if (report.sqlstate.startsWith('53') || report.sqlstate.startsWith('57')) {
      return new Fault('UPSTREAM_UNREACHABLE', `${name} takes no connection now: ${report.message}`, { cause })
    }
    // How its logins fail is for the operators' eyes; what comes after it is about the person's own parameters.
    const words = this.#authenticated ? `: ${report.message}` : '.'
    return new Fault('UPSTREAM_REFUSED', `${name} refused the connection${words}`, { cause })
  }
}

function unexpected(name: string): Fault {
  return new Fault('UPSTREAM_REFUSED', `${name} does not speak the protocol of PostgreSQL as expected.`)
}
