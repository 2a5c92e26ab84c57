import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Random } from '../../kernel/ids.ts'
import type { PostgresLogin, TargetSessionAttribute } from '../../resources/catalogue.ts'
import { Inbox, PeerGone } from './inbox.ts'
import {
  Fields,
  fromServer,
  passwordMessage,
  query,
  readReport,
  saslInitialResponse,
  saslResponse,
} from './messages.ts'
import { SaltedPasswords } from './salted-passwords.ts'
import { endPointHash, md5Password, ScramClient, type ChannelBinding } from './scram.ts'
import { startupMessage } from './startup.ts'
import type { Target, TargetDeps, TargetWish } from './target.ts'
import { targetUnreadBytesMax, type TargetAddress } from './target-socket.ts'

/** Before it is ready a target sends small messages, and few. */
const messageBytesMax = 64 * 1024
const messagesMax = 1000
/** What all of them may come to; notices among them are kept until the client can have them. */
const messagesBytesMax = 1024 * 1024

/** One attempt at one server. */
export interface LoginPlan {
  readonly address: TargetAddress
  readonly encryption: Target['encryption']
  readonly wanted: WantedSession
  readonly wish: TargetWish
}

/** The dialogue from the startup message to ReadyForQuery. */
export class Login {
  readonly #socket: Socket
  readonly #plan: LoginPlan
  readonly #wish: TargetWish
  readonly #signal: AbortSignal
  readonly #random: Random
  readonly #salted: SaltedPasswords
  readonly #inbox: Inbox
  #authenticated = false
  #readBytes = 0

  constructor(socket: Socket, plan: LoginPlan, signal: AbortSignal, { random, salted }: TargetDeps) {
    this.#socket = socket
    this.#plan = plan
    this.#wish = plan.wish
    this.#signal = signal
    this.#random = random
    this.#salted = salted ?? new SaltedPasswords()
    this.#inbox = new Inbox(socket, targetUnreadBytesMax)
    socket.resume() // paused where somebody read from it before, such as the answer about TLS
  }

  async run(): Promise<Target> {
    const { role, database, parameters } = this.#wish
    try {
      this.#socket.write(startupMessage([['user', role.login], ['database', database], ...parameters]))
      await this.#authenticate()
      const ready = await this.#untilReady()
      await this.#checkSession(ready.parameters)
      const { address, encryption } = this.#plan
      return { ...ready, socket: this.#socket, unread: this.#inbox.detach(), address, encryption }
    } catch (error) {
      this.#socket.destroy()
      this.#signal.throwIfAborted()
      const { name } = this.#wish.resource
      if (error instanceof PeerGone) {
        throw new Fault('UPSTREAM_UNREACHABLE', `${name} closed the connection.`, { cause: error })
      }
      // A message that breaks off, or more than may wait, is the target's fault, not the client's.
      throw asFault(error)?.code === 'PROTOCOL_VIOLATION' ? unexpected(name, error) : error
    }
  }

  async #authenticate(): Promise<void> {
    const { name } = this.#wish.resource
    const { type, body } = await this.#next()
    if (type !== fromServer.authentication) throw unexpected(name)
    const fields = new Fields(body)
    const kind = fields.int32()
    this.#checkLogin(kind)
    switch (kind) {
      case 0:
        break
      case 3:
        this.#socket.write(passwordMessage(await this.#password()))
        await this.#expectAuthentication(0)
        break
      case 5:
        this.#socket.write(passwordMessage(md5Password(this.#wish.role.login, await this.#password(), fields.bytes(4))))
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

  /** A way to log in that the settings do not name is not gone, so that nobody in between can ask for a weaker one. */
  #checkLogin(kind: number): void {
    const { name, logins } = this.#wish.resource
    const asked = loginsByKind.get(kind)
    if (asked === undefined || logins.includes(asked)) return
    const how = asked === 'none' ? 'lets anybody in' : `asks for a login of the kind ${asked}`
    throw new Fault('UPSTREAM_REFUSED', `${name} ${how}, which its settings do not allow.`)
  }

  async #scram(offered: Fields): Promise<void> {
    const mechanisms: string[] = []
    while (offered.left > 1) mechanisms.push(offered.cstring())
    const { mechanism, binding } = this.#chooseScram(mechanisms)
    const nonce = Buffer.from(this.#random.bytes(24)).toString('base64')
    const scram = new ScramClient(await this.#password(), nonce, binding, '', this.#salted)
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

  async #password(): Promise<string> {
    const { password } = this.#wish.role
    if (password !== null) return await password.reveal()
    throw new Fault('UPSTREAM_REFUSED', `${this.#wish.resource.name} asks for a password, and the role has none.`)
  }

  async #expectAuthentication(kind: number): Promise<Fields> {
    const { type, body } = await this.#next()
    const fields = new Fields(body)
    if (type !== fromServer.authentication || fields.int32() !== kind) throw unexpected(this.#wish.resource.name)
    return fields
  }

  async #untilReady(): Promise<Omit<Target, 'socket' | 'unread' | 'address' | 'encryption'>> {
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
        return { processId, secret, parameters, notices, status: fields.uint8() }
      } else throw unexpected(this.#wish.resource.name)
    }
    throw unexpected(this.#wish.resource.name)
  }

  /** @throws Fault UPSTREAM_UNREACHABLE when another server is wanted */
  async #checkSession(parameters: Target['parameters']): Promise<void> {
    const { address, wanted } = this.#plan
    if (wanted === 'any') return
    const told = new Map(parameters)
    const standby = told.get('in_hot_standby') ?? (await this.#ask('select pg_catalog.pg_is_in_recovery()'))
    const isStandby = standby === 'on' || standby === 't'
    const readOnly = told.get('default_transaction_read_only') ?? (await this.#ask('show transaction_read_only'))
    if (willDo(wanted, isStandby, isStandby || readOnly === 'on')) return
    throw new Fault('UPSTREAM_UNREACHABLE', `${address.name} has no ${wanted} server at ${address.host}.`)
  }

  /** One value, from servers before version 14, which do not tell by themselves. */
  async #ask(statement: string): Promise<string> {
    this.#socket.write(query(statement))
    let value = ''
    for (let count = 0; count < messagesMax; count++) {
      const { type, body } = await this.#next()
      if (type === fromServer.readyForQuery) return value
      if (type === fromServer.dataRow) value = body.toString('utf8', 2 + 4)
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

/** What a server must be. */
export type WantedSession = Exclude<TargetSessionAttribute, 'prefer-standby'>

const loginsByKind: ReadonlyMap<number, PostgresLogin> = new Map([
  [0, 'none'],
  [3, 'password'],
  [5, 'md5'],
  [10, 'scram-sha-256'],
])

function willDo(wanted: WantedSession, isStandby: boolean, isReadOnly: boolean): boolean {
  switch (wanted) {
    case 'any':
      return true
    case 'read-write':
      return !isReadOnly
    case 'read-only':
      return isReadOnly
    case 'primary':
      return !isStandby
    case 'standby':
      return isStandby
  }
}

function unexpected(name: string, cause?: unknown): Fault {
  return new Fault('UPSTREAM_REFUSED', `${name} does not speak the protocol of PostgreSQL as expected.`, { cause })
}
