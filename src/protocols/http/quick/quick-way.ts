import { Fault } from '../../../kernel/fault.ts'
import type { HttpResource } from '../../../resources/catalogue.ts'
import type { Hosts } from '../../../resources/hosts.ts'
import { peerOf } from '../arrival.ts'
import type { HttpSession } from '../http-session.ts'
import type { HttpSessions } from '../http-sessions.ts'
import type { Identifier } from '../identify.ts'
import { maskedUrl } from '../recorded-parts.ts'
import { ownPaths, type Reception } from '../reception.ts'
import { basisOf, derive, type Basis, type Derived } from './basis.ts'
import type { Block } from './block.ts'
import type { QuickConnection } from './connection.ts'
import type { PlainHead } from './plain-head.ts'
import { QuickExchange, type QuickParts } from './quick-exchange.ts'

export interface QuickWayDeps {
  readonly hosts: Hosts
  readonly identifier: Identifier
  readonly sessions: HttpSessions
  readonly reception: Reception
  readonly nextRequestId: () => string
  readonly exchange: QuickParts['deps']
}

/**
 * The way of requests about which everything is known: who sends them, that they may, in which session, and what the target
 * is to be told. It asks nobody and waits for nothing. Each question is put anew for each request, only the answers' long forms
 * (texts, JSON) are kept, as long as they rest on the same objects. Where any answer is not at hand, or is no, it does nothing, and
 * the usual way finds out and says why.
 */
export class QuickWay {
  readonly #deps: QuickWayDeps

  constructor(deps: QuickWayDeps) {
    this.#deps = deps
  }

  /** @returns false when it did nothing. */
  take(connection: QuickConnection, head: PlainHead, block: Block): boolean {
    const basis = this.#basis(connection, block)
    if (basis === null || head.path.startsWith(ownPaths)) return false
    const derived = this.#derived(head, block, basis)
    if (derived === undefined) return false
    const { session } = derived
    const judged = session.rules.all ? head : session.rules.judge(head.method, head.path)
    if (judged instanceof Fault) return false
    const { path } = judged
    const requestId = this.#deps.nextRequestId()
    const url = JSON.stringify(maskedUrl(path, session.maskedNames))
    const { recordedBefore, recordedBehind } = derived
    const record = session.transcript.encodedRequest(
      `"method":"${head.method}","url":${url}${recordedBefore}"${requestId}"${recordedBehind}`,
    )
    const { reception, exchange } = this.#deps
    const parts = { connection, head, block, basis, derived, record, requestId, reception, deps: exchange }
    new QuickExchange(parts, path).start()
    return true
  }

  /** What a block of headers says of itself holds as long as its host is the same application's, unchanged. */
  #basis(connection: QuickConnection, block: Block): Basis | null {
    const resource = this.#deps.hosts.resource(block.hostName)
    if (block.basis === undefined || (block.basis !== null && block.basis.resource !== resource)) {
      block.basis = this.#look(connection, block, resource)
    }
    return block.basis
  }

  #look(connection: QuickConnection, block: Block, resource: HttpResource | undefined): Basis | null {
    if (resource === undefined) return null
    const typed = block.fields.host
    const host = typed.endsWith(':443') ? typed.slice(0, -':443'.length) : typed
    const place = { resource: resource.name, host }
    const at = { resource, place, origin: `https://${host}`, peer: peerOf(connection.socket) }
    return basisOf(block, at)
  }

  #derived(head: PlainHead, block: Block, basis: Basis): Derived | undefined {
    const { identifier, sessions } = this.#deps
    const { place, peer, credential } = basis
    const known = identifier.lately(credential, place)
    if (known === undefined || sessions.whyEnded(known, place) !== undefined) return undefined
    const session = sessions.find(known, place)
    if (session === undefined || !isReady(session)) return undefined
    // Rules and locks may ask where each request comes from.
    if (session.admission.session.client.address !== peer.address) return undefined
    const { session: of, deadline } = session.admission
    const assertion = session.assertions.of(of, known.person, deadline.value)
    if (typeof assertion !== 'string') return undefined
    const before = basis.derived
    if (before?.known === known && before.session === session && before.assertion === assertion) return before
    basis.derived = derive(head, block, basis, { known, session, assertion })
    return basis.derived ?? undefined
  }
}

/** Bodies that are recorded go the usual way, and what has to wait for the recorder, too. */
function isReady({ isOver, isFull, role, admission }: HttpSession): boolean {
  return !isOver && !isFull && role.recordBodies === null && !admission.recorder.full
}
