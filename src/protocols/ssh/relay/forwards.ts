import { SshReader } from '../../../identity/ssh/wire.ts'
import { endpoint, printable, type ChannelOpen } from './messages.ts'

/** What a client wants the target to listen on, or no longer to. */
export interface RemoteForward {
  readonly action: 'listen' | 'cancel'
  /** A host name or address; a path where `port` is null. */
  readonly address: string
  readonly port: number | null
}

/** Undefined for requests of another kind. */
export function remoteForward(type: string, fields: SshReader): RemoteForward | undefined {
  switch (type) {
    case 'tcpip-forward':
      return { action: 'listen', address: fields.text(), port: fields.uint32() }
    case 'cancel-tcpip-forward':
      return { action: 'cancel', address: fields.text(), port: fields.uint32() }
    case 'streamlocal-forward@openssh.com':
      return { action: 'listen', address: fields.text(), port: null }
    case 'cancel-streamlocal-forward@openssh.com':
      return { action: 'cancel', address: fields.text(), port: null }
    default:
      return undefined
  }
}

/** Where a forwarded connection goes, and where it says that it comes from. */
export function forwardEnds({ type, rest }: ChannelOpen): { readonly to: string; readonly from?: string } {
  const fields = new SshReader(rest)
  if (type === 'direct-streamlocal@openssh.com') return { to: printable(fields.text()) }
  const to = endpoint(fields.text(), fields.uint32())
  return { to, from: endpoint(fields.text(), fields.uint32()) }
}
