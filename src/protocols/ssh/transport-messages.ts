import { sshByte, sshString, sshUint32 } from '../../identity/ssh/wire.ts'
import type { DisconnectReason } from './transport.ts'

/** @see RFC 4253 section 11.1 */
export const reasonCodes: Readonly<Record<DisconnectReason, number>> = {
  PROTOCOL_ERROR: 2,
  KEY_EXCHANGE_FAILED: 3,
  SERVICE_NOT_AVAILABLE: 7,
  HOST_KEY_NOT_VERIFIABLE: 9,
  CONNECTION_LOST: 10,
  BY_APPLICATION: 11,
  TOO_MANY_CONNECTIONS: 12,
  NO_MORE_AUTH_METHODS_AVAILABLE: 14,
}

/** @see RFC 4253 section 11.1 */
export function disconnectMessage(reason: number, description: string): Buffer {
  return Buffer.concat([sshByte(1), sshUint32(reason), sshString(description), sshString('')])
}

/** @see RFC 4253 section 11.4 */
export function unimplementedMessage(sequenceNumber: number): Buffer {
  return Buffer.concat([sshByte(3), sshUint32(sequenceNumber)])
}
