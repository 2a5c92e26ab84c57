import type { Socket } from 'node:net'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Admission } from '../../sessions/admission.ts'
import type { CancelEntry } from './cancel-keys.ts'
import { cancelTarget } from './cancel-target.ts'
import type { Client } from './client.ts'
import { dismissTarget, type LeaveState } from './dismiss.ts'
import { farewell } from './farewell.ts'
import { guardFor } from './guard/guard-for.ts'
import { backendKeyData, parameterStatus, readyForQuery } from './messages.ts'
import { record } from './recording.ts'
import { Relay, type RelayEnd, type RelayOwner } from './relay.ts'
import type { SessionDeps } from './session.ts'
import { version32 } from './startup.ts'
import type { Target, TargetConnection, TargetWish } from './target.ts'
import type { Connected } from './users/connect-as.ts'
import type { LentUser } from './users/database-users.ts'

const noParameters: TargetWish['parameters'] = []

/**
 * A session from "ready for queries" until nothing of it goes on. Most of the time it waits, with thousands of others: so
 * it is one object that is called back, and no function is suspended for it; and it keeps of its beginning only what its
 * end needs. Keys are strings of bytes here, as a buffer of four bytes takes two hundred.
 */
export class RunningSession implements CancelEntry, RelayOwner {
  readonly #admission: Admission
  readonly #wish: TargetWish
  readonly #target: Omit<TargetConnection, 'secret'>
  readonly #targetKey: string
  readonly #clientKey: string
  readonly #user: LentUser | null
  readonly #deps: SessionDeps
  readonly #gone: () => void
  #client: Socket | undefined
  #relay: Relay | undefined
  #cancelKey: Disposable | undefined
  #dismissal: Promise<void> | undefined

  /** @param gone called when the client's socket is closed and nothing goes on at the target. */
  constructor(
    admission: Admission,
    { wish, target, user }: Connected,
    keyBytes: number,
    deps: SessionDeps,
    gone: () => void,
  ) {
    const { resource, role, database } = wish
    const { socket, address, encryption, processId, secret } = target
    this.#admission = admission
    this.#wish = { resource, role, database, parameters: noParameters }
    this.#target = { socket, address, encryption, processId }
    this.#targetKey = secret.toString('latin1')
    this.#clientKey = Buffer.from(deps.random.bytes(keyBytes)).toString('latin1')
    this.#user = user
    this.#deps = deps
    this.#gone = gone
  }

  get processId(): number {
    return this.#target.processId
  }

  get secret(): Buffer {
    return Buffer.from(this.#clientKey, 'latin1')
  }

  /** @throws when it could not begin; its admission has been given back then, and `gone` is not called. */
  async start(client: Client, target: Target): Promise<void> {
    try {
      this.#begin(client, target)
    } catch (error) {
      await this.#end({ by: 'gate', bytesFromClient: 0, bytesFromTarget: 0, error })
      throw error
    }
  }

  #begin(client: Client, target: Target): void {
    const { cancelKeys, clock, scratch } = this.#deps
    const { idleMs, recordRows, guard } = this.#wish.role
    const admission = this.#admission
    this.#cancelKey = cancelKeys.add(this)
    client.authenticated()
    client.write(Buffer.concat(openingMessages(target, this.secret)))
    const { socket, unread } = client.release()
    this.#client = socket
    this.#relay = new Relay({
      ...{ client: socket, target: target.socket, parameters: target.parameters, owner: this },
      ...{ admission, idleMs, recordRows, clock, json: scratch.json, turns: scratch.turns },
      guard: guard === null ? null : guardFor(guard, admission.session, { ...this.#deps, log: this.#log() }),
    })
    this.#relay.run(unread, target.unread)
  }

  dismiss(state: LeaveState): void {
    const deps = { ...this.#deps, log: this.#log() }
    this.#dismissal ??= dismissTarget(this.#lastingTarget(), this.#wish, state, deps)
  }

  over(end: RelayEnd): void {
    this.#finish(end).catch((error: unknown) => this.#log().error({ error }, 'the end of a session failed'))
  }

  async #finish(end: RelayEnd): Promise<void> {
    if (end.error !== undefined && asFault(end.error) === undefined) {
      this.#log().error({ error: end.error }, 'a session failed')
    }
    try {
      await this.#end(end)
    } finally {
      if (this.#client !== undefined) await farewell(this.#client, this.#deps.clock)
      this.#gone()
    }
  }

  async #end(end: RelayEnd): Promise<void> {
    this.#cancelKey?.[Symbol.dispose]()
    try {
      await this.#admission.end(end)
    } finally {
      if (this.#dismissal === undefined) this.#target.socket.destroy()
      await this.#dismissal
      this.#user?.giveBack()
    }
  }

  async cancel(address: string): Promise<void> {
    const { recorder } = this.#admission
    if (recorder.active) record(recorder, 'k', { address })
    // What waits for somebody's word is not at the target yet; what came before it may be. What stands behind it goes on
    // when it is given up, and must not be hit.
    const waiting = this.#relay?.waiting ?? null
    if (waiting?.isBehind !== false) await this.#cancelTarget()
    waiting?.giveUp()
  }

  #cancelTarget(): Promise<void> {
    return cancelTarget(this.#lastingTarget(), this.#deps.clock).catch((error: unknown) => {
      this.#log().warn({ error }, 'a cancel request did not get through')
    })
  }

  #lastingTarget(): TargetConnection {
    return { ...this.#target, secret: Buffer.from(this.#targetKey, 'latin1') }
  }

  #log(): Log {
    const { id: session, resource } = this.#admission.session
    return this.#deps.log.child({ session, resource })
  }
}

/** As the protocol's version has them. */
export function cancelKeyBytes(version: number): number {
  return version >= version32 ? 32 : 4
}

/** The target's process id, because clients ask the server about it; the secret is ours. */
function openingMessages(target: Target, secret: Uint8Array): Buffer[] {
  return [
    ...target.notices,
    ...target.parameters.map(([name, value]) => parameterStatus(name, value)),
    backendKeyData(target.processId, secret),
    readyForQuery(target.status),
  ]
}
