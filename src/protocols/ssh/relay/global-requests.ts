import { SshWireError } from '../../../identity/ssh/wire.ts'
import { refusalOf, type Needed } from './allow.ts'
import { remoteForward, type RemoteForward } from './forwards.ts'
import type { RelayHost } from './host.ts'
import { endpoint, message, printable, readGlobalRequest, requestFailure } from './messages.ts'
import { record } from './record.ts'
import { questionsMax } from './replies.ts'
import type { SilentRefusals } from './silent-refusals.ts'

/** Addresses that the target listens on for one connection. */
const listeningMax = 1000

/** What the client asks for beside its channels: that the target listens for it, and whether it is there. */
export class GlobalRequests {
  readonly #host: RelayHost
  readonly #silent: SilentRefusals

  constructor(host: RelayHost, silent: SilentRefusals) {
    this.#host = host
    this.#silent = silent
  }

  /** @throws SshWireError when the client breaks the protocol. */
  take(bytes: Buffer): void {
    const { target, globalReplies, recorder } = this.#host
    const { type, wantReply, fields } = readGlobalRequest(bytes)
    if (globalReplies.waiting >= questionsMax) throw new SshWireError('too many requests wait for an answer')
    const refuse = (why: string) => {
      record(recorder, 'no', { what: printable(type), why })
      this.#silent.add(why)
      this.#host.recorded('client')
      if (wantReply) globalReplies.answer(requestFailure)
    }
    const forwarding = remoteForward(type, fields)
    if (forwarding !== undefined) {
      const refusal = refusalOf(this.#host.role, 'forward-remote' satisfies Needed, type)
      if (refusal !== null) return refuse(refusal)
      const isMore = forwarding.action === 'listen' && this.#host.listening.size >= listeningMax
      return isMore ? refuse('too many addresses are listened on') : this.#forwardRemote(bytes, wantReply, forwarding)
    }
    if (type !== 'keepalive@openssh.com' && type !== 'no-more-sessions@openssh.com') {
      if (wantReply) globalReplies.answer(requestFailure)
      return
    }
    if (wantReply) globalReplies.passedOn()
    target.send(bytes)
  }

  #forwardRemote(bytes: Buffer, wantReply: boolean, { action, address, port }: RemoteForward): void {
    const { target, globalReplies, recorder, listening } = this.#host
    const settle = (reply: Buffer | null) => {
      const ok = reply === null || reply[0] === message.requestSuccess
      const chosen = port === 0 && reply !== null && reply.length >= 5 ? reply.readUInt32BE(1) : port
      const key = chosen === null ? address : endpoint(address, chosen)
      record(recorder, 'fw', { address: printable(key), action, ok })
      this.#host.recorded('client')
      if (!ok) return
      if (action === 'listen') listening.add(key)
      else listening.delete(key)
    }
    if (wantReply) globalReplies.passedOn(settle)
    else settle(null)
    target.send(bytes)
  }
}
